"""Two runs side by side: may they be compared, and what has changed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from valact_eval.errors import ValactError
from valact_eval.predictions import Predictions, read_predictions
from valact_eval.stats.drift import Change, Side, drift
from valact_eval.stats.estimate import Estimate
from valact_eval.stats.resample import bootstrap, rate
from valact_eval.stats.table import read_answers, read_choices

_OK_APART = 0.05  # difference in the rate of valid answers that is worth a word


@dataclass(frozen=True)
class Pair:
    """One respondent in both runs; ``same_option`` is over the questions that both have."""

    before: str
    after: str
    same_option: Estimate | None
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """``warnings`` says why figures may differ for other reasons than the respondent."""

    warnings: tuple[str, ...]
    pairs: tuple[Pair, ...]


def compare(
    before: Path, after: Path, names: Mapping[str, str], draws: int = 2000, seed: int = 0
) -> Comparison:
    """Compares two predictions files or folders of ``run``.

    Args:
        before: the earlier one.
        after: the later one.
        names: respondents to compare, earlier name to later; if empty, those in both, or the
            only one of each.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValactError: a file is bad, or no respondent is in both.
    """
    runs = (read_predictions([before]), read_predictions([after]))
    pairs = names or _common(*(_respondents(run) for run in runs))
    for name, run, path in (
        (name, run, path)
        for one, two in pairs.items()
        for name, run, path in ((one, runs[0], before), (two, runs[1], after))
    ):
        if name not in (known := _respondents(run)):
            raise ValactError(f"{path}: no respondent {name!r}; there are {', '.join(known)}")
    said: list[str] = []
    found = []
    for one, two in pairs.items():
        then, now = _only(runs[0], one), _only(runs[1], two)
        said += _settings_apart(before, after, one, two)
        said += _rows_apart(then, now, one)
        same = _same_option(then, now, draws, seed)
        found.append(Pair(one, two, same, drift(_side(then), _side(now), draws, seed)))
    return Comparison(tuple(dict.fromkeys(said)), tuple(found))


def lines(found: Comparison) -> list[str]:
    """The comparison as a short printed report."""
    rows = [f"warning: {line}" for line in found.warnings]
    for pair in found.pairs:
        name = pair.before if pair.before == pair.after else f"{pair.before}, then {pair.after}"
        rows += ["", name]
        if pair.same_option is not None:
            rows.append(
                f"  same option on {pair.same_option.n:,} common answers: "
                f"{pair.same_option.explain()}"
            )
        rows.append(f"  {'figure':<34}{'before':>9}{'after':>9}  {'change':<26}p (Holm)")
        for row in pair.changes:
            rows.append(
                f"  {row.figure:<34}{_show(row.before):>9}{_show(row.after):>9}  "
                f"{row.change.explain():<26}{_show(row.p)} ({_show(row.p_holm)})"
            )
        if not pair.changes:
            rows.append("  no task or questionnaire is in both")
    return rows


def _show(figure: float | None) -> str:
    return "n/a" if figure is None else f"{figure:.3f}"


def _respondents(run: Predictions) -> list[str]:
    return sorted({*run.choices["respondent"], *run.answers["respondent"]})


def _common(before: Sequence[str], after: Sequence[str]) -> dict[str, str]:
    if both := [name for name in before if name in after]:
        return {name: name for name in both}
    if len(before) == len(after) == 1:
        return {before[0]: after[0]}
    raise ValactError(
        f"no respondent is in both ({', '.join(before)}; {', '.join(after)}); "
        "pair them by --pair BEFORE=AFTER"
    )


def _only(run: Predictions, name: str) -> Predictions:
    return Predictions(
        run.choices.filter(pl.col("respondent") == name),
        run.answers.filter(pl.col("respondent") == name),
    )


def _side(run: Predictions) -> Side:
    choices = {} if run.choices.is_empty() else {t.task: t for t in read_choices(run.choices)}
    return Side(choices, None if run.answers.is_empty() else read_answers(run.answers)[0])


def _same_option(before: Predictions, after: Predictions, draws: int, seed: int) -> Estimate | None:
    parts = [
        run.choices.filter(pl.col("task") == "default", pl.col("outcome") == "ok").select(
            "question_id",
            "variant",
            "scenario_id",
            option=pl.col("option_ids").list.get(pl.col("choice")),
            known=pl.col("option_ids").list.sort(),
        )
        for run in (before, after)
    ]
    both = parts[0].join(parts[1], on=["question_id", "variant", "known"])
    if both.is_empty():
        return None
    scenarios = both["scenario_id"].unique().sort().to_list()
    variants = both["variant"].unique().sort().to_list()
    part, whole = (np.zeros((len(scenarios), len(variants))) for _ in range(2))
    at = (
        np.searchsorted(scenarios, both["scenario_id"].to_list()),
        np.searchsorted(variants, both["variant"].to_list()),
    )
    np.add.at(whole, at, 1.0)
    np.add.at(part, at, (both["option"] == both["option_right"]).to_numpy().astype(float))
    return rate(part, whole, bootstrap(scenarios, draws, seed, "scenarios"))


def _settings_apart(before: Path, after: Path, one: str, two: str) -> Iterator[str]:
    """How the runs' own settings differ; nothing is known of files outside a run's folder."""
    found = []
    for path, name in ((before, one), (after, two)):
        record = _record(path)
        if record is None:
            yield f"{path}: its settings are not known (no run.json); compare folders of run"
            return
        found.append((record, record.get("respondents", {}).get(name, {})))
    versions = [record.get("valact_eval") for record, _ in found]
    if versions[0] != versions[1]:
        yield f"run by valact-eval {versions[0]} and {versions[1]}"
    for task in sorted({*found[0][1]} & {*found[1][1]}):
        then, now = found[0][1][task], found[1][1][task]
        for key in sorted({*then, *now}):
            if then.get(key) != now.get(key):
                what = "not the same release" if key == "data" else f"another {key}"
                yield f"{task}: {what} ({then.get(key)!s:.40} and {now.get(key)!s:.40})"


def _record(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(((path if path.is_dir() else path.parent) / "run.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _rows_apart(before: Predictions, after: Predictions, name: str) -> Iterator[str]:
    for task in sorted({*before.choices["task"]} & {*after.choices["task"]}):
        one, two = (run.choices.filter(pl.col("task") == task) for run in (before, after))
        asked = [set(part["question_id"]) for part in (one, two)]
        if asked[0] != asked[1]:
            yield (
                f"{name}, {task}: {len(asked[0]):,} and {len(asked[1]):,} questions, "
                f"{len(asked[0] & asked[1]):,} in common"
            )
        columns = ("option_ids", "option_values")
        texts = [part.select("question_id", *columns).unique("question_id") for part in (one, two)]
        both = texts[0].join(texts[1], on="question_id")
        other = both.filter(
            pl.any_horizontal(pl.col(c) != pl.col(f"{c}_right") for c in columns)
        ).height
        if other:
            yield f"{name}, {task}: {other:,} questions have other options or another dealt order"
        variants = [sorted(part["variant"].unique()) for part in (one, two)]
        if variants[0] != variants[1]:
            yield f"{name}, {task}: prompt variants {variants[0]} and {variants[1]}"
        ok = [float((part["outcome"] == "ok").mean() or 0.0) for part in (one, two)]  # type: ignore[arg-type]
        if abs(ok[0] - ok[1]) > _OK_APART:
            yield f"{name}, {task}: {ok[0]:.0%} and {ok[1]:.0%} of the answers are valid"
    names = [run.answers["instrument"].unique().sort().to_list() for run in (before, after)]
    if all(names) and names[0] != names[1]:
        yield f"{name}: other questionnaires ({names[0][0]} and {names[1][0]})"
