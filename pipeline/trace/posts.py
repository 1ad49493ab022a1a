"""A post on the way: where it came from, what it was a duplicate of, where it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline import tombstones
from pipeline.stages import stage_names
from pipeline.trace.parts import Cluster, Dropped, Post, Removed
from pipeline.trace.tables import Row, Tables


def post(tables: Tables, stones: Path, post_id: str) -> Post:
    """Return a post that stage scrape kept; `stones` is the file of tombstones."""
    row = tables.one("scrape.posts", "rewrite.scenarios", post_id=post_id)
    tagged = tables.rows_if_built("tag.posts", post_id=post_id)
    facts: dict[str, Any] = {}
    if tagged:
        facts = {name: tagged[0][name] for name in ("text", "words", "language")}
        facts |= {name: tuple(tagged[0][name]) for name in ("tags", "masked")}
    again = tables.rows(
        "scrape.dropped", reason="duplicate_id", detail=f"another snapshot of {post_id} was kept"
    )
    stone = tombstones.load(stones).get(post_id)
    return Post(
        post_id=post_id,
        domain=row["domain"],
        subreddit=row["subreddit"],
        created=row["created_utc"].isoformat(),
        title=row["title"],
        source_file=row["source_file"],
        source_line=row["source_line"],
        snapshots=tuple(sorted(found["id"] for found in again)),
        tombstone=f"{stone.reason}, noted {stone.noted}" if stone else None,
        **facts,
    )


def cluster(tables: Tables, post_id: str) -> Cluster | None:
    """Return the posts that tell a post's story, whichever of them it is; None if no other does."""
    own = tables.rows_if_built("dedup.pairs", removed_id=post_id)
    keeper = own[0]["keeper_id"] if own else post_id
    pairs = tables.rows_if_built("dedup.pairs", keeper_id=keeper)
    if not pairs:
        return None
    ids = [row["removed_id"] for row in pairs]
    places = {
        row["post_id"]: row for row in tables.where("scrape.posts", pl.col("post_id").is_in(ids))
    }
    removed = (
        Removed(
            post_id=pair["removed_id"],
            method=pair["method"],
            similarity=pair["similarity"],
            source_file=places[pair["removed_id"]]["source_file"],
            source_line=places[pair["removed_id"]]["source_line"],
        )
        for pair in sorted(pairs, key=lambda row: row["removed_id"])
        if pair["removed_id"] in places
    )
    return Cluster(keeper, _became(tables, keeper), tuple(removed))


def _became(tables: Tables, post_id: str) -> str:
    """Say in a few words what became of a post that stayed."""
    if not tables.rows("scrape.posts", post_id=post_id):
        return "a scenario of an earlier release"
    found = tables.rows_if_built("rewrite.scenarios", post_id=post_id)
    scenario = found[0]["scenario_id"] if found else ""
    ended = dropped(tables, post_id, scenario)
    if ended:
        return f"dropped by {ended.stage}: {ended.reason}"
    return f"scenario {scenario}" if scenario else "not a scenario yet"


def dropped(tables: Tables, post_id: str, scenario: str) -> Dropped | None:
    """Return where a post, or the scenario that was made of it, ended; None if it did not."""
    for stage in stage_names():
        if stage == "scrape":  # it names lines, and no line of a post that it kept
            continue
        item = scenario if stage == "generate" else post_id
        for row in tables.rows_if_built(f"{stage}.dropped", id=item):
            return _dropped(stage, row)
    return None


def line(tables: Tables, where: str) -> Dropped | None:
    """Return why a line of the source ("FILE:LINE") gave no post; None if it is not known."""
    rows = tables.rows("scrape.dropped", id=where)
    return _dropped("scrape", rows[0]) if rows else None


def buried(stones: Path, post_id: str) -> Dropped | None:
    """Return why a post with a tombstone is in no build; None if it has none."""
    stone = tombstones.load(stones).get(post_id)
    if stone is None:
        return None
    noted = f"{stone.reason}, noted {stone.noted} in {stones}"
    return Dropped("scrape", post_id, "rejected", "tombstoned", noted)


def _dropped(stage: str, row: Row) -> Dropped:
    return Dropped(
        stage=stage,
        item=row["id"],
        outcome=row["outcome"],
        reason=row["reason"],
        detail=row["detail"],
    )
