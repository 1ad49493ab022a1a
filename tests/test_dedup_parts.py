"""Deduplication in partitions: what is found is what one process finds on whole tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dedup_posts import Source, chunks
from pipeline import schema
from pipeline.artifacts import write_parquet
from pipeline.config import DedupConfig
from pipeline.duplicates import find, lexical, parts_crowds, parts_similar, prefixes, sets
from pipeline.duplicates.find import Duplicates
from pipeline.duplicates.floors import Thresholds
from pipeline.duplicates.lexical import similar
from pipeline.duplicates.parts_find import find_in_parts
from pipeline.duplicates.parts_posts import facts_of
from pipeline.duplicates.parts_sets import Texts
from pipeline.duplicates.parts_similar import similar_in_parts
from pipeline.duplicates.semantic import Embedder
from pipeline.scale import Local, parts_of
from pipeline.tag import with_text
from tests.test_duplicates import CONFIG, WORDS, Bags, corpora, posts_of, story_posts
from tests.test_duplicates import Texts as Words


def in_parts(
    posts: pl.DataFrame,
    config: DedupConfig,
    embedder: Embedder | None,
    engine: Local,
    earlier: Sequence[tuple[str, str]] = (),
) -> Duplicates:
    with TemporaryDirectory() as name:
        path = Path(name, "posts.parquet")
        write_parquet(posts, path)
        parts = parts_of(path, engine.partitions)
        facts = facts_of(parts, engine)
        return find_in_parts(parts, facts, config, embedder, earlier, engine, Path(name, "work"))


def same(one: Duplicates, other: Duplicates) -> None:
    assert one.removals.equals(other.removals)
    assert one.near.equals(other.near)
    assert one.without_text == other.without_text


@given(
    corpora(),
    st.sampled_from([0.3, 0.5, 0.7]),
    st.sampled_from([0.4, 0.9]),
    st.integers(1, 3),
    st.sampled_from([0, 200_000]),
    st.sampled_from([1, 2, 1_000]),
    st.sampled_from([5, 20_000_000]),
    st.sampled_from([2, 3, 7]),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=80)
def test_similar_texts_and_those_set_aside_are_the_same(
    texts: Words,
    jaccard: float,
    containment: float,
    size: int,
    exact: int,
    largest_group: int,
    heap: int,
    partitions: int,
    rng: random.Random,
) -> None:
    least = Thresholds(jaccard, containment, inside=5)
    enough = Thresholds(jaccard + 0.1, containment + 0.05, inside=5)
    series = pl.Series("words", [" ".join(text) for text in texts])
    wanted = np.array([rng.random() < 0.8 for _ in texts])
    rows = np.flatnonzero(wanted)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as name:
        patch.setattr(lexical, "EXACT_TEXTS", exact)
        patch.setattr(prefixes, "_LARGEST_GROUP", largest_group)
        patch.setattr(sets, "_SHINGLES_A_HEAP", heap)
        patch.setattr(parts_similar, "_FEW_PAIRS", 1)
        patch.setattr(parts_similar, "_PAIRS_AT_ONCE", 3)
        patch.setattr(parts_crowds, "_SHINGLES_AT_ONCE", 30)
        whole = similar(series.gather(rows), size, least, enough)
        path = Path(name, "texts.parquet")
        write_parquet(series.to_frame(), path)
        parts = tuple(parts_of(path, partitions))
        counts = np.array([len(text) for text in texts], dtype=np.uint32)
        stored = Texts(parts, np.array([part.start for part in parts]), counts)
        found = similar_in_parts(
            stored, wanted, size, least, enough, Local(partitions), Path(name, "work")
        )
    number = pl.Series(rows, dtype=pl.UInt32)
    expected = whole.pairs.with_columns(
        a=number.gather(whole.pairs["a"]), b=number.gather(whole.pairs["b"])
    )
    assert found.pairs.equals(expected)
    assert found.aside.tolist() == rows[whole.aside].tolist()


@given(
    story_posts(),
    st.lists(st.lists(st.sampled_from(WORDS), min_size=20, max_size=30), max_size=2),
    st.sampled_from([2, 1_000]),
    st.sampled_from([2, 5]),
    st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_the_same_posts_go_for_the_same_reasons(
    posts: pl.DataFrame,
    earlier: list[list[str]],
    largest_group: int,
    partitions: int,
    meanings: bool,
) -> None:
    told = [(f"e{k}", " ".join(text)) for k, text in enumerate(earlier)]
    embedder = Bags() if meanings else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_LARGEST_GROUP", largest_group)
        whole = find(posts, CONFIG, embedder, told)
        same(in_parts(posts, CONFIG, embedder, Local(partitions), told), whole)


def many_posts(count: int) -> pl.DataFrame:
    """Return invented posts with copies, a crowd, updates, links and authors that come back."""
    posts = with_text(pl.concat(chunks(Source.of(None, 3), count, 3)).select(schema.POSTS.keys()))
    form = " ".join(f"form{k}" for k in range(200))
    row = pl.int_range(pl.len())
    known = pl.col("post_id").shift(500)
    body = (
        pl.when(row % 7 == 0)
        .then(pl.lit(form) + pl.lit(" ") + row.cast(pl.String))
        .when((row % 11 == 0) & known.is_not_null())
        .then(pl.lit("my original post is here: https://redd.it/") + known + " " + pl.col("body"))
        .when(row % 17 == 3)
        .then(pl.col("body").shift(400).fill_null(""))
        .otherwise("body")
    )
    author = pl.when((row % 11 > 0) & (row % 13 > 0)).then((row % 1_999).cast(pl.String))
    title = (
        pl.when((row % 13 == 0) & (row >= 500))
        .then(pl.lit("UPDATE: ") + pl.col("title").shift(500))
        .otherwise("title")
    )
    posts = posts.with_columns(author_hash=author, title=title, body=body, score=row % 17)
    return posts.with_columns(text=pl.col("title") + "\n\n" + pl.col("body"))


@pytest.mark.parametrize("exact", [200_000, 1_000])
def test_many_posts_with_a_crowd(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical, "EXACT_TEXTS", exact)
    posts = many_posts(10_000)
    config = DedupConfig(embedding_model="")
    whole = find(posts, config, None)
    assert whole.removals.height > 1_500
    assert {"exact", "update", "resubmitted", "lexical", "contained"} == set(
        whole.removals["method"]
    )
    same(in_parts(posts, config, None, Local(6)), whole)


@pytest.mark.slow
def test_many_posts_in_two_processes() -> None:
    posts = many_posts(4_000)
    config = DedupConfig(embedding_model="")
    same(in_parts(posts, config, None, Local(5, 2)), find(posts, config, None))


def test_nothing_is_like_nothing() -> None:
    for texts in ([], [[]], [[], ["a"]]):
        posts = posts_of(texts, [1] * len(texts))
        same(in_parts(posts, CONFIG, Bags(), Local(3)), find(posts, CONFIG, Bags()))
