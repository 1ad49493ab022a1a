"""Stage scrape: every line of the source ends as one post or as one counted reason."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import funnel, schema, tombstones
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.paths import source_path
from pipeline.progress import task
from pipeline.scale import BUCKET, Part, Spool
from pipeline.sources.authors import Authors, author_key
from pipeline.sources.dump import dump_lines, read_dump, read_lines
from pipeline.sources.export import kind_of, read_export
from pipeline.sources.mapping import load_mapping, load_mappings
from pipeline.sources.post import ERROR, BadLine, Wanted
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
    path = source_path(context.config.source.path)
    dump = not context.config.source.mapping and kind_of(path) not in {".csv", ".tsv"}
    if context.engine.partitions > 1 and dump:
        return _run_in_parts(context)
    found = read_posts([path], context.config)
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
    authors = Authors(author_key(config.source.author_key_env))
    wanted = _wanted(config, authors, all_subreddits)
    posts, dropped, limits = _Rows(schema.POSTS), _Rows(schema.DROPPED), _Limits(config)
    with task("lines", total=0) as progress:
        for path in paths:
            for item in _read(path, config, wanted):
                progress.advance()
                if not isinstance(item, BadLine):
                    posts.add(item)
                    continue
                lost_row = _lost_row(path.name, item)
                limits.count(path, item.line, item.reason, str(lost_row["detail"]))
                dropped.add(lost_row)
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


def _wanted(config: Config, authors: Authors, all_subreddits: bool = False) -> Wanted:
    domain_of = {
        subreddit.lower(): domain
        for domain, subreddits in config.domains.items()
        for subreddit in subreddits
    }
    return Wanted(domain_of, config.source.html_escaped, all_subreddits, authors)


def _lost_row(name: str, line: BadLine) -> dict[str, str | None]:
    found = schema.dropped_row(f"{name}:{line.line}", None, line.reason, line.detail)
    return found | {"outcome": "failed"} if line.reason == ERROR else found


@dataclass
class _Limits:
    """Lines that gave no post: not more of them than the configuration allows."""

    config: Config
    bad: int = 0
    blank: int = 0

    def count(self, path: Path, line: int, reason: str, detail: str) -> None:
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


# In partitions: lines are read as they come, rows then go to the partition of their post id.


@dataclass(frozen=True)
class _Lines:
    """Lines of a dump that follow each other."""

    name: str
    first: int
    lines: list[bytes | BadLine]


@dataclass(frozen=True)
class _Read:
    """What lines gave: posts, rows of schema.DROPPED in order, and authors."""

    posts: pl.DataFrame
    lost: pl.DataFrame
    hashed: int
    without_key: int


def _run_in_parts(context: Context) -> Result:
    """Do what `run` does, and hold one partition at a time."""
    config, engine = context.config, context.engine
    path = source_path(config.source.path)
    rows, lost = context.spool("lines", schema.POSTS), context.spool("lost", schema.DROPPED)
    limits = _Limits(config)
    authors = Authors(author_key(config.source.author_key_env))
    wanted = _wanted(config, authors)
    for read in engine.map("read", _read_lines, _Chunks(path, config), wanted):
        for where, reason, detail in read.lost.select("id", "reason", "detail").iter_rows():
            limits.count(path, int(where.rpartition(":")[2]), reason, detail)
        authors.hashed += read.hashed
        authors.without_key += read.without_key
        rows.add(read.posts)
        lost.add(read.lost)
    if not rows.height:
        raise BadInputError(_no_post([path], config, lost.lazy().collect()))
    entered = rows.height + lost.height
    kept, others = context.spool("posts", schema.POSTS), context.spool("others", schema.DROPPED)
    gone = context.spool("gone", schema.DROPPED)
    borders = _borders(rows, engine.partitions)
    stones = Path(config.source.tombstones).resolve()
    sorted_out = engine.shuffle(
        "sort", _by_id, rows.parts(), _one_each_part, len(borders) + 1, borders, stones
    )
    for some, snapshots, stoned in sorted_out:
        kept.add(some)
        others.add(snapshots)
        gone.add(stoned)
    for frame in chain(others.frames(), gone.frames()):
        lost.add(frame)
    return Result(
        tables={"posts": kept.table()},
        dropped=lost.table(),
        funnel=funnel.count("scrape", "line", entered, kept.lazy(), lost.lazy()),
        notes=_notes(authors, config),
    )


class _Chunks(Iterable[_Lines]):
    """The lines of a dump, some at a time."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path, self._limit = path, config.source.limit

    def __iter__(self) -> Iterator[_Lines]:
        first, lines = 1, dump_lines(self._path, self._limit)
        while some := list(islice(lines, _CHUNK)):
            yield _Lines(self._path.name, first, some)
            first += len(some)


def _read_lines(some: _Lines, wanted: Wanted) -> _Read:
    authors = Authors(wanted.authors.key)
    here = dataclasses.replace(wanted, authors=authors)
    posts, lost = _Rows(schema.POSTS), _Rows(schema.DROPPED)
    for item in read_lines(some.lines, some.name, some.first, here):
        if isinstance(item, BadLine):
            lost.add(_lost_row(some.name, item))
        else:
            posts.add(item)
    return _Read(posts.frame(), lost.frame(), authors.hashed, authors.without_key)


def _borders(rows: Spool, count: int) -> list[str]:
    """Return the post ids at which partitions of like size begin, the first one left out."""
    ids = rows.lazy().select("post_id").collect().to_series().sort()
    places = [len(ids) * k // count for k in range(1, count)]
    return sorted(set(ids.gather(places).to_list()) - {ids[0]})


def _by_id(part: Part, borders: list[str], _: Path) -> pl.DataFrame:
    posts = part.read()
    place = pl.Series(borders, dtype=pl.String).search_sorted(posts["post_id"], side="right")
    return posts.with_columns(pl.Series(BUCKET, place).cast(pl.Int32))


def _one_each_part(
    posts: pl.DataFrame, _: list[str], stones: Path
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    kept, others = one_each(posts)
    kept, stoned = _without_tombstoned(kept, stones)
    return kept, others, stoned
