"""How high r could get: split-half reliability, and r corrected for attenuation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from valact_eval.key import KEY, VALUES
from valact_eval.stats.declared import Key
from valact_eval.stats.enacted import correlate, counts
from valact_eval.stats.estimate import (
    Bools,
    Estimate,
    Floats,
    mean_over,
    number,
    ratio,
)
from valact_eval.stats.resample import uniforms
from valact_eval.stats.table import Answers, Choices

SPLITS: Final = 200
LEAST: Final = 0.25
"""The lowest reliability that r is corrected for."""


@dataclass(frozen=True)
class Ceiling:
    """The noise ceiling of a declared-enacted r.

    Reliabilities are of the profile over the ten values: mean r of random halves, stepped up by
    Spearman and Brown's 2r / (1 + r). ``enacted`` halves the scenarios, ``declared_runs`` the
    questionnaire runs, ``declared_items`` the items of each value. ``ceiling`` is
    sqrt(enacted x declared) with runs if there are two or more, else items (``declared_by``).
    ``corrected`` is r / ceiling with the interval of r divided likewise: what error-free
    profiles would show, if the reliabilities were known. It can exceed 1. It is None if a
    reliability is below 0.25: the profile is then mostly noise, and no division mends that.
    """

    enacted: float | None
    declared_runs: float | None
    declared_items: float | None
    declared_by: str
    ceiling: float | None
    raw: Estimate
    corrected: Estimate


def ceiling(
    table: Choices, answers: Answers, raw: Estimate, key: Key = KEY, seed: int = 0
) -> Ceiling:
    """The ceiling of ``raw``, a Pearson r of enacted shares and declared scores."""
    enacted = enacted_reliability(table, seed)
    runs = run_reliability(answers, key, seed)
    items = item_reliability(answers, key, seed)
    by, declared = ("runs", runs) if len(answers.runs) > 1 else ("items", items)
    top = None
    if enacted is not None and declared is not None and min(enacted, declared) > 0:
        top = float(np.sqrt(enacted * declared))
    usable = top if top is not None and min(enacted or 0, declared or 0) >= LEAST else None
    return Ceiling(enacted, runs, items, by, top, raw, _divided(raw, usable))


def enacted_reliability(table: Choices, seed: int = 0) -> float | None:
    """Reliability of the enacted shares, from halves of the scenarios."""
    chosen, valid, _ = counts(table)
    present = np.flatnonzero(valid.sum(axis=(1, 2)) > 0)
    halves = split([table.scenarios[s] for s in present], f"{seed}/scenarios")

    def shares(half: Bools) -> Floats:
        weights = half.astype(float)
        part, whole = (
            np.einsum("ts,spv->tpv", weights, x[present], optimize=True) for x in (chosen, valid)
        )
        return mean_over(ratio(part, whole), 1)

    return _stepped_up(shares(halves), shares(~halves)) if len(present) > 1 else None


def run_reliability(answers: Answers, key: Key = KEY, seed: int = 0) -> float | None:
    """Reliability of the declared scores, from halves of the runs."""
    if len(answers.runs) < 2:
        return None
    halves = split([f"run {run}" for run in answers.runs], f"{seed}/runs")
    seen = np.isfinite(answers.scores).astype(float)
    kept = np.nan_to_num(answers.scores)

    def scores(half: Bools) -> Floats:
        weights = half.astype(float)
        part, whole = (np.tensordot(weights, x, axes=1) for x in (kept, seen))
        items = mean_over(ratio(part, whole), 1)
        columns = [items[:, np.asarray(key[value]) - 1] for value in VALUES]
        return np.stack([mean_over(column, 1) for column in columns], axis=1)

    return _stepped_up(scores(halves), scores(~halves))


def item_reliability(answers: Answers, key: Key = KEY, seed: int = 0) -> float | None:
    """Reliability of the declared scores, from halves of each value's items."""
    items = mean_over(mean_over(answers.scores, 0), 0)
    one, two = np.empty((SPLITS, 10)), np.empty((SPLITS, 10))
    for v, value in enumerate(VALUES):
        scores = items[np.asarray(key[value]) - 1]
        half = split([f"item {item}" for item in key[value]], f"{seed}/items")
        one[:, v], two[:, v] = (mean_over(np.where(h, scores, np.nan), 1) for h in (half, ~half))
    return _stepped_up(one, two)


def split(ids: Sequence[str], purpose: str) -> Bools:
    """Random halves of ids: splits x ids, equal or one apart; which is larger is random."""
    keys = uniforms([*ids, "\0larger"], SPLITS, f"split/{purpose}")
    place = np.argsort(np.argsort(keys[:, :-1], axis=1), axis=1)
    size = (len(ids) + (keys[:, -1:] < 0.5)) // 2
    return np.asarray(place < size)


def _stepped_up(one: Floats, two: Floats) -> float | None:
    r = correlate(one, two)
    r = r[np.isfinite(r)]
    if not r.size:
        return None
    mean = float(r.mean())
    return number(2 * mean / (1 + mean)) if mean > -1 else None


def _divided(raw: Estimate, top: float | None) -> Estimate:
    def part(figure: float | None) -> float | None:
        return None if figure is None or top is None else figure / top

    return replace(
        raw,
        estimate=part(raw.estimate),
        low=part(raw.low),
        high=part(raw.high),
        se=part(raw.se),
        over=f"{raw.over}; reliabilities taken as exact",
    )
