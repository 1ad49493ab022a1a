"""Stage select: draw the scenarios by id, in equal parts over domains, with a reserve."""

from __future__ import annotations

import polars as pl

from pipeline import funnel, schema
from pipeline.artifacts import content_id, unit_interval
from pipeline.errors import StageError
from pipeline.stage import Context, Result


def run(context: Context) -> Result:
    """Draw `select.scenarios` scenarios and the reserve.

    Within a domain the first post of each subreddit and year comes before the second of any, so
    that no forum or year fills the draw; ties are broken by a hash of the id and `build.seed`.

    Raises:
        StageError: A domain has too few posts; the message names each and how many are missing.
    """
    config = context.config
    posts = context.tables["dedup.posts"]
    quota = config.select.scenarios // len(config.domains)
    available = dict(posts.group_by("domain").len().iter_rows())
    missing = {d: quota - available.get(d, 0) for d in config.domains}
    short = [f"{d} {n} (has {quota - n} of {quota})" for d, n in missing.items() if n > 0]
    if short:
        raise StageError(
            f"too few posts for {config.select.scenarios} scenarios; missing: {', '.join(short)}; "
            "give more posts (SOURCE=), relax [screen], or ask for fewer (SCENARIOS=)"
        )
    draw = [unit_interval(config.build.seed, "select", post_id) for post_id in posts["post_id"]]
    order = (
        posts.with_columns(
            draw=pl.Series(draw, dtype=pl.Float64),
            year=pl.col("created_utc").dt.year(),
        )
        .with_columns(
            turn=pl.struct("draw", "post_id").rank("ordinal").over("domain", "subreddit", "year")
        )
        .with_columns(
            rank=pl.struct("turn", "draw", "post_id").rank("ordinal").over("domain").cast(pl.Int64)
            - 1
        )
    )
    drawn = pl.col("rank") < quota + config.select.reserve
    kept = (
        order.filter(drawn)
        .with_columns(
            scenario="text",
            scenario_id=pl.col("text").map_elements(scenario_id, return_dtype=pl.String),
        )
        .select(schema.CANDIDATES.keys())
        .sort("scenario_id")
    )
    dropped = (
        order.filter(~drawn)
        .select(
            id="post_id",
            domain="domain",
            outcome=pl.lit("rejected"),
            reason=pl.lit("not_drawn"),
            detail=pl.lit(""),
        )
        .sort("id")
    )
    return Result(
        tables={"candidates": kept},
        dropped=dropped,
        funnel=funnel.count("select", "post", posts.height, kept, dropped),
    )


def scenario_id(text: str) -> str:
    """Return the id of a scenario: a hash of its text, so it does not point to a post's author."""
    return content_id("s", text)
