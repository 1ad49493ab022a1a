"""How similar is similar, and how many shingles two such texts have in common at the least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

DIGITS = 4
"""Of a similarity."""

_ROUNDING = 0.5 * 10**-DIGITS  # a similarity so far below a threshold is rounded up to it

Counts = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool]


@dataclass(frozen=True)
class Thresholds:
    """A pair is similar if it reaches either."""

    jaccard: float
    containment: float
    inside: int = 18  # shingles of the contained text

    def reached(self) -> pl.Expr:
        """Return whether a row of LEXICAL is similar enough."""
        return (pl.col("jaccard") >= self.jaccard) | (pl.col("containment") >= self.containment)


@dataclass(frozen=True)
class Floor:
    """Of n shingles at least share * n - less, and at least one."""

    share: float
    less: float

    def of(self, sizes: Counts) -> Counts:
        """Return the least number of common shingles for texts of so many."""
        most = np.ceil(np.round(self.share * sizes - self.less, 6)).astype(np.int64)
        return np.maximum(most, 1)


@dataclass(frozen=True)
class Floors:
    """Shingles that two similar texts have in common, by how many each of them has.

    Attributes:
        jaccard: For a pair that reaches the Jaccard threshold: holds for both texts.
        containment: For one that reaches the other threshold: holds for the shorter text.
        inside: Fewest shingles of a contained text.
    """

    jaccard: Floor
    containment: Floor
    inside: int

    @classmethod
    def of(cls, least: Thresholds, words: int, counted: int) -> Floors:
        """Return the floors for shingles of `counted` words.

        The thresholds are those of shingles of `words` words. If `counted` is more, this is what
        they mean for longer ones. Let two texts share s shingles, and let a and b be in only one of
        them. Between two passages that both have, at least words - 1 shingles of either are lost,
        since the words at the ends are in common. So there are at most min(a, b) / (words - 1) such
        gaps, and each takes counted - words longer shingles more than short ones: at least
        s - (gaps + 1)(counted - words) of them are shared. Given (a + b) / s, which is
        1 / jaccard - 1, that is the smallest share of the larger text if a = b (or a = 0, where it
        is the threshold itself). In a contained text of n, a is at most (1 - containment) n.

        This holds for passages in any order. What it does not see is a shingle that two texts share
        outside of such passages, by chance.
        """
        longer = counted - words
        gap = longer / max(1, words - 1)
        jaccard, containment = least.jaccard - _ROUNDING, least.containment - _ROUNDING
        apart = 1 / max(jaccard, _ROUNDING) - 1
        share = max(0.0, min(jaccard, (1 - gap * apart / 2) / (1 + apart / 2)))
        inside = max(0.0, 1 - (1 - containment) * (1 + gap))
        return cls(
            # A text of n short shingles has n - longer long ones.
            jaccard=Floor(share, longer * (1 - share)),
            containment=Floor(inside, longer * (1 - inside)),
            inside=least.inside - longer,
        )

    def reached(self, first: Counts, second: Counts, shared: Counts) -> Marks:
        """Return whether pairs of texts of `first` and `second` shingles have enough in common."""
        few, many = np.minimum(first, second), np.maximum(first, second)
        inside = (few >= self.inside) & (shared >= self.containment.of(few))
        return np.asarray((shared >= self.jaccard.of(many)) | inside, dtype=bool)
