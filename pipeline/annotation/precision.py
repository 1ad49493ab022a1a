"""What a plan will give and cost, before anyone has reviewed anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from pipeline.annotation.answers import expected_reviews
from pipeline.annotation.experts import item_times
from pipeline.annotation.plan import Plan
from pipeline.annotation.rounds import Round

CELLS = 20
"""Actions of a scenario."""


@dataclass(frozen=True)
class Width:
    """Expected half-width of the interval of an accuracy.

    Attributes:
        group: "all" or "value".
        reviews: Reviews in it.
        actions: Actions these are of.
        design_effect: Assumed variance as a multiple of independent reviews'.
        half_width: With the design effect, as a share.
        independent: Without it.
    """

    group: str
    reviews: int
    actions: int
    design_effect: float
    half_width: float
    independent: float


@dataclass(frozen=True)
class Effort:
    """What a round asks of the experts.

    Attributes:
        items: Items by kind.
        reviews: Reviews of all experts.
        sittings: Items times experts.
        per_expert: Items of each expert, by number.
        seconds_per_item: Assumed, or the mean measured so far (pauses cut).
        measured_items: Items whose time is known; 0 if it is assumed.
        hours: All experts together.
        cost: In the plan's currency.
    """

    items: dict[str, int]
    reviews: int
    sittings: int
    per_expert: dict[int, int]
    seconds_per_item: float
    measured_items: int
    hours: float
    cost: float


def design_effect(overlap: float, others: float, same_action: float, same_scenario: float) -> float:
    """Return the variance inflation of a mean of correlated reviews (after Kish 1965, 5.4).

    A review shares its action with `overlap` - 1 others and its scenario with `others` * `overlap`
    reviews of other actions.

    Args:
        overlap: Reviews an action.
        others: Other actions of the same scenario, in the mean.
        same_action: Correlation of two reviews of one action.
        same_scenario: Correlation of reviews of two actions of one scenario.
    """
    return 1 + (overlap - 1) * same_action + others * overlap * same_scenario


def half_width(accuracy: float, reviews: float, effect: float, confidence: float) -> float:
    """Return z * sqrt(p (1 - p) * effect / n)."""
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + confidence / 2))
    return z * math.sqrt(accuracy * (1 - accuracy) * effect / reviews)


def widths(plan: Plan, drawn: Round, values: int) -> list[Width]:
    """Return what the random sample of a round is expected to give, overall and by value.

    Args:
        plan: The annotation's plan.
        drawn: The round.
        values: Values that there are.
    """
    actions = drawn.sealed.filter(kind="sample").height
    if not actions:
        return []
    scenarios = drawn.sealed.filter(kind="sample")["scenario_id"].n_unique()
    a_scenario = actions / scenarios
    told = plan.expected
    found = []
    # Of a scenario's other 19 actions one has the same value; so many of them stand in the sample.
    same_value = (a_scenario - 1) / (CELLS - 1)
    for group, count, others in (
        ("all", actions, a_scenario - 1),
        ("value", actions / values, same_value),
    ):
        effect = design_effect(plan.overlap, others, told.same_action, told.same_scenario)
        reviews = count * plan.overlap
        level = plan.intervals.confidence
        found.append(
            Width(
                group=group,
                reviews=round(reviews),
                actions=round(count),
                design_effect=effect,
                half_width=half_width(told.accuracy, reviews, effect, level),
                independent=half_width(told.accuracy, reviews, 1.0, level),
            )
        )
    return found


def effort(plan: Plan, items: pl.DataFrame, reviews: pl.DataFrame) -> Effort:
    """Return what items ask of the experts; by measured times where there are any.

    Args:
        plan: The annotation's plan.
        items: Rows of schema.ITEMS.
        reviews: Rows of schema.REVIEWS, of any round.
    """
    times = item_times(reviews, plan)
    seconds = times["counted"].mean() if times.height else plan.expected.seconds_per_item
    kinds = items.group_by("kind").len().sort("kind")
    sittings = items.select(pl.col("experts").list.len().sum()).item() or 0
    loads = items.select(pl.col("experts").explode()).drop_nulls().group_by("experts").len()
    hours = sittings * float(seconds) / 3600  # type: ignore[arg-type]
    return Effort(
        items=dict(kinds.iter_rows()),
        reviews=expected_reviews(items).height,
        sittings=sittings,
        per_expert={int(expert): n for expert, n in loads.sort("experts").iter_rows()},
        seconds_per_item=float(seconds),  # type: ignore[arg-type]
        measured_items=times.height,
        hours=hours,
        cost=hours * plan.expected.cost_per_hour,
    )


def observed_correlations(judged: pl.DataFrame) -> tuple[float | None, float | None]:
    """Return the measured correlation of "correct" within an action, and within a scenario.

    Mean product of the deviations of pairs of different reviews, by the variance (a moment
    estimator of the intraclass correlation). None where there are no such pairs, or no variation.

    Args:
        judged: Random-sample reviews as accuracy.judged gives them.
    """
    if not judged.height:
        return None, None
    p = float(judged["correct"].mean())  # type: ignore[arg-type]
    variance = p * (1 - p)
    if not variance:
        return None, None
    off = judged.select("scenario_id", "action_id", d=pl.col("correct").cast(pl.Float64) - p)

    def moments(by: str) -> tuple[float, int]:
        found = off.group_by(by).agg(
            s=pl.col("d").sum(), q=(pl.col("d") ** 2).sum(), n=pl.len().cast(pl.Int64)
        )
        pairs = found.select((pl.col("n") * (pl.col("n") - 1)).sum()).item()
        return float(found.select((pl.col("s") ** 2 - pl.col("q")).sum()).item()), int(pairs)

    (in_action, action_pairs), (in_scenario, scenario_pairs) = (
        moments("action_id"),
        moments("scenario_id"),
    )
    between = scenario_pairs - action_pairs
    return (
        in_action / action_pairs / variance if action_pairs else None,
        (in_scenario - in_action) / between / variance if between else None,
    )
