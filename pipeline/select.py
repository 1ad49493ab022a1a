"""Stage select: draw posts by id, in equal parts over domains, with a reserve."""

from __future__ import annotations

import polars as pl

from pipeline import funnel, schema
from pipeline.artifacts import sha256_text, unit_interval
from pipeline.errors import StageError
from pipeline.slots import slots_before
from pipeline.stage import Context, Result

_LAST = 2**62


def run(context: Context) -> Result:
    """Draw `select.scenarios` posts and the reserve.

    Within a domain the first post of each subreddit and year comes before the second of any, so
    that no forum or year fills the draw; ties are broken by a hash of the id and `build.seed`.
    Posts that hold a slot of an earlier release (`select.slots`) come before all others.

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
    held = {post: slot for slot, post in slots_before(config.select.slots).posts.items()}
    draw = [unit_interval(config.build.seed, "select", post_id) for post_id in posts["post_id"]]
    order = (
        posts.with_columns(
            draw=pl.Series(draw, dtype=pl.Float64),
            slot=pl.col("post_id").replace_strict(held, default=None, return_dtype=pl.Int64),
            year=pl.col("created_utc").dt.year(),
            body_sha256=pl.Series(
                [sha256_text(body or "") for body in posts["body"]], dtype=pl.String
            ),
        )
        .with_columns(
            turn=pl.struct("draw", "post_id").rank("ordinal").over("domain", "subreddit", "year")
        )
        .with_columns(
            rank=pl.struct(pl.col("slot").fill_null(_LAST), "turn", "draw", "post_id")
            .rank("ordinal")
            .over("domain")
            .cast(pl.Int64)
            - 1
        )
    )
    drawn = pl.col("rank") < quota + config.select.reserve
    kept = order.filter(drawn).select(schema.POOL.keys()).sort("post_id")
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
        tables={"pool": kept},
        dropped=dropped,
        funnel=funnel.count("select", "post", posts.height, kept, dropped),
    )
