"""What becomes of each action, and whether a release may call itself expert-checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation.answers import Progress
from pipeline.annotation.plan import Decide, Plan
from pipeline.annotation.tables import DECISIONS

DROPPING = ("personal_data", "harmful", "no_dilemma")


def decide(reviews: pl.DataFrame, sealed: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return rows of tables.DECISIONS: accept, regenerate or drop, with every reason.

    Drop: enough experts raised a flag on one of the scenario's items; the whole scenario goes.
    Regenerate: the deciding choice is another value, the action is unnatural, or the four are too
    alike. The deciding choice is the adjudicator's if there is one, else the majority's; if there
    is none, `decide.split` says what happens. Actions that everyone skipped are not decided.

    Args:
        reviews: Rows of schema.REVIEWS.
        sealed: Rows of tables.SEALED.
        plan: The annotation's plan.
    """
    own = sealed.filter(pl.col("kind").is_in(["sample", "active", "adjudication"]))
    counted = reviews.filter(~pl.col("annotator").is_in(list(plan.excluded))).join(
        own.select("item_id", "action_id", "value", "targeted"), on=["item_id", "action_id"]
    )
    flags = _flags(counted)
    per_action = (
        counted.sort("action_id", "updated_utc", "review_id")
        .group_by("action_id", maintain_order=True)
        .agg(
            "item_id",
            "kind",
            "state",
            "first_value",
            "naturalness",
            "notes",
            "targeted",
            pl.col("scenario_id").first(),
            pl.col("value").first(),
        )
        .sort("action_id")
    )
    raised: dict[str, dict[str, int]] = {}  # by scenario: dropping flags concern all of it
    for row in per_action.iter_rows(named=True):
        most = raised.setdefault(row["scenario_id"], {})
        for item in row["item_id"]:
            for flag in DROPPING:
                most[flag] = max(most.get(flag, 0), flags.get((item, flag), 0))
    rows = []
    for row in per_action.iter_rows(named=True):
        alike = max(flags.get((item, "too_alike"), 0) for item in row["item_id"])
        decided = _decision(row, raised[row["scenario_id"]], alike, plan.decide)
        if decided is not None:
            rows.append(decided)
    return schema.frame(rows, DECISIONS)


def _flags(counted: pl.DataFrame) -> dict[tuple[str, str], int]:
    """Return how many experts raised a flag on an item."""
    found = (
        counted.select("item_id", "annotator", flag="flags")
        .explode("flag")
        .drop_nulls("flag")
        .unique()
        .group_by("item_id", "flag")
        .len()
    )
    return {(item, flag): n for item, flag, n in found.iter_rows()}


def _decision(
    row: dict[str, Any], raised: dict[str, int], alike: int, rule: Decide
) -> dict[str, Any] | None:
    """Return a row of tables.DECISIONS; None if everyone skipped the action.

    Args:
        row: An action with what was said of it, a list a column.
        raised: Experts who raised each flag that drops the scenario.
        alike: Experts who found the item's four actions too alike.
        rule: The plan's.
    """
    columns = ("kind", "state", "first_value", "naturalness", "notes", "targeted")
    told = [
        dict(zip(columns, cells, strict=True))
        for cells in zip(*(row[column] for column in columns), strict=True)
    ]
    said = [each for each in told if each["state"] == "submitted"]
    votes = [each["first_value"] for each in said if each["kind"] != "adjudication"]
    # A third word counts where it was asked for; the newest of several.
    asked = [each for each in said if each["kind"] == "adjudication" and each["targeted"]]
    settled = asked[-1]["first_value"] if asked else ""
    scores = [each["naturalness"] for each in said]
    natural = sum(scores) / len(scores) if scores else None
    claim = row["value"]
    drop = [flag for flag in DROPPING if raised[flag] >= getattr(rule, flag)]
    if not said and not drop:
        return None
    if drop:
        decision, reasons = "drop", [f"flag:{flag}" for flag in drop]
    else:
        choice, again = _deciding_choice(claim, votes, settled, rule)
        wrong = []
        if natural is not None and natural < rule.least_naturalness:
            wrong.append("unnatural")
        if alike >= rule.too_alike:
            wrong.append("too_alike")
        reasons = [*choice, *wrong]
        decision = "regenerate" if again or wrong else "accept"
    return {
        "action_id": row["action_id"],
        "scenario_id": row["scenario_id"],
        "value": claim,
        "decision": decision,
        "reasons": reasons,
        "reviews": len(votes),
        "for_claim": votes.count(claim),
        "settled": settled,
        "naturalness": natural,
        "notes": "\n".join(dict.fromkeys(each["notes"] for each in told if each["notes"])),
    }


def _deciding_choice(
    claim: str, votes: list[str], settled: str, rule: Decide
) -> tuple[list[str], bool]:
    """Return the reason that the deciding choice gives, if any, and if it asks for another action.

    Args:
        claim: The value that the action was written for.
        votes: Experts' first choices.
        settled: The adjudicator's; "" if there is none.
        rule: The plan's.
    """
    if settled:
        return ["settled" if settled == claim else f"settled_other:{settled}"], settled != claim
    if 2 * votes.count(claim) > len(votes):
        return ["confirmed"], False
    if _has_majority(votes):
        return [f"other_value:{max(set(votes), key=votes.count)}"], True
    return (["split"], rule.split == "regenerate") if votes else ([], False)


def _has_majority(votes: list[str]) -> bool:
    return any(2 * votes.count(value) > len(votes) for value in set(votes))


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
