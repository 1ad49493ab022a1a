"""Whether a release may call itself expert-checked, and what speaks against it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.annotation.answers import Progress
from pipeline.annotation.plan import Plan


@dataclass(frozen=True)
class Standing:
    """What of a round's random sample still is in the dataset.

    Attributes:
        actions: Drawn actions.
        same: Those that are as they were reviewed.
        reviewed_again: Those that were written again, and whose successor was reviewed.
        unreviewed: Those that were written again, and whose successor nobody reviewed.
        gone: Those whose scenario is no longer there.
    """

    actions: int
    same: int
    reviewed_again: int
    unreviewed: int
    gone: int


def standing(
    number: int,
    sealed: pl.DataFrame,
    reviews: pl.DataFrame,
    actions: pl.DataFrame,
    repaired: Collection[str] = (),
) -> Standing:
    """Return how much of a round's random sample is as it was reviewed.

    Args:
        number: The round.
        sealed: Rows of tables.SEALED of all rounds.
        reviews: Rows of schema.REVIEWS of all rounds, of experts who count.
        actions: Rows of schema.ACTIONS as they are now.
        repaired: Action ids that count as written again, whatever `actions` says.
    """
    drawn = sealed.filter(kind="sample", round=number)
    now = {
        (scenario, value, generator): action
        for scenario, value, generator, action in actions.select(
            "scenario_id", "value", "generator", "action_id"
        ).iter_rows()
    }
    current, changed = set(now.values()), set(repaired)
    told = set(reviews.filter(state="submitted")["action_id"])
    counts = dict.fromkeys(("same", "reviewed_again", "unreviewed", "gone"), 0)
    for action, scenario, value, generator in drawn.select(
        "action_id", "scenario_id", "value", "generator"
    ).iter_rows():
        successor = now.get((scenario, value, generator))
        if action in current and action not in changed:
            counts["same"] += 1
        elif successor is None:
            counts["gone"] += 1
        elif successor != action and successor not in changed and successor in told:
            counts["reviewed_again"] += 1
        else:
            counts["unreviewed"] += 1
    return Standing(drawn.height, **counts)


@dataclass(frozen=True)
class Verdict:
    """Whether a release may say "expert-checked".

    Attributes:
        allowed: True if every part of the rule is met.
        figure: The sentence that is published with it; "" without a random sample.
        reasons: What speaks against it, one line each.
    """

    allowed: bool
    figure: str
    reasons: tuple[str, ...]


def verdict(
    plan: Plan,
    accuracy: pl.DataFrame,
    alpha: pl.DataFrame,
    experts: pl.DataFrame,
    state: Progress,
    left: Standing,
) -> Verdict:
    """Apply the rule of the plan, [expert_checked].

    Args:
        plan: The annotation's plan.
        accuracy: Rows of tables.ACCURACY.
        alpha: Rows of tables.ALPHA.
        experts: Rows of tables.EXPERTS.
        state: Of the round's items, gold items and checks included.
        left: What of the sample still stands.
    """
    rule = plan.expert_checked
    found = accuracy.filter(kind="sample", round=rule.round, group="all")
    if not found.height:
        return Verdict(False, "", (f"round {rule.round}: no review of the random sample",))
    row = found.row(0, named=True)
    against = [] if not state.left else [f"round {rule.round}: {state.line}"]
    if row["low"] is None or row["low"] < rule.least_accuracy:
        shown = "not known" if row["low"] is None else f"{row['low']:.1%}"
        against.append(
            f"accuracy: the interval's lower end is {shown}, below least_accuracy = "
            f"{rule.least_accuracy:.1%}"
        )
    against += _disagreement(alpha.filter(kind="sample", round=rule.round), rule.least_alpha)
    for each in experts.filter("counted").iter_rows(named=True):
        name, share = each["annotator"], each["gold_accuracy"]
        if plan.checks.gold_share and (share is None or share < rule.least_gold):
            shown = "has answered none" if share is None else f"accuracy {share:.1%}"
            against.append(f"gold items: {name} {shown}, below least_gold = {rule.least_gold:.1%}")
        missed = each["attention"] - each["attention_passed"]
        if missed > rule.attention_failures:
            against.append(
                f"attention: {name} missed {missed} of {each['attention']} checks, more than "
                f"attention_failures = {rule.attention_failures}"
            )
    if left.unreviewed > rule.unreviewed_repairs:
        against.append(
            f"repairs: {left.unreviewed} actions of the sample were written again and not "
            f"reviewed, more than unreviewed_repairs = {rule.unreviewed_repairs}"
        )
    return Verdict(not against, _figure(row, plan, left), tuple(against))


def _disagreement(rows: pl.DataFrame, least: float) -> list[str]:
    found = rows["alpha"].to_list() or [None]
    if found[0] is None:
        return [
            "agreement: Krippendorff's alpha is not defined: no action has two reviews that count"
        ]
    if found[0] < least:
        return [f"agreement: Krippendorff's alpha is {found[0]:.3f}, below least_alpha = {least}"]
    return []


def _figure(row: dict[str, Any], plan: Plan, left: Standing) -> str:
    level = f"{plan.intervals.confidence:.0%}"
    ends = (
        "" if row["low"] is None else f" ({level} interval {row['low']:.1%} to {row['high']:.1%})"
    )
    changed = left.actions - left.same
    now = (
        f"{changed:,} of these actions are no longer in the dataset as they were reviewed."
        if changed
        else "All of these actions are in the dataset as they were reviewed."
    )
    return (
        f"In {row['accuracy']:.1%}{ends} of {row['reviews']:,} blind reviews of {row['actions']:,} "
        f"randomly drawn actions in {row['scenarios']:,} scenarios, an expert's first choice among "
        f"the ten values was the one that the action claims; measured in round {row['round']}, "
        f"before repairs. {now}"
    )
