"""Declared against enacted values: r over the ten values, and four views of how sure it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from scipy import stats

from valact_eval.key import VALUES
from valact_eval.stats.enacted import correlate, ranks
from valact_eval.stats.estimate import (
    SCENARIOS,
    SCENARIOS_AND_RUNS,
    Estimate,
    Floats,
    Scale,
    interval,
    number,
)
from valact_eval.stats.resample import Profile, uniforms

Measure = Literal["enacted_share", "preference", "utility", "share_without_letters"]
PERMUTATIONS: Final = 20_000


@dataclass(frozen=True)
class Correlation:
    """One coefficient over ten values with its views.

    ``estimate`` has an interval over scenarios and runs: the ten values are all there are, and
    the figure is for this length of test. ``fisher`` takes the ten values for a random sample
    of values instead, which they are not; it is the interval a reader would work out from r and
    n = 10. ``chance`` is where 95 % of coefficients fall if declared and enacted scores are
    paired at random, and ``permutation_p`` the share of pairings at least as far from 0;
    neither is an interval of r. ``rotation_p`` rotates one profile around the circle instead,
    which keeps neighbours alike; with ten places it cannot be below 0.1.
    """

    estimate: Estimate
    fisher: tuple[float, float] | None
    chance: tuple[float, float] | None
    permutation_p: float | None
    rotation_p: float | None


@dataclass(frozen=True)
class LeftOut:
    """The coefficients over the other nine values."""

    value: str
    pearson: float | None
    spearman: float | None


@dataclass(frozen=True)
class Gap:
    """The declared-enacted gap of a respondent; ``measure`` says how enacting is measured."""

    measure: Measure
    pearson: Correlation
    spearman: Correlation
    leave_one_out: tuple[LeftOut, ...]


def gap(
    measure: Measure,
    enacted: Profile,
    declared: Profile,
    *,
    n: int,
    clusters: int,
    runs: int,
    level: float = 0.95,
) -> Gap:
    """Declared-enacted coefficients.

    Args:
        measure: name of the enacted figures.
        enacted: with its bootstrap draws over scenarios.
        declared: with its bootstrap draws over runs; they do not vary for a single run.
        n: valid choices.
        clusters: scenarios.
        runs: questionnaire runs.
        level: of every interval.
    """
    a, b = enacted.figures, declared.figures
    left = []
    for v, value in enumerate(VALUES):
        keep = np.arange(10) != v
        x, y = a[keep], b[keep]
        rho = number(float(correlate(ranks(x), ranks(y))))
        left.append(LeftOut(value, number(float(correlate(x, y))), rho))

    def correlation(of: Callable[[Floats], Floats], factor: float) -> Correlation:
        estimate = joint(
            lambda x, y: correlate(of(x), of(y)),
            enacted,
            declared,
            n=n,
            clusters=clusters,
            runs=runs,
            scale="correlation",
            level=level,
        )
        r = estimate.estimate
        if r is None:
            return Correlation(estimate, None, None, None, None)
        chance, permutation_p, rotation_p = pairings(of(a), of(b), level)
        sampled = fisher(r, 10, level, factor)
        return Correlation(estimate, sampled, chance, permutation_p, rotation_p)

    return Gap(
        measure=measure,
        pearson=correlation(np.asarray, 1.0),
        spearman=correlation(ranks, float(np.sqrt(1.06))),
        leave_one_out=tuple(left),
    )


def joint(
    figure: Callable[[Floats, Floats], Floats],
    enacted: Profile,
    declared: Profile,
    *,
    n: int,
    clusters: int,
    runs: int,
    scale: Scale = "linear",
    level: float = 0.95,
) -> Estimate:
    """A figure of both profiles with an interval over scenarios and runs.

    Degrees of freedom are Welch and Satterthwaite's: few runs count if they matter. A single run
    is taken as exact, and the estimate says so.
    """
    over = SCENARIOS_AND_RUNS if runs > 1 else f"{SCENARIOS}; one questionnaire run, taken as exact"
    a, b, drawn, degrees = enacted.figures, declared.figures, declared.draws, clusters - 1.0
    if runs > 1:
        # draws over few runs are too narrow
        drawn = b + np.sqrt(runs / (runs - 1)) * (drawn - b)
        one, two = _variance(figure(enacted.draws, b)), _variance(figure(a, drawn))
        if two > 0 and clusters > 1:
            degrees = float((one + two) ** 2 / (one**2 / (clusters - 1) + two**2 / (runs - 1)))
    return interval(
        float(figure(a, b)),
        figure(enacted.draws, drawn),
        n=n,
        clusters=clusters,
        over=over,
        scale=scale,
        level=level,
        degrees=degrees,
    )


def _variance(draws: Floats) -> float:
    known = draws[np.isfinite(draws)]
    return float(known.var()) if known.size else 0.0


def fisher(r: float, n: int, level: float = 0.95, factor: float = 1.0) -> tuple[float, float]:
    """Fisher's z interval of r over ``n`` sampled pairs; ``factor`` widens it for Spearman.

    (Fieller, Hartley and Pearson 1957: the variance of Spearman's z is 1.06 / (n - 3).)
    """
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    half = factor * stats.norm.ppf((1 + level) / 2) / np.sqrt(n - 3)
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def pairings(x: Floats, y: Floats, level: float = 0.95) -> tuple[tuple[float, float], float, float]:
    """Where chance puts r, the two-sided p of random pairings, and that of rotations."""
    r = abs(float(correlate(x, y))) - 1e-12
    drawn = correlate(x, y[_permutations(len(y))])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    p = (1 + np.count_nonzero(np.abs(drawn) >= r)) / (1 + len(drawn))
    turned = correlate(x, np.stack([np.roll(y, k) for k in range(len(y))]))
    return (float(low), float(high)), float(p), float(np.mean(np.abs(turned) >= r))


@lru_cache(maxsize=4)
def _permutations(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Random orders of n, always the same."""
    return np.argsort(uniforms([str(k) for k in range(n)], PERMUTATIONS, "pairings"), axis=1)
