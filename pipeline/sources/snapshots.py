"""One row a post id: which snapshot of a post stays, and which posts must not be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema, tombstones

_PLACE = ("source_file", "source_line")


def one_each(posts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row a post id, and the others as rows of schema.DROPPED.

    Args:
        posts: Rows of schema.POSTS.
    """
    several = posts["post_id"].is_duplicated()
    by = [
        "post_id",
        pl.col("body").str.len_chars(),
        pl.col("score").fill_null(-(2**62)),
        *(name for name in schema.POSTS if name not in _PLACE),
        *_PLACE,
    ]
    descending = [False, True, True, *[False] * len(schema.POSTS)]
    ranked = posts.filter(several).sort(by, descending=descending, nulls_last=True)
    first = ranked["post_id"].is_first_distinct()
    others = [
        _dropped_post(row, "duplicate_id", f"another snapshot of {row['post_id']} was kept")
        for row in ranked.filter(~first).iter_rows(named=True)
    ]
    kept = pl.concat([posts.filter(~several), ranked.filter(first)]).sort("post_id")
    return kept, schema.frame(others, schema.DROPPED)


def without_tombstoned(posts: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the posts that may be used, and the others as rows of schema.DROPPED."""
    stones = tombstones.load(path)
    stoned = posts["post_id"].is_in(list(stones))
    gone = [
        _dropped_post(row, "tombstoned", stones[row["post_id"]].reason)
        for row in posts.filter(stoned).iter_rows(named=True)
    ]
    return posts.filter(~stoned), schema.frame(gone, schema.DROPPED)


def _dropped_post(row: Mapping[str, Any], reason: str, detail: str) -> dict[str, str | None]:
    where = f"{row['source_file']}:{row['source_line']}"
    return schema.dropped_row(where, row["domain"], reason, detail)
