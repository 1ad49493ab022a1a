"""Who stays: pairs of similar posts become removals, each of one post by one that stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline import schema

Rows = npt.NDArray[np.integer]

METHODS = ("exact", "resubmitted", "update", "lexical", "contained", "semantic")
"""How a pair was found, the surest first."""

FOUND: schema.Schema = {
    "a": pl.UInt32(),  # the better of the two, by rank
    "b": pl.UInt32(),
    "method": pl.Enum(METHODS),
    "similarity": pl.Float64(),
}
"""Pairs of row numbers, rows being in rank order: the best post is row 0."""


def found(rows: pl.DataFrame, method: str, similarity: pl.Expr) -> pl.DataFrame:
    """Return rows of FOUND from columns a and b in any order."""
    return rows.select(
        a=pl.min_horizontal("a", "b").cast(pl.UInt32),
        b=pl.max_horizontal("a", "b").cast(pl.UInt32),
        method=pl.lit(method, dtype=FOUND["method"]),
        similarity=similarity.cast(pl.Float64),
    )


def stars(size: int, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the removals, rows of FOUND: b goes, since a stays and is directly similar to it.

    Rows are visited by rank. One that no kept row is similar to is kept, so a removed post never
    removes another one (a star, no chain), and every row has at most one removal: of its pairs
    with kept rows the one of the surest method, then the most similar, then the best ranked.

    Args:
        size: Number of rows.
        pairs: Rows of FOUND in any order.
    """
    ordered = pairs.sort("b", "method", "similarity", "a", descending=[False, False, True, False])
    better, worse = ordered["a"].to_numpy(), ordered["b"].to_numpy()
    gone = np.zeros(size, dtype=bool)
    removing = []
    # Pairs of one row stand together and rows come by rank: a better row is decided before.
    for k, (a, b) in enumerate(zip(better.tolist(), worse.tolist(), strict=True)):
        if not gone[b] and not gone[a]:
            gone[b] = True
            removing.append(k)
    return ordered[removing]


def kept_rows(size: int, removals: pl.DataFrame) -> Rows:
    """Return the rows that stay, in rank order."""
    stays = np.ones(size, dtype=bool)
    stays[removals["b"].to_numpy()] = False
    return np.flatnonzero(stays)
