"""Texts as sets of word shingles, and what two of them have in common."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from pipeline import schema
from pipeline.duplicates.floors import DIGITS, Floors, Thresholds
from pipeline.duplicates.shingles import Hashes, shingles
from pipeline.scale import LOCAL, Engine

LEXICAL: schema.Schema = {
    "a": pl.UInt32(),
    "b": pl.UInt32(),  # above a
    "jaccard": pl.Float64(),
    "containment": pl.Float64(),  # shared shingles / those of the shorter text; 0 if that is short
}

_WORDS_AT_ONCE = 5_000_000
_SHINGLES_A_HEAP = 20_000_000
_BYTES_IN_MEMORY = 2**26  # of a heap; what is more waits in a temporary file
_PAIRS_AT_ONCE = 20_000

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShingleSets:
    """The shingles of texts.

    Attributes:
        matrix: Texts x shingles, ones; only shingles of several texts, the rarest first.
        sizes: Different shingles of each text, those of it alone included.
    """

    matrix: csr_array
    sizes: Rows

    @classmethod
    def of(cls, texts: pl.Series, words: int) -> ShingleSets:
        """Return the sets of shingles of `words` words."""
        counts = texts.str.count_matches(" ").to_numpy().astype(np.int64) + 1
        heaps = heaps_of(counts)
        shared = _in_heaps(texts, counts, words, heaps)
        sizes = np.where(texts != "", at_most(counts, words), 0)
        borne, bearers, known = [], [], 0
        for table, repeated in shared:
            sizes -= np.bincount(repeated, minlength=len(texts))
            numbers = table["number"].to_numpy()
            bearers.append(np.bincount(numbers))
            borne.append((table["row"].to_numpy().astype(np.int32), numbers + np.int32(known)))
            known += len(bearers[-1])
        rarity = np.empty(known, dtype=np.int32)
        rarity[np.argsort(np.concatenate(bearers), kind="stable")] = np.arange(known)
        row = np.concatenate([rows for rows, _ in borne])
        column = rarity[np.concatenate([numbers for _, numbers in borne])]
        ones = np.ones(len(row), dtype=np.int8)
        matrix = csr_array((ones, (row, column)), shape=(len(texts), known))
        matrix.sort_indices()
        return cls(matrix, sizes)

    def measured(self, a: Rows, b: Rows, least: Thresholds, engine: Engine = LOCAL) -> pl.DataFrame:
        """Return rows of LEXICAL for the pairs of rows `a` and `b` that reach a threshold."""
        frames = [self.reaching(*some, least) for some in self._shared(a, b, engine)]
        return pl.concat([pl.DataFrame(schema=LEXICAL), *frames])

    def sharing(
        self, a: Rows, b: Rows, floors: Floors, engine: Engine = LOCAL
    ) -> npt.NDArray[np.bool]:
        """Return which pairs have as many shingles in common as `floors` asks."""
        enough = [
            floors.reached(self.sizes[some], self.sizes[other], shared)
            for some, other, shared in self._shared(a, b, engine)
        ]
        return np.concatenate([np.empty(0, dtype=np.bool), *enough])

    def reaching(self, a: Rows, b: Rows, shared: Rows, least: Thresholds) -> pl.DataFrame:
        """Return rows of LEXICAL for pairs with `shared` shingles that reach a threshold."""
        first, second = self.sizes[a], self.sizes[b]
        table = pl.DataFrame(
            {
                "a": np.minimum(a, b).astype(np.uint32),
                "b": np.maximum(a, b).astype(np.uint32),
                "jaccard": np.round(shared / np.maximum(first + second - shared, 1), DIGITS),
                "containment": np.round(shared / np.maximum(np.minimum(first, second), 1), DIGITS),
            },
            schema=LEXICAL,
        )
        long = pl.Series("long", np.minimum(first, second) >= least.inside)
        return table.with_columns(
            # A short text is in many others by chance.
            containment=pl.when(long).then("containment").otherwise(0.0)
        ).filter(least.reached())

    def _shared(self, a: Rows, b: Rows, engine: Engine) -> Iterator[tuple[Rows, Rows, Rows]]:
        cuts = [slice(start, start + _PAIRS_AT_ONCE) for start in range(0, len(a), _PAIRS_AT_ONCE)]
        pairs = [(a[cut], b[cut]) for cut in cuts]
        found = engine.map("pairs measured", _in_common, pairs, self.matrix)
        for (some, other), shared in zip(pairs, found, strict=True):
            yield some, other, shared


def heaps_of(counts: Rows) -> int:
    """Return into how many heaps the shingles of texts go; equally rare ones stand by heap."""
    return 1 + int(counts.sum()) // _SHINGLES_A_HEAP


def at_most(counts: Rows, words: int) -> Rows:
    """Return the shingles of texts of so many words; a text of fewer words than one is one."""
    return np.maximum(counts - words + 1, 1)


def _in_common(pairs: tuple[Rows, Rows], matrix: csr_array) -> Rows:
    some, other = pairs
    shared: Rows = matrix[some].multiply(matrix[other]).sum(axis=1)
    return shared


def _in_heaps(
    texts: pl.Series, counts: Rows, words: int, number: int
) -> Iterator[tuple[pl.DataFrame, Rows]]:
    """Yield the shingles of several texts, heap by heap; see `_common`."""
    heaps = [_Heap() for _ in range(number)]
    for start, end in portions(counts, _WORDS_AT_ONCE):
        rows, hashes = shingles(texts[start:end], words, start)
        place = (hashes % np.uint64(number)).astype(np.uint16)
        order = np.argsort(place, kind="stable")
        ends = np.cumsum(np.bincount(place, minlength=number))[:-1]
        for heap, some in zip(heaps, np.split(order, ends), strict=True):
            heap.add(rows[some], hashes[some])
    while heaps:
        yield _common(*heaps.pop().taken())


class _Heap:
    """Shingles as they come, some of them more than once."""

    def __init__(self) -> None:
        self._rows = SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115 - read once
        self._hashes = SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115 - read once

    def add(self, rows: npt.NDArray[np.uint32], hashes: Hashes) -> None:
        """Put shingles on the heap; those of one row come together."""
        self._rows.write(rows.tobytes())
        self._hashes.write(hashes.tobytes())

    def taken(self) -> tuple[npt.NDArray[np.uint32], Hashes]:
        """Return the rows of the shingles and their hashes; the heap is gone."""
        with self._rows as file:
            file.seek(0)
            rows = np.frombuffer(file.read(), dtype=np.uint32)
        with self._hashes as file:
            file.seek(0)
            hashes = np.frombuffer(file.read(), dtype=np.uint64)
        return rows, hashes


def _common(rows: npt.NDArray[np.uint32], hashes: Hashes) -> tuple[pl.DataFrame, Rows]:
    """Return the shingles of several texts, and the rows of those that one text repeats.

    Columns are row and number, an Int32 that stands for the shingle.
    """
    ordered = np.sort(hashes)
    several = pl.DataFrame({"hash": np.unique(ordered[1:][ordered[1:] == ordered[:-1]])})
    table = (
        pl.DataFrame({"row": rows, "hash": hashes})
        .join(several, on="hash", how="semi")
        .sort("hash", "row")
    )
    repeated = (table["hash"] == table["hash"].shift()) & (table["row"] == table["row"].shift())
    repeated = repeated.fill_null(value=False)
    common = table.filter(~repeated).filter(pl.len().over("hash") > 1)
    number = common.select("row", number=pl.col("hash").rle_id().cast(pl.Int32))
    return number, table["row"].filter(repeated).to_numpy()


def portions(counts: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Yield runs (first, after the last) of items of which each counts, about `most` in all."""
    before = np.cumsum(counts) - counts
    firsts = np.flatnonzero(np.diff(before // most, prepend=-1))
    yield from itertools.pairwise([*firsts.tolist(), len(counts)])
