"""Figures with their intervals.

A bootstrap (``resample``) gives the standard error; the scale of the figure gives the interval.
So one rule serves all figures, keeps shares within 0..1 and correlations within -1..1, and does
not fall to zero width where nothing varied.
"""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scale = Literal["linear", "proportion", "correlation"]

SCENARIOS: Final = "scenarios, resampled whole; prompts and values fixed"
RUNS: Final = "questionnaire runs; prompts, items and values fixed"
SCENARIOS_AND_RUNS: Final = "scenarios and questionnaire runs; prompts, items and values fixed"


@dataclass(frozen=True)
class Estimate:
    """A figure, its interval and what the interval is an interval of.

    ``estimate`` is None where it would be 0/0; ``low``, ``high`` and ``se`` are None where
    there are too few clusters to say. ``n`` counts answers, ``clusters`` what was resampled.
    """

    estimate: float | None
    low: float | None
    high: float | None
    se: float | None
    n: int
    clusters: int
    over: str
    level: float = 0.95

    def explain(self, digits: int = 3) -> str:
        """The figure in one line: ``0.238 [0.231, 0.246]``."""
        if self.estimate is None:
            return "n/a"
        if self.low is None or self.high is None:
            return f"{self.estimate:.{digits}f} [-]"
        return f"{self.estimate:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def interval(
    estimate: float,
    draws: Floats,
    *,
    n: int,
    clusters: int,
    over: str,
    scale: Scale = "linear",
    level: float = 0.95,
    degrees: float | None = None,
) -> Estimate:
    """An interval from bootstrap draws, see ``from_se`` for the scales.

    Args:
        estimate: the figure itself, nan for 0/0.
        draws: the figure in each draw, on the same scale; nan where it was 0/0.
        n: answers behind the figure.
        clusters: how many units were resampled.
        over: what was resampled, in words.
        scale: ``linear``, ``proportion`` or ``correlation``.
        level: coverage aimed at.
        degrees: of freedom, ``clusters - 1`` if not given.
    """
    if scale == "correlation":
        draws = np.arctanh(np.clip(draws, -1 + 1e-12, 1 - 1e-12))
    good = draws[np.isfinite(draws)]
    se = math.nan
    if clusters > 1 and good.size > draws.size / 2:
        se = float(good.std(ddof=1)) * math.sqrt(clusters / (clusters - 1))
    return from_se(
        estimate,
        se,
        n=n,
        clusters=clusters,
        over=over,
        scale=scale,
        level=level,
        degrees=degrees,
    )


def from_se(
    estimate: float,
    se: float,
    *,
    n: int,
    clusters: int,
    over: str,
    scale: Scale = "linear",
    level: float = 0.95,
    degrees: float | None = None,
) -> Estimate:
    """An interval from a standard error, with Student's t on ``clusters - 1`` degrees.

    ``linear``: estimate -+ t se. ``proportion``: Wilson's interval with the effective number
    of answers p(1-p)/se^2 (Franco et al. 2019, doi 10.1093/jssam/smy019), or one answer a
    cluster where nothing varied. ``correlation``: se is of Fisher's z; z -+ t se, turned back.
    """
    estimate = float(estimate)
    if not math.isfinite(estimate):
        return Estimate(None, None, None, None, n, clusters, over, level)
    if clusters < 2 or not math.isfinite(se):
        return Estimate(estimate, None, None, None, n, clusters, over, level)
    t = float(stats.t.ppf((1 + level) / 2, degrees or clusters - 1))
    if scale == "linear":
        return Estimate(
            estimate, estimate - t * se, estimate + t * se, se, n, clusters, over, level
        )
    if scale == "proportion":
        spread = estimate * (1 - estimate)
        size = float(clusters)
        if se > 0 and spread > 0:
            # beyond these bounds nothing changes but rounding
            size = min(max(math.sqrt(spread) / se, 1.0), 1e6) ** 2
        middle = (estimate + t * t / (2 * size)) / (1 + t * t / size)
        half = t / (1 + t * t / size) * math.sqrt(spread / size + (t / (2 * size)) ** 2)
        low, high = max(0.0, middle - half), min(1.0, middle + half)
        return Estimate(estimate, low, high, se, n, clusters, over, level)
    z = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, estimate)))
    low, high = math.tanh(z - t * se), math.tanh(z + t * se)
    return Estimate(estimate, low, high, se * (1 - estimate**2), n, clusters, over, level)


def p_value(estimate: Estimate) -> float | None:
    """Two-sided p of ``estimate == 0`` by Student's t on ``clusters - 1`` degrees."""
    if estimate.estimate is None or estimate.se is None:
        return None
    if estimate.se == 0:
        return 1.0 if estimate.estimate == 0 else None
    return float(2 * stats.t.sf(abs(estimate.estimate) / estimate.se, estimate.clusters - 1))


def holm(p: Sequence[float | None]) -> tuple[float | None, ...]:
    """Holm's adjusted p values over the whole family; None stays None and is not counted."""
    order = sorted((value, place) for place, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    least = 0.0
    for rank, (value, place) in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * value))
        adjusted[place] = least
    return tuple(adjusted)


def ratio(part: Floats, whole: Floats) -> Floats:
    """The quotient, nan for 0/0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def mean_over(values: Floats, axis: int) -> Floats:
    """The mean of what is not nan; nan where nothing is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def sum_by(code: Ints, size: int, values: Floats) -> Floats:
    """Sums ``values`` (n x k) by ``code`` (n, in 0..size-1): size x k."""
    return np.stack([np.bincount(code, column, minlength=size) for column in values.T], axis=1)


def number(value: float) -> float | None:
    """A plain float, None for nan."""
    return float(value) if math.isfinite(value) else None


def as_plain(result: object) -> Any:  # noqa: ANN401 - JSON may be anything
    """A result as plain JSON data: 12 digits, so that machines agree; nan becomes None."""
    if is_dataclass(result) and not isinstance(result, type):
        return {field.name: as_plain(getattr(result, field.name)) for field in fields(result)}
    if isinstance(result, dict):
        return {str(key): as_plain(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [as_plain(value) for value in result]
    if isinstance(result, float):
        return float(f"{result:.12g}") if math.isfinite(result) else None
    return result


def to_json(result: object) -> str:
    """A result as JSON text, keys in the order of the fields."""
    return json.dumps(as_plain(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
