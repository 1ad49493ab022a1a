"""Texts as sets of word shingles, and what two of them have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from pipeline import schema
from pipeline.duplicates.floors import DIGITS, Floors, Thresholds

LEXICAL: schema.Schema = {
    "a": pl.UInt32(),
    "b": pl.UInt32(),  # above a
    "jaccard": pl.Float64(),
    "containment": pl.Float64(),  # shared shingles / those of the shorter text; 0 if that is short
}

_PAIRS_AT_ONCE = 20_000

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bags:
    """The shingles of texts.

    Attributes:
        matrix: Texts x shingles, ones; shingles of one text alone may be left out.
        sizes: Different shingles of each text, with those that are left out.
    """

    matrix: csr_array
    sizes: Rows

    def measured(self, a: Rows, b: Rows, least: Thresholds) -> pl.DataFrame:
        """Return rows of LEXICAL for the pairs of rows `a` and `b` that reach a threshold."""
        frames = [self.reaching(*some, least) for some in self._shared(a, b)]
        return pl.concat([pl.DataFrame(schema=LEXICAL), *frames])

    def sharing(self, pairs: pl.DataFrame, floors: Floors) -> pl.DataFrame:
        """Return the pairs (a, b) that have as many shingles in common as `floors` asks."""
        ordered = pairs.sort("a", "b")
        enough = [
            floors.reached(self.sizes[a], self.sizes[b], shared)
            for a, b, shared in self._shared(ordered["a"].to_numpy(), ordered["b"].to_numpy())
        ]
        return ordered.filter(np.concatenate([np.empty(0, dtype=bool), *enough]))

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

    def _shared(self, a: Rows, b: Rows) -> Iterator[tuple[Rows, Rows, Rows]]:
        for start in range(0, len(a), _PAIRS_AT_ONCE):
            some, other = (side[start : start + _PAIRS_AT_ONCE] for side in (a, b))
            yield some, other, self.matrix[some].multiply(self.matrix[other]).sum(axis=1)
