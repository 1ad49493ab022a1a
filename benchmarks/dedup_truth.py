"""What is similar in truth: all pairs of texts, each measured, with nothing of pipeline.duplicates.

Shared triples of words are counted by a sparse product over all of them, rows by blocks: no
prefixes, no hashes, no candidates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

SHINGLE_WORDS = 3
JACCARD = 0.8
CONTAINMENT = 0.9
_BLOCK = 500
_LINK = re.compile(r"\]\([^)\s]*\)|https?://\S+|www\.\S+")
_WORD = re.compile(r"[^\W_]+")

Array = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool]


def words_of(body: str) -> list[str]:
    """Return the words of a body in lower case, without links, apostrophes and punctuation."""
    plain = _LINK.sub(" ", body).lower().replace("'", "").replace("\u2019", "")
    return _WORD.findall(plain)


@dataclass(frozen=True)
class Truth:
    """Texts by their triples of words.

    Attributes:
        matrix: Texts x triples, ones.
        sizes: Triples of each text.
    """

    matrix: csr_array
    sizes: Array

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> Truth:
        """Return the triples of texts, each given by its words."""
        number_of: dict[str, int] = {}
        sets = []
        for words in texts:
            numbers = np.array([number_of.setdefault(word, len(number_of)) for word in words])
            if len(numbers) < SHINGLE_WORDS:
                sets.append(np.empty(0, dtype=np.int64))
                continue
            # 21 bits a word: exact up to two million different words.
            triples = (numbers[:-2] << 42) | (numbers[1:-1] << 21) | numbers[2:]
            sets.append(np.unique(triples))
        if len(number_of) >= 2**21:
            raise SystemExit("more than two million different words: give a smaller --limit")
        sizes = np.array([len(some) for some in sets], dtype=np.int64)
        _, column = np.unique(np.concatenate(sets), return_inverse=True)
        row = np.repeat(np.arange(len(sets)), sizes)
        matrix = csr_array((np.ones(len(row), dtype=np.int32), (row, column)))
        return cls(matrix, sizes)

    def pairs(self) -> Array:
        """Return all similar pairs of rows, the lower row first; shape (n, 2)."""
        across = self.matrix.T.tocsr()
        found: list[Array] = [np.empty((0, 2), dtype=np.int64)]
        for start in range(0, len(self.sizes), _BLOCK):
            shared = (self.matrix[start : start + _BLOCK] @ across).tocoo()
            a, b = shared.coords[0].astype(np.int64) + start, shared.coords[1].astype(np.int64)
            # Four fifths of the smaller one are shared in any case.
            few = np.minimum(self.sizes[a], self.sizes[b])
            may = (a < b) & (shared.data >= 0.8 * few)
            a, b, both = a[may], b[may], shared.data[may]
            similar = self._similar(a, b, both, JACCARD, CONTAINMENT)
            found.append(np.column_stack([a, b])[similar])
        return np.concatenate(found)

    def similar(self, a: Array, b: Array, jaccard: float, containment: float) -> Marks:
        """Return whether each pair is above one of the thresholds."""
        shared = np.asarray(self.matrix[a].multiply(self.matrix[b]).sum(axis=1)).ravel()
        return self._similar(a, b, shared, jaccard, containment)

    def _similar(
        self, a: Array, b: Array, shared: Array, jaccard: float, containment: float
    ) -> Marks:
        first, second = self.sizes[a], self.sizes[b]
        alike = shared / np.maximum(first + second - shared, 1) > jaccard
        inside = shared / np.maximum(np.minimum(first, second), 1) > containment
        return np.asarray(alike | inside, dtype=bool)
