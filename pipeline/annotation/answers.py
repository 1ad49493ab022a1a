"""What a review must be, whoever brings it; which one counts; how many are still awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation.plan import Plan, pseudonym
from pipeline.annotation.tables import FLAGS
from pipeline.artifacts import content_id
from pipeline.errors import nearest
from pipeline.values import value_ids

STATES = ("submitted", "skipped")
MOST_NOTES = 5_000
"""Longer notes are cut."""


def review_id(item_id: str, annotator: str, action_id: str) -> str:
    """Return the id of what an annotator says of an action in an item."""
    return content_id("r", item_id, annotator, action_id)


def problem_of(row: Mapping[str, Any]) -> str:
    """Return what is wrong with an answer as 'column: what, and what would be right', or "".

    Args:
        row: Columns of schema.REVIEWS: state, first_value, second_value, naturalness, flags.
    """
    first, second, natural = row["first_value"], row["second_value"], row["naturalness"]
    if row["state"] not in STATES:
        return f"state: '{shown(row['state'])}'; {nearest(row['state'], STATES)}"
    for flag in row["flags"]:
        if flag not in FLAGS:
            return f"flags: '{shown(flag)}' is no flag; {nearest(flag, FLAGS)}"
    if row["state"] == "skipped":
        given = first or second or natural is not None
        return "state: skipped, but there is an answer; clear one of the two" if given else ""
    if not first:
        return "first_value: missing; name the value that the action expresses most"
    for column, value in (("first_value", first), ("second_value", second)):
        if value and value not in value_ids():
            return f"{column}: '{shown(value)}' is no value; {nearest(value, value_ids())}"
    if second == first:
        return f"second_value: '{second}' again; name another value, or none"
    if natural is None:
        return "naturalness: missing; give 1 to 5"
    if not 1 <= natural <= 5:
        return f"naturalness: {natural}; give 1 to 5"
    return ""


class Given:
    """Who was given what.

    Args:
        items: Rows of schema.ITEMS of all rounds.
        plan: The annotation's plan.
    """

    def __init__(self, items: pl.DataFrame, plan: Plan) -> None:
        self._annotators = plan.annotators
        self.items: dict[str, dict[str, Any]] = {
            row["item_id"]: row for row in items.iter_rows(named=True)
        }

    def problem_of(self, item_id: str, annotator: str, action_id: str = "") -> str:
        """Return why this annotator cannot have reviewed this item, or an action in it, or ""."""
        if annotator not in self._annotators:
            known = nearest(annotator, self._annotators)
            return f"annotator: '{shown(annotator)}' is no expert of the plan; {known}"
        item = self.items.get(item_id)
        if item is None:
            return f"item_id: no item '{shown(item_id)}' was drawn; take it from the form"
        if action_id and action_id not in item["action_ids"]:
            return (
                f"action_id: '{shown(action_id)}' is no action of {item_id}; take it from the form"
            )
        if annotator not in map(pseudonym, item["experts"]):
            return f"annotator: {item_id} was not given to {annotator}"
        return ""


def shown(text: object) -> str:
    """Return untrusted text, short and so that it cannot steer a terminal."""
    return repr(str(text)[:60])[1:-1]


def merge(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Return the reviews of both, the newest of each annotator, item and action.

    Where two are equally new, the one that stands later counts.

    Args:
        old: Rows of schema.REVIEWS.
        new: More of them.

    Returns:
        The reviews by id, and how many different ones were replaced.
    """
    both = pl.concat([old, new]).with_row_index("place")
    ordered = both.sort("review_id", "updated_utc", "place")
    said = ["state", "first_value", "second_value", "naturalness", "flags", "notes"]
    earlier = ordered.filter(pl.col("review_id").is_duplicated())
    differing = earlier.select("review_id", *said).unique().height
    kept = ordered.unique("review_id", keep="last").drop("place").sort("review_id")
    return kept, differing - earlier["review_id"].n_unique()


@dataclass(frozen=True)
class Progress:
    """How far the experts are; a review is one expert's word on one action.

    Attributes:
        expected: Reviews of the items that were given.
        left: Reviews that are missing, by annotator; those who are done are not in it.
    """

    expected: int
    left: Mapping[str, int]

    @property
    def done(self) -> int:
        """Reviews that are there."""
        return self.expected - sum(self.left.values())

    @property
    def line(self) -> str:
        """One line for people."""
        if not self.left:
            return f"all {self.expected:,} reviews are there"
        rest = ", ".join(
            f"{name.replace('-', ' ')}: {n:,} left" for name, n in sorted(self.left.items())
        )
        return f"waiting: {self.done:,} of {self.expected:,} reviews ({rest})"


def progress(items: pl.DataFrame, reviews: pl.DataFrame, excluded: Iterable[str] = ()) -> Progress:
    """Return how many of the expected reviews are there, skipped ones included.

    Nothing is expected of items whose texts were forgotten meanwhile.

    Args:
        items: Rows of schema.ITEMS.
        reviews: Rows of schema.REVIEWS.
        excluded: Annotators of whom nothing is expected.
    """
    shown_still = items.filter(pl.col("scenario") != "")
    given = expected_reviews(shown_still).filter(~pl.col("annotator").is_in(list(excluded)))
    left = given.join(reviews, on=["item_id", "annotator", "action_id"], how="anti")
    counts = left.group_by("annotator").len().sort("annotator")
    return Progress(given.height, dict(counts.iter_rows()))


def expected_reviews(items: pl.DataFrame) -> pl.DataFrame:
    """Return item_id, annotator and action_id of every review that is to come."""
    return (
        items.select("item_id", "round", "kind", "experts", action_id="action_ids")
        .explode("experts")
        .explode("action_id")
        .drop_nulls(["experts", "action_id"])
        .with_columns(annotator=pl.format("expert-{}", "experts"))
        .drop("experts")
    )


def no_reviews() -> pl.DataFrame:
    """Return a table of reviews with no rows."""
    return schema.frame([], schema.REVIEWS)
