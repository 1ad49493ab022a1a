"""Texts that share most of their words: every such pair, whatever the order of the texts.

This is a set-similarity join by prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma
and Srikant 2007) over the word shingles of texts: see pipeline/duplicates/prefixes.py. Up to
EXACT_TEXTS texts nothing is missed. Beyond, candidates come from shingles of twice as many words:
the phrases of a language are short, so that few of these stand in texts that are not alike, however
many there are. What such candidates share of short shingles is then measured exactly, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.duplicates.floors import Floors, Thresholds
from pipeline.duplicates.groups import Groups
from pipeline.duplicates.prefixes import Candidates, candidates
from pipeline.duplicates.sets import LEXICAL, Rows, ShingleSets
from pipeline.scale import LOCAL, Engine

__all__ = ["EXACT_TEXTS", "LEXICAL", "Found", "Thresholds", "similar"]

EXACT_TEXTS = 200_000
"""Up to so many texts no pair is missed; that takes time that grows with the square of them."""

LONGER = 2
"""So many times the words of a shingle, beyond."""


@dataclass(frozen=True)
class Found:
    """Similar texts.

    Attributes:
        pairs: Rows of LEXICAL, sorted.
        aside: Texts that were not compared with all others, since they are like the best of a
            template. Look again if one of them stays after all.
    """

    pairs: pl.DataFrame
    aside: Rows


def similar(
    texts: pl.Series,
    shingle_words: int,
    least: Thresholds,
    enough: Thresholds,
    engine: Engine = LOCAL,
) -> Found:
    """Return the pairs of texts whose shingle sets reach one of the thresholds `least`.

    Shingles are 64-bit hashes, so a similarity is wrong with a chance below 1e-13 a pair.

    Args:
        texts: Different texts, words with one space between, the best first.
        shingle_words: Words a shingle.
        least: What a pair must reach to be returned.
        enough: What the worse text of a pair must reach to need no further comparison in a group
            of many; not below `least`.
        engine: Who does the work.
    """
    if texts.is_empty():
        return Found(pl.DataFrame(schema=LEXICAL), np.empty(0, dtype=np.int64))
    if len(texts) <= EXACT_TEXTS:
        sets = ShingleSets.of(texts, shingle_words)
        found = candidates(sets, Floors.of(least, shingle_words, shingle_words), engine)
        return _measured(found, sets, np.arange(len(texts)), least, enough, engine)
    found = _by_long_shingles(texts, shingle_words, least, engine)
    rows = found.rows()
    if not len(rows):
        return Found(pl.DataFrame(schema=LEXICAL), rows)
    sets = ShingleSets.of(texts.gather(rows), shingle_words)
    return _measured(found, sets, rows, least, enough, engine)


def _by_long_shingles(
    texts: pl.Series, shingle_words: int, least: Thresholds, engine: Engine
) -> Candidates:
    words = LONGER * shingle_words
    sets = ShingleSets.of(texts, words)
    floors = Floors.of(least, shingle_words, words)
    found = candidates(sets, floors, engine)
    enough = sets.sharing(found.a, found.b, floors, engine)
    return Candidates(found.a[enough], found.b[enough], found.crowds)


def _measured(
    found: Candidates,
    sets: ShingleSets,
    rows: Rows,
    least: Thresholds,
    enough: Thresholds,
    engine: Engine,
) -> Found:
    """Return the candidates that reach a threshold; `sets` holds only the texts `rows`."""
    groups = Groups(sets, least, enough)
    groups.take(crowd.at(rows) for crowd in found.crowds)
    a, b = (np.searchsorted(rows, side) for side in (found.a, found.b))
    pairs = pl.concat([sets.measured(a, b, least, engine), groups.pairs()]).unique()
    number = pl.Series(rows, dtype=pl.UInt32)
    named = pairs.with_columns(a=number.gather(pairs["a"]), b=number.gather(pairs["b"]))
    return Found(named.sort("a", "b"), rows[sorted(groups.set_aside)])
