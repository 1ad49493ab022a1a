"""Word shingles of many texts as one table: what set similarity is computed on."""

from __future__ import annotations

import polars as pl

_FACTOR = 0x9E3779B97F4A7C15  # odd, so that multiplying modulo 2**64 loses nothing


def shingles(texts: pl.Series, size: int, first_row: int = 0) -> pl.DataFrame:
    """Return the distinct shingles of each text: columns row (UInt32) and hash (UInt64).

    A shingle is `size` words in a row, as a 64-bit hash; a text of fewer words is one shingle, an
    empty one has none.

    Args:
        texts: Words with one space between.
        size: Words a shingle.
        first_row: Row of the first text; the others follow.
    """
    rows = pl.arange(first_row, first_row + len(texts), dtype=pl.UInt32, eager=True)
    words = (
        pl.DataFrame({"row": rows, "word": texts})
        .lazy()
        .filter(pl.col("word") != "")
        .with_columns(pl.col("word").str.split(" "))
        .explode("word")
        .with_columns(pl.col("word").hash(seed=1), place=pl.int_range(pl.len()).over("row"))
    )
    mixed = pl.col("word")
    for step in range(1, size):
        following = pl.col("word").shift(-step)
        inside = pl.col("row").shift(-step) == pl.col("row")
        mixed = (
            pl.when(inside).then(mixed * pl.lit(_FACTOR, pl.UInt64) + following).otherwise(mixed)
        )
    whole = (pl.col("row").shift(1 - size) == pl.col("row")) | (pl.col("place") == 0)
    return (
        words.with_columns(hash=mixed, whole=whole.fill_null(value=False) | (pl.col("place") == 0))
        .filter("whole")
        .select("row", "hash")
        .unique()
        .collect()
    )
