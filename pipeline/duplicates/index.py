"""Near vectors in sets that are too large to compare all with all: an index of Faiss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

EXACT_ROWS = 200_000
"""Up to so many rows every pair is computed: 40 s a 100,000 on two cores, times the square."""

_BLOCK = 10_000
_PROBES = 32  # lists that are searched for a vector; recall in benchmarks/
_SEED = 1
_TRAINING = 64  # vectors a list


def neighbours(
    fresh: npt.NDArray[np.float32], everyone: npt.NDArray[np.float32], threshold: float
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield pairs (row of `fresh`, row of `everyone`) whose product is above `threshold`.

    An inverted file (IVF-Flat) over 4 sqrt(n) lists: products are exact, but a pair whose vectors
    fall in lists far from each other is missed.

    Args:
        fresh: Unit vectors, shape (m, dimensions).
        everyone: Unit vectors, shape (n, dimensions).
        threshold: Least product.
    """
    import faiss

    lists = int(4 * np.sqrt(len(everyone)))
    width = everyone.shape[1]
    centres = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFFlat(centres, width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = _SEED
    index.cp.max_points_per_centroid = _TRAINING
    index.train(everyone)
    index.add(everyone)
    index.nprobe = _PROBES
    for start in range(0, len(fresh), _BLOCK):
        limits, _, labels = index.range_search(fresh[start : start + _BLOCK], threshold)
        rows = np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
        yield np.column_stack([rows + start, labels])
