"""Each story once: candidates against brute force, keepers as stars, and the whole sample."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import dedup, schema, scrape, screen, tag
from pipeline.config_file import load
from pipeline.dedup import Pair, cosine_pairs, draw_pool, lexical_pairs, normalise, stars
from pipeline.paths import ROOT, SAMPLE_POSTS
from pipeline.stage import Context, Result

CONFIG = load(ROOT / "configs" / "demo.toml")
DUPLICATES = {"exact_duplicate", "near_duplicate", "paraphrase"}
CERTAIN = 0.85  # MinHash banding misses a pair this similar less than once in ten billion
ROWS = 12


def pairs_of(rows: int) -> st.SearchStrategy[list[Pair]]:
    number, method = st.integers(0, rows - 1), st.sampled_from(["exact", "lexical"])
    pair = st.tuples(number, number, method, st.sampled_from([0.7, 0.8, 1.0]))
    ordered = pair.filter(lambda p: p[0] < p[1]).map(lambda p: Pair(*p))
    return st.lists(ordered, max_size=25)


@given(pairs_of(ROWS), st.randoms(use_true_random=False))
def test_keepers_are_stars(pairs: list[Pair], rng: random.Random) -> None:
    removed = stars(ROWS, pairs)
    keepers = {pair.a for pair in removed.values()}
    assert keepers.isdisjoint(removed)
    assert all(pair in pairs and pair.b == row for row, pair in removed.items())
    for pair in pairs:  # of two similar rows that both stay, the worse one was wrongly kept
        assert pair.a in removed or pair.b in removed
    for row, chosen in removed.items():
        offers = [p for p in pairs if p.b == row and p.a not in removed]
        same = [p for p in offers if p.method == chosen.method]
        assert chosen.method == min(p.method for p in offers)
        assert chosen.similarity == max(p.similarity for p in same)
    assert stars(ROWS, rng.sample(pairs, len(pairs))) == removed


def test_a_chain_does_not_remove_what_its_keeper_is_unlike() -> None:
    chain = [Pair(0, 1, "lexical", 0.8), Pair(1, 2, "lexical", 0.8), Pair(2, 3, "lexical", 0.8)]
    assert stars(4, chain) == {1: chain[0], 3: chain[2]}


@st.composite
def corpora(draw: st.DrawFn) -> list[list[str]]:
    """Texts over few words, most of them small changes of one another."""
    word = st.sampled_from([f"w{i}" for i in range(25)])
    texts = draw(st.lists(st.lists(word, min_size=1, max_size=60), min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 8))):
        changed = list(draw(st.sampled_from(texts)))
        for _ in range(draw(st.integers(0, 3))):
            place = draw(st.integers(0, len(changed) - 1))
            changed[place : place + 1] = draw(st.lists(word, min_size=1, max_size=2))
        texts.append(changed)
    return draw(st.permutations(texts))


def jaccard(first: list[str], second: list[str], size: int) -> float:
    a, b = (
        {tuple(text[i : i + size]) for i in range(max(1, len(text) - size + 1))}
        for text in (first, second)
    )
    return len(a & b) / len(a | b)


@given(corpora(), st.sampled_from([0.3, 0.5, 0.7, CERTAIN, 1.0]), st.integers(1, 4))
@settings(deadline=None)
def test_lexical_pairs_are_measured_exactly_and_none_that_is_alike_is_missed(
    texts: list[list[str]], threshold: float, size: int
) -> None:
    config = dataclasses.replace(CONFIG.dedup, jaccard=threshold, shingle_words=size)
    found = lexical_pairs(texts, config)
    truth = {
        (a, b): jaccard(texts[a], texts[b], size)
        for a, b in itertools.combinations(range(len(texts)), 2)
    }
    for pair in found:
        assert pair.a < pair.b
        assert pair.similarity == pytest.approx(truth[pair.a, pair.b], abs=5.1e-5)
        assert truth[pair.a, pair.b] >= threshold
        assert pair.method == "lexical" or texts[pair.a] == texts[pair.b]
    certain = {p for p, similarity in truth.items() if similarity >= max(threshold, CERTAIN)}
    assert certain <= {(pair.a, pair.b) for pair in found}
    twins = {text for text, count in Counter(map(tuple, texts)).items() if count > 1}
    assert {tuple(texts[p.a]) for p in found if p.method == "exact"} == twins


def test_a_template_with_hundreds_of_copies_still_falls_to_one_keeper() -> None:
    """Buckets over dedup._MAX_BUCKET are compared with few neighbours, not with none."""
    words = [f"w{i}" for i in range(60)]
    texts = [[*words, f"end{i}"] for i in range(dedup._MAX_BUCKET + 50)]
    assert set(stars(len(texts), lexical_pairs(texts, CONFIG.dedup))) == set(range(1, len(texts)))


def unit_vectors(rows: int, dimensions: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def assert_brute_force_agrees(vectors: np.ndarray, threshold: float) -> int:
    """Compare with all products in double precision; within 1e-4 of the threshold is free."""
    found = {(pair.a, pair.b): pair.similarity for pair in cosine_pairs(vectors, threshold)}
    product = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    upper = np.triu(np.ones(product.shape, dtype=bool), k=1)
    must = set(zip(*np.nonzero(upper & (product >= threshold + 1e-4)), strict=True))
    may = set(zip(*np.nonzero(upper & (product >= threshold - 1e-4)), strict=True))
    assert must <= found.keys() <= may
    for (a, b), similarity in found.items():
        assert similarity == pytest.approx(product[a, b], abs=6e-5)
    return len(must)


@given(st.integers(0, 30), st.integers(0, 2**32), st.sampled_from([-1.0, 0.0, 0.5, 0.9, 1.0]))
@settings(deadline=None, max_examples=50)
def test_cosine_pairs_are_those_of_brute_force(rows: int, seed: int, threshold: float) -> None:
    vectors = unit_vectors(rows, 3, seed)
    vectors[rows // 2 :] = vectors[: rows - rows // 2]  # a half that repeats the other half
    assert_brute_force_agrees(vectors, threshold)


def test_cosine_pairs_are_found_across_blocks() -> None:
    size = dedup._BLOCK
    vectors = unit_vectors(2 * size + 10, 6, 1)
    twins = {(0, 2 * size + 9), (size - 1, size), (3, size + 3), (size, 2 * size), (1, 2)}
    for a, b in sorted(twins):
        vectors[b] = vectors[a]
    assert assert_brute_force_agrees(vectors, 0.98) > len(twins)
    assert twins <= {(pair.a, pair.b) for pair in cosine_pairs(vectors, 0.98)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("My  Boss's\ncat_and “dog”!", "my boss s cat and dog"),
        ("The long story of us.\n\nEDIT: thanks all", "the long story of us"),
        ("The long, long story.\n\n**Update** I did.\nSo.", "the long long story"),
        ("The long story of us.\n\ntl;dr a story", "the long story of us"),
        ("The editor wants an update, edit it", "the editor wants an update edit it"),
        ("Edit: only this", "edit only this"),
    ],
)
def test_normalise_keeps_the_words_of_the_story(text: str, words: str) -> None:
    assert normalise(text) == words


@pytest.mark.parametrize(
    "opening", ["TL;DR: see below.", "Edit: typos.", "Update your CV, they say."]
)
def test_two_stories_that_open_with_a_summary_or_an_edit_stay_two(opening: str) -> None:
    title = "Feeling stuck, what should I do?"
    stories = (
        "My landlord wants to sell the house we have rented for nine years, and we cannot buy.",
        "I was offered a place on an expedition, but my mother has just fallen ill and needs me.",
    )
    words = [normalise(f"{title}\n\n{opening}\n\n{story}").split() for story in stories]
    assert lexical_pairs(words, CONFIG.dedup) == []


def pool_of(rows: list[tuple[int, str]]) -> pl.DataFrame:
    posts = ({"post_id": f"p{number}", "domain": domain} for number, domain in rows)
    return schema.frame(posts, schema.SCREENED)


ROWS_OF_POOL = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from("abc")), unique_by=lambda r: r[0], max_size=30
)


@given(ROWS_OF_POOL, st.integers(1, 8), st.randoms(use_true_random=False))
def test_the_pool_is_drawn_by_id_and_exact_in_count(
    rows: list[tuple[int, str]], per_domain: int, rng: random.Random
) -> None:
    drawn = draw_pool(pool_of(rows), per_domain, "seed")
    counts = {d: min(n, per_domain) for d, n in Counter(d for _, d in rows).items()}
    assert dict(drawn.group_by("domain").len().iter_rows()) == counts
    chosen = set(drawn["post_id"])
    assert drawn["post_id"].to_list() == [f"p{n}" for n, _ in rows if f"p{n}" in chosen]
    mixed = draw_pool(pool_of(rng.sample(rows, len(rows))), per_domain, "seed")
    assert set(mixed["post_id"]) == chosen
    assert chosen <= set(draw_pool(pool_of(rows), per_domain + 1, "seed")["post_id"])
    fewer = [row for row in rows if f"p{row[0]}" in chosen or rng.random() < 0.5]
    assert set(draw_pool(pool_of(fewer), per_domain, "seed")["post_id"]) == chosen
    assert draw_pool(pool_of(rows), 0, "seed").equals(pool_of(rows))


def test_the_pool_depends_on_the_seed() -> None:
    posts = pool_of([(number, "a") for number in range(60)])
    one, other = (set(draw_pool(posts, 20, seed)["post_id"]) for seed in ("one", "other"))
    assert one != other


def run(stage: str, tables: dict[str, pl.DataFrame]) -> Result:
    module = {"scrape": scrape, "tag": tag, "screen": screen, "dedup": dedup}[stage]
    return module.run(Context(config=CONFIG, tables=tables, out=Path(), manifests={}))


@pytest.fixture(scope="module")
def posts() -> pl.DataFrame:
    scraped = run("scrape", {}).tables["posts"]
    tagged = run("tag", {"scrape.posts": scraped}).tables["posts"]
    return run("screen", {"tag.posts": tagged}).tables["posts"]


@pytest.fixture(scope="module")
def unique(posts: pl.DataFrame) -> Result:
    return run("dedup", {"screen.posts": posts})


def test_the_copies_of_the_sample_fall_to_their_originals_and_nothing_else_falls(
    unique: Result, posts: pl.DataFrame
) -> None:
    sample = [json.loads(line) for line in SAMPLE_POSTS.read_text(encoding="utf-8").splitlines()]
    copies = {post["id"]: post["_of"] for post in sample if post["_defect"] in DUPLICATES}
    assert {p["_defect"] for p in sample if p["id"] in copies} == DUPLICATES
    pairs, kept = unique.tables["pairs"], unique.tables["posts"]
    assert dict(pairs.select("removed_id", "keeper_id").iter_rows()) == copies
    assert kept["post_id"].to_list() == sorted(set(posts["post_id"]) - copies.keys())
    alike = {post["id"] for post in sample if post["_defect"] in {"same_title", "template"}}
    assert alike
    assert alike <= set(kept["post_id"])


def test_every_removal_is_one_measured_pair(unique: Result, posts: pl.DataFrame) -> None:
    pairs = unique.tables["pairs"]
    least = {"exact": 1.0, "lexical": CONFIG.dedup.jaccard, "semantic": CONFIG.dedup.cosine}
    for _, _, method, similarity in pairs.iter_rows():
        assert least[method] <= similarity <= 1
    expected = {
        (removed, f"{method}_duplicate", f"of {keeper}")
        for removed, keeper, method, _ in pairs.iter_rows()
    }
    assert set(unique.dropped.select("id", "reason", "detail").iter_rows()) == expected
    assert unique.funnel.entered == posts.height == sum(unique.funnel.cells.values())
    assert dict(unique.tables["posts"].schema) == schema.SCREENED
    assert dict(pairs.schema) == schema.DUPLICATES


def test_row_order_changes_nothing(unique: Result, posts: pl.DataFrame) -> None:
    again = run("dedup", {"screen.posts": posts.sample(fraction=1, shuffle=True, seed=1)})
    for name, table in unique.tables.items():
        assert again.tables[name].equals(table), name
    assert again.dropped.equals(unique.dropped)
    assert again.funnel == unique.funnel
