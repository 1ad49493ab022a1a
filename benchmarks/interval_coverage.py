"""How often intervals of an accuracy hold the truth, for reviews that are clustered by scenario.

Each simulated scenario has an accuracy of its own (beta, correlation `--same-scenario`); an action
is right or wrong; each of two experts reports that with probability sqrt(`--same-action`), and else
draws anew. So "correct" correlates about as annotations/plan.toml assumes.

python -m benchmarks.interval_coverage [--turns N] [--resamples N]
"""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from pipeline.annotation import intervals

DESIGNS = (  # scenarios, actions a scenario, accuracy
    (250, 4, 0.913),
    (250, 4, 0.97),
    (100, 1, 0.913),
    (100, 1, 0.8),
    (30, 1, 0.913),
    (10, 1, 0.8),
)


def main() -> None:
    """Print a row for each design: coverage and mean half-width of each kind of interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--same-action", type=float, default=0.5)
    parser.add_argument("--same-scenario", type=float, default=0.05)
    given = parser.parse_args()
    print("| scenarios | actions each | accuracy | BCa, as used | percentile | Wilson |")
    print("| --- | --- | --- | --- | --- | --- |")
    for scenarios, actions, accuracy in DESIGNS:
        hits: dict[str, list[tuple[bool, float]]] = {"bca": [], "percentile": [], "wilson": []}
        rng = np.random.default_rng(1)
        for turn in range(given.turns):
            right = _scenarios(rng, scenarios, actions, accuracy, given)
            total = np.full(scenarios, 2.0 * actions)
            used = intervals.cluster_interval(right, total, 0.95, given.resamples, f"turn {turn}")
            ends = {
                "bca": (used.low, used.high),
                "percentile": _percentile(right, total, given.resamples, turn),
                "wilson": intervals.wilson(right.sum(), total.sum(), 0.95),
            }
            for name, (low, high) in ends.items():
                hits[name].append((low <= accuracy <= high, (high - low) / 2))
        cells = [
            f"{np.mean([hit for hit, _ in found]):.1%}, ±{100 * np.mean([w for _, w in found]):.1f}"
            for found in hits.values()
        ]
        print(f"| {scenarios} | {actions} | {accuracy} | {' | '.join(cells)} |", flush=True)


def _scenarios(
    rng: np.random.Generator,
    scenarios: int,
    actions: int,
    accuracy: float,
    given: argparse.Namespace,
) -> NDArray[np.float64]:
    weight = 1 / given.same_scenario - 1
    chance = rng.beta(accuracy * weight, (1 - accuracy) * weight, scenarios)[:, None, None]
    fine = rng.random((scenarios, actions, 1)) < chance
    shape = (scenarios, actions, 2)
    copied = rng.random(shape) < math.sqrt(given.same_action)
    found = np.where(copied, fine, rng.random(shape) < chance)
    return np.asarray(found.sum(axis=(1, 2)), dtype=float)


def _percentile(
    right: NDArray[np.float64], total: NDArray[np.float64], resamples: int, turn: int
) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bootstrap(
            (right, total),
            lambda r, t, axis: r.sum(axis=axis) / t.sum(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=250,
            method="percentile",
            rng=turn,
        ).confidence_interval
    return float(found.low), float(found.high)


if __name__ == "__main__":
    main()
