"""Results as flat tables: one row a figure, for spreadsheets and other programs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from valact_eval.errors import ValactError
from valact_eval.key import VALUES
from valact_eval.stats import reference
from valact_eval.stats.analyse import Results
from valact_eval.stats.estimate import Estimate
from valact_eval.stats.respondent import RespondentResult
from valact_eval.stats.roleplay import RoleFigure

_Row = dict[str, Any]
_FIGURE = ("estimate", "low", "high", "se", "n", "clusters", "level", "over")


def tables(results: Results) -> dict[str, pl.DataFrame]:
    """Every table with at least one row, by name; intervals say what they are over."""
    rows: dict[str, list[_Row]] = {
        "outcomes": [row for one in results.respondents for row in _outcomes(one)],
        "values": [row for one in results.respondents for row in _values(one)],
        "gaps": [row for one in results.respondents for row in _gaps(one)],
        "left_out": [row for one in results.respondents for row in _left_out(one)],
        "bias": [row for one in results.respondents for row in _bias(one)],
        "prompts": [row for one in results.respondents for row in _prompts(one)],
        "circle": [row for one in results.respondents for row in _circle(one)],
        "role_play": [row for one in results.respondents for row in _role_play(one)],
        "agreement": list(_agreement(results)),
        "people": list(_people(results)),
        "groups": [
            _row(test, "figure", "difference", "p", "p_holm", "least_p", "groupings", "exact")
            | {f"mean {group}": mean for group, mean in test.means.items()}
            for test in results.groups
        ],
        "alpha": [
            _row(alpha, "value", "items", "respondents", "alpha", "low", "high", "over")
            for alpha in results.alphas
        ],
        "published": list(_published()),
    }
    return {
        name: pl.DataFrame(part, infer_schema_length=None) for name, part in rows.items() if part
    }


def write_tables(folder: Path, results: Results) -> list[Path]:
    """Writes the tables as CSV files into ``folder``; returns their paths.

    Raises:
        ValactError: the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in tables(results).items():
            frame.write_csv(folder / f"{name}.csv")
            written.append(folder / f"{name}.csv")
    except OSError as error:
        raise ValactError(f"{folder}: {error.strerror or error}; give another folder") from error
    return written


def _row(thing: object, *names: str) -> _Row:
    return {name: getattr(thing, name) for name in names}


def _figure(found: Estimate | None) -> _Row:
    return {name: None for name in _FIGURE} if found is None else _row(found, *_FIGURE)


def _outcomes(one: RespondentResult) -> Iterator[_Row]:
    for task in one.tasks:
        about = {"respondent": one.respondent, "task": task.task, "questions": task.questions}
        for name, share in task.outcomes.items():
            yield {**about, "figure": f"rate of {name}", "value": None, **_figure(share)}
        if task.accuracy is not None:
            yield {**about, "figure": "accuracy of valid", "value": None, **_figure(task.accuracy)}
            yield {**about, "figure": "accuracy of all", "value": None} | _figure(task.accuracy_all)
        for value, right in task.by_value.items():
            yield {**about, "figure": "accuracy of valid", "value": value, **_figure(right)}


def _values(one: RespondentResult) -> Iterator[_Row]:
    def row(value: str, measure: str, found: Estimate, domain: str = "all") -> _Row:
        about = {"respondent": one.respondent, "domain": domain, "value": value}
        return {**about, "measure": measure, **_figure(found)}

    parts = [("all", one.enacted)] if one.enacted is not None else []
    parts += [(domain.domain, domain.enacted) for domain in one.domains]
    for domain, enacted in parts:
        for acted in enacted.values:
            yield row(acted.value, "enacted_share", acted.enacted_share, domain)
            yield row(acted.value, "preference", acted.preference, domain)
    if one.choice_model is not None:
        for liked in one.choice_model.values:
            yield row(liked.value, "utility", liked.utility)
            yield row(liked.value, "share_without_letters", liked.share_without_letters)
    if one.declared is not None:
        for told in one.declared.values:
            yield row(told.value, "declared_raw", told.raw)
            yield row(told.value, "declared_centred", told.centred)


def _gaps(one: RespondentResult) -> Iterator[_Row]:
    about = {"respondent": one.respondent}
    for found in one.gaps:
        for name, r in (("pearson", found.pearson), ("spearman", found.spearman)):
            fisher, chance = r.fisher or (None, None), r.chance or (None, None)
            yield {
                **about,
                "domain": "all",
                "measure": found.measure,
                "coefficient": name,
                **_figure(r.estimate),
                "fisher_low": fisher[0],
                "fisher_high": fisher[1],
                "chance_low": chance[0],
                "chance_high": chance[1],
                **_row(r, "permutation_p", "rotation_p"),
            }
    for domain in one.domains:
        if domain.declared_pearson is not None:
            yield {
                **about,
                "domain": domain.domain,
                "measure": "enacted_share",
                "coefficient": "pearson",
                **_figure(domain.declared_pearson),
            }
    if one.ceiling is not None:
        top = one.ceiling
        yield {
            **about,
            "domain": "all",
            "measure": "enacted_share",
            "coefficient": "pearson corrected for attenuation",
            **_figure(top.corrected),
            "noise_ceiling": top.ceiling,
            "reliability_enacted": top.enacted,
            "reliability_declared_runs": top.declared_runs,
            "reliability_declared_items": top.declared_items,
        }


def _left_out(one: RespondentResult) -> Iterator[_Row]:
    for found in one.gaps:
        for left in found.leave_one_out:
            about = {"respondent": one.respondent, "measure": found.measure}
            yield {**about, "without": left.value, **_row(left, "pearson", "spearman")}


def _bias(one: RespondentResult) -> Iterator[_Row]:
    about = {"respondent": one.respondent}
    if one.bias is not None:
        for letter in one.bias.letters:
            yield {**about, "figure": "letter", "of": letter.letter, **_figure(letter.share)}
        for writer in one.bias.generators:
            yield {
                **about,
                "figure": "options by generator",
                "of": writer.generator,
                **_figure(writer.share),
                **_row(writer, "own", "offered"),
            }
        length = one.bias.length
        yield {**about, "figure": "longest option", "of": None, **_figure(length.longest)}
        yield {**about, "figure": "words above mean", "of": None, **_figure(length.more_words)}
    if one.choice_model is not None:
        model = one.choice_model
        for mark, term in zip("ABCD", model.letters, strict=True):
            yield {**about, "figure": "letter, logits", "of": mark, **_figure(term)}
        for liked in model.generators:
            term, name = liked.utility, liked.generator
            yield {**about, "figure": "generator, logits", "of": name, **_figure(term)}
        term_ = model.per_doubling
        yield {**about, "figure": "doubled length, logits", "of": None, **_figure(term_)}


def _prompts(one: RespondentResult) -> Iterator[_Row]:
    if one.prompts is None:
        return
    about = {"respondent": one.respondent}
    yield {**about, "figure": "same option", **_figure(one.prompts.same_option)}
    yield {**about, "figure": "same letter", **_figure(one.prompts.same_letter)}
    yield {**about, "figure": "least r of two prompts", "estimate": one.prompts.least_r}
    for row in one.prompts.values:
        name = f"SD of the share of {row.value}"
        yield {**about, "figure": name, "estimate": row.sd, **_row(row, "lowest", "highest")}


def _circle(one: RespondentResult) -> Iterator[_Row]:
    if one.circumplex is None:
        return
    about = {"respondent": one.respondent}
    for name, wave in (("declared", one.circumplex.declared), ("enacted", one.circumplex.enacted)):
        amplitude = _figure(wave.amplitude)
        yield {**about, "figure": f"{name} amplitude", **amplitude} | _row(
            wave, "peak", "r_squared"
        )
    yield {**about, "figure": "turn, degrees", **_figure(one.circumplex.turn)}
    for axis in one.circumplex.axes:
        for part in ("declared", "enacted", "difference"):
            name = f"{axis.first} - {axis.second}, {part}"
            yield {**about, "figure": name, **_figure(getattr(axis, part))}


def _role_play(one: RespondentResult) -> Iterator[_Row]:
    if one.role_play is None:
        return
    for row in (one.role_play.overall, *one.role_play.values):
        yield {
            "respondent": one.respondent,
            "value": row.value,
            **_row(row, "selection", "adoption"),
            **_figure(row.difference),
            **_row(row, "p", "p_holm", "welch_p"),
            **_given(row),
            **{f"prompt_{k}": part for k, part in enumerate(row.by_prompt)},
        }


def _given(row: RoleFigure) -> Mapping[str, float | None]:
    given = row.given_recognised
    return {
        "given_recognised": None if given is None else given.estimate,
        "given_recognised_low": None if given is None else given.low,
        "given_recognised_high": None if given is None else given.high,
        "recognised_same_prompts": row.recognised_same_prompts,
    }


def _agreement(results: Results) -> Iterator[_Row]:
    single = ("enacted_pearson_corrected", "declared_pearson", "declared_distance")
    for pair in results.agreements:
        about = _row(pair, "one", "two", "questions")
        for name in ("enacted_pearson", "enacted_spearman", "same_option", "beyond_profiles"):
            yield {**about, "figure": name, **_figure(getattr(pair, name))}
        for name in (*single, "by_profiles", "by_model"):
            yield {**about, "figure": name, "estimate": getattr(pair, name)}


def _people(results: Results) -> Iterator[_Row]:
    for row in results.contrasts:
        about = _row(row, "model", "people", "items", "per_scenario")
        spreads = {
            "people's r": row.people_r,
            "model's r at this length": row.model_r,
            "between people": row.between_people,
            "model with itself": row.model_with_itself,
        }
        for name, spread in spreads.items():
            if spread is not None:
                yield {**about, "figure": name, **_row(spread, "mean", "low", "high")}
        yield {**about, "figure": "difference of means", "mean": row.difference}
        yield {**about, "figure": "share of people outside", "mean": row.people_outside}


def _published() -> Iterator[_Row]:
    for measure in reference.MEASURES:
        for model, figures in reference.profile(measure).items():
            for value, figure in zip(VALUES, figures, strict=True):
                scaled = float(figure) / (100 if measure == "enacted_share" else 1)
                yield {"model": model, "measure": measure, "value": value, "figure": scaled}
