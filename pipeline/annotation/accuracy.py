"""Accuracy: how often an expert's first choice is the value that the action claims to express."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import polars as pl

from pipeline import schema
from pipeline.annotation import intervals
from pipeline.annotation.plan import Plan
from pipeline.annotation.tables import ACCURACY, CONFUSION, FLAGGED, NATURALNESS
from pipeline.errors import StageError

FEW_SCENARIOS = 20
"""With fewer, a bootstrap interval is rough; the report marks it."""

_MEASURED = ("sample", "active")
_GROUPS = ("all", "value", "domain", "generator", "annotator")


def judged(reviews: pl.DataFrame, sealed: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return the reviews that count, beside the claims as they were when the items were drawn.

    Args:
        reviews: Rows of schema.REVIEWS.
        sealed: Rows of tables.SEALED.
        plan: Its excluded experts are left out.

    Returns:
        Columns of schema.REVIEWS with domain, value, generator, targeted, probability, and
        `correct` and `either` (Boolean); submitted reviews only.

    Raises:
        StageError: A review belongs to no drawn item.
    """
    claims = sealed.select(
        "item_id", "action_id", "domain", "value", "generator", "targeted", "probability"
    )
    unknown = reviews.join(claims, on=["item_id", "action_id"], how="anti")
    if unknown.height:
        row = unknown.sort("review_id").row(0, named=True)
        raise StageError(
            f"review {row['review_id']}: item {row['item_id']} or action {row['action_id']} was "
            "never drawn; these reviews are of other rounds"
        )
    first, second, claim = pl.col("first_value"), pl.col("second_value"), pl.col("value")
    return (
        reviews.join(claims, on=["item_id", "action_id"])
        .filter(~pl.col("annotator").is_in(list(plan.excluded)), state="submitted")
        .with_columns(correct=first == claim, either=(first == claim) | (second == claim))
        .sort("review_id")
    )


def measured(table: pl.DataFrame) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Yield kind, round and the reviews of what was measured; active ones only where targeted."""
    for kind in _MEASURED:
        for number in sorted(table.filter(kind=kind)["round"].unique()):
            yield kind, number, table.filter(kind=kind, round=number, targeted=True)


def accuracy(table: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return rows of tables.ACCURACY for what `judged` gave.

    A review counts by the inverse of its action's probability to be drawn. In a build all domains
    have equally many scenarios, so that all weights are equal.
    """
    rows = [
        _row(kind, number, group, level, part, plan)
        for kind, number, reviews in measured(table)
        for group in _GROUPS
        for level, part in _parts(reviews, group)
    ]
    return schema.frame(rows, ACCURACY)


def _parts(reviews: pl.DataFrame, group: str) -> list[tuple[str, pl.DataFrame]]:
    if group == "all":
        return [("", reviews)] if reviews.height else []
    levels = sorted(reviews[group].unique())
    return [(level, reviews.filter(pl.col(group) == level)) for level in levels]


def _row(
    kind: str, number: int, group: str, level: str, reviews: pl.DataFrame, plan: Plan
) -> dict[str, Any]:
    weight = 1 / pl.col("probability").fill_null(1.0)
    clusters = (
        reviews.with_columns(weight=weight / weight.mean())
        .group_by("scenario_id")
        .agg(
            total=pl.col("weight").sum(),
            correct=(pl.col("weight") * pl.col("correct")).sum(),
            either=(pl.col("weight") * pl.col("either")).sum(),
        )
        .sort("scenario_id")
    )
    total, correct, either = (clusters[c].to_numpy() for c in ("total", "correct", "either"))
    chosen = plan.intervals
    salt = f"{plan.seed}|{kind}|{number}|{group}|{level}"
    found, found_either = (
        intervals.cluster_interval(good, total, chosen.confidence, chosen.resamples, salt)
        for good in (correct, either)
    )
    right = int(reviews["correct"].sum())
    plain = intervals.wilson(right, reviews.height, chosen.confidence)
    effect = intervals.design_effect(correct, total)
    return {
        "kind": kind,
        "round": number,
        "group": group,
        "level": level,
        "reviews": reviews.height,
        "actions": reviews["action_id"].n_unique(),
        "scenarios": len(total),
        "correct": right,
        "accuracy": float(correct.sum() / total.sum()),
        "low": _number(found.low),
        "high": _number(found.high),
        "interval": found.method,
        "wilson_low": _number(plain[0]),
        "wilson_high": _number(plain[1]),
        "design_effect": _number(effect),
        "either": float(either.sum() / total.sum()),
        "either_low": _number(found_either.low),
        "either_high": _number(found_either.high),
    }


def _number(x: float) -> float | None:
    return None if np.isnan(x) else x


def confusion(table: pl.DataFrame) -> pl.DataFrame:
    """Return rows of tables.CONFUSION: reviews by claim and first choice, without empty cells."""
    counts = [
        reviews.group_by("kind", "round", claim="value", first_value="first_value").agg(
            reviews=pl.len().cast(pl.Int64)
        )
        for _, _, reviews in measured(table)
    ]
    every = pl.concat([schema.frame([], CONFUSION), *counts])
    return every.sort("kind", "round", "claim", "first_value")


def naturalness(table: pl.DataFrame) -> pl.DataFrame:
    """Return rows of tables.NATURALNESS."""
    rows = [
        {
            "kind": kind,
            "round": number,
            "group": group,
            "level": level,
            "reviews": part.height,
            "mean": part["naturalness"].mean(),
            "counts": [part.filter(naturalness=score).height for score in range(1, 6)],
        }
        for kind, number, reviews in measured(table)
        for group in ("all", "value", "generator")
        for level, part in _parts(reviews, group)
    ]
    return schema.frame(rows, NATURALNESS)


def flagged(reviews: pl.DataFrame, excluded: Collection[str]) -> pl.DataFrame:
    """Return rows of tables.FLAGGED; skipped items count, for a flag may be why.

    Args:
        reviews: Rows of schema.REVIEWS.
        excluded: Annotators who do not count.
    """
    told = reviews.filter(
        ~pl.col("annotator").is_in(list(excluded)), pl.col("kind").is_in(_MEASURED)
    )
    items = told.group_by("kind", "round").agg(of_items=pl.col("item_id").n_unique())
    found = (
        told.select("kind", "round", "item_id", "annotator", flag="flags")
        .explode("flag")
        .drop_nulls("flag")
        .unique()
        .group_by("kind", "round", "flag", "item_id")
        .agg(experts=pl.len())
        .group_by("kind", "round", "flag")
        .agg(items=pl.len(), by_two=(pl.col("experts") >= 2).sum())
        .join(items, on=["kind", "round"])
    )
    return found.select(pl.col(c).cast(kind) for c, kind in FLAGGED.items()).sort(
        "kind", "round", "flag"
    )
