"""Power: how wide intervals will be for a number of scenarios, before a run."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

import numpy as np
from scipy import stats

from valact_eval.errors import ValactError
from valact_eval.stats.enacted import correlate
from valact_eval.stats.estimate import Estimate, Floats
from valact_eval.stats.reference import mean_profile
from valact_eval.stats.simulate import Respondent, deal, picks, utilities_of

QUESTIONS: Final = 5
"""Questions a scenario has in a release with five."""


@dataclass(frozen=True)
class Planned:
    """The half-width to expect of one figure's 95 % interval, and what it assumes."""

    figure: str
    half_width: float
    assumes: str


@dataclass(frozen=True)
class Plan:
    """Half-widths for a number of scenarios; more prompts on them do not narrow them much."""

    scenarios: int
    design_effect: float
    figures: tuple[Planned, ...]


def plan(
    scenarios: int,
    *,
    accuracy: float = 0.9,
    discordant: float = 0.1,
    design_effect: float = 1.0,
    level: float = 0.95,
) -> Plan:
    """The half-widths to expect.

    Args:
        scenarios: to be asked, with five questions each.
        accuracy: expected in selection and adoption.
        discordant: share of items right in one of the two tasks only.
        design_effect: variance over that of independent answers; above 1 if the answers to one
            scenario are alike. A pilot run tells it better (``needed``).
        level: of the intervals.
    """
    if scenarios < 2:
        raise ValactError("power: a half-width needs two scenarios or more")
    share_sd, z_sd, r = _unit_sds()
    t = float(stats.t.ppf((1 + level) / 2, scenarios - 1)) * np.sqrt(design_effect / scenarios)
    right = np.sqrt(accuracy * (1 - accuracy) / QUESTIONS)
    apart = np.sqrt(discordant / QUESTIONS)
    low, high = np.tanh(np.arctanh(r) + np.array([-1, 1]) * t * z_sd)
    # a value is the target of one question in ten
    figures = (
        ("enacted share of one value", t * share_sd, "shares as published, the mean of ten values"),
        (
            "declared-enacted r",
            (high - low) / 2,
            f"profiles as published (r {r:.2f}), exact scores",
        ),
        ("accuracy", t * right, f"accuracy {accuracy:g}"),
        ("accuracy of one value", t * right * np.sqrt(10), f"accuracy {accuracy:g}"),
        ("role-play difference", t * apart, f"{discordant:.0%} of items right in one task only"),
        (
            "role-play difference of one value",
            t * apart * np.sqrt(10),
            f"{discordant:.0%} of items right in one task only",
        ),
    )
    rows = tuple(Planned(name, float(width), assumes) for name, width, assumes in figures)
    return Plan(scenarios, design_effect, rows)


def scenarios_for(half_width: float, figure: str, **assumed: float) -> int:
    """The fewest scenarios that bring a figure's half-width to ``half_width``; see ``plan``.

    Raises:
        ValactError: there is no such figure, or the half-width is not above 0.
    """
    names = [row.figure for row in plan(2).figures]
    if figure not in names:
        raise ValactError(f"power: no figure {figure!r}; give one of {', '.join(names)}")
    if not half_width > 0:
        raise ValactError(f"power: half-width {half_width:g} must be above 0")
    place, low, high = names.index(figure), 1, 2

    def wide(scenarios: int) -> bool:
        return plan(scenarios, **assumed).figures[place].half_width > half_width

    if not wide(2):
        return 2
    while wide(high):
        low, high = high, 2 * high
        if high > 10**9:
            raise ValactError(f"power: half-width {half_width:g} needs over 10^9 scenarios")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def needed(pilot: Estimate, half_width: float) -> int | None:
    """Scenarios that would bring a figure of a pilot run to a half-width, by its own spread."""
    if pilot.low is None or pilot.high is None or not half_width > 0:
        return None
    return max(2, ceil(pilot.clusters * ((pilot.high - pilot.low) / 2 / half_width) ** 2))


@lru_cache(maxsize=1)
def _unit_sds() -> tuple[float, float, float]:
    """SD of one scenario's share (mean of values), of Fisher's z, and r, profiles as published.

    Simulated once: 20,000 scenarios answered by the utilities that give the published shares.
    """
    rng = np.random.default_rng(0)
    shares, declared = mean_profile("enacted_share"), mean_profile("declared_mean")
    dealt = deal(20_000, rng)
    person = Respondent("published", utilities=utilities_of(shares))
    chosen = dealt.values[np.arange(len(dealt.values)), picks(person, dealt, rng)]
    flat = np.bincount(dealt.scenario * 10 + chosen, minlength=dealt.scenarios * 10)
    parts: Floats = flat.reshape(-1, 10) / QUESTIONS
    mean, spread = parts.mean(axis=0), parts - parts.mean(axis=0)
    # the slope of r in the shares, by small steps
    steps = 1e-6 * np.eye(10)
    r = float(correlate(mean, declared))
    slope = (correlate(mean + steps, declared) - r) / 1e-6
    z_sd = float((spread @ slope).std() / (1 - r * r))
    return float(np.sqrt((spread**2).mean(axis=0)).mean()), z_sd, r
