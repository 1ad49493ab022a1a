"""Stage dedup: each story once, over all domains. Every removal is one measured pair."""

from __future__ import annotations

import polars as pl

from pipeline import funnel
from pipeline.artifacts import unit_interval
from pipeline.duplicates import find
from pipeline.duplicates.earlier import scenarios_of
from pipeline.embedding import embedder_of
from pipeline.stage import Context, Result


def run(context: Context) -> Result:
    """Draw the pool and remove duplicates in it; see pipeline/duplicates/find.py."""
    config = context.config
    posts = context.tables["screen.posts"]
    pool = draw_pool(posts, config.dedup.pool_per_domain, config.build.seed)
    embedder = embedder_of(config, engine=context.engine)
    earlier = scenarios_of(config.dedup.earlier)
    found = find(pool, config.dedup, embedder, earlier, context.engine)
    kept = pool.join(found.removals, left_on="post_id", right_on="removed_id", how="anti")
    outside = posts.join(pool, on="post_id", how="anti")
    dropped = pl.concat(
        [
            found.removals.join(posts, left_on="removed_id", right_on="post_id").select(
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
    kept = kept.sort("post_id")
    return Result(
        tables={"posts": kept, "pairs": found.removals, "near": found.near},
        dropped=dropped,
        funnel=funnel.count("dedup", "post", posts.height, kept, dropped),
        notes={"without_text": found.without_text},
    )


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
