"""Rows by their words: those of the same words, and those of similar ones."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipeline.config import DedupConfig
from pipeline.duplicates.lexical import LEXICAL, Found, Thresholds, similar
from pipeline.duplicates.stars import Rows, found
from pipeline.scale import LOCAL, Engine


class Wordings:
    """What rows are compared by when they are compared by their words.

    Args:
        words: Normal words of each row, the best row first; "" for a row without a text.
        config: Thresholds, and size of a shingle.
        least: What pairs of similar words must reach to be returned.
        engine: Who does the work.
    """

    def __init__(
        self, words: pl.Series, config: DedupConfig, least: Thresholds, engine: Engine = LOCAL
    ) -> None:
        table = pl.DataFrame({"row": np.arange(len(words), dtype=np.uint32), "words": words})
        self._texts = (
            table.filter(pl.col("words") != "")
            .group_by("words")
            .agg(pl.col("row").min())
            .sort("row")
            .select("words", text=pl.arange(0, pl.len(), dtype=pl.UInt32))
        )
        self._text_of = table.join(self._texts, on="words").select("row", "text").sort("row")
        self._config = config
        self._engine = engine
        self._least = least
        self._pairs = pl.DataFrame(schema=LEXICAL)
        self._looked = False
        self._aside: Rows = np.empty(0, dtype=np.int64)  # not compared with all others

    def equal(self, rows: Rows) -> pl.DataFrame:
        """Return pairs of the best of `rows` with each other one of the same words, as FOUND."""
        alike = self._of(rows).with_columns(a=pl.col("row").min().over("text"))
        alike = alike.filter(pl.col("a") != pl.col("row"))
        return found(alike.select("a", b="row"), "exact", pl.lit(1.0))

    def similar(self, rows: Rows) -> pl.DataFrame:
        """Return pairs of rows with similar words, as FOUND; no two have the same words."""
        here = self._of(rows)
        if not self._looked:
            self._look(self._texts)
        elif np.isin(self._aside, here["text"]).any():
            self._look(self._texts.join(here, on="text", how="semi", maintain_order="left"))
        pairs = (
            self._pairs.join(here.rename({"row": "row_a"}), left_on="a", right_on="text")
            .join(here.rename({"row": "row_b"}), left_on="b", right_on="text")
            .select("jaccard", "containment", a="row_a", b="row_b")
        )
        # Named by the measure that is further above its threshold, or less far below.
        above = pl.col("jaccard") - self._config.jaccard
        inside = pl.col("containment") - self._config.containment
        whole = (above >= 0) | ((inside < 0) & (above >= inside))
        return pl.concat(
            [
                found(pairs.filter(whole), "lexical", pl.col("jaccard")),
                found(pairs.filter(~whole), "contained", pl.col("containment")),
            ]
        )

    def _of(self, rows: Rows) -> pl.DataFrame:
        wanted = pl.DataFrame({"row": rows.astype(np.uint32)})
        return self._text_of.join(wanted, on="row", how="semi", maintain_order="left")

    def _look(self, texts: pl.DataFrame) -> None:
        result = self._compared(texts)
        number, pairs = texts["text"], result.pairs
        named = pairs.with_columns(a=number.gather(pairs["a"]), b=number.gather(pairs["b"]))
        self._pairs = pl.concat([self._pairs, named]).unique()
        later = np.setdiff1d(self._aside, number)  # removed as yet, but may come back
        self._aside = np.union1d(later, number.gather(result.aside))
        self._looked = True

    def _compared(self, texts: pl.DataFrame) -> Found:
        """Return which texts are similar, by their places in `texts`."""
        enough = Thresholds(self._config.jaccard, self._config.containment)
        size = self._config.shingle_words
        return similar(texts["words"], size, self._least, enough, self._engine)
