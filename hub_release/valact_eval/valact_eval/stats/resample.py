"""A bootstrap whose weights come from ids, and rates that are means of prompts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from valact_eval.stats.estimate import (
    SCENARIOS,
    Estimate,
    Floats,
    Scale,
    interval,
    mean_over,
    ratio,
)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Poisson bootstrap weights (Hanley and MacGibbon 2006): ``weights`` is ids x draws.

    A weight depends on seed, purpose, id and number of the draw alone, so that neither the
    order of the rows nor other respondents change an interval. All figures here are ratios
    of sums or functions of them, for which Poisson weights do what drawing with replacement does.
    """

    ids: tuple[str, ...]
    weights: Floats

    @property
    def draws(self) -> int:
        """Number of bootstrap draws."""
        return int(self.weights.shape[1])

    def sums(self, parts: Floats) -> Floats:
        """Weighted sums: ``parts`` (ids x ...) to (draws x ...)."""
        flat = np.asarray(parts, dtype=np.float64).reshape(len(self.ids), -1)
        rows = flat.any(axis=1)
        # what other respondents were asked is left out, so that it cannot change a digit
        weights = self.weights if rows.all() else self.weights[rows]
        found = weights.T @ flat[rows]
        return found.reshape(self.draws, *parts.shape[1:])


def bootstrap(ids: Sequence[str], draws: int, seed: int, purpose: str) -> Bootstrap:
    """Weights for resampling ``ids`` (any order, no repeats)."""
    found = uniforms(ids, draws, f"{seed}/{purpose}")
    weights = np.searchsorted(_poisson_cdf(), found, side="right").astype(np.float64)
    return Bootstrap(tuple(ids), np.ascontiguousarray(weights.T))


def uniforms(ids: Sequence[str], draws: int, purpose: str) -> Floats:
    """Numbers in [0, 1), draws x ids, each from its purpose, id and row (SplitMix64)."""
    seeds = np.array([_hash(purpose, name) for name in ids], dtype=np.uint64)
    steps = np.arange(1, draws + 1, dtype=np.uint64)[:, None]
    with np.errstate(over="ignore"):
        z = seeds[None, :] + steps * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return np.asarray((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)


@dataclass(frozen=True, eq=False)
class Profile:
    """Some figures (k), the same in each bootstrap draw (draws x k) and prompt (prompts x k)."""

    figures: Floats
    draws: Floats
    by_prompt: Floats


def rates(part: Floats, whole: Floats, boot: Bootstrap) -> Profile:
    """The quotient per prompt, then the mean of prompts; both units x prompts x k (or 1)."""
    by_prompt = ratio(part.sum(axis=0), whole.sum(axis=0))
    drawn = ratio(boot.sums(part), boot.sums(whole))
    return Profile(mean_over(by_prompt, 0), mean_over(drawn, 1), by_prompt)


def rate_each(
    part: Floats,
    whole: Floats,
    boot: Bootstrap,
    *,
    scale: Scale = "proportion",
    level: float = 0.95,
) -> tuple[Estimate, ...]:
    """Such rates with their intervals; scenarios x prompts x k, ``whole`` may have k = 1."""
    found = rates(part, whole, boot)
    n, clusters = whole.sum(axis=(0, 1)), np.count_nonzero(whole.sum(axis=1), axis=0)
    last = whole.shape[2] - 1
    return tuple(
        interval(
            float(figure),
            found.draws[:, k],
            n=int(n[min(k, last)]),
            clusters=int(clusters[min(k, last)]),
            over=SCENARIOS,
            scale=scale,
            level=level,
        )
        for k, figure in enumerate(found.figures)
    )


def rate(
    part: Floats,
    whole: Floats,
    boot: Bootstrap,
    *,
    scale: Scale = "proportion",
    level: float = 0.95,
) -> Estimate:
    """One such rate; ``part`` and ``whole`` are scenarios x prompts."""
    return rate_each(part[:, :, None], whole[:, :, None], boot, scale=scale, level=level)[0]


def _hash(purpose: str, name: str) -> int:
    data = hashlib.blake2b(f"{purpose}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(data.digest(), "little")


@lru_cache(maxsize=1)
def _poisson_cdf() -> Floats:
    return np.asarray(stats.poisson.cdf(np.arange(20), 1.0))
