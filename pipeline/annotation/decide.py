"""What becomes of each action: accept, regenerate or drop, by what experts said of it."""

from __future__ import annotations

from typing import Any

import polars as pl

from pipeline import schema
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
