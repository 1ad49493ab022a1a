"""Stage scrape: every line of the source ends as one post or as one counted reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import polars as pl

from pipeline import funnel, schema
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.paths import source_path
from pipeline.scale import BUCKET, Part, Spool
from pipeline.sources.authors import Authors, author_key
from pipeline.sources.dump import dump_lines, read_lines
from pipeline.sources.export import kind_of
from pipeline.sources.post import BadLine, Wanted
from pipeline.sources.read import (
    CHUNK,
    Limits,
    Rows,
    lost_row,
    no_post,
    notes_of,
    read_posts,
    wanted_of,
)
from pipeline.sources.snapshots import one_each, without_tombstoned
from pipeline.stage import Context, Result


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
    limits = Limits(config)
    authors = Authors(author_key(config.source.author_key_env))
    wanted = wanted_of(config, authors)
    for read in engine.map("read", _read_lines, _Chunks(path, config), wanted):
        for where, reason, detail in read.lost.select("id", "reason", "detail").iter_rows():
            limits.count(path, int(where.rpartition(":")[2]), reason, detail)
        authors.hashed += read.hashed
        authors.without_key += read.without_key
        rows.add(read.posts)
        lost.add(read.lost)
    if not rows.height:
        raise BadInputError(no_post([path], config, lost.lazy().collect()))
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
        notes=notes_of(authors, config),
    )


class _Chunks(Iterable[_Lines]):
    """The lines of a dump, some at a time."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path, self._limit = path, config.source.limit

    def __iter__(self) -> Iterator[_Lines]:
        first, lines = 1, dump_lines(self._path, self._limit)
        while some := list(islice(lines, CHUNK)):
            yield _Lines(self._path.name, first, some)
            first += len(some)


def _read_lines(some: _Lines, wanted: Wanted) -> _Read:
    authors = Authors(wanted.authors.key)
    here = dataclasses.replace(wanted, authors=authors)
    posts, lost = Rows(schema.POSTS), Rows(schema.DROPPED)
    for item in read_lines(some.lines, some.name, some.first, here):
        if isinstance(item, BadLine):
            lost.add(lost_row(some.name, item))
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
    kept, stoned = without_tombstoned(kept, stones)
    return kept, others, stoned
