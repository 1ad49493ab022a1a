"""Each expert: gold items, attention checks, time; and what the whole takes in hours and money."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation import answers, intervals
from pipeline.annotation.plan import Plan
from pipeline.annotation.tables import EXPERTS


def experts(
    items: pl.DataFrame, reviews: pl.DataFrame, sealed: pl.DataFrame, plan: Plan
) -> pl.DataFrame:
    """Return rows of tables.EXPERTS, excluded experts among them.

    Args:
        items: Rows of schema.ITEMS.
        reviews: Rows of schema.REVIEWS.
        sealed: Rows of tables.SEALED.
        plan: The annotation's plan.
    """
    given = answers.expected_reviews(items)
    known = sealed.filter("targeted").select("item_id", "action_id", "value")
    checked = reviews.filter(state="submitted").join(known, on=["item_id", "action_id"])
    checked = checked.with_columns(correct=pl.col("first_value") == pl.col("value"))
    times = item_times(reviews, plan)
    rows = []
    for name in plan.annotators:
        mine = reviews.filter(annotator=name)
        gold = checked.filter(annotator=name, kind="gold")
        # A check is passed if every line of the item that asks for a value got it.
        attention = (
            checked.filter(annotator=name, kind="attention")
            .group_by("item_id")
            .agg(pl.col("correct").all())
        )
        right = int(gold["correct"].sum())
        low, high = intervals.wilson(right, gold.height, plan.intervals.confidence)
        seconds = times.filter(annotator=name)
        row: dict[str, Any] = {
            "annotator": name,
            "counted": name not in plan.excluded,
            "expected": given.filter(annotator=name).height,
            "submitted": mine.filter(state="submitted").height,
            "skipped": mine.filter(state="skipped").height,
            "gold": gold.height,
            "gold_correct": right,
            "gold_accuracy": right / gold.height if gold.height else None,
            "gold_low": None if math.isnan(low) else low,
            "gold_high": None if math.isnan(high) else high,
            "attention": attention.height,
            "attention_passed": int(attention["correct"].sum()),
            "median_seconds": seconds["lead_seconds"].median(),
            "hours": seconds["counted"].sum() / 3600 if seconds.height else None,
        }
        rows.append(row)
    return schema.frame(rows, EXPERTS)


def item_times(reviews: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return item_id, annotator, lead_seconds, and `counted`: the same with pauses cut.

    An item's time stands in each of its rows; the newest row tells it.
    """
    return (
        reviews.drop_nulls("lead_seconds")
        .sort("updated_utc", "review_id")
        .group_by("item_id", "annotator")
        .agg(pl.col("lead_seconds").last())
        .with_columns(counted=pl.col("lead_seconds").clip(upper_bound=plan.intervals.pause_seconds))
        .sort("item_id", "annotator")
    )
