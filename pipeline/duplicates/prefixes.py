"""Pairs of texts that may be similar, by the rarest of their shingles.

Let a text have n shingles, sorted from the rarest. If it shares at least c of them with another
text, one of its first n - c + 1 is among the shared ones. Shingles that stand in one text alone
come first and match nothing, so that most texts of a real corpus have little left to look up.
Nothing is missed, which MinHash cannot say, and the rare shingles have few bearers, which makes it
faster than MinHash too (see benchmarks/).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from pipeline.duplicates.bags import Bags, Rows
from pipeline.duplicates.floors import Floors
from pipeline.duplicates.shingles import shingles

_TEXTS_AT_ONCE = 50_000
_WORDS_AT_ONCE = 5_000_000
_SHINGLES_A_PART = 20_000_000
_LARGEST_GROUP = 1_000  # texts that share one rare shingle; more of them are a crowd


@dataclass(frozen=True)
class Crowd:
    """Many texts that share a rare shingle: filled-in forms, bots, signatures.

    Attributes:
        rows: The texts, the best first.
        asking: Those of them for which this shingle decides; only they must be compared.
        shingle: Its hash.
    """

    rows: Rows
    asking: Rows
    shingle: int

    def at(self, rows: Rows) -> Crowd:
        """Return the crowd by the places of its texts in `rows`."""
        everyone, asking = (np.searchsorted(rows, some) for some in (self.rows, self.asking))
        return Crowd(everyone, asking, self.shingle)


@dataclass(frozen=True)
class Candidates:
    """What must be measured.

    Attributes:
        pairs: Different pairs of rows, a below b.
        crowds: Texts of which every pair may be similar.
    """

    pairs: pl.DataFrame
    crowds: list[Crowd]

    def rows(self) -> Rows:
        """Return the texts in pairs and crowds, sorted."""
        members = [self.pairs["a"].to_numpy(), self.pairs["b"].to_numpy()]
        members += [crowd.rows for crowd in self.crowds]
        return np.asarray(np.unique(np.concatenate(members)), dtype=np.int64)


@dataclass(frozen=True)
class Index:
    """Shingles that stand in several texts, in parts by their hash.

    Attributes:
        parts: Tables of row, hash and df (texts that bear the shingle), sorted by row.
        sizes: Shingles of each row, those of one text alone included.
        alone: Shingles of each row that no other one has.
    """

    parts: list[pl.DataFrame]
    sizes: Rows
    alone: Rows

    @classmethod
    def of(cls, texts: pl.Series, shingle_words: int) -> Index:
        """Return the shingles of `texts`."""
        counts = texts.str.count_matches(" ").to_numpy().astype(np.int64) + 1
        heaps = [_Heap() for _ in range(1 + int(counts.sum()) // _SHINGLES_A_PART)]
        sizes = np.zeros(len(texts), dtype=np.int64)
        for start, end in _portions(counts, _WORDS_AT_ONCE):
            rows, hashes = shingles(texts[start:end], shingle_words, start)
            sizes += np.bincount(rows, minlength=len(texts))
            place = hashes % np.uint64(len(heaps))
            for k, heap in enumerate(heaps):
                heap.add(rows[place == k], hashes[place == k])
        parts = []
        borne = np.zeros(len(texts), dtype=np.int64)
        while heaps:
            part, again = heaps.pop().common()
            sizes -= np.bincount(again, minlength=len(texts))
            borne += np.bincount(part["row"].to_numpy(), minlength=len(texts))
            parts.append(part)
        return cls(parts, sizes, sizes - borne)

    def bags(self) -> Bags:
        """Return the shingles as sets; those of one text alone are left out."""
        rows, columns, width = [], [], 0
        for part in self.parts:
            rank = part["hash"].rank("dense").to_numpy()
            rows.append(part["row"].to_numpy().astype(np.int32))
            columns.append((rank.astype(np.int64) - 1 + width).astype(np.int32))
            width += int(rank.max(initial=0))
        row, column = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(len(row), dtype=np.int32)
        return Bags(csr_array((ones, (row, column)), shape=(len(self.sizes), width)), self.sizes)

    def candidates(self, floors: Floors) -> Candidates:
        """Return all pairs of texts that may have as many shingles in common as `floors` asks."""
        found = _Finder(self.sizes, floors)
        for part, prefix in zip(self.parts, self._prefixes(floors), strict=True):
            found.contained(prefix.filter("contained"), part)
            found.resembling(prefix.filter("resembling"))
        return found.candidates()

    def _prefixes(self, floors: Floors) -> list[pl.DataFrame]:
        """Return, a part, the shingles of which similar texts share one.

        Columns are row, hash, df, resembling (both texts of a pair have it here) and contained (the
        shorter one has it here).
        """
        room = {
            "resembling": self._room(floors.jaccard.of(self.sizes)),
            "contained": np.where(
                self.sizes >= floors.inside, self._room(floors.containment.of(self.sizes)), 0
            ),
        }
        most = np.maximum(*room.values())
        chosen: list[list[pl.DataFrame]] = [[] for _ in self.parts]
        for start in range(0, len(self.sizes), _TEXTS_AT_ONCE):
            block = pl.concat(
                [
                    _between(part, start, start + _TEXTS_AT_ONCE).with_columns(part=pl.lit(k))
                    for k, part in enumerate(self.parts)
                ]
            )
            first = (
                block.with_columns(room=pl.Series(most[block["row"].to_numpy()]))
                .filter(pl.col("room") > 0)
                .sort("row", "df", "hash")
                .with_columns(place=pl.int_range(pl.len()).over("row"))
                .filter(pl.col("place") < pl.col("room"))
            )
            row = first["row"].to_numpy()
            first = first.with_columns(
                (first["place"] < pl.Series(some[row])).alias(name) for name, some in room.items()
            )
            for k, kept in enumerate(chosen):
                kept.append(first.filter(part=k).select("row", "hash", "df", *room))
        return [pl.concat(frames) for frames in chosen]

    def _room(self, common: Rows) -> Rows:
        """Return how many of each text's shingles must be looked up, if so many are common."""
        room: Rows = self.sizes - common + 1 - self.alone  # the rarest ones match nothing
        return room


@dataclass
class _Heap:
    """Shingles as they come, some of them more than once."""

    rows: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    hashes: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    def add(self, rows: npt.NDArray[np.uint32], hashes: npt.NDArray[np.uint64]) -> None:
        self.rows.append(rows)
        self.hashes.append(hashes)

    def common(self) -> tuple[pl.DataFrame, Rows]:
        """Return those of several texts, as a part of an index, and the rows of the repeated."""
        rows, hashes = np.concatenate(self.rows), np.concatenate(self.hashes)
        ordered = np.sort(hashes)
        several = pl.Series("hash", np.unique(ordered[1:][ordered[1:] == ordered[:-1]]))
        table = pl.DataFrame({"row": rows, "hash": hashes})
        table = table.join(several.to_frame(), on="hash", how="semi").sort("row", "hash")
        repeated = (table["row"] == table["row"].shift()) & (table["hash"] == table["hash"].shift())
        repeated = repeated.fill_null(value=False)
        part = table.filter(~repeated).with_columns(df=pl.len().over("hash"))
        return part.filter(pl.col("df") > 1), table["row"].filter(repeated).to_numpy()


@dataclass
class _Finder:
    """Collects candidates part by part."""

    sizes: Rows
    floors: Floors
    _pairs: list[pl.DataFrame] = field(default_factory=list)
    _crowds: list[Crowd] = field(default_factory=list)

    def contained(self, short: pl.DataFrame, part: pl.DataFrame) -> None:
        """Compare texts with all bearers of a shingle of theirs."""
        crowded = short.filter(pl.col("df") > _LARGEST_GROUP)
        self._crowd(part.join(crowded, on="hash", how="semi"), crowded)
        pairs = short.filter(pl.col("df") <= _LARGEST_GROUP).join(part, on="hash")
        self._pair(pairs.select(a="row", b="row_right"))

    def resembling(self, prefix: pl.DataFrame) -> None:
        """Compare texts with others that have a shingle in common with them in their prefixes."""
        many = pl.len().over("hash") > _LARGEST_GROUP
        crowded = prefix.filter(many)
        self._crowd(crowded, crowded)
        few = prefix.filter(~many).select("row", "hash")
        pairs = few.join(few, on="hash").filter(pl.col("row") < pl.col("row_right"))
        few_of = self.sizes[pairs["row"].to_numpy()], self.sizes[pairs["row_right"].to_numpy()]
        may = np.minimum(*few_of) >= self.floors.jaccard.of(np.maximum(*few_of))
        self._pair(pairs.filter(may).select(a="row", b="row_right"))

    def candidates(self) -> Candidates:
        nothing = pl.DataFrame(schema={"a": pl.UInt32, "b": pl.UInt32})
        return Candidates(pl.concat([nothing, *self._pairs]).unique(), self._crowds)

    def _pair(self, pairs: pl.DataFrame) -> None:
        pairs = pairs.filter(pl.col("a") != pl.col("b"))
        ordered = pairs.select(a=pl.min_horizontal("a", "b"), b=pl.max_horizontal("a", "b"))
        self._pairs.append(ordered.unique())

    def _crowd(self, bearing: pl.DataFrame, asking: pl.DataFrame) -> None:
        rows, asks = (_rows_by_hash(table) for table in (bearing, asking))
        self._crowds += [Crowd(some, asks[key], key) for key, some in rows.items()]


def _portions(counts: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Yield runs of rows (first, after the last) of about `most` in all."""
    before = np.cumsum(counts) - counts
    firsts = np.flatnonzero(np.diff(before // most, prepend=-1))
    yield from itertools.pairwise([*firsts.tolist(), len(counts)])


def _rows_by_hash(table: pl.DataFrame) -> dict[int, Rows]:
    grouped = table.group_by("hash").agg(pl.col("row").sort())
    return {key: np.array(rows, dtype=np.int64) for key, rows in grouped.iter_rows()}


def _between(part: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Return the rows from `first` to below `last` of a table that is sorted by row."""
    start, end = part["row"].search_sorted(pl.Series([first, last], dtype=pl.UInt32), side="left")
    return part.slice(start, end - start)
