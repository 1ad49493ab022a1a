"""Stage scrape: every line of the source ends as one post or as one counted reason."""

from __future__ import annotations

import polars as pl

from pipeline import funnel, schema
from pipeline.errors import BadInputError
from pipeline.paths import source_path
from pipeline.progress import task
from pipeline.sources.dump import BadLine, read_dump
from pipeline.stage import Context, Result

_PLACE = frozenset({"source_file", "source_line"})
_NOT_OURS = frozenset({"other_subreddit", "comment", "blank_line"})  # fine lines, not wanted here


def run(context: Context) -> Result:
    """Read the source into `posts`, one row a post id.

    Of several snapshots of one post the one with the longest body stays, then the one with the
    highest score; what is still equal is decided by content, and only copies by their line.

    Raises:
        BadInputError: The source is missing or unreadable, holds no usable post, or has more
            bad lines than `source.max_bad_lines`.
    """
    config = context.config
    path = source_path(config.source.path)
    domain_of = {
        subreddit.lower(): domain
        for domain, subreddits in config.domains.items()
        for subreddit in subreddits
    }
    rows, dropped, bad = [], [], 0
    with task("lines", total=0) as progress:
        for item in read_dump(
            path, domain_of, html_escaped=config.source.html_escaped, limit=config.source.limit
        ):
            progress.advance()
            if not isinstance(item, BadLine):
                rows.append(item)
                continue
            bad += item.reason not in _NOT_OURS
            if bad > config.source.max_bad_lines:
                raise BadInputError(
                    f"{path}: line {item.line}: {item.reason} ({item.detail}); that is more than "
                    f"source.max_bad_lines = {config.source.max_bad_lines}; mend the file or "
                    "raise the limit"
                )
            dropped.append(
                schema.dropped_row(f"{path.name}:{item.line}", None, item.reason, item.detail)
            )
    if not rows:
        raise BadInputError(
            f"{path}: no post of the configured subreddits in {len(dropped)} lines; "
            f"compare [domains] in {config.file} with the file's 'subreddit' field"
        )
    entered = len(rows) + len(dropped)
    posts = schema.frame(rows, schema.POSTS).sort(
        pl.col("post_id"),
        pl.col("body").str.len_chars(),
        pl.col("score").fill_null(-(2**62)),
        *(pl.col(name) for name in schema.POSTS if name not in _PLACE),
        pl.col("source_line"),
        descending=[False, True, True, *[False] * (len(schema.POSTS) - len(_PLACE) + 1)],
        nulls_last=True,
    )
    first = posts["post_id"].is_first_distinct()
    for row in posts.filter(~first).iter_rows(named=True):
        detail = f"another snapshot of {row['post_id']} was kept"
        where = f"{row['source_file']}:{row['source_line']}"
        dropped.append(schema.dropped_row(where, row["domain"], "duplicate_id", detail))
    kept = posts.filter(first)
    gone = schema.frame(dropped, schema.DROPPED)
    return Result(
        tables={"posts": kept},
        dropped=gone,
        funnel=funnel.count("scrape", "line", entered, kept, gone),
    )
