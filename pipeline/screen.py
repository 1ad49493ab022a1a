"""Stage screen: decide from a post's tags and the thresholds whether it may become a scenario.

A post is dropped by the first rule that it fails: state, form, content, language, then what it
asks.
"""

from __future__ import annotations

import polars as pl

from pipeline import funnel, schema
from pipeline.config import ScreenConfig
from pipeline.scale import Part
from pipeline.stage import DROPPED_TABLE, Context, Result


def run(context: Context) -> Result:
    """Drop what is no advice-seeking post, each with its one reason."""
    posts = context.parts("tag.posts")  # by post_id
    kept = context.spool("posts", schema.SCREENED)
    dropped = context.spool(DROPPED_TABLE, schema.DROPPED)
    for stay, go in context.engine.map("screen", _screen_part, posts, context.config.screen):
        kept.add(stay)
        dropped.add(go)
    entered = sum(part.rows for part in posts)
    return Result(
        tables={"posts": kept.table()},
        dropped=dropped.table(),
        funnel=funnel.count("screen", "post", entered, kept.lazy(), dropped.lazy()),
    )


def _screen_part(part: Part, config: ScreenConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    return decide(part.read(), config)


def decide(tagged: pl.DataFrame, config: ScreenConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split tagged posts into (rows of schema.SCREENED, rows of schema.DROPPED)."""
    cases = [pl.when(failed).then(pl.lit(reason)) for reason, failed in rules(config)]
    judged = tagged.with_columns(reason=pl.coalesce([*cases, pl.lit(None, dtype=pl.String)])).sort(
        "post_id"
    )
    kept = judged.filter(pl.col("reason").is_null()).select(schema.SCREENED.keys())
    dropped = judged.filter(pl.col("reason").is_not_null()).select(
        id="post_id",
        domain="domain",
        outcome=pl.lit("rejected"),
        reason="reason",
        detail=pl.lit(""),
    )
    return kept, dropped


def rules(config: ScreenConfig) -> list[tuple[str, pl.Expr]]:
    """Return (reason, failed) of every rule, in the order in which they count."""
    found: list[tuple[str, pl.Expr]] = [
        ("removed", pl.col("removal") == "removed"),
        ("deleted", pl.col("removal") == "deleted"),
        ("no_body", pl.col("body") == ""),
        ("too_short", pl.col("words") < config.min_words),
        ("too_long", pl.col("words") > config.max_words),
        ("link_only", pl.col("words_outside_links") < config.min_words),
    ]
    found += [(tag, _has(tag)) for tag in config.drop_tags]
    found.append(("other_language", ~pl.col("language").is_in(config.languages).fill_null(False)))
    found += [(f"no_{tag}", ~_has(tag)) for tag in config.require_tags]
    return found


def _has(tag: str) -> pl.Expr:
    return pl.col("tags").list.contains(tag)
