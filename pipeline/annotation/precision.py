"""What a plan will give and cost, before anyone has reviewed anything."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.annotation.answers import expected_reviews
from pipeline.annotation.experts import item_times
from pipeline.annotation.gold import KnownItem
from pipeline.annotation.plan import Plan
from pipeline.annotation.rounds import sample_units
from pipeline.annotation.sample import PER_ITEM, Draft, Population, draw
from pipeline.values import value_ids

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
        per_expert: Items of each expert, by number; empty if the round is not drawn yet.
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


def widths(plan: Plan, actions: int, scenarios: int) -> list[Width]:
    """Return what a random sample is expected to give, overall and by value.

    Args:
        plan: The annotation's plan.
        actions: Drawn actions.
        scenarios: Scenarios they are of.
    """
    if not actions:
        return []
    values = len(value_ids())
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


def splits(plan: Plan) -> float:
    """Return the expected share of items in which first choices of some action differ.

    Two reviews of an action differ if one is right and one is wrong: 2 p (1 - p) (1 - r) with the
    correlation r of the plan. Two wrong ones are taken as equal.
    """
    told = plan.expected
    differ = 2 * told.accuracy * (1 - told.accuracy) * (1 - told.same_action)
    return 1 - (1 - differ) ** (PER_ITEM * (plan.overlap - 1))


def forecast(
    plan: Plan, number: int, people: Population, known: Sequence[KnownItem], reviews: pl.DataFrame
) -> tuple[Effort, list[Width]]:
    """Return the effort and the precision of a round that is not drawn yet.

    Args:
        plan: The annotation's plan.
        number: Which round.
        people: The population; its ids do not matter.
        known: Gold items and attention checks.
        reviews: Rows of schema.REVIEWS so far, for the times.
    """
    counted = plan.experts - len(set(plan.exclude_experts))
    free: Counter[str] = Counter(item.kind for item in known)
    own: dict[str, int] = {}
    drafts: list[Draft] = []
    earlier = 0
    unseen = CELLS * sum(map(len, people.domains.values()))
    for turn, planned in enumerate(plan.rounds[:number], start=1):
        start, count = sample_units(plan, turn, people)
        drafts = draw(people, plan.seed, start, count)
        unseen -= PER_ITEM * len(drafts)
        own = {"sample": len(drafts), "active": min(planned.active_items, unseen)}
        sittings = sum(own.values()) * plan.overlap
        if planned.adjudicate:
            own["adjudication"] = round(splits(plan) * earlier)
            sittings += own["adjudication"]
        earlier += own["sample"] + own["active"]
        most = math.ceil(sittings / counted)
        for kind, wanted in (
            ("gold", math.ceil(plan.checks.gold_share * most)),
            ("attention", plan.checks.attention),
        ):
            own[kind] = min(wanted, free[kind])
            free[kind] -= own[kind]
        sittings += counted * (own["gold"] + own["attention"])
    seconds, measured = _seconds(plan, reviews)
    hours = sittings * seconds / 3600
    found = Effort(
        items={kind: n for kind, n in own.items() if n},
        reviews=sittings * PER_ITEM,
        sittings=sittings,
        per_expert={},
        seconds_per_item=seconds,
        measured_items=measured,
        hours=hours,
        cost=hours * plan.expected.cost_per_hour,
    )
    scenarios = len({draft.scenario_id for draft in drafts})
    return found, widths(plan, PER_ITEM * len(drafts), scenarios)


def effort(plan: Plan, items: pl.DataFrame, reviews: pl.DataFrame) -> Effort:
    """Return what items ask of the experts; by measured times where there are any.

    Args:
        plan: The annotation's plan.
        items: Rows of schema.ITEMS.
        reviews: Rows of schema.REVIEWS, of any round.
    """
    seconds, measured = _seconds(plan, reviews)
    kinds = items.group_by("kind").len().sort("kind")
    loads = (
        items.select(pl.col("experts").explode())
        .drop_nulls()
        .group_by("experts")
        .len()
        .sort("experts")
    )
    sittings = int(loads["len"].sum())
    hours = sittings * seconds / 3600
    return Effort(
        items=dict(kinds.iter_rows()),
        reviews=expected_reviews(items).height,
        sittings=sittings,
        per_expert=dict(loads.iter_rows()),
        seconds_per_item=seconds,
        measured_items=measured,
        hours=hours,
        cost=hours * plan.expected.cost_per_hour,
    )


def _seconds(plan: Plan, reviews: pl.DataFrame) -> tuple[float, int]:
    """Return seconds an item, and of how many items they were measured."""
    times = item_times(reviews, plan)["counted"].to_list()
    return (sum(times) / len(times) if times else plan.expected.seconds_per_item), len(times)


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
        found = (
            off.group_by(by)
            .agg(s=pl.col("d").sum(), q=(pl.col("d") ** 2).sum(), n=pl.len().cast(pl.Int64))
            .sort(by)  # sums of floats depend on their order
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
