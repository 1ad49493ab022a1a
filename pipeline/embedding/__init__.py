"""Sentence embeddings of whole texts: long ones in windows, averaged, and cached by their text.

There are two vectors of a text. `quick` ones are computed in bulk in whatever way is fastest on
this machine, and find pairs; `exact` ones are computed alone in single precision, and decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.config import Config
from pipeline.embedding.cache import Vector, VectorCache
from pipeline.embedding.encoder import BUNDLED, Encoder
from pipeline.progress import task
from pipeline.scale import LOCAL, Engine

__all__ = ["BUNDLED", "ERROR", "Embedder", "embedder_of"]

ERROR = 0.01
"""Most that a cosine of two quick vectors is off: 0.0045 for bfloat16 over 192 real posts."""

Way = Literal["quick", "exact"]

_loaded = lru_cache(maxsize=2)(Encoder)
"""One model a process, which partitions share."""

_CHUNK = 512  # texts between two writes to the cache


class Embedder:
    """Gives one unit vector a text.

    A text of more than `window_words` words is cut into windows of that many words whose vectors
    are averaged, so that two posts with one opening and different endings do not look alike.

    Args:
        model: "minilm-package" for the bundled all-MiniLM-L6-v2, else a name or folder that
            sentence-transformers can load.
        window_words: Words a window.
        cache: Folder in which vectors are kept; None keeps none.
        engine: Who computes them.

    Raises:
        BadInputError: The model cannot be loaded.
    """

    def __init__(
        self, model: str, window_words: int, cache: Path | None = None, engine: Engine = LOCAL
    ) -> None:
        self._encoder = _loaded(model)
        self._engine = engine
        self._window = window_words
        self._cache = VectorCache(cache / "embeddings.sqlite") if cache else None

    def quick(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return vectors that are good for finding; shape (n, dimensions)."""
        return self._vectors("quick", texts)

    def exact(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return vectors that do not depend on what else is computed; shape (n, dimensions)."""
        return self._vectors("exact", texts)

    def _vectors(self, way: Way, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        keys = [self._key(way, text) for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        known = self._cache.read(list(text_of)) if self._cache else {}
        # Batches of like length waste no padding; the order is by content, never by row.
        todo = sorted(text_of.keys() - known.keys(), key=lambda k: (len(text_of[k]), k))
        # Counted in windows: a long text takes as long as many short ones.
        total = sum(len(_windows(text_of[key], self._window)) for key in todo)
        with task(f"windows embedded ({way})", total) as progress:
            size = max(1, min(_CHUNK, -(-len(todo) // self._engine.partitions)))
            chunks = [todo[start : start + size] for start in range(0, len(todo), size)]
            asked = [[text_of[key] for key in some] for some in chunks]
            given = (self._encoder.name, self._window, way)
            found = self._engine.map("texts embedded", _encoded, asked, *given)
            for some, (vectors, count) in zip(chunks, found, strict=True):
                fresh = dict(zip(some, vectors, strict=True))
                if self._cache:
                    self._cache.write(fresh)
                known |= fresh
                progress.advance(count)
        if not keys:
            return np.zeros((0, self._encoder.dimensions), dtype=np.float32)
        return np.stack([known[key] for key in keys])

    def _key(self, way: str, text: str) -> bytes:
        parts = (self._encoder.fingerprint, way, str(self._window), text)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


def embedder_of(
    config: Config, model: str | None = None, engine: Engine = LOCAL
) -> Embedder | None:
    """Return what makes a build's vectors, or None if it compares no meanings.

    Args:
        config: The build.
        model: None for `dedup.embedding_model`; "" compares nothing.
        engine: Who computes them.

    Raises:
        BadInputError: The model cannot be loaded.
    """
    name = config.dedup.embedding_model if model is None else model
    if not name:
        return None
    return Embedder(name, config.dedup.window_words, Path(config.build.cache), engine)


def _encoded(texts: Sequence[str], model: str, window: int, way: Way) -> tuple[list[Vector], int]:
    """Return the vector of each text, and the number of windows."""
    known = _loaded(model)
    windows = [_windows(text, window) for text in texts]
    every = [each for some in windows for each in some]
    if way == "quick":
        flat = known.quick(every)
    else:
        flat = np.concatenate([known.exact(each) for each in every])
    return _means(flat, [len(some) for some in windows]), len(every)


def _means(vectors: npt.NDArray[np.float32], sizes: Iterable[int]) -> list[Vector]:
    """Return the unit mean of each run of `sizes` rows."""
    means, start = [], 0
    for size in sizes:
        mean = vectors[start : start + size].mean(axis=0, dtype=np.float32)
        means.append(np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32))
        start += size
    return means


def _windows(text: str, size: int) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + size]) for i in range(0, len(words), size)] or [""]
