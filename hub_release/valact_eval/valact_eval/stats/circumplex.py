"""The circle of values: sinusoid fits and higher-order axes of declared and enacted profiles."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from valact_eval.key import VALUES
from valact_eval.stats.circle import ANGLES, AXES, HIGHER_ORDER
from valact_eval.stats.estimate import (
    RUNS,
    SCENARIOS,
    Estimate,
    Floats,
    interval,
    mean_over,
    number,
)
from valact_eval.stats.gap import joint
from valact_eval.stats.resample import Profile


@dataclass(frozen=True)
class Sinusoid:
    """The least-squares fit level + amplitude * cos(angle - peak) to a profile.

    ``peak`` is in degrees (0 self-direction, 40 a wedge), ``amplitude`` in the profile's units;
    ``r_squared`` says how much of the profile the circle explains. Where that is little, the
    peak means little.
    """

    level: float
    amplitude: Estimate
    peak: float | None
    r_squared: float | None


@dataclass(frozen=True)
class Axis:
    """A higher-order axis, first pole minus second, in SDs of the respondent's own profile."""

    first: str
    second: str
    declared: Estimate
    enacted: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Circumplex:
    """A respondent's profiles on the circle; ``turn`` is enacted peak minus declared, degrees.

    ``turn`` has no interval unless both amplitudes are over three standard errors: a profile
    that is no wave has no peak.
    """

    declared: Sinusoid
    enacted: Sinusoid
    turn: Estimate
    axes: tuple[Axis, ...]


def circumplex(
    enacted: Profile,
    declared: Profile,
    *,
    n: int,
    clusters: int,
    runs: int,
    scores: int,
    level: float = 0.95,
) -> Circumplex:
    """Both profiles on the circle; arguments as of ``gap``, and ``scores`` behind declared."""
    a, b = waves(enacted.figures), waves(declared.figures)
    da, db = waves(enacted.draws), waves(declared.draws)
    about = _wrapped(a[2] - b[2])

    def both(figure: Callable[[Floats, Floats], Floats]) -> Estimate:
        return joint(figure, enacted, declared, n=n, clusters=clusters, runs=runs, level=level)

    def one(x: float, draws: Floats, units: int, over: str) -> Estimate:
        behind = scores if over == RUNS else n
        return interval(x, draws, n=behind, clusters=units, over=over, level=level)

    def turn(x: Floats, y: Floats) -> Floats:
        # around the estimate, so that no draw jumps by a whole turn
        return about + _wrapped(waves(x)[..., 2] - waves(y)[..., 2] - about)

    axes = []
    for first, second in AXES:
        weights = _pole(first) - _pole(second)

        def on_axis(x: Floats, weights: Floats = weights) -> Floats:
            return np.asarray(_standard(x) @ weights)

        def apart(x: Floats, y: Floats, weights: Floats = weights) -> Floats:
            return np.asarray(_standard(x) @ weights - _standard(y) @ weights)

        axes.append(
            Axis(
                first=first,
                second=second,
                declared=one(float(on_axis(declared.figures)), on_axis(declared.draws), runs, RUNS),
                enacted=one(
                    float(on_axis(enacted.figures)), on_axis(enacted.draws), clusters, SCENARIOS
                ),
                difference=both(apart),
            )
        )
    told, acted = (
        one(float(b[1]), db[:, 1], runs, RUNS),
        one(float(a[1]), da[:, 1], clusters, SCENARIOS),
    )
    turned = both(turn)
    if not (_clear(acted) and (runs < 2 or _clear(told))):
        turned = replace(turned, low=None, high=None, se=None)
    return Circumplex(
        declared=_sinusoid(declared.figures, b, told),
        enacted=_sinusoid(enacted.figures, a, acted),
        turn=turned,
        axes=tuple(axes),
    )


def waves(profile: Floats) -> Floats:
    """Level, amplitude and peak (degrees) of each profile (... x 10): ... x 3."""
    x = np.stack([np.ones(10), np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    level, cos, sin = np.moveaxis(profile @ np.linalg.pinv(x).T, -1, 0)
    return np.stack([level, np.hypot(cos, sin), np.degrees(np.arctan2(sin, cos)) % 360], axis=-1)


def _sinusoid(figures: Floats, wave: Floats, amplitude: Estimate) -> Sinusoid:
    fitted = wave[0] + wave[1] * np.cos(np.asarray(ANGLES) - math.radians(wave[2]))
    spread = float(((figures - figures.mean()) ** 2).sum())
    if not np.isfinite(spread) or spread < 1e-18:
        return Sinusoid(float(wave[0]), amplitude, None, None)
    return Sinusoid(
        level=float(wave[0]),
        amplitude=amplitude,
        peak=number(float(wave[2])),
        r_squared=1 - float(((figures - fitted) ** 2).sum()) / spread,
    )


def _clear(amplitude: Estimate) -> bool:
    if amplitude.estimate is None or amplitude.se is None:
        return False
    return amplitude.estimate > 3 * amplitude.se


def _wrapped(degrees: Floats) -> Floats:
    """An angle in [-180, 180)."""
    return np.asarray((degrees + 180) % 360 - 180)


def _pole(name: str) -> Floats:
    weights = np.array([HIGHER_ORDER[name].get(value, 0.0) for value in VALUES])
    return np.asarray(weights / weights.sum())


def _standard(profile: Floats) -> Floats:
    centred = profile - mean_over(profile, -1)[..., None]
    sd = np.sqrt((centred**2).mean(axis=-1))[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sd > 1e-12, centred / sd, np.nan)
