"""First experiments, each one command: ``quick``, ``probe-roleplay`` and ``probe-canary``."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from valact_eval.results import Analysed, analysed_tables, said
from valact_eval.session import Session, ask

if TYPE_CHECKING:
    from valact_eval.stats.respondent import RespondentResult

INCOMPLETE: Final = 3
QUICK_SCENARIOS: Final = 100
PROBE_SCENARIOS: Final = 50
PUBLISHED_RANGE: Final = (0.2, 0.5)
"""Declared-enacted r of models as arXiv 2601.07972 words it; its tables give other bounds."""
_NARROW = 0.01

_Data = Annotated[str, typer.Argument(help="Release folder, or owner/name[@tag] on the hub.")]
_Models = Annotated[
    list[str], typer.Option("--model", help="Inspect model, as openai-api/local/NAME; repeatable.")
]
_Out = Annotated[Path, typer.Option("--out", help="Folder for predictions and logs.")]
_Url = Annotated[str | None, typer.Option(help="Of the model's server.")]
_AtOnce = Annotated[int | None, typer.Option(min=1, help="Requests at once.")]
_Longest = Annotated[int | None, typer.Option(min=1, help="Limit of a reply in tokens.")]
_Price = Annotated[
    list[str] | None, typer.Option(help="IN/OUT or MODEL=IN/OUT, dollars a million tokens.")
]
_Cap = Annotated[float | None, typer.Option(min=0, help="Dollars, over all starts of this --out.")]
_Estimate = Annotated[bool, typer.Option(help="Only say what it would cost.")]
_Overwrite = Annotated[bool, typer.Option(help="Forget what --out holds.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to ``app``."""
    app.command()(quick)
    app.command("probe-roleplay")(probe_roleplay)
    app.command("probe-canary")(probe_canary)


def quick(
    data: _Data,
    model: _Models,
    out: _Out = Path("runs/quick"),
    scenarios: Annotated[int, typer.Option(min=2, help="The first so many.")] = QUICK_SCENARIOS,
    pvq: Annotated[
        Path | None, typer.Option(help="Your copy of the PVQ-40: CSV with item and text.")
    ] = None,
    base_url: _Url = None,
    max_connections: _AtOnce = None,
    max_tokens: _Longest = None,
    price: _Price = None,
    max_cost: _Cap = None,
    estimate: _Estimate = False,
    overwrite: _Overwrite = False,
) -> None:
    """Ask the questionnaire and 100 scenarios: the declared-enacted r beside the published range.

    What it asked counts for a longer `run` with the same --out.
    """
    _run(
        Session(
            data=data,
            models=model,
            out=out,
            tasks=("default", "declared"),
            scenarios=scenarios,
            pvq=pvq,
            base_url=base_url,
            max_connections=max_connections,
            max_tokens=max_tokens,
            prices=price or (),
            max_cost=max_cost,
            estimate=estimate,
            overwrite=overwrite,
        ),
        quick_lines,
    )


def probe_roleplay(
    data: _Data,
    model: _Models,
    out: _Out = Path("runs/roleplay"),
    scenarios: Annotated[int, typer.Option(min=2, help="The first so many.")] = PROBE_SCENARIOS,
    base_url: _Url = None,
    max_connections: _AtOnce = None,
    max_tokens: _Longest = None,
    price: _Price = None,
    max_cost: _Cap = None,
    estimate: _Estimate = False,
    overwrite: _Overwrite = False,
) -> None:
    """Ask 50 scenarios in selection and adoption: is there a drop, and how sure is that?

    What it asked counts for a longer `run` with the same --out.
    """
    _run(
        Session(
            data=data,
            models=model,
            out=out,
            tasks=("selection", "adoption"),
            scenarios=scenarios,
            base_url=base_url,
            max_connections=max_connections,
            max_tokens=max_tokens,
            prices=price or (),
            max_cost=max_cost,
            estimate=estimate,
            overwrite=overwrite,
        ),
        probe_lines,
    )


def probe_canary(
    data: _Data,
    model: _Models,
    base_url: _Url = None,
    max_tokens: _Longest = None,
    model_arg: Annotated[
        list[str] | None, typer.Option("--model-arg", "-M", help="NAME=VALUE for the provider.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Verdicts and replies, as JSON.")] = False,
) -> None:
    """Show a model the first half of the canary: does it know the second?

    Who does has read this release or a text that quotes it. Who does not may have read it too.
    """
    from valact_eval.canary import LONGEST, MEANING, halves, lines, probe
    from valact_eval.data import load_canary
    from valact_eval.models import parse_args

    canary = halves(load_canary(data), data)
    found = probe(
        model,
        canary,
        base_url=base_url,
        args=parse_args(model_arg or []),
        max_tokens=max_tokens or LONGEST,
    )
    if as_json:
        told = [
            {
                "model": one.model,
                "verdict": one.verdict,
                "meaning": MEANING[one.verdict],
                "digits": one.digits,
                "replies": one.replies,
            }
            for one in found
        ]
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for one in found:
            print("\n".join(lines(one)))
    if faults := [one for one in found if one.error]:
        print(
            f"valact-eval: {faults[0].model}: some prompts had no reply: {faults[0].error}; "
            "the same command asks again",
            file=sys.stderr,
        )
        raise typer.Exit(INCOMPLETE)


def quick_lines(one: "RespondentResult") -> Iterator[str]:
    """The declared-enacted r beside what was published."""
    from valact_eval.stats.reference import reference

    published = sorted(reference().pearson.values())
    low, high = PUBLISHED_RANGE
    beside = (
        f"published: {low} to {high} (the ten models' tables: {published[0]:.2f} to "
        f"{published[-1]:.2f})"
    )
    if not one.gaps:
        yield f"{one.respondent}: no declared-enacted r, answers are missing; {beside}"
        return
    r = one.gaps[0].pearson.estimate
    yield f"{one.respondent}: declared-enacted r {r.explain(2)}; {beside}"
    if r.low is not None and r.high is not None:
        where = "overlaps" if r.low <= high and r.high >= low else "lies outside"
        yield f"  its 95 % interval {where} the published range"


def probe_lines(one: "RespondentResult") -> Iterator[str]:
    """The half-width first, then the drop it can tell."""
    from valact_eval.stats.power import needed

    role = one.role_play.overall.difference if one.role_play else None
    if role is None or role.low is None or role.high is None or role.estimate is None:
        yield f"{one.respondent}: no half-width, answers are missing"
        return
    half = (role.high - role.low) / 2
    yield (
        f"{one.respondent}: half-width {half:.3f} (95 %, {role.clusters} scenarios): a smaller "
        "difference cannot be told from none"
    )
    yield f"  adoption - selection {role.explain()}"
    if (wanted := needed(role, _NARROW)) is not None and half > _NARROW:
        yield f"  a half-width of {_NARROW} would take about {wanted:,} scenarios like these"


def _run(session: Session, first: Callable[["RespondentResult"], Iterator[str]]) -> None:
    found, missing = ask(session)
    if found is not None:
        whole: Analysed = analysed_tables(found)
        for name in whole.not_validated:
            print(f"questionnaire: {name}; it is not the PVQ-40")
        for one in whole.results.respondents:
            print("\n".join(first(one)))
        print()
        print("\n".join(said(whole)))
    if missing:
        print(f"valact-eval: {missing}", file=sys.stderr, flush=True)
        raise typer.Exit(INCOMPLETE)
