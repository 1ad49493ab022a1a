"""Many texts that share a rare shingle, where shingles lie in files: some crowds at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.duplicates.floors import Thresholds
from pipeline.duplicates.groups import Groups, place
from pipeline.duplicates.parts_sets import Numbers, Sets, Texts, matrix_of
from pipeline.duplicates.prefixes import Crowd
from pipeline.duplicates.sets import LEXICAL, Rows, ShingleSets

_SHINGLES_AT_ONCE = 10_000_000  # of the texts of crowds, unless one crowd has more


def named(pairs: pl.DataFrame, rows: npt.NDArray[np.integer]) -> pl.DataFrame:
    """Return pairs of places in `rows` as pairs of rows."""
    number = pl.Series(rows, dtype=pl.UInt32)
    return pairs.with_columns(a=number.gather(pairs["a"]), b=number.gather(pairs["b"]))


def grouped(
    crowds: list[Crowd], sets: Sets, least: Thresholds, enough: Thresholds, texts: Texts
) -> tuple[pl.DataFrame, Rows]:
    """Return the pairs in crowds, and the texts that were set aside: some crowds at a time."""
    aside = np.empty(0, dtype=np.int64)
    pairs = [pl.DataFrame(schema=LEXICAL)]
    for some in _some_at_once(sorted(crowds, key=place), texts.counts):
        rows = np.unique(np.concatenate([crowd.rows for crowd in some])).astype(np.int64)
        here: ShingleSets = matrix_of(sets.of(rows.astype(np.uint32)))
        before = np.searchsorted(rows, np.intersect1d(aside, rows))
        groups = Groups(here, least, enough, set(before.tolist()))
        groups.take(crowd.at(rows) for crowd in some)
        pairs.append(named(groups.pairs(), rows))
        aside = np.union1d(aside, rows[sorted(groups.set_aside)])
    return pl.concat(pairs), aside


def _some_at_once(crowds: list[Crowd], counts: Numbers) -> Iterator[list[Crowd]]:
    some: list[Crowd] = []
    held: set[int] = set()
    size = 0
    for crowd in crowds:
        fresh = [row for row in crowd.rows.tolist() if row not in held]
        more = int(counts[fresh].sum(dtype=np.int64))
        if some and size + more > _SHINGLES_AT_ONCE:
            yield some
            some, held, size = [], set(), 0
            fresh, more = crowd.rows.tolist(), int(counts[crowd.rows].sum(dtype=np.int64))
        some.append(crowd)
        held.update(fresh)
        size += more
    if some:
        yield some
