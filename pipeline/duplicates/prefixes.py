"""Pairs of texts that may be similar, by the rarest of their shingles.

Let a text have n shingles, sorted from the rarest. If it shares at least c of them with another
text, one of its first n - c + 1 is among the shared ones. Shingles that stand in one text alone
come first and match nothing, so that most texts of a real corpus have little left to look up.
Nothing is missed, which MinHash cannot say, and the rare shingles have few bearers, which makes it
faster than MinHash too (see benchmarks/).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array

from pipeline.duplicates.floors import Floors
from pipeline.duplicates.sets import Rows, ShingleSets, portions
from pipeline.scale import LOCAL, Engine

_LARGEST_GROUP = 1_000  # texts that share one rare shingle; more of them are a crowd
_PAIRS_AT_ONCE = 4_000_000

Marks = npt.NDArray[np.bool]
Keys = npt.NDArray[np.int64]  # pairs of rows: the lower one times 2**32, and the other


@dataclass(frozen=True)
class Crowd:
    """Many texts that share a rare shingle: filled-in forms, bots, signatures.

    Attributes:
        rows: The texts, the best first.
        asking: Those of them for which this shingle decides; only they must be compared.
    """

    rows: Rows
    asking: Rows

    def at(self, rows: Rows) -> Crowd:
        """Return the crowd by the places of its texts in `rows`."""
        return Crowd(np.searchsorted(rows, self.rows), np.searchsorted(rows, self.asking))


@dataclass(frozen=True)
class Candidates:
    """What must be measured.

    Attributes:
        a: Rows of pairs, the better ones.
        b: Their other rows; pairs are sorted, each one stands once.
        crowds: Texts of which every pair may be similar.
    """

    a: Rows
    b: Rows
    crowds: list[Crowd]

    def rows(self) -> Rows:
        """Return the texts in pairs and crowds, sorted."""
        members = [self.a, self.b, *(crowd.rows for crowd in self.crowds)]
        return np.asarray(np.unique(np.concatenate(members)), dtype=np.int64)


def candidates(sets: ShingleSets, floors: Floors, engine: Engine = LOCAL) -> Candidates:
    """Return all pairs of texts that may have as many shingles in common as `floors` asks."""
    inside, resembling = prefixes(sets.sizes, np.diff(sets.matrix.indptr), floors)
    # Of a contained text one shingle of its prefix stands anywhere in the other.
    pairs, crowds = met(_first(sets.matrix, inside), sets.matrix, engine)
    # Of two that reach the Jaccard threshold, one of both prefixes.
    looked_up = _first(sets.matrix, resembling)
    more, larger = met(looked_up, looked_up, engine)
    first, second = sets.sizes[more >> 32], sets.sizes[more & 0xFFFFFFFF]
    may = np.minimum(first, second) >= floors.jaccard.of(np.maximum(first, second))
    keys = np.union1d(pairs, more[may])
    return Candidates(keys >> 32, keys & 0xFFFFFFFF, crowds + larger)


def prefixes(sizes: Rows, common: Rows, floors: Floors) -> tuple[Rows, Rows]:
    """Return how many shingles of several texts each text looks up, from the rarest.

    Args:
        sizes: Shingles of each text.
        common: Those of them that other texts have too.
        floors: What similar texts have in common.

    Returns:
        Those by which texts are found that contain it; those by which ones like it are found.
    """
    inside = np.where(sizes >= floors.inside, floors.containment.of(sizes), 2**32)
    resembling = floors.jaccard.of(sizes)
    # Shingles of one text alone come before them.
    first, second = (np.clip(common - least + 1, 0, common) for least in (inside, resembling))
    return first, second


def _first(matrix: csr_array, counts: Rows) -> csr_array:
    """Return so many of the ones of each row, from the first."""
    ends = np.cumsum(counts)
    taken = np.repeat(matrix.indptr[:-1] - (ends - counts), counts) + np.arange(ends[-1])
    indptr = np.concatenate([[0], ends])
    return csr_array((matrix.data[taken], matrix.indices[taken], indptr), shape=matrix.shape)


def met(asking: csr_array, asked: csr_array, engine: Engine) -> tuple[Keys, list[Crowd]]:
    """Return the pairs of a row of `asking` and one of `asked` with a one in the same column.

    Columns that are too full for that give a crowd instead.
    """
    asks, bears = asking.tocsc(), asked.tocsc()
    number, bearers = np.diff(asks.indptr), np.diff(bears.indptr)
    crowded = (number > 0) & (bearers > _LARGEST_GROUP)
    crowds = [Crowd(_rows_of(bears, k), _rows_of(asks, k)) for k in np.flatnonzero(crowded)]
    weight = np.where(crowded, 0, number * bearers.astype(np.int64))
    most = min(_PAIRS_AT_ONCE, int(weight.sum()) // engine.partitions + 1)
    found: Keys = np.empty(0, dtype=np.int64)
    fresh, waiting = [found], 0
    runs = list(portions(weight, most))
    for keys in engine.map("candidate pairs", _pairs, runs, asks, bears, number, crowded):
        fresh.append(keys)
        waiting += len(keys)
        if waiting > _PAIRS_AT_ONCE:
            found, fresh, waiting = np.unique(np.concatenate([found, *fresh])), [], 0
    return np.unique(np.concatenate([found, *fresh])), crowds


def _pairs(
    run: tuple[int, int], asks: csc_array, bears: csc_array, number: Rows, crowded: Marks
) -> Keys:
    """Return the pairs that meet in some columns that follow each other.

    Args:
        run: The first of the columns, and the one after the last.
        asks: Who looks for others.
        bears: Whom they look for.
        number: Ones of `asks` in each column.
        crowded: Columns that are left out.
    """
    start, stop = run
    column = np.repeat(np.arange(start, stop), number[start:stop])
    entry = np.arange(len(column)) + (asks.indptr[column[0]] if len(column) else 0)
    begin, end = bears.indptr[column].astype(np.int64), bears.indptr[column + 1]
    counts = np.where(crowded[column], 0, end - begin)
    before = np.cumsum(counts) - counts
    met = np.repeat(begin - before, counts) + np.arange(counts.sum())
    a, b = np.repeat(asks.indices[entry], counts).astype(np.int64), bears.indices[met]
    other = a != b
    a, b = a[other], b[other]
    return np.asarray(np.unique(np.minimum(a, b) << 32 | np.maximum(a, b)), dtype=np.int64)


def _rows_of(matrix: csc_array, column: int) -> Rows:
    rows = matrix.indices[matrix.indptr[column] : matrix.indptr[column + 1]]
    return np.asarray(np.sort(rows), dtype=np.int64)
