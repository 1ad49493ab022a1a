"""The report: one page that needs nothing else, with its tables and pictures beside it."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from valact_eval import __version__
from valact_eval.errors import ValactError
from valact_eval.page_tables import (
    Table,
    bias,
    domains,
    groups,
    left_out,
    outcomes,
    pair_table,
    people,
    published,
    published_together,
    r_table,
    role_play,
    summary,
    values,
)
from valact_eval.plots import figures
from valact_eval.results import Analysed
from valact_eval.stats import reference
from valact_eval.stats.analyse import Results
from valact_eval.tables import write_tables

PAGE = "index.html"


@dataclass(frozen=True)
class Part:
    """A section of the page; ``picture`` is a data address or empty."""

    id: str
    title: str
    text: str
    tables: Sequence[Table]
    picture: str = ""
    caption: str = ""


def write_report(folder: Path, found: Analysed) -> Path:
    """Writes ``index.html``, ``csv/`` and ``figures/`` into ``folder``; returns the page's path.

    Raises:
        ValactError: people stand beside models without a common length, or the folder cannot
            be written.
    """
    refuse_unequal_lengths(found.results)
    drawn = figures(found.results)
    page = html(found, drawn)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, (_, svg) in drawn.items():
            (folder / "figures" / f"{name}.svg").write_text(svg, encoding="utf-8")
        (folder / PAGE).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ValactError(f"{folder}: {error.strerror or error}; give another --html") from error
    write_tables(folder / "csv", found.results)
    return folder / PAGE


def refuse_unequal_lengths(results: Results) -> None:
    """Raises ValactError where a page would set people beside models of another length."""
    if refused := [note for note in results.notes if note.startswith("refused: ")]:
        raise ValactError(refused[0].removeprefix("refused: "))


def html(found: Analysed, drawn: dict[str, tuple[str, str]]) -> str:
    """The page; everything from the files is put in as text."""
    source = (files("valact_eval") / "templates" / "report.html.j2").read_text("utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return page.from_string(source).render(
        version=__version__,
        level=f"{100 * found.results.level:g} %",
        warnings=warnings(found),
        parts=[part for part in _parts(found.results, drawn) if part.picture or part.tables],
    )


def warnings(found: Analysed) -> list[str]:
    """What every page must say first."""
    said = [
        f"Declared scores come from the questionnaire {name}, which is not the PVQ-40. Take them "
        "as a trial of the method, not as a measurement."
        for name in found.not_validated
    ]
    said += list(found.results.notes)
    for one in found.results.respondents:
        for task in one.tasks:
            ok = task.outcomes["ok"].estimate
            if ok is not None and ok < 0.9:
                said.append(
                    f"{one.respondent}, {task.task}: only {ok:.0%} of the replies hold a valid "
                    "answer; the figures are of these alone."
                )
        for row in one.bias.letters if one.bias is not None else ():
            share = row.share.estimate
            if share is not None and share > 0.9:
                said.append(
                    f"{one.respondent}: {share:.0%} of the choices are letter {row.letter}, "
                    "whatever stands there; they say next to nothing of values."
                )
        told = one.declared
        if told is not None and (asked := sum(told.outcomes.values())):
            if (ok := told.outcomes["ok"] / asked) < 0.9:
                said.append(
                    f"{one.respondent}, questionnaire: only {ok:.0%} of the items have a score."
                )
            if told.flat_runs:
                said.append(
                    f"{one.respondent}, questionnaire: {told.flat_runs} of "
                    f"{told.runs * len(told.variants)} runs give every item one score."
                )
    return said


def _parts(results: Results, drawn: dict[str, tuple[str, str]]) -> Iterator[Part]:
    models = [one for one in results.respondents if not one.person]

    def part(name: str, title: str, text: str, tables: Sequence[Table]) -> Part:
        full = [table for table in tables if table.rows]
        if name not in drawn:
            return Part(name, title, text, full)
        caption, svg = drawn[name]
        coded = base64.b64encode(svg.encode()).decode()
        return Part(name, title, text, full, f"data:image/svg+xml;base64,{coded}", caption)

    yield part("summary", "Summary", "", [summary(models), outcomes(models)])
    yield part(
        "circle",
        "Values",
        "Enacted share: how often a value's action was chosen, of all valid choices (chance "
        "0.10). Preference: chosen of the times it was offered (chance 0.25). Without letters: "
        "the share that is left once a liking for letters is taken out.",
        [values(one) for one in models],
    )
    yield part(
        "gap",
        "Declared against enacted",
        "r over ten values is a rough figure: look at how it moves when one value is left out.",
        [left_out(models)],
    )
    yield part(
        "r",
        "Declared-enacted r beside the published models",
        f"Published: {reference.SOURCE}.",
        [r_table(models)],
    )
    yield part("heat", "Model by model", "", [pair_table(results)])
    yield part("agreement", "Agreement question by question", "", [])
    yield part(
        "role_play",
        "Role-play",
        "Does a model that recognises a value's action also choose it when told to hold the "
        "value? Holm's p is over all models and values of this page.",
        [role_play(one) for one in models if one.role_play],
    )
    yield part("letters", "Position bias", "", [bias(models)])
    yield part("domains", "Domains", "", [domains(models)])
    yield part(
        "people",
        "People",
        "A short test makes noisy profiles, so people stand beside models cut to their length.",
        [people(results)],
    )
    yield part("groups", "Groups", "", [groups(results)])
    yield part("published", "The ten published models", "", [published(), published_together()])
