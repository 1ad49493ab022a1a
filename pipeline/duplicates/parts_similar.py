"""Texts that share most of their words, in partitions: the pairs of pipeline/duplicates/lexical.py.

Texts, shingles and candidate pairs lie in files; a process holds a partition of them. The one that
leads holds numbers of each text, the pairs that are found, and the texts of a crowd while they are
compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from pipeline import schema
from pipeline.duplicates import lexical
from pipeline.duplicates.floors import Floors, Marks, Thresholds
from pipeline.duplicates.lexical import LONGER, Found
from pipeline.duplicates.parts_crowds import grouped, named
from pipeline.duplicates.parts_sets import (
    Numbers,
    Sets,
    Shared,
    Texts,
    bucket_of,
    matrix_of,
    shared,
    whole,
)
from pipeline.duplicates.prefixes import Crowd, met, prefixes
from pipeline.duplicates.sets import LEXICAL, Rows, portions
from pipeline.scale import BUCKET, LOCAL, Engine, Part, Spool

_PAIRS: schema.Schema = {"a": pl.UInt32(), "b": pl.UInt32()}
_PAIRS_AT_ONCE = 30_000  # each brings the shingles of a text along
_FEW_PAIRS = 1_000  # not worth more partitions

Test = Thresholds | Floors


@dataclass(frozen=True)
class _Candidates:
    """Pairs that must be measured, in files, and crowds.

    Attributes:
        pairs: Rows of _PAIRS, some of them more than once.
        better: How often each row is the better one.
        worse: How often each row is the other one.
        crowds: Texts of which every pair may be similar.
    """

    pairs: Spool
    better: Numbers
    worse: Numbers
    crowds: list[Crowd]

    def rows(self) -> Marks:
        """Return which rows are in pairs or crowds."""
        found = (self.better > 0) | (self.worse > 0)
        for crowd in self.crowds:
            found[crowd.rows] = True
        return found


def similar_in_parts(
    texts: Texts,
    wanted: Marks,
    shingle_words: int,
    least: Thresholds,
    enough: Thresholds,
    engine: Engine,
    folder: Path,
) -> Found:
    """Return what `lexical.similar` does, by rows of `texts`.

    Args:
        texts: All texts.
        wanted: Rows to be compared; no two have the same words.
        shingle_words: As there.
        least: As there.
        enough: As there.
        engine: Who does the work.
        folder: For files; not there yet.
    """
    exact = np.count_nonzero(wanted) <= lexical.EXACT_TEXTS
    words = shingle_words if exact else LONGER * shingle_words
    floors = Floors.of(least, shingle_words, words)
    shingled = shared(texts, wanted, words, engine, folder / "shared")
    found = _candidates(shingled, floors, texts, engine, folder / "met")
    sets = shingled.sets
    if not exact:
        some = list(_measured(found, sets, floors, engine, folder / "long"))
        found = _counted(some, found.crowds, len(texts.counts), folder / "sharing")
        sets = whole(texts, found.rows(), shingle_words, engine, folder / "short")
    measured = _measured(found, sets, least, engine, folder / "measured")
    crowded, aside = grouped(found.crowds, sets, least, enough, texts)
    pairs = pl.concat([pl.DataFrame(schema=LEXICAL), *measured, crowded]).unique()
    return Found(pairs.sort("a", "b"), aside)


def _candidates(
    shingled: Shared, floors: Floors, texts: Texts, engine: Engine, folder: Path
) -> _Candidates:
    parts = list(shingled.sets.parts)
    given = (shingled.by_hash, shingled.buckets, floors)
    crowds: list[Crowd] = []

    def pairs() -> Iterator[pl.DataFrame]:
        for some, crowded in engine.shuffle(
            "candidate pairs", _looked_up, parts, _meeting, shingled.buckets, *given
        ):
            crowds.extend(crowded)
            yield some

    return _counted(pairs(), crowds, len(texts.counts), folder)


def _counted(
    pairs: Iterator[pl.DataFrame] | Sequence[pl.DataFrame],
    crowds: list[Crowd],
    rows: int,
    folder: Path,
) -> _Candidates:
    spool = Spool(_PAIRS, folder)
    better, worse = np.zeros(rows, dtype=np.uint32), np.zeros(rows, dtype=np.uint32)
    for some in pairs:
        spool.add(some)
        for counts, name in ((better, "a"), (worse, "b")):
            number, count = np.unique(some[name].to_numpy(), return_counts=True)
            counts[number] += count.astype(np.uint32)
    return _Candidates(spool, better, worse, crowds)


def _looked_up(part: Part, _: object, buckets: int, floors: Floors) -> pl.DataFrame:
    """Return the shingles by which the texts of a part are found, or find others."""
    sets = part.read()
    sizes = sets["size"].to_numpy().astype(np.int64)
    common = sets["hashes"].list.len().to_numpy().astype(np.int64)
    inside, resembling = prefixes(sizes, common, floors)
    most = pl.max_horizontal("inside", "resembling")
    table = (
        sets.with_columns(inside=pl.Series(inside), resembling=pl.Series(resembling))
        .filter(most > 0)
        .with_columns(pl.col("hashes").list.head(most))
        .with_columns(at=pl.int_ranges(pl.col("hashes").list.len()))
        .explode("hashes", "at")
        .select(
            "row",
            "size",
            hash="hashes",
            inside=pl.col("at") < pl.col("inside"),
            resembling=pl.col("at") < pl.col("resembling"),
        )
    )
    return table.with_columns(pl.Series(BUCKET, bucket_of(table["hash"].to_numpy(), buckets)))


def _meeting(
    asking: pl.DataFrame, by_hash: dict[int, Part], buckets: int, floors: Floors
) -> tuple[pl.DataFrame, list[Crowd]]:
    """Return the pairs that meet in shingles of one partition, each once, and crowds."""
    bucket = int(bucket_of(asking["hash"][:1].to_numpy(), buckets)[0])
    of_contained = asking.filter("inside")
    bearing = by_hash[bucket].read().join(of_contained, on="hash", how="semi")
    keys, crowds = _met(of_contained, bearing)
    alike = asking.filter("resembling")
    more, larger = _met(alike, alike)
    sizes = alike.select("row", "size").unique().sort("row")
    rows, known = sizes["row"].to_numpy(), sizes["size"].to_numpy().astype(np.int64)
    first, second = (known[np.searchsorted(rows, k)] for k in (more >> 32, more & 0xFFFFFFFF))
    may = np.minimum(first, second) >= floors.jaccard.of(np.maximum(first, second))
    keys = np.union1d(keys, more[may])
    pairs = {"a": (keys >> 32).astype(np.uint32), "b": (keys & 0xFFFFFFFF).astype(np.uint32)}
    return pl.DataFrame(pairs, schema=_PAIRS), crowds + larger


def _met(asking: pl.DataFrame, bearing: pl.DataFrame) -> tuple[Rows, list[Crowd]]:
    """Return pairs of rows as keys, and crowds; see `prefixes.met`."""
    rows = np.unique(np.concatenate([asking["row"].to_numpy(), bearing["row"].to_numpy()]))
    hashes = np.unique(bearing["hash"].to_numpy())

    def matrix(table: pl.DataFrame) -> csr_array:
        row = np.searchsorted(rows, table["row"].to_numpy())
        column = np.searchsorted(hashes, table["hash"].to_numpy())
        ones = np.ones(table.height, dtype=np.int8)
        return csr_array((ones, (row, column)), shape=(max(1, len(rows)), max(1, len(hashes))))

    keys, crowds = met(matrix(asking), matrix(bearing), LOCAL)
    numbers = rows.astype(np.int64)
    pairs = numbers[keys >> 32] << 32 | numbers[keys & 0xFFFFFFFF]
    return pairs, [Crowd(rows[crowd.rows], rows[crowd.asking]) for crowd in crowds]


def _measured(
    found: _Candidates, sets: Sets, test: Test, engine: Engine, folder: Path
) -> Iterator[pl.DataFrame]:
    """Yield rows of LEXICAL that reach thresholds, or the pairs that share what floors ask."""
    parts = found.pairs.parts()
    if not parts:
        return
    borders = _borders(found.worse, engine)
    once = engine.shuffle("pairs", _to_worse, parts, _once, len(borders), borders)
    unique = _counted(once, [], len(found.worse), folder)
    borders = _borders(unique.better, engine)
    yield from engine.shuffle(
        "pairs measured",
        _with_sets,
        unique.pairs.parts(),
        _in_common,
        len(borders),
        borders,
        sets,
        test,
    )


def _borders(counts: Numbers, engine: Engine) -> Rows:
    """Return the rows at which partitions of like many pairs begin."""
    total = int(counts.sum(dtype=np.int64))
    most = max(_FEW_PAIRS, min(_PAIRS_AT_ONCE, total // engine.partitions + 1))
    starts = [start for start, _ in portions(counts.astype(np.int64), most)]
    return np.array(starts, dtype=np.int64)


def _to_worse(part: Part, borders: Rows) -> pl.DataFrame:
    pairs = part.read()
    return pairs.with_columns(_place(pairs["b"], borders))


def _once(pairs: pl.DataFrame, _: Rows) -> pl.DataFrame:
    return pairs.unique().sort("a", "b")


def _place(rows: pl.Series, borders: Rows) -> pl.Series:
    place = np.searchsorted(borders, rows.to_numpy(), side="right") - 1
    return pl.Series(BUCKET, place.astype(np.int32))


def _with_sets(part: Part, borders: Rows, sets: Sets, _: Test) -> pl.DataFrame:
    """Return pairs by their better texts, with the shingles of the others, which are shorter."""
    pairs = part.read()
    known = sets.of(np.unique(pairs["b"].to_numpy()))
    grouped = pairs.with_columns(_place(pairs["a"], borders)).group_by(BUCKET, "b").agg("a")
    return grouped.join(known, left_on="b", right_on="row")


def _in_common(asked: pl.DataFrame, _: Rows, sets: Sets, test: Test) -> pl.DataFrame:
    pairs = asked.select("a", "b").explode("a", empty_as_null=False).sort("a", "b")
    better = sets.of(np.unique(pairs["a"].to_numpy()))
    worse = asked.select("size", "hashes", row="b").select(better.columns)
    every = pl.concat([better, worse]).unique("row").sort("row")
    local = matrix_of(every, better["hashes"].explode(empty_as_null=False).unique())
    rows = every["row"].to_numpy()
    a, b = (np.searchsorted(rows, pairs[name].to_numpy()) for name in ("a", "b"))
    if isinstance(test, Floors):
        return pairs.filter(pl.Series(local.sharing(a, b, test)))
    return named(local.measured(a, b, test), rows)
