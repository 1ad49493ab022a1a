"""Meanings: pairs against brute force, the index's recall, vectors that depend on their text."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.duplicates import semantic
from pipeline.duplicates.index import neighbours
from pipeline.duplicates.semantic import Meanings
from pipeline.embedding import BUNDLED, ERROR, Embedder, encoder
from pipeline.errors import BadInputError


def unit_vectors(rows: int, dimensions: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Given:
    """Vectors that are given, by the number that is the text; quick ones are off by a little."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.asked: list[str] = []

    def quick(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        rough = self.exact(texts) + unit_vectors(len(texts), self.vectors.shape[1], 5) * ERROR / 3
        return rough.astype(np.float32)

    def exact(self, texts: Sequence[str]) -> np.ndarray:
        return self.vectors[[int(text) for text in texts]].reshape(-1, self.vectors.shape[1])


def assert_brute_force_agrees(vectors: np.ndarray, least: float, steps: Sequence[int]) -> int:
    """Add the rows in portions; compare with all products in double precision."""
    texts = pl.Series([str(row) for row in range(len(vectors))])
    meanings = Meanings(texts, texts, Given(vectors), least, common=(0, 0))
    parts = np.split(np.arange(len(vectors)), sorted(steps))
    tables = [meanings.add(part) for part in parts]
    assert meanings.add(np.arange(len(vectors))).is_empty()
    found = {(a, b): s for table in tables for a, b, _, s in table.iter_rows()}
    assert sum(table.height for table in tables) == len(found)
    product = np.round(vectors.astype(np.float64) @ vectors.astype(np.float64).T, 4)
    a, b = np.nonzero(np.triu(product >= least, k=1))
    assert found.keys() == set(zip(a.tolist(), b.tolist(), strict=True))
    for (first, second), similarity in found.items():
        assert similarity == pytest.approx(product[first, second], abs=1.1e-4)
    return len(found)


@given(
    st.integers(0, 30),
    st.integers(0, 2**32),
    st.sampled_from([0.3, 0.5, 0.9, 1.0]),
    st.lists(st.integers(0, 30), max_size=3),
)
@settings(deadline=None, max_examples=50)
def test_the_pairs_are_those_of_brute_force(
    rows: int, seed: int, least: float, steps: list[int]
) -> None:
    vectors = unit_vectors(rows, 3, seed)
    vectors[rows // 2 :] = vectors[: rows - rows // 2]  # a half that repeats the other half
    assert_brute_force_agrees(vectors, least, steps)


@pytest.mark.parametrize("axes", [2, 96])
def test_pairs_are_found_across_blocks(axes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a part of the coordinates rules pairs out."""
    monkeypatch.setattr(semantic, "_AXES", axes)
    size = semantic._BLOCK
    vectors = unit_vectors(2 * size + 10, 6, 1)
    twins = {(0, 2 * size + 9), (size - 1, size), (3, size + 3), (size, 2 * size), (1, 2)}
    for a, b in sorted(twins):
        vectors[b] = vectors[a]
    assert assert_brute_force_agrees(vectors, 0.98, [size + 5]) > len(twins)


@given(st.integers(0, 2**32), st.integers(1, 9))
@settings(deadline=None, max_examples=20)
def test_shortened_vectors_have_no_smaller_products(seed: int, axes: int) -> None:
    vectors = unit_vectors(40, 12, seed) * np.linspace(0.1, 1, 12, dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "_AXES", axes)
        short = semantic._shortened(vectors)
    assert short.shape == (40, axes + 1)
    assert (short @ short.T >= vectors @ vectors.T - 1e-5).all()


def test_the_index_finds_nearly_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    centres = unit_vectors(2_000, 32, 2)
    vectors = np.repeat(centres, 3, axis=0) + unit_vectors(6_000, 32, 3) * 0.25
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    a, b = np.nonzero(np.triu(vectors @ vectors.T >= 0.9, k=1))
    truth = set(zip(a.tolist(), b.tolist(), strict=True))
    assert len(truth) > 1_000
    monkeypatch.setattr(semantic, "EXACT_ROWS", 1_000)
    found = semantic._pairs(vectors, vectors, 0, 0.9)
    assert {(second, first) for first, second in found.tolist()} <= truth
    assert len(found) >= 0.98 * len(truth)
    again = np.concatenate(list(neighbours(vectors, vectors, 0.9)))
    assert np.array_equal(again, np.concatenate(list(neighbours(vectors, vectors, 0.9))))


TEXTS = [
    "My sister wants to move in with us for a year, and my wife does not like the idea.",
    "Should I take the job abroad, or stay where my parents need me?",
    "word " * 400 + "and another ending of a long story",
    "",
    *(f"Story number {k}: the landlord of flat {k} keeps the deposit." for k in range(70)),
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(BUNDLED, 180)


@pytest.fixture(scope="module")
def exact(embedder: Embedder) -> np.ndarray:
    return embedder.exact(TEXTS)


def test_exact_vectors_depend_on_nothing_but_the_text(
    embedder: Embedder, exact: np.ndarray
) -> None:
    import torch

    assert exact.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(exact, axis=1), 1)
    some = [2, 70, 0]
    assert np.array_equal(embedder.exact([TEXTS[k] for k in some]), exact[some])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert np.allclose(embedder.exact(TEXTS[:3]), exact[:3], atol=2e-7)
    finally:
        torch.set_num_threads(threads)


def test_quick_vectors_are_near_the_exact_ones(embedder: Embedder, exact: np.ndarray) -> None:
    quick = embedder.quick(TEXTS)
    assert np.abs(quick @ quick.T - exact @ exact.T).max() < ERROR


def test_no_texts_have_no_vectors(embedder: Embedder) -> None:
    assert embedder.quick([]).shape == (0, 384)


def test_a_vector_is_computed_once(
    exact: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Embedder(BUNDLED, 180, tmp_path)
    assert np.array_equal(first.exact(TEXTS[:5]), exact[:5])
    later = Embedder(BUNDLED, 180, tmp_path)
    monkeypatch.setattr(later._encoder, "exact", None)  # calling it would fail
    assert np.array_equal(later.exact([*TEXTS[:5], TEXTS[0]]), exact[[0, 1, 2, 3, 4, 0]])
    rows = sqlite3.connect(tmp_path / "embeddings.sqlite").execute("SELECT count(*) FROM vectors")
    assert rows.fetchone() == (5,)


def test_another_window_is_another_vector(exact: np.ndarray, tmp_path: Path) -> None:
    Embedder(BUNDLED, 180, tmp_path).exact(TEXTS[2:3])
    other = Embedder(BUNDLED, 50, tmp_path).exact(TEXTS[2:3])
    assert not np.array_equal(other, exact[2:3])


def test_what_is_no_cache_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "embeddings.sqlite"
    file.write_text("not a database " * 100)
    with pytest.raises(BadInputError, match=r"embeddings\.sqlite: .*build\.cache"):
        Embedder(BUNDLED, 180, tmp_path).exact(["a"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInputError, match=r"build\.cache"):
        Embedder(BUNDLED, 180, tmp_path / "deeper").exact(["a"])


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"^dedup\.embedding_model: './no/model' cannot"):
        Embedder("./no/model", 180)


@pytest.mark.parametrize(
    ("half_s", "tried", "chosen"),
    [(50.0, [4, 4], "exact"), (1.5, [4, 4, 64, 64], "exact"), (0.5, [4, 4, 64, 64], "half")],
)
def test_a_far_slower_way_is_tried_on_few_texts(
    monkeypatch: pytest.MonkeyPatch, half_s: float, tried: list[int], chosen: str
) -> None:
    """On a processor without bfloat16 the whole trial would take a minute."""
    model = encoder.Encoder(BUNDLED)
    ways: list[int] = []

    def seconds(way: object, texts: list[str]) -> float:
        ways.append(len(texts))
        return 1.0 if way is model._exact else half_s

    monkeypatch.setattr(encoder, "_seconds", seconds)
    monkeypatch.setattr(encoder, "_encode", lambda way, texts: way)
    texts = [f"text {k}" for k in range(80)]
    assert (model.quick(texts) is model._exact) == (chosen == "exact")
    assert ways == tried
    model.quick(texts)
    assert ways == tried
