"""Reading dumps and exports: every line ends as one post or as one counted reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.progress import task
from pipeline.sources.authors import Authors, author_key
from pipeline.sources.dump import read_dump
from pipeline.sources.export import kind_of, read_export
from pipeline.sources.mapping import load_mapping, load_mappings
from pipeline.sources.post import ERROR, BadLine, Wanted
from pipeline.sources.snapshots import one_each, without_tombstoned

_NOT_OURS = frozenset({"other_subreddit", "comment", "blank_line"})  # fine lines, not wanted here
CHUNK = 10_000
"""Rows that are held as Python objects."""


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
    authors = Authors(author_key(config.source.author_key_env))
    wanted = wanted_of(config, authors, all_subreddits)
    posts, dropped, limits = Rows(schema.POSTS), Rows(schema.DROPPED), Limits(config)
    with task("lines", total=0) as progress:
        for path in paths:
            for item in _read(path, config, wanted):
                progress.advance()
                if not isinstance(item, BadLine):
                    posts.add(item)
                    continue
                lost = lost_row(path.name, item)
                limits.count(path, item.line, item.reason, str(lost["detail"]))
                dropped.add(lost)
    every, set_aside = posts.frame(), dropped.frame()
    if every.is_empty():
        raise BadInputError(no_post(paths, config, set_aside))
    kept, others = one_each(every)
    kept, taken_back = without_tombstoned(kept, Path(config.source.tombstones))
    return Reading(
        posts=kept,
        dropped=pl.concat([set_aside, others, taken_back]),
        entered=every.height + set_aside.height,
        notes=notes_of(authors, config),
    )


def wanted_of(config: Config, authors: Authors, all_subreddits: bool = False) -> Wanted:
    """Return which posts are wanted: those of the configured subreddits, or all."""
    domain_of = {
        subreddit.lower(): domain
        for domain, subreddits in config.domains.items()
        for subreddit in subreddits
    }
    return Wanted(domain_of, config.source.html_escaped, all_subreddits, authors)


def lost_row(name: str, line: BadLine) -> dict[str, str | None]:
    """Return the row of schema.DROPPED for a line of the file `name` that gave no post."""
    found = schema.dropped_row(f"{name}:{line.line}", None, line.reason, line.detail)
    return found | {"outcome": "failed"} if line.reason == ERROR else found


@dataclass
class Limits:
    """Lines that gave no post: not more of them than the configuration allows."""

    config: Config
    bad: int = 0
    blank: int = 0

    def count(self, path: Path, line: int, reason: str, detail: str) -> None:
        """Count one line.

        Raises:
            BadInputError: It is one too many.
        """
        self.bad += reason not in _NOT_OURS
        self.blank += reason == "blank_line"  # a few are fine; a file of them is not
        most = self.config.source.max_bad_lines
        if max(self.bad, self.blank) > most:
            unit = "row" if self.config.source.mapping else "line"
            raise BadInputError(
                f"{path}: {unit} {line}: {reason} ({detail}); that is more than "
                f"source.max_bad_lines = {most}; mend the file or raise the limit"
            )


@dataclass
class Rows:
    """Rows on their way into a table; few of them are Python objects at any time."""

    schema: schema.Schema
    waiting: list[Mapping[str, Any]] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row."""
        self.waiting.append(row)
        if len(self.waiting) == CHUNK:
            self._pack()

    def frame(self) -> pl.DataFrame:
        """Return all rows as one table."""
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


def notes_of(authors: Authors, config: Config) -> dict[str, object]:
    """Return what a manifest notes of authors: counts, and a warning if there is no key."""
    warnings = []
    if authors.without_key:
        variable = config.source.author_key_env or "source.author_key_env"
        warnings.append(
            f"{authors.without_key:,} posts name their author, and {variable} is not set: no "
            "author hash is kept (docs/sources.md)"
        )
    counts = {"hashed": authors.hashed, "without_key": authors.without_key}
    return {"authors": counts, "warnings": warnings}


def no_post(paths: Sequence[Path], config: Config, lost: pl.DataFrame) -> str:
    """Return the message for files that hold no usable post, from the rows that were set aside."""
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
