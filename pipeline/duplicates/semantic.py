"""Texts that mean the same: found by quick vectors, decided by exact ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.duplicates.index import EXACT_ROWS, neighbours
from pipeline.duplicates.stars import FOUND, Rows, found
from pipeline.embedding import ERROR
from pipeline.scale import LOCAL, Engine

Vectors = npt.NDArray[np.float32]

_BLOCK = 2_000
_AXES = 96  # coordinates that rule out most pairs of 384, in a third of the time
_SLACK = 1e-4  # rounding in single precision
_DIGITS = 4


class Embedder(Protocol):
    """What is needed of pipeline.embedding.Embedder."""

    def quick(self, texts: Sequence[str]) -> Vectors:
        """Return vectors that are good for finding."""

    def exact(self, texts: Sequence[str]) -> Vectors:
        """Return vectors that depend on nothing but the text."""


class Meanings:
    """Texts whose vectors are known, and the pairs among them.

    Args:
        texts: All texts, the best first; a row is a position in it.
        words: Their normal words.
        embedder: Makes the vectors.
        least: Least cosine, of exact vectors, of the pairs that are returned.
        common: Least shares of the words of one text that the other one has too: of the text with
            fewer different words, and of that with more.
        engine: Who compares vectors.
    """

    def __init__(
        self,
        texts: pl.Series | Mapping[int, str],
        words: pl.Series | Mapping[int, str],
        embedder: Embedder,
        least: float,
        common: tuple[float, float],
        engine: Engine = LOCAL,
    ) -> None:
        self._texts = texts
        self._words = words
        self._embedder = embedder
        self._least = least
        self._common = common
        self._engine = engine
        self._rows = np.empty(0, dtype=np.int64)
        self._vectors: Vectors | None = None

    def add(self, rows: Rows) -> pl.DataFrame:
        """Embed those of `rows` that are new; return their pairs with all known ones, as FOUND."""
        fresh = np.setdiff1d(rows, self._rows)
        if not len(fresh):
            return pl.DataFrame(schema=FOUND)
        vectors = self._quick(fresh)
        known = vectors[:0] if self._vectors is None else self._vectors
        everyone, least = np.concatenate([known, vectors]), self._least - ERROR
        pairs = _pairs(vectors, everyone, len(known), least, self._engine)
        self._vectors = np.concatenate([known, vectors])
        self._rows = np.concatenate([self._rows, fresh])
        return self._decided(fresh[pairs[:, 0]], self._rows[pairs[:, 1]])

    def _quick(self, rows: Rows) -> Vectors:
        return self._embedder.quick(self._of(rows))

    def _of(self, rows: Rows) -> list[str]:
        return [self._texts[row] for row in rows.tolist()]

    def _decided(self, a: Rows, b: Rows) -> pl.DataFrame:
        # Words first: they are cheap, and few pairs of one topic have them in common.
        shared = [self._shared(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        enough = (np.array(shared).reshape(-1, 2) >= self._common).all(axis=1)
        a, b = a[enough], b[enough]
        rows = np.unique(np.concatenate([a, b]))
        vectors = self._embedder.exact(self._of(rows)).astype(np.float64)
        first, second = vectors[np.searchsorted(rows, a)], vectors[np.searchsorted(rows, b)]
        # Rounded before the comparison, so that the last bits of a sum decide nothing.
        cosine = np.round(np.einsum("ij,ij->i", first, second), _DIGITS)
        table = pl.DataFrame({"a": a, "b": b, "cosine": cosine})
        return found(table.filter(pl.col("cosine") >= self._least), "semantic", pl.col("cosine"))

    def _shared(self, a: int, b: int) -> tuple[float, float]:
        first, second = set(self._words[a].split()), set(self._words[b].split())
        fewer, more = sorted((len(first), len(second)))
        both = len(first & second)
        return round(both / max(1, fewer), _DIGITS), round(both / max(1, more), _DIGITS)


def _pairs(
    fresh: Vectors, everyone: Vectors, before: int, threshold: float, engine: Engine = LOCAL
) -> npt.NDArray[np.int64]:
    """Return pairs (row of `fresh`, row of `everyone`), each once; `fresh` is its end.

    Every pair of at least `threshold`, by products of blocks; beyond EXACT_ROWS rows by an index,
    which misses a few.
    """
    if len(everyone) > EXACT_ROWS:
        found_pairs = neighbours(fresh, everyone, threshold)
    else:
        blocks = list(range(0, len(fresh), _BLOCK))
        short = _shortened(everyone)
        given = (short, fresh, everyone, before, threshold)
        found_pairs = engine.map("vectors compared", _products, blocks, *given)
    chosen = [pair[pair[:, 1] < before + pair[:, 0]] for pair in found_pairs]
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *chosen])


def _products(
    start: int, short: Vectors, fresh: Vectors, everyone: Vectors, before: int, threshold: float
) -> npt.NDArray[np.int64]:
    found_pairs = [np.empty((0, 2), dtype=np.int64)]
    some = short[before + start : before + start + _BLOCK]
    for column in range(0, before + start + len(some), _BLOCK):
        products = some @ short[column : column + _BLOCK].T
        rows = np.flatnonzero(products.max(axis=1) >= np.float32(threshold - _SLACK))
        a, b = np.nonzero(products[rows] >= np.float32(threshold - _SLACK))
        a, b = rows[a] + start, b + column
        above = np.einsum("ij,ij->i", fresh[a], everyone[b]) >= np.float32(threshold)
        found_pairs.append(np.column_stack([a[above], b[above]]))
    return np.concatenate(found_pairs)


def _shortened(vectors: Vectors) -> Vectors:
    """Return shorter vectors whose products are nowhere below those of `vectors`.

    They are the first coordinates along the principal axes, and the length of the rest: what the
    rests of two vectors add to the product is at most the product of their lengths.
    """
    if vectors.shape[1] <= _AXES + 1:
        return vectors
    _, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    first = vectors @ axes[:, : -_AXES - 1 : -1].astype(np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors) - np.einsum("ij,ij->i", first, first)
    return np.column_stack([first, np.sqrt(np.maximum(squares, 0))])
