"""Shingle sets of texts in partitions: made by hash, kept by row, in files.

What pipeline/duplicates/sets.py holds as one sparse matrix lies here in Parquet files, each with
texts that follow each other by rank. A process reads those of the texts that it is at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from pipeline import schema
from pipeline.duplicates.floors import Marks
from pipeline.duplicates.sets import Rows, ShingleSets, at_most, heaps_of
from pipeline.duplicates.shingles import shingles
from pipeline.scale import BUCKET, Engine, Part, Spool

_SHARED: schema.Schema = {"row": pl.UInt32(), "hash": pl.UInt64(), "bearers": pl.UInt32()}
_SETS: schema.Schema = {"row": pl.UInt32(), "size": pl.UInt32(), "hashes": pl.List(pl.UInt64())}

Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Texts:
    """Texts in files, by rank.

    Attributes:
        parts: Files with a column `words`; rows follow each other from file to file.
        firsts: First row of each file.
        counts: Words of each row; 0 for a row without a text.
    """

    parts: tuple[Part, ...]
    firsts: Rows
    counts: Numbers

    def of(self, wanted: Marks) -> Iterator[tuple[Part, int, Marks]]:
        """Yield the files with rows that are wanted: the first row, and which ones are."""
        for part, first in zip(self.parts, self.firsts.tolist(), strict=True):
            here = wanted[first : first + part.rows]
            if here.any():
                yield part, first, here

    def range_of(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
        """Return the number of the file of each row."""
        return (np.searchsorted(self.firsts, rows, side="right") - 1).astype(np.int32)


@dataclass(frozen=True)
class Sets:
    """Shingle sets in files.

    Attributes:
        parts: Files with columns row, size and hashes, sorted by row, also among each other.
        firsts: First row of each file.
    """

    parts: tuple[Part, ...]
    firsts: Rows

    def of(self, rows: Numbers) -> pl.DataFrame:
        """Return the sets of some rows, sorted; `rows` are sorted and stand once."""
        if not len(rows):
            return pl.DataFrame(schema=_SETS)
        place = np.searchsorted(self.firsts, rows, side="right") - 1
        wanted = pl.DataFrame({"row": rows}, schema={"row": pl.UInt32})
        some = pl.col("row").is_between(int(rows[0]), int(rows[-1]))
        found = pl.DataFrame(schema=_SETS)
        for k in np.unique(place).tolist():  # one file at a time
            sets = self.parts[k].scan().filter(some).collect()
            found = found.vstack(sets.join(wanted, on="row", how="semi"))
        return found.sort("row")


def matrix_of(sets: pl.DataFrame, columns: pl.Series | None = None) -> ShingleSets:
    """Return rows of _SETS as a matrix, row by row.

    Args:
        sets: Rows of _SETS.
        columns: The shingles that count, each once; None for all.
    """
    lengths = sets["hashes"].list.len()
    borne = pl.DataFrame(
        {
            "place": np.repeat(np.arange(sets.height, dtype=np.int32), lengths.to_numpy()),
            "hash": sets["hashes"].explode(empty_as_null=False).cast(pl.UInt64),
        }
    )
    known = borne["hash"].unique() if columns is None else columns
    numbers = pl.DataFrame({"hash": known}).with_columns(
        column=pl.int_range(pl.len(), dtype=pl.Int32)
    )
    entries = borne.join(numbers, on="hash")
    ones = np.ones(entries.height, dtype=np.int8)
    places = (entries["place"].to_numpy(), entries["column"].to_numpy())
    matrix = csr_array((ones, places), shape=(sets.height, max(1, len(known))))
    return ShingleSets(matrix, sets["size"].to_numpy().astype(np.int64))


def bucket_of(hashes: npt.NDArray[np.uint64], buckets: int) -> npt.NDArray[np.int32]:
    """Return the partition of each shingle."""
    return ((hashes >> np.uint64(32)) % np.uint64(buckets)).astype(np.int32)


@dataclass(frozen=True)
class Shared:
    """Shingles that stand in several texts, by hash and by row.

    Attributes:
        by_hash: Files with columns row, hash and bearers, by the partition of the hash.
        buckets: Partitions of hashes.
        sets: The same by row, the rarest shingle of a text first.
    """

    by_hash: dict[int, Part]
    buckets: int
    sets: Sets


def shared(texts: Texts, wanted: Marks, words: int, engine: Engine, folder: Path) -> Shared:
    """Return the shingles of `words` words of the rows that are wanted.

    Args:
        texts: All texts.
        wanted: Rows to be compared; no two have the same words.
        words: Words a shingle.
        engine: Who does the work.
        folder: For files; not there yet.
    """
    buckets = engine.partitions
    sizes = np.where(wanted, at_most(texts.counts.astype(np.int64), words), 0).astype(np.uint32)
    spool, by_hash = Spool(_SHARED, folder / "hash"), {}
    met = engine.shuffle(
        "shingles", _cut, list(texts.of(wanted)), _met_again, buckets, words, buckets
    )
    for frame, repeated in met:
        np.subtract.at(sizes, repeated, np.uint32(1))
        spool.add(frame)
        if frame.height:
            by_hash[int(bucket_of(frame["hash"][:1].to_numpy(), buckets)[0])] = spool.parts()[-1]
    heaps = heaps_of(texts.counts[wanted].astype(np.int64))
    found = _by_row(list(by_hash.values()), texts, sizes, heaps, engine, folder / "row")
    return Shared(by_hash, buckets, found)


def whole(texts: Texts, wanted: Marks, words: int, engine: Engine, folder: Path) -> Sets:
    """Return the sets of the rows that are wanted, shingles of one text alone among them."""
    items = list(texts.of(wanted))
    return _kept(engine.map("shingles of candidates", _whole, items, words), folder)


def _by_row(
    parts: list[Part], texts: Texts, sizes: Numbers, heaps: int, engine: Engine, folder: Path
) -> Sets:
    ranges = len(texts.parts)
    return _kept(
        engine.shuffle("shingle sets", _to_row, parts, _rarest_first, ranges, texts, sizes, heaps),
        folder,
    )


def _kept(frames: Iterator[pl.DataFrame], folder: Path) -> Sets:
    spool, firsts = Spool(_SETS, folder), []
    for frame in frames:
        spool.add(frame)
        firsts += frame["row"][:1].to_list()
    return Sets(tuple(spool.parts()), np.array(firsts, dtype=np.int64))


def _shingled(item: tuple[Part, int, Marks], words: int) -> tuple[Numbers, npt.NDArray[np.uint64]]:
    part, first, wanted = item
    texts = part.scan().select("words").collect().to_series().filter(pl.Series(wanted))
    places, hashes = shingles(texts, words)
    rows = (np.flatnonzero(wanted) + first).astype(np.uint32)
    return rows[places], hashes


def _cut(item: tuple[Part, int, Marks], words: int, buckets: int) -> pl.DataFrame:
    rows, hashes = _shingled(item, words)
    return pl.DataFrame({"row": rows, "hash": hashes, BUCKET: bucket_of(hashes, buckets)})


def _met_again(shingled: pl.DataFrame, *_: int) -> tuple[pl.DataFrame, Numbers]:
    """Return rows of _SHARED, and the rows of shingles that one text repeats."""
    ordered = shingled["hash"].sort()
    several = ordered.filter(ordered == ordered.shift()).unique()
    table = shingled.join(several.to_frame(), on="hash", how="semi").sort("hash", "row")
    again = (table["hash"] == table["hash"].shift()) & (table["row"] == table["row"].shift())
    again = again.fill_null(value=False)
    once = table.filter(~again).with_columns(bearers=pl.len().over("hash").cast(pl.UInt32))
    borne = once.filter(pl.col("bearers") > 1).select(_SHARED.keys())
    return borne, table["row"].filter(again).to_numpy()


def _to_row(part: Part, texts: Texts, *_: object) -> pl.DataFrame:
    frame = part.read()
    return frame.with_columns(pl.Series(BUCKET, texts.range_of(frame["row"].to_numpy())))


def _rarest_first(frame: pl.DataFrame, _: Texts, sizes: Numbers, heaps: int) -> pl.DataFrame:
    """Return rows of _SETS; equally rare shingles stand as in the matrix of all texts."""
    heap = heaps - 1 - (pl.col("hash") % heaps).cast(pl.Int64)
    hashes = frame.sort("row", "bearers", heap, "hash").group_by("row", maintain_order=True)
    found = hashes.agg(hashes="hash")
    size = pl.Series("size", sizes[found["row"].to_numpy()])
    return found.with_columns(size).select(_SETS.keys())


def _whole(item: tuple[Part, int, Marks], words: int) -> pl.DataFrame:
    rows, hashes = _shingled(item, words)
    once = pl.DataFrame({"row": rows, "hash": hashes}).unique()
    found = once.group_by("row").agg(hashes="hash").sort("row")
    size = pl.col("hashes").list.len().cast(pl.UInt32)
    return found.with_columns(size=size).select(_SETS.keys())
