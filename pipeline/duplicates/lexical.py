"""Texts that share most of their words: every such pair, found exactly.

This is a set-similarity join by prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma
and Srikant 2007). Let a text have n shingles, sorted from the rarest. If it shares at least
ceil(t n) of them with another text, one of its first n - ceil(t n) + 1 is among the shared ones.
Shingles that stand in one text alone come first and match nothing, so that most texts of a real
corpus have nothing left to look up. Nothing is missed, which MinHash cannot say, and the rare
shingles have few bearers, which makes it faster than MinHash too (see benchmarks/).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from pipeline import schema
from pipeline.duplicates.shingles import shingles

LEXICAL: schema.Schema = {
    "a": pl.UInt32(),
    "b": pl.UInt32(),  # above a
    "jaccard": pl.Float64(),
    "containment": pl.Float64(),  # shared shingles / those of the shorter text; 0 if that is short
}

_DIGITS = 4
_ROUNDING = 0.5 * 10**-_DIGITS  # a similarity so far below a threshold is rounded up to it
_TEXTS_AT_ONCE = 50_000
_SHINGLES_A_PART = 20_000_000
_LARGEST_GROUP = 1_000  # bearers of one rare shingle; more of them are a template
_PAIRS_AT_ONCE = 50_000

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Similar texts.

    Attributes:
        pairs: Rows of LEXICAL, sorted.
        whole: False if texts that are like the best of a template were not compared with each
            other. Look again among the texts that stay, if that best one does not.
    """

    pairs: pl.DataFrame
    whole: bool


@dataclass(frozen=True)
class Thresholds:
    """A pair is similar if it reaches either."""

    jaccard: float
    containment: float
    inside: int = 18  # shingles of the contained text

    def reached(self) -> pl.Expr:
        """Return whether a row of LEXICAL is similar enough."""
        return (pl.col("jaccard") >= self.jaccard) | (pl.col("containment") >= self.containment)


def similar(texts: pl.Series, shingle_words: int, least: Thresholds, enough: Thresholds) -> Found:
    """Return every pair of texts whose shingle sets reach one of the thresholds `least`.

    Shingles are 64-bit hashes, so a similarity is wrong with a chance below 1e-13 a pair.

    Args:
        texts: Different texts, words with one space between, the best first.
        shingle_words: Words a shingle.
        least: What a pair must reach to be returned.
        enough: What the worse text of a pair must reach to need no further comparison in a group
            of many; not below `least`.
    """
    if texts.is_empty():
        return Found(pl.DataFrame(schema=LEXICAL), whole=True)
    index = _Index.of(texts, shingle_words)
    groups = _Groups(index, least, enough)
    candidates = pl.concat(list(index.candidates(least, groups))).unique().sort("a", "b")
    frames = [
        index.measured(candidates.slice(start, _PAIRS_AT_ONCE), least)
        for start in range(0, candidates.height, _PAIRS_AT_ONCE)
    ]
    pairs = pl.concat([*frames, groups.pairs()]).unique().sort("a", "b")
    return Found(pairs, whole=not groups.set_aside)


@dataclass(frozen=True)
class _Index:
    """Shingles that stand in several texts, in parts by their hash.

    Attributes:
        parts: Tables of row, hash and df (texts that bear the shingle), sorted by row.
        sizes: Shingles of each row, those of one text alone included.
    """

    parts: list[pl.DataFrame]
    sizes: Rows
    alone: Rows

    @classmethod
    def of(cls, texts: pl.Series, shingle_words: int) -> _Index:
        words = int(texts.str.count_matches(" ").sum() or 0) + len(texts)
        many = 1 + words // _SHINGLES_A_PART
        heaps: list[list[pl.DataFrame]] = [[] for _ in range(many)]
        sizes = np.zeros(len(texts), dtype=np.int64)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = shingles(texts.slice(start, _TEXTS_AT_ONCE), shingle_words, start)
            sizes += np.bincount(some["row"].to_numpy(), minlength=len(texts))
            for k, heap in enumerate(heaps):
                heap.append(some.filter(pl.col("hash") % many == k) if many > 1 else some)
        parts = []
        alone = sizes.copy()
        while heaps:
            part = (
                pl.concat(heaps.pop())
                .with_columns(df=pl.len().over("hash"))
                .filter(pl.col("df") > 1)
                .sort("row")
            )
            alone -= np.bincount(part["row"].to_numpy(), minlength=len(texts))
            parts.append(part)
        return cls(parts, sizes, alone)

    def prefixes(self, least: Thresholds) -> list[pl.DataFrame]:
        """Return, a part, the shingles of which similar texts share one: row, hash, df, inside.

        Those with `inside` are the ones for containment, which are fewer.
        """
        room = self._room(min(least.jaccard, least.containment))
        inside = self._room(least.containment)
        chosen: list[list[pl.DataFrame]] = [[] for _ in self.parts]
        for start in range(0, len(self.sizes), _TEXTS_AT_ONCE):
            block = pl.concat(
                [
                    _between(part, start, start + _TEXTS_AT_ONCE).with_columns(part=pl.lit(k))
                    for k, part in enumerate(self.parts)
                ]
            )
            first = (
                block.with_columns(room=pl.Series(room[block["row"].to_numpy()]))
                .filter(pl.col("room") > 0)
                .sort("row", "df", "hash")
                .with_columns(place=pl.int_range(pl.len()).over("row"))
                .filter(pl.col("place") < pl.col("room"))
            )
            first = first.with_columns(
                inside=first["place"] < pl.Series(inside[first["row"].to_numpy()])
            )
            for k, kept in enumerate(chosen):
                kept.append(first.filter(part=k).select("row", "hash", "df", "inside"))
        return [pl.concat(frames) for frames in chosen]

    def _room(self, share: float) -> Rows:
        """Return how many of each text's shingles must be looked up, if `share` is to be common."""
        most = np.ceil(np.round((share - _ROUNDING) * self.sizes, 6)).astype(np.int64)
        room: Rows = self.sizes - most + 1 - self.alone  # the rarest ones match nothing
        return room

    def candidates(self, least: Thresholds, groups: _Groups) -> Iterator[pl.DataFrame]:
        """Yield pairs (a, b) that may be similar, a part at a time."""
        for part, either in zip(self.parts, self.prefixes(least), strict=True):
            many = pl.len().over("hash") > _LARGEST_GROUP
            short = either.filter("inside")
            groups.take(part.join(short.filter(pl.col("df") > _LARGEST_GROUP), "hash", "semi"))
            groups.take(either.filter(many))
            contained = short.filter(pl.col("df") <= _LARGEST_GROUP).join(part, on="hash")
            resembling = either.filter(~many).select("row", "hash")
            resembling = resembling.join(resembling, on="hash")
            for pairs, share in ((contained, 0.0), (resembling, least.jaccard - _ROUNDING)):
                yield self._ordered(pairs.select(a="row", b="row_right"), share)

    def _ordered(self, pairs: pl.DataFrame, share: float) -> pl.DataFrame:
        """Return each pair once, lower row first, unless their sizes alone rule it out."""
        pairs = pairs.filter(pl.col("a") != pl.col("b"))
        pairs = pairs.select(a=pl.min_horizontal("a", "b"), b=pl.max_horizontal("a", "b")).unique()
        a, b = self.sizes[pairs["a"].to_numpy()], self.sizes[pairs["b"].to_numpy()]
        return pairs.filter(pl.Series(np.minimum(a, b) >= share * np.maximum(a, b)))

    def measured(self, pairs: pl.DataFrame, least: Thresholds) -> pl.DataFrame:
        """Return the candidates that reach a threshold, as rows of LEXICAL."""
        rows = np.unique(np.concatenate([pairs["a"].to_numpy(), pairs["b"].to_numpy()]))
        matrix = self.matrix(rows.astype(np.int64))
        a, b = np.searchsorted(rows, pairs["a"]), np.searchsorted(rows, pairs["b"])
        shared = matrix[a].multiply(matrix[b]).sum(axis=1)
        return self.reaching(rows[a], rows[b], shared, least)

    def matrix(self, rows: Rows) -> csr_array:
        """Return rows x shingles, ones where a text bears a shingle that is not its alone."""
        borne = pl.concat([_of_rows(part, rows) for part in self.parts])
        column = borne["hash"].rank("dense").to_numpy().astype(np.int64) - 1
        row = np.searchsorted(rows, borne["row"].to_numpy())
        ones = np.ones(len(row), dtype=np.int32)
        return csr_array((ones, (row, column)), shape=(len(rows), int(column.max(initial=0)) + 1))

    def reaching(self, a: Rows, b: Rows, shared: Rows, least: Thresholds) -> pl.DataFrame:
        """Return rows of LEXICAL for pairs with `shared` shingles that reach a threshold."""
        first, second = self.sizes[a], self.sizes[b]
        table = pl.DataFrame(
            {
                "a": np.minimum(a, b).astype(np.uint32),
                "b": np.maximum(a, b).astype(np.uint32),
                "jaccard": np.round(shared / np.maximum(first + second - shared, 1), _DIGITS),
                "containment": np.round(shared / np.maximum(np.minimum(first, second), 1), _DIGITS),
            },
            schema=LEXICAL,
        )
        long = pl.Series("long", np.minimum(first, second) >= least.inside)
        return table.with_columns(
            # A short text is in many others by chance.
            containment=pl.when(long).then("containment").otherwise(0.0)
        ).filter(least.reached())


@dataclass
class _Groups:
    """Many texts that share a rare shingle: filled-in forms, bots, signatures.

    Comparing each with each would take the square of their number. So the best one is compared
    with all others; those like enough to go for it are set aside; and so on with the rest.
    """

    index: _Index
    least: Thresholds
    enough: Thresholds
    set_aside: set[int] = field(default_factory=set)
    _found: list[pl.DataFrame] = field(default_factory=list)

    def take(self, borne: pl.DataFrame) -> None:
        """Compare the bearers of each shingle in `borne` (row, hash)."""
        for _, group in sorted(borne.group_by("hash", maintain_order=False), key=_size_and_hash):
            self._compare(np.array(sorted(set(group["row"].to_list()) - self.set_aside)))

    def _compare(self, rows: Rows) -> None:
        matrix = self.index.matrix(rows)
        left: Rows = np.arange(len(rows))
        while len(left) > 1:
            shared = matrix[left[1:]] @ matrix[left[:1]].toarray().ravel()
            best = np.full(len(left) - 1, rows[left[0]])
            like = self.index.reaching(best, rows[left[1:]], shared, self.least)
            self._found.append(like)
            aside = set(like.filter(self.enough.reached())["b"].to_list())
            self.set_aside |= aside
            left = np.array([i for i in left[1:].tolist() if int(rows[i]) not in aside], dtype=int)

    def pairs(self) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(schema=LEXICAL), *self._found])


def _size_and_hash(item: tuple[tuple[object, ...], pl.DataFrame]) -> tuple[int, int]:
    key, group = item
    return -group.height, int(str(key[0]))


def _of_rows(part: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Return what stands in some rows of a table that is sorted by row."""
    wanted = pl.Series(rows, dtype=pl.UInt32)
    starts = part["row"].search_sorted(wanted, side="left").to_numpy().astype(np.int64)
    sizes = part["row"].search_sorted(wanted, side="right").to_numpy().astype(np.int64) - starts
    before = np.cumsum(sizes) - sizes
    return part[np.repeat(starts - before, sizes) + np.arange(sizes.sum())]


def _between(part: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Return the rows from `first` to below `last` of a table that is sorted by row."""
    start, end = part["row"].search_sorted(pl.Series([first, last], dtype=pl.UInt32), side="left")
    return part.slice(start, end - start)
