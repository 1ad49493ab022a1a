"""Invented posts as a dump: `python -m benchmarks.engine_posts COUNT OUT.ndjson`.

The posts of `dedup_posts` (near-duplicates among them), one a line, as a Reddit dump holds them:
`--posts FILE.parquet`, what `ingest` writes, makes them of real ones. Without it their words are
invented, and each begins with English ones, so that it passes for English.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from benchmarks.dedup_posts import Source, chunks, number_of

SUBREDDITS = ("careerguidance", "personalfinance", "GradSchool", "relationships", "AmItheAsshole")
ENGLISH = "Should I do this? My sister and he were not there when they told me what it is, and now "
_BEGUN = 1_600_000_000


def write(path: Path, count: int, posts: Path | None = None, seed: str = "engines") -> None:
    """Write `count` posts; a smaller dump is the beginning of a larger one."""
    number = number_of(seed)
    source = Source.of(posts, number)
    names = pl.Series(SUBREDDITS)
    with path.open("wb") as out:
        for chunk in chunks(source, count, number):
            place = chunk["source_line"]
            body = pl.col("body") if posts else pl.lit(ENGLISH) + pl.col("body")
            chunk.select(
                id="post_id",
                subreddit=names.gather(place % len(names)),
                title="title",
                selftext=body,
                created_utc=_BEGUN + place,
                score="score",
                author=pl.lit("author") + (place % 997).cast(pl.String),
            ).write_ndjson(out)


def main() -> None:
    """Write a dump."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--posts", type=Path, help="from `ingest`; without it they are invented")
    arguments = parser.parse_args()
    write(arguments.out, arguments.count, arguments.posts)


if __name__ == "__main__":
    main()
