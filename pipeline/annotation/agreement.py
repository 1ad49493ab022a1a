"""Agreement of experts on first choices: Krippendorff's alpha and pairwise Cohen's kappa."""

from __future__ import annotations

import math
import warnings
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import schema
from pipeline.annotation import intervals
from pipeline.annotation.accuracy import measured
from pipeline.annotation.plan import Plan
from pipeline.annotation.tables import ALPHA, KAPPA
from pipeline.values import value_ids


def alpha(table: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return rows of tables.ALPHA: nominal alpha of first choices, units are actions.

    The interval is the percentile bootstrap over items: the four actions of an item are drawn
    together.

    Args:
        table: What accuracy.judged gave.
        plan: The annotation's plan.
    """
    rows = []
    for kind, number, reviews in measured(table):
        counts, item_of = _counts(reviews)
        items = np.unique(item_of)
        units_of = [np.flatnonzero(item_of == item) for item in items]
        low, high = intervals.percentile_interval(
            lambda drawn, c=counts, u=units_of: nominal_alpha(  # type: ignore[misc]
                c[np.concatenate([u[i] for i in drawn])]
            ),
            len(items),
            plan.intervals.confidence,
            plan.intervals.resamples,
            f"{plan.seed}|alpha|{kind}|{number}",
        )
        point = nominal_alpha(counts)
        defined = not math.isnan(point)
        rows.append(
            {
                "kind": kind,
                "round": number,
                "units": len(counts),
                "items": len(items),
                "alpha": point if defined else None,
                "low": low if defined and not math.isnan(low) else None,
                "high": high if defined and not math.isnan(high) else None,
            }
        )
    return schema.frame(rows, ALPHA)


def nominal_alpha(counts: NDArray[np.int64]) -> float:
    """Return Krippendorff's alpha for nominal data (Krippendorff 2004, chapter 11).

    Args:
        counts: Experts who chose each value, shape (units, values).

    Returns:
        Alpha; NaN where no unit has two choices, or only one value was ever chosen.
    """
    import krippendorff

    paired = counts[counts.sum(axis=1) > 1]
    if not len(paired) or (paired.sum(axis=0) > 0).sum() < 2:
        return math.nan
    return float(krippendorff.alpha(value_counts=paired, level_of_measurement="nominal"))


def _counts(reviews: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return choices by (unit, value) of units with two reviews or more, and each unit's item."""
    place = {value: n for n, value in enumerate(value_ids())}
    units = (
        reviews.group_by("item_id", "action_id")
        .agg("first_value")
        .filter(pl.col("first_value").list.len() > 1)
        .sort("item_id", "action_id")
    )
    counts = np.zeros((units.height, len(place)), dtype=np.int64)
    for row, values in enumerate(units["first_value"]):
        for value in values:
            counts[row, place[value]] += 1
    return counts, units["item_id"].to_numpy().astype(np.str_)


def kappa(table: pl.DataFrame) -> pl.DataFrame:
    """Return rows of tables.KAPPA: Cohen's kappa of each pair of experts, by scikit-learn."""
    from sklearn.metrics import cohen_kappa_score

    rows: list[dict[str, Any]] = []
    for kind, number, reviews in measured(table):
        by_name = {
            name: reviews.filter(annotator=name).select("item_id", "action_id", "first_value")
            for name in sorted(reviews["annotator"].unique())
        }
        for one, other in combinations(by_name, 2):
            both = by_name[one].join(by_name[other], on=["item_id", "action_id"])
            if not both.height:
                continue
            a, b = both["first_value"].to_list(), both["first_value_right"].to_list()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # not defined: told by null
                score = float(cohen_kappa_score(a, b)) if len({*a, *b}) > 1 else math.nan
            rows.append(
                {
                    "kind": kind,
                    "round": number,
                    "one": one,
                    "other": other,
                    "actions": both.height,
                    "agreement": sum(x == y for x, y in zip(a, b, strict=True)) / both.height,
                    "kappa": None if math.isnan(score) else score,
                }
            )
    return schema.frame(rows, KAPPA)
