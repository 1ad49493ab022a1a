"""Drift: one respondent in two runs or on two releases."""

from dataclasses import dataclass

import numpy as np

from valact_eval.key import KEY, VALUES
from valact_eval.schema import TASKS
from valact_eval.stats.declared import Key, centred_profile
from valact_eval.stats.enacted import correlate, profiles
from valact_eval.stats.estimate import (
    RUNS,
    SCENARIOS,
    SCENARIOS_AND_RUNS,
    Estimate,
    Floats,
    holm,
    interval,
    p_value,
)
from valact_eval.stats.outcomes import right_answers
from valact_eval.stats.resample import Bootstrap, Profile, bootstrap, rates
from valact_eval.stats.table import Answers, Choices


@dataclass(frozen=True)
class Change:
    """One figure before and after; ``change`` is after - before.

    Scenarios (or questionnaire runs) that both have are drawn together, so that what they share
    cancels; the others are drawn apart. ``p`` tests the change, ``p_holm`` is over all figures
    of this respondent.
    """

    figure: str
    before: float | None
    after: float | None
    change: Estimate
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Side:
    """One respondent's tables by task, and its questionnaire, in one of the two runs."""

    tables: dict[str, Choices]
    answers: Answers | None


def drift(
    before: Side, after: Side, draws: int = 2000, seed: int = 0, key: Key = KEY, level: float = 0.95
) -> tuple[Change, ...]:
    """Every figure that both sides have.

    Args:
        before: the earlier run.
        after: the later one.
        draws: of the bootstrap.
        seed: of the bootstrap; its weights come from the ids of scenarios and runs.
        key: of the questionnaire.
        level: of the intervals.
    """
    found: list[tuple[str, float, float, Estimate]] = []

    def add(name: str, sides: list[Profile], k: int, clusters: int, n: int, over: str) -> None:
        a, b = sides
        apart = float(b.figures[k] - a.figures[k])
        drawn = b.draws[:, k] - a.draws[:, k]
        change = interval(apart, drawn, n=n, clusters=clusters, over=over, level=level)
        found.append((name, float(a.figures[k]), float(b.figures[k]), change))

    acted: list[Profile] = []
    for task in TASKS:
        one, two = before.tables.get(task), after.tables.get(task)
        if one is None or two is None or not one.ok.any() or not two.ok.any():
            continue
        clusters, n = min(one.clusters, two.clusters), int(one.ok.sum() + two.ok.sum())
        boots = [bootstrap(t.scenarios, draws, seed, "scenarios") for t in (one, two)]
        if task == "default":
            acted = [profiles(t, boot)[0] for t, boot in zip((one, two), boots, strict=True)]
            for v, value in enumerate(VALUES):
                add(f"enacted share, {value}", acted, v, clusters, n, SCENARIOS)
        else:
            right = [_accuracy(t, boot) for t, boot in zip((one, two), boots, strict=True)]
            add(f"accuracy, {task}", right, 0, clusters, n, SCENARIOS)
    if before.answers is not None and after.answers is not None:
        both = (before.answers, after.answers)
        runs = min(len(answers.runs) for answers in both)
        n = sum(answers.outcomes["ok"] for answers in both)
        told = [centred_profile(answers, _runs(answers, draws, seed), key) for answers in both]
        for v, value in enumerate(VALUES):
            add(f"declared centred, {value}", told, v, runs, n, RUNS)
        if acted:
            rs = [_pearson(shown, said) for shown, said in zip(acted, told, strict=True)]
            over = SCENARIOS_AND_RUNS if runs > 1 else f"{SCENARIOS}; questionnaires taken as exact"
            least = min(t.clusters for t in (before.tables["default"], after.tables["default"]))
            fewest = min(least, runs) if runs > 1 else least
            add("declared-enacted r", rs, 0, fewest, n, over)
    p = [p_value(change) for _, _, _, change in found]
    return tuple(
        Change(name, _known(a), _known(b), change, one_p, adjusted)
        for (name, a, b, change), one_p, adjusted in zip(found, p, holm(p), strict=True)
    )


def _runs(answers: Answers, draws: int, seed: int) -> Bootstrap:
    # a run is the same item order on both sides, whatever the respondent is called
    return bootstrap([str(run) for run in answers.runs], draws, seed, "runs")


def _accuracy(table: Choices, boot: Bootstrap) -> Profile:
    right, valid = right_answers(table)
    return rates(right.sum(axis=2, keepdims=True), valid.sum(axis=2, keepdims=True), boot)


def _pearson(acted: Profile, said: Profile) -> Profile:
    def r(x: Floats, y: Floats) -> Floats:
        return np.atleast_1d(correlate(x, y))

    drawn = r(acted.draws, said.draws)[:, None]
    return Profile(r(acted.figures, said.figures), drawn, drawn[:0])


def _known(figure: float) -> float | None:
    return figure if np.isfinite(figure) else None
