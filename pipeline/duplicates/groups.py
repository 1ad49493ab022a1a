"""Many texts that share a rare shingle, compared without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from pipeline.duplicates.floors import Marks, Thresholds
from pipeline.duplicates.prefixes import Crowd
from pipeline.duplicates.sets import LEXICAL, Rows, ShingleSets


@dataclass
class Groups:
    """Comparing each text of a crowd with each would take the square of their number.

    So the best one is compared with all others; those like enough to go for it are set aside; and
    so on with the rest.
    """

    sets: ShingleSets
    least: Thresholds
    enough: Thresholds
    set_aside: set[int] = field(default_factory=set)
    _found: list[pl.DataFrame] = field(default_factory=list)

    def take(self, crowds: Iterable[Crowd]) -> None:
        """Compare the texts of each crowd, the largest first."""
        for crowd in sorted(crowds, key=place):
            rows = np.setdiff1d(crowd.rows, list(self.set_aside))
            self._compare(rows, np.isin(rows, crowd.asking))

    def pairs(self) -> pl.DataFrame:
        """Return rows of LEXICAL."""
        return pl.concat([pl.DataFrame(schema=LEXICAL), *self._found])

    def _compare(self, rows: Rows, asking: Marks) -> None:
        matrix = self.sets.matrix[rows]
        left: Rows = np.arange(len(rows))
        while asking[left].any():
            best, left = left[0], left[1:]
            others = left if asking[best] else left[asking[left]]
            # Ones are of 8 bits, which hold no more than 127 of them.
            shared = matrix[others] @ matrix[[best]].toarray().ravel().astype(np.int64)
            like = self.sets.reaching(
                np.full(len(others), rows[best]), rows[others], shared, self.least
            )
            self._found.append(like)
            aside = like.filter(self.enough.reached())["b"].to_numpy()
            self.set_aside.update(aside.tolist())
            left = left[~np.isin(rows[left], aside)]


def place(crowd: Crowd) -> tuple[int, bytes, bytes]:
    """Return what crowds are sorted by: the largest first, then by their texts."""
    rows, asking = (np.asarray(some, dtype=">u4").tobytes() for some in (crowd.rows, crowd.asking))
    return -len(crowd.rows), rows, asking
