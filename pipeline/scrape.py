"""Stage scrape: every line of the source ends as one post or as one counted reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import funnel, schema, tombstones
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.paths import source_path
from pipeline.progress import task
from pipeline.sources.authors import Authors, author_key
from pipeline.sources.dump import read_dump
from pipeline.sources.export import kind_of, read_export
from pipeline.sources.mapping import load_mapping, load_mappings
from pipeline.sources.post import BadLine, Wanted
from pipeline.stage import Context, Result

_PLACE = ("source_file", "source_line")
_NOT_OURS = frozenset({"other_subreddit", "comment", "blank_line"})  # fine lines, not wanted here
_CHUNK = 10_000  # rows that are held as Python objects


@dataclass(frozen=True)
class Reading:
    """What files gave.

    Attributes:
        posts: Rows of schema.POSTS, one a post id, sorted by it.
        dropped: Rows of schema.DROPPED: every line that gave no post, then the snapshots of posts
            of which another one was kept, then the posts that have a tombstone.
        entered: Lines read.
        notes: Authors with and without a hash, and warnings; plain data.
    """

    posts: pl.DataFrame
    dropped: pl.DataFrame
    entered: int
    notes: Mapping[str, object]

    def aside(self) -> pl.DataFrame:
        """Return what was dropped by file and reason: number of lines, first line, its detail."""
        place = pl.col("id").str.extract_groups(r"^(?<file>(?s:.*)):(?<line>\d+)$")
        return (
            self.dropped.select(place.alias("place"), "reason", "detail")
            .unnest("place")
            .with_columns(pl.col("line").cast(pl.Int64))
            .sort("file", "line")
            .group_by("file", "reason", maintain_order=True)
            .agg(pl.len(), pl.col("line").first(), pl.col("detail").first())
        )


def run(context: Context) -> Result:
    """Read the source into `posts`, one row a post id.

    Raises:
        BadInputError: See `read_posts`.
    """
    found = read_posts([source_path(context.config.source.path)], context.config)
    return Result(
        tables={"posts": found.posts},
        dropped=found.dropped,
        funnel=funnel.count("scrape", "line", found.entered, found.posts, found.dropped),
        notes=found.notes,
    )


def read_posts(paths: Sequence[Path], config: Config, *, all_subreddits: bool = False) -> Reading:
    """Read dumps, or exports if `source.mapping` names a mapping.

    Of several snapshots of one post the one with the longest body stays, then the one with the
    highest score; what is still equal is decided by content, and only copies by their place. So
    the order of the files does not matter.

    Args:
        paths: Files of different names, all read in the same way.
        config: Its [source], except `path`, and its [domains].
        all_subreddits: Keep posts of other subreddits too; they have no domain.

    Raises:
        BadInputError: A file is missing, unreadable or lacks a column of the mapping, or they hold
            no usable post, or more bad lines than `source.max_bad_lines`.
    """
    names = Counter(path.name for path in paths)
    for path in paths:
        if names[path.name] > 1:
            raise BadInputError(
                f"{path}: {names[path.name]} of the files have this name; rename all but one, "
                "since the lines that are set aside are named by it"
            )
    domain_of = {
        subreddit.lower(): domain
        for domain, subreddits in config.domains.items()
        for subreddit in subreddits
    }
    authors = Authors(author_key(config.source.author_key_env))
    wanted = Wanted(domain_of, config.source.html_escaped, all_subreddits, authors)
    posts, dropped = _Rows(schema.POSTS), _Rows(schema.DROPPED)
    bad, blank, unit = 0, 0, "row" if config.source.mapping else "line"
    with task("lines", total=0) as progress:
        for path in paths:
            for item in _read(path, config, wanted):
                progress.advance()
                if not isinstance(item, BadLine):
                    posts.add(item)
                    continue
                bad += item.reason not in _NOT_OURS
                blank += item.reason == "blank_line"  # a few are fine; a file of them is not
                if max(bad, blank) > config.source.max_bad_lines:
                    raise BadInputError(
                        f"{path}: {unit} {item.line}: {item.reason} ({item.detail}); that is more "
                        f"than source.max_bad_lines = {config.source.max_bad_lines}; mend the "
                        "file or raise the limit"
                    )
                where = f"{path.name}:{item.line}"
                dropped.add(schema.dropped_row(where, None, item.reason, item.detail))
    every, lost = posts.frame(), dropped.frame()
    if every.is_empty():
        raise BadInputError(_no_post(paths, config, lost))
    kept, others = one_each(every)
    kept, taken_back = _without_tombstoned(kept, Path(config.source.tombstones))
    return Reading(
        posts=kept,
        dropped=pl.concat([lost, others, taken_back]),
        entered=every.height + lost.height,
        notes=_notes(authors, config),
    )


@dataclass
class _Rows:
    """Rows on their way into a table; few of them are Python objects at any time."""

    schema: schema.Schema
    waiting: list[Mapping[str, Any]] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        self.waiting.append(row)
        if len(self.waiting) == _CHUNK:
            self._pack()

    def frame(self) -> pl.DataFrame:
        self._pack()
        return pl.concat(self.frames)

    def _pack(self) -> None:
        self.frames.append(schema.frame(self.waiting, self.schema))
        self.waiting = []


def _read(path: Path, config: Config, wanted: Wanted) -> Iterator[dict[str, Any] | BadLine]:
    source = config.source
    if source.mapping:
        return read_export(path, load_mapping(source.mapping), wanted, source.limit)
    if kind_of(path) in {".csv", ".tsv"}:
        raise BadInputError(
            f"{path}: is an export; say by source.mapping (or --mapping) what its columns are, one "
            f"of {', '.join(load_mappings())}"
        )
    return read_dump(path, wanted, source.limit)


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


def _without_tombstoned(posts: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
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


def _notes(authors: Authors, config: Config) -> dict[str, object]:
    warnings = []
    if authors.without_key:
        variable = config.source.author_key_env or "source.author_key_env"
        warnings.append(
            f"{authors.without_key:,} posts name their author, and {variable} is not set: no "
            "author hash is kept (docs/sources.md)"
        )
    counts = {"hashed": authors.hashed, "without_key": authors.without_key}
    return {"authors": counts, "warnings": warnings}


def _no_post(paths: Sequence[Path], config: Config, lost: pl.DataFrame) -> str:
    files = ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
    reasons = Counter(lost["reason"])
    counted = ", ".join(f"{reason} {n:,}" for reason, n in reasons.most_common())
    remedy = (
        f"compare [domains] in {config.file} with the subreddits in the file"
        if set(reasons) <= _NOT_OURS
        else "look at its first lines: it may be no dump, or need another source.mapping"
    )
    return (
        f"{files}: no post of the configured subreddits in {lost.height} lines ({counted}); "
        f"{remedy}"
    )
