"""Stage dedup: each story once, over all domains. Every removal is one measured pair."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline import funnel, schema
from pipeline.artifacts import unit_interval
from pipeline.duplicates import find
from pipeline.duplicates.earlier import scenarios_of
from pipeline.duplicates.parts_find import find_in_parts
from pipeline.duplicates.parts_posts import Facts, facts_of
from pipeline.embedding import embedder_of
from pipeline.scale import Part
from pipeline.stage import DROPPED_TABLE, Context, Result


def run(context: Context) -> Result:
    """Draw the pool and remove duplicates in it; see pipeline/duplicates/find.py."""
    if context.engine.partitions > 1:
        return _run_in_parts(context)
    config = context.config
    posts = context.tables["screen.posts"]
    pool = draw_pool(posts, config.dedup.pool_per_domain, config.build.seed)
    embedder = embedder_of(config, engine=context.engine)
    earlier = scenarios_of(config.dedup.earlier)
    found = find(pool, config.dedup, embedder, earlier, context.engine)
    kept = pool.join(found.removals, left_on="post_id", right_on="removed_id", how="anti")
    dropped = _dropped(posts, pool, found.removals)
    kept = kept.sort("post_id")
    return Result(
        tables={"posts": kept, "pairs": found.removals, "near": found.near},
        dropped=dropped,
        funnel=funnel.count("dedup", "post", posts.height, kept, dropped),
        notes={"without_text": found.without_text},
    )


def _dropped(posts: pl.DataFrame, pool: pl.DataFrame, removals: pl.DataFrame) -> pl.DataFrame:
    """Return rows of schema.DROPPED for posts that are removed, or outside of the pool."""
    outside = posts.join(pool, on="post_id", how="anti")
    return pl.concat(
        [
            removals.join(posts, left_on="removed_id", right_on="post_id").select(
                id="removed_id",
                domain="domain",
                outcome=pl.lit("rejected"),
                reason=pl.col("method") + "_duplicate",
                detail=pl.lit("of ") + pl.col("keeper_id"),
            ),
            outside.select(
                id="post_id",
                domain="domain",
                outcome=pl.lit("rejected"),
                reason=pl.lit("outside_pool"),
                detail=pl.lit(""),
            ),
        ]
    ).sort("id")


def draw_pool(posts: pl.DataFrame, per_domain: int, seed: str) -> pl.DataFrame:
    """Return `per_domain` posts of each domain (all if 0), drawn by a hash of their ids."""
    if not per_domain:
        return posts
    draw = [unit_interval(seed, "pool", post_id) for post_id in posts["post_id"]]
    place = pl.Series("draw", draw, dtype=pl.Float64)
    chosen = posts.with_columns(place).filter(
        pl.struct("draw", "post_id").rank("ordinal").over("domain") <= per_domain
    )
    return chosen.drop("draw")


# In partitions: posts are read where they are needed; who stays is decided by numbers of them.


def _run_in_parts(context: Context) -> Result:
    """Do what `run` does, and hold one partition at a time."""
    config, engine = context.config, context.engine
    parts = context.parts("screen.posts")  # by post_id
    facts = facts_of(parts, engine)
    entered = facts.posts.height
    pool = draw_pool(facts.posts, config.dedup.pool_per_domain, config.build.seed)
    chosen = np.zeros(entered, dtype=bool)
    chosen[pool["place"].to_numpy()] = True
    facts = Facts(pool, facts.links)
    del pool
    embedder = embedder_of(config, engine=engine)
    earlier = scenarios_of(config.dedup.earlier)
    folder = context.scratch or context.out
    found = find_in_parts(
        parts, facts, config.dedup, embedder, earlier, engine, folder / "duplicates"
    )
    starts = np.cumsum([0, *(part.rows for part in parts)]).tolist()
    items = [(part, chosen[at : at + part.rows]) for part, at in zip(parts, starts, strict=False)]
    kept = context.spool("posts", schema.SCREENED)
    dropped = context.spool(DROPPED_TABLE, schema.DROPPED)
    for stay, go in engine.map("posts that stay", _parted, items, found.removals):
        kept.add(stay)
        dropped.add(go)
    return Result(
        tables={"posts": kept.table(), "pairs": found.removals, "near": found.near},
        dropped=dropped.table(),
        funnel=funnel.count("dedup", "post", entered, kept.lazy(), dropped.lazy()),
        notes={"without_text": found.without_text},
    )


def _parted(
    item: tuple[Part, npt.NDArray[np.bool]], removals: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the posts of a part that stay, and rows of schema.DROPPED for the others."""
    part, chosen = item
    posts = part.read()
    pool = posts.filter(pl.Series(chosen))
    kept = pool.join(removals, left_on="post_id", right_on="removed_id", how="anti")
    return kept.sort("post_id"), _dropped(posts, pool, removals)
