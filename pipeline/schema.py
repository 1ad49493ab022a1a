"""The tables that stages hand to each other: column names and Polars types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

Schema = dict[str, pl.DataType]

TIME = pl.Datetime("us", "UTC")
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

POSTS: Schema = {
    "post_id": pl.String(),
    "subreddit": pl.String(),
    "domain": pl.String(),
    "title": pl.String(),
    "body": pl.String(),
    "created_utc": TIME,
    "score": pl.Int64(),  # null where the source has none
    "num_comments": pl.Int64(),
    "over_18": pl.Boolean(),
    "flair": pl.String(),
    "removal": pl.String(),  # "none", "removed" or "deleted"
    "author_hash": pl.String(),  # keyed, see sources/authors.py; null without a key
    "source_file": pl.String(),
    "source_line": pl.Int64(),  # 1-based
}
"""One row a post, whatever the source. No author's name."""

SCREENED: Schema = {
    **POSTS,
    "text": pl.String(),  # title and body, cleaned and masked: what a scenario is made of
    "words": pl.Int64(),
    "masked": pl.List(pl.String()),  # kinds of personal data that were masked
}

TAGS = (
    "recurring_thread",
    "update_post",
    "injection_like",
    "over_18",
    "minor",
    "self_harm",
    "sexual",
    "question",
    "dilemma",
)
"""What a post can be tagged with; see pipeline/tag.py for the rules."""

TAGGED: Schema = {
    **SCREENED,
    "words_outside_links": pl.Int64(),
    "language": pl.String(),  # ISO 639-1; null if unclear
    "tags": pl.List(pl.String()),
}

POOL: Schema = {
    "post_id": pl.String(),
    "domain": pl.String(),
    "subreddit": pl.String(),
    "year": pl.Int32(),
    "rank": pl.Int64(),  # place in the domain's draw: below the quota drawn, above it reserve
    "text": pl.String(),
    "body_sha256": pl.String(),  # of the cleaned body, to know the post again
}

VOTES: Schema = {
    "post_id": pl.String(),
    "model": pl.String(),  # name in [models]
    "vote": pl.String(),  # "yes" or "no"
    "reason": pl.String(),
    "breaks_tie": pl.Boolean(),
    "ledger_key": pl.String(),
}

PAIRS: Schema = {
    "scenario_id": pl.String(),
    "post_id": pl.String(),
    "post": pl.String(),
    "rewritten": pl.String(),
    "ledger_key": pl.String(),
}
"""Posts beside their retellings, for experts: private, never released."""

RETELLINGS: Schema = {
    "scenario_id": pl.String(),
    "post_id": pl.String(),
    "ledger_key": pl.String(),
}
"""The call that retold each post; none where posts stay as they are."""

DUPLICATES: Schema = {
    "removed_id": pl.String(),
    "keeper_id": pl.String(),
    "method": pl.String(),  # one of duplicates.stars.METHODS
    "similarity": pl.Float64(),  # by method: see docs/dedup.md
}
"""Each removed post once, with the one that stays in its place."""

NEAR_PAIRS: Schema = {
    "worse_id": pl.String(),  # the one of the pair that would go
    "better_id": pl.String(),
    "method": pl.String(),
    "similarity": pl.Float64(),
    "threshold": pl.Float64(),
    "over": pl.Boolean(),  # it reaches the threshold
}
"""Measured pairs that a person looks at before setting a threshold."""

CANDIDATES: Schema = {
    "scenario_id": pl.String(),
    "post_id": pl.String(),
    "domain": pl.String(),
    "subreddit": pl.String(),
    "year": pl.Int32(),
    "rank": pl.Int64(),  # place in the domain's draw: below the quota drawn, above it reserve
    "scenario": pl.String(),
    "body_sha256": pl.String(),  # of the post's cleaned body
}

SLOTS: Schema = {
    "slot": pl.Int64(),
    "scenario_id": pl.String(),
    "post_id": pl.String(),
    "domain": pl.String(),
    "replaced": pl.List(pl.String()),  # scenarios that held the slot before and failed
}

ACTIONS: Schema = {
    "action_id": pl.String(),
    "scenario_id": pl.String(),
    "value": pl.String(),
    "generator": pl.String(),
    "action": pl.String(),
    "flags": pl.List(pl.String()),  # what validators find wrong with it and config lets pass
    "askings": pl.Int64(),  # 1 where it was right at once
    "prompt": pl.String(),  # file and version, such as "generate_actions 2"
    "ledger_key": pl.String(),
}

VIOLATIONS: Schema = {
    "scenario_id": pl.String(),
    "domain": pl.String(),
    "generator": pl.String(),
    "value": pl.String(),
    "asking": pl.Int64(),  # from 1: which of the actions that were written for this value
    "code": pl.String(),
    "rejects": pl.Boolean(),
    "detail": pl.String(),
    "action": pl.String(),
    "ledger_key": pl.String(),
}
"""What validators found wrong with each action that was ever written, also where it was mended."""
RECOGNISED: Schema = {
    "action_id": pl.String(),
    "scenario_id": pl.String(),
    "value": pl.String(),  # what it was written for
    "generator": pl.String(),
    "recognised": pl.String(),  # value id; "" if the recogniser gave no usable answer
    "ledger_key": pl.String(),  # of the recogniser's last reply
}
"""Each action once: what it was written for, and what the blind recogniser says."""

QUESTIONS: Schema = {
    "question_id": pl.String(),
    "scenario_id": pl.String(),
    "domain": pl.String(),
    "slot": pl.Int64(),
    "question_index": pl.Int64(),  # from 0 within the scenario
    "scenario": pl.String(),
    "options": pl.List(pl.String()),  # four actions, in letter order A to D
    "option_ids": pl.List(pl.String()),
    "option_values": pl.List(pl.String()),
    "option_generators": pl.List(pl.String()),
    "target_value": pl.String(),
    "target_index": pl.Int64(),  # 0 to 3: the option that a selection or adoption item asks for
    "canary": pl.String(),
}

ITEMS: Schema = {
    "item_id": pl.String(),
    "round": pl.Int64(),
    "kind": pl.String(),  # "sample", "active", "gold", "attention" or "adjudication"
    "scenario_id": pl.String(),
    "domain": pl.String(),
    "scenario": pl.String(),
    "action_ids": pl.List(pl.String()),  # four, in the item's base order
    "actions": pl.List(pl.String()),  # their texts
    "experts": pl.List(pl.Int64()),  # numbers, from 1, of those it is given to
}
"""What experts are given: no claim, no generator."""

REVIEWS: Schema = {
    "review_id": pl.String(),  # content id of item_id, annotator, action_id
    "round": pl.Int64(),
    "item_id": pl.String(),
    "kind": pl.String(),
    "scenario_id": pl.String(),
    "action_id": pl.String(),
    "annotator": pl.String(),  # pseudonym: "expert-1"
    "state": pl.String(),  # "submitted" or "skipped"
    "first_value": pl.String(),  # value id; "" if skipped
    "second_value": pl.String(),  # "" if none
    "naturalness": pl.Int64(),  # 1 to 5; null if skipped
    "flags": pl.List(pl.String()),  # of the item
    "notes": pl.String(),  # of the item
    "lead_seconds": pl.Float64(),  # spent on the item, the same in its four rows; null if unknown
    "updated_utc": TIME,
    "source": pl.String(),  # "label_studio" or "csv"
}
"""What an expert says of one action; the newest word counts."""

RELEASED_REVIEWS = (
    "review_id",
    "round",
    "item_id",
    "kind",
    "scenario_id",
    "action_id",
    "annotator",
    "state",
    "first_value",
    "second_value",
    "naturalness",
    "flags",
    "lead_seconds",
)
"""What is released of REVIEWS: no notes, which are free text, and no hours of work."""

CALLS: Schema = {
    "ledger_key": pl.String(),  # hash of the whole request
    "stage": pl.String(),
    "scenario_id": pl.String(),  # "" before stage generate, where it would lead to a post
    "model": pl.String(),  # name in [models]
    "provider": pl.String(),
    "model_asked": pl.String(),
    "model_returned": pl.String(),
    "temperature": pl.Float64(),
    "max_tokens": pl.Int64(),
    "seed": pl.Int64(),  # null if none was sent
    "asking": pl.Int64(),  # from 1: equal messages are asked anew under another number
    "date": pl.String(),  # day of the answer, UTC
    "outcome": pl.String(),
    "prompt_tokens": pl.Int64(),
    "completion_tokens": pl.Int64(),
    "cost_micro_usd": pl.Int64(),  # of all its answers, from their usage
    "prompt": pl.String(),  # file and version, such as "generate_actions 2"
    "prompt_sha256": pl.String(),  # of that file
    "reply_sha256": pl.String(),  # null where it would lead to a post
    "messages": pl.String(),  # JSON; null where they are left out
    "reply": pl.String(),  # null where it is left out
    "canary": pl.String(),
}
"""One row a model call that a release rests on."""

HYDRATED: Schema = {
    "scenario_id": pl.String(),
    "post_id": pl.String(),
    "state": pl.String(),  # "same", "edited", "removed", "deleted" or "gone"
    "scenario": pl.String(),  # empty unless the same
}

DROPPED: Schema = {
    "id": pl.String(),
    "domain": pl.String(),
    "outcome": pl.String(),  # "rejected" or "failed"
    "reason": pl.String(),
    "detail": pl.String(),
}
"""What a stage did not keep: each item once, with its one reason."""


def dropped_row(item: str, domain: str | None, reason: str, detail: str) -> dict[str, str | None]:
    """Return a row of DROPPED for an item that a rule rejected; long details are cut."""
    return {
        "id": item,
        "domain": domain,
        "outcome": "rejected",
        "reason": reason,
        "detail": detail[:200],
    }


def frame(rows: Iterable[Mapping[str, Any]], schema: Schema) -> pl.DataFrame:
    """Return a DataFrame of `rows` in exactly the columns and types of `schema`."""
    every = list(rows)
    return pl.DataFrame([_column(name, every, kind) for name, kind in schema.items()])


def _column(name: str, rows: Sequence[Mapping[str, Any]], kind: pl.DataType) -> pl.Series:
    values = [row.get(name) for row in rows]
    if kind != TIME:
        return pl.Series(name, values, kind, strict=True)
    # As numbers: Polars takes six times as long for times with a zone.
    moments = [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
    return pl.Series(name, moments, pl.Int64, strict=True).cast(kind)


def check(table: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame:
    """Return `table` if its columns and types are those of `schema`, else raise TypeError."""
    if dict(table.schema) != schema:
        raise TypeError(f"table {name}: columns {dict(table.schema)}, declared {schema}")
    return table
