"""Intervals: cluster bootstrap over scenarios, Wilson, and a bound where no bootstrap exists."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import sha256_text

METHODS = ("bca", "wilson_clusters", "none")
"""BCa bootstrap over clusters; Wilson with one observation a cluster; no review at all."""

Floats = NDArray[np.float64]
_BATCH = 250  # resamples at once: memory


@dataclass(frozen=True)
class Interval:
    """An interval and how it was found; both ends NaN if there is none."""

    low: float
    high: float
    method: str


NO_INTERVAL = Interval(math.nan, math.nan, "none")


def generator(*salt: str) -> np.random.Generator:
    """Return a random generator that depends on `salt` only."""
    return np.random.default_rng(int(sha256_text("\x1f".join(salt))[:16], 16))


def wilson(correct: float, total: float, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval (Wilson 1927) of a proportion; NaN if `total` is 0."""
    if not total:
        return math.nan, math.nan
    from scipy.stats import binomtest

    found = binomtest(round(correct), round(total)).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def cluster_interval(
    correct: Floats, total: Floats, confidence: float, resamples: int, salt: str
) -> Interval:
    """Return the interval of sum(correct) / sum(total) when clusters are drawn anew.

    BCa (Efron 1987) by scipy, over clusters. Where the bootstrap sees no variation (no error, or
    nothing but errors, in any cluster), it would say that there is no doubt; then Wilson's interval
    with each cluster as one observation is given, as if a cluster's reviews were one.

    Args:
        correct: Weighted correct reviews of each cluster, shape (clusters,).
        total: Weighted reviews of each cluster, above 0, the same shape.
        confidence: Level.
        resamples: Bootstrap resamples.
        salt: Seed.
    """
    clusters = len(total)
    if not clusters:
        return NO_INTERVAL
    shares = correct / total
    if clusters == 1 or np.ptp(shares) == 0:
        share = float(correct.sum() / total.sum())
        return Interval(*wilson(share * clusters, clusters, confidence), "wilson_clusters")
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a degenerate distribution is handled below
        found = bootstrap(
            (correct, total),
            _ratio,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=_BATCH,
            confidence_level=confidence,
            method="BCa",
            rng=generator(salt),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    if math.isnan(low) or math.isnan(high):
        share = float(correct.sum() / total.sum())
        return Interval(*wilson(share * clusters, clusters, confidence), "wilson_clusters")
    return Interval(low, high, "bca")


def _ratio(correct: Floats, total: Floats, axis: int = -1) -> Floats:
    return np.asarray(correct.sum(axis=axis) / total.sum(axis=axis))


def percentile_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    clusters: int,
    confidence: float,
    resamples: int,
    salt: str,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of any statistic of drawn clusters.

    Args:
        statistic: Takes the indices of the drawn clusters, with repeats; NaN where undefined.
        clusters: How many there are.
        confidence: Level.
        resamples: Bootstrap resamples.
        salt: Seed.

    Returns:
        Both ends; NaN if there are fewer than two clusters or no resample defines it.
    """
    if clusters < 2:
        return math.nan, math.nan
    rng = generator(salt)
    drawn = np.array(
        [statistic(rng.integers(0, clusters, clusters)) for _ in range(resamples)], dtype=float
    )
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def design_effect(correct: Floats, total: Floats) -> float:
    """Return the variance of the share over clusters, as a multiple of independent reviews'.

    Linearised ratio estimator (Cochran 1977, 11.5): residuals correct - share * total. NaN if there
    is no variation, or only one cluster.
    """
    clusters, n = len(total), total.sum()
    share = correct.sum() / n if n else math.nan
    if clusters < 2 or not 0 < share < 1:
        return math.nan
    residuals = correct - share * total
    variance = clusters / (clusters - 1) * (residuals**2).sum() / n**2
    return float(variance / (share * (1 - share) / n))
