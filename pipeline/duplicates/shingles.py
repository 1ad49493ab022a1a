"""Word shingles of many texts as numbers: what set similarity is computed on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying modulo 2**64 loses nothing

Rows = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]


def shingles(texts: pl.Series, size: int, first_row: int = 0) -> tuple[Rows, Hashes]:
    """Return the shingles of all texts: the row of each, and a 64-bit hash of it.

    A shingle is `size` words in a row; a text of fewer words is one shingle, an empty one has none.
    One that a text has twice is given twice.

    Args:
        texts: Words with one space between.
        size: Words a shingle.
        first_row: Row of the first text; the others follow.
    """
    split = texts.str.split(" ")
    counts = split.list.len().to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(first_row, first_row + len(texts), dtype=np.uint32), counts)
    words = split.explode().hash(seed=1).to_numpy()
    starts = max(0, len(words) - size + 1)
    mixed = words[:starts].copy()
    for step in range(1, size):
        mixed *= _FACTOR
        mixed += words[step : starts + step]
    inside = rows[:starts] == rows[size - 1 :][:starts]
    short = np.flatnonzero((counts < size) & (texts != "").to_numpy())
    alone = texts.gather(short).hash(seed=1).to_numpy()
    return (
        np.concatenate([rows[:starts][inside], (short + first_row).astype(np.uint32)]),
        np.concatenate([mixed[inside], alone]),
    )
