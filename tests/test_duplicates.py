"""Duplicates: words against brute force, keepers as stars, and the same result in any order."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.config import DedupConfig
from pipeline.duplicates import find, lexical, prefixes, sets
from pipeline.duplicates.lexical import Thresholds, similar
from pipeline.duplicates.normal import compared, normal
from pipeline.duplicates.stars import FOUND, METHODS, kept_rows, stars

ROWS = 12
WORDS = [f"w{i}" for i in range(25)]

Texts = list[list[str]]


@st.composite
def pair_tables(draw: st.DrawFn) -> pl.DataFrame:
    number = st.integers(0, ROWS - 1)
    pair = st.tuples(number, number, st.sampled_from(METHODS), st.sampled_from([0.7, 0.8, 1.0]))
    pairs = draw(st.lists(pair.filter(lambda p: p[0] < p[1]), max_size=25, unique=True))
    return pl.DataFrame(pairs, schema=FOUND, orient="row")


@given(pair_tables(), st.randoms(use_true_random=False))
def test_keepers_are_stars(pairs: pl.DataFrame, rng: random.Random) -> None:
    removed = {row["b"]: row for row in stars(ROWS, pairs).iter_rows(named=True)}
    keepers = {row["a"] for row in removed.values()}
    assert keepers.isdisjoint(removed)
    assert set(kept_rows(ROWS, stars(ROWS, pairs)).tolist()) == set(range(ROWS)) - removed.keys()
    for pair in pairs.iter_rows(named=True):  # of two similar rows that both stay, one should go
        assert pair["a"] in removed or pair["b"] in removed
    for row, chosen in removed.items():
        offers = [p for p in pairs.iter_rows(named=True) if p["b"] == row and p["a"] not in removed]
        order = [(METHODS.index(p["method"]), -p["similarity"], p["a"]) for p in offers]
        assert chosen == offers[order.index(min(order))]
    mixed = pairs.sample(fraction=1, shuffle=True, seed=rng.randrange(1000))
    assert stars(ROWS, mixed).equals(stars(ROWS, pairs))


def test_a_chain_does_not_remove_what_its_keeper_is_unlike() -> None:
    chain = [(0, 1, "lexical", 0.8), (1, 2, "lexical", 0.8), (2, 3, "lexical", 0.8)]
    pairs = pl.DataFrame(chain, schema=FOUND, orient="row")
    assert stars(4, pairs).rows() == [chain[0], chain[2]]


@st.composite
def corpora(draw: st.DrawFn) -> Texts:
    """Different texts over few words, most of them small changes of one another."""
    word = st.sampled_from(WORDS)
    texts = draw(st.lists(st.lists(word, min_size=1, max_size=60), min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 8))):
        changed = list(draw(st.sampled_from(texts)))
        for _ in range(draw(st.integers(0, 3))):
            place = draw(st.integers(0, len(changed) - 1))
            changed[place : place + 1] = draw(st.lists(word, min_size=1, max_size=2))
        texts.append(changed)
    return [list(text) for text in draw(st.permutations(sorted({tuple(t) for t in texts})))]


def shingles(text: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(text[i : i + size]) for i in range(max(1, len(text) - size + 1))}


def alike(first: Sequence[str], second: Sequence[str], size: int, inside: int) -> tuple[float, ...]:
    a, b = shingles(first, size), shingles(second, size)
    shorter = min(len(a), len(b))
    shared = len(a & b)
    return shared / len(a | b), shared / shorter if shorter >= inside else 0.0


@given(
    corpora(),
    st.sampled_from([0.3, 0.5, 0.7, 1.0]),
    st.sampled_from([0.4, 0.9, 1.0]),
    st.integers(1, 4),
    st.sampled_from([1, 3, 1_000]),
)
@settings(deadline=None)
def test_exactly_the_similar_texts_are_found_whatever_the_parts(
    texts: Texts, jaccard: float, containment: float, size: int, cut: int
) -> None:
    least = Thresholds(jaccard, containment, inside=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "_WORDS_AT_ONCE", cut)
        patch.setattr(sets, "_SHINGLES_A_HEAP", cut * 20)
        patch.setattr(sets, "_BYTES_IN_MEMORY", cut * 20)
        patch.setattr(sets, "_PAIRS_AT_ONCE", cut)
        patch.setattr(prefixes, "_PAIRS_AT_ONCE", cut)
        found = similar(pl.Series([" ".join(text) for text in texts]), size, least, least)
    truth = {
        (a, b): alike(texts[a], texts[b], size, least.inside)
        for a, b in itertools.combinations(range(len(texts)), 2)
    }
    near = {
        pair: measured
        for pair, measured in truth.items()
        if round(measured[0], 4) >= jaccard or round(measured[1], 4) >= containment
    }
    assert not len(found.aside)
    assert {(a, b): (j, c) for a, b, j, c in found.pairs.iter_rows()} == {
        pair: tuple(round(number, 4) for number in measured) for pair, measured in near.items()
    }


@given(corpora(), st.sampled_from([0.3, 0.5, 0.7]), st.integers(1, 3))
@settings(deadline=None)
def test_beyond_the_exact_size_no_pair_is_made_up(texts: Texts, jaccard: float, size: int) -> None:
    least = Thresholds(jaccard, 0.9, inside=5)
    series = pl.Series([" ".join(text) for text in texts])
    exact = set(similar(series, size, least, least).pairs.iter_rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "EXACT_TEXTS", 0)
        found = set(similar(series, size, least, least).pairs.iter_rows())
    assert found <= exact


@st.composite
def retold(draw: st.DrawFn) -> Texts:
    """One text and changed copies of it; no word stands in two places of a text by chance."""
    first = [f"w{n}" for n in range(draw(st.integers(20, 120)))]
    texts = [first]
    for copy in range(draw(st.integers(1, 5))):
        text = first.copy()
        for edit in range(draw(st.integers(0, 12))):
            at = draw(st.integers(0, len(text) - 1))
            match draw(st.sampled_from(["replace", "insert", "delete", "move", "cut"])):
                case "replace":
                    text[at] = f"c{copy}e{edit}"
                case "insert":
                    text.insert(at, f"c{copy}e{edit}")
                case "delete" if len(text) > 10:
                    del text[at]
                case "move":
                    text = text[at:] + text[:at]
                case "cut" if at >= 10:
                    text = text[:at]
        texts.append(text)
    return texts


@given(retold(), st.sampled_from([0.4, 0.6, 0.8]), st.sampled_from([0.8, 0.9]))
@settings(deadline=None)
def test_beyond_the_exact_size_copies_are_found_however_they_are_edited(
    texts: Texts, jaccard: float, containment: float
) -> None:
    least = Thresholds(jaccard, containment)
    series = pl.Series([" ".join(text) for text in texts]).unique(maintain_order=True)
    exact = similar(series, 3, least, least).pairs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "EXACT_TEXTS", 0)
        found = similar(series, 3, least, least).pairs
    assert found.equals(exact)


def posts_of(texts: Sequence[Sequence[str]], scores: Sequence[int]) -> pl.DataFrame:
    return schema.frame(
        (
            {
                "post_id": f"p{k:03}",
                "title": f"title {k}",
                "body": " ".join(text),
                "text": " ".join(text),
                "score": score,
                "removal": "none",
                "over_18": False,
            }
            for k, (text, score) in enumerate(zip(texts, scores, strict=True))
        ),
        schema.SCREENED,
    )


class Bags:
    """An embedder whose vectors are counts of words: no meaning, but real cosines."""

    def quick(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[t.split().count(w) for w in WORDS] for t in texts], dtype=np.float32)
        counts = counts.reshape(len(texts), len(WORDS))
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)

    exact = quick


def greedy(posts: pl.DataFrame, config: DedupConfig) -> set[str]:
    """The posts that stay if every post is compared with every better one that stays."""
    by_rank = sorted(
        posts.iter_rows(named=True), key=lambda p: (-len(p["text"]), -p["score"], p["post_id"])
    )
    kept: list[dict] = []
    for post in by_rank:
        words = post["body"].split()
        if not any(same_story(words, other["body"].split(), config) for other in kept):
            kept.append(post)
    return {post["post_id"] for post in kept}


def same_story(first: list[str], second: list[str], config: DedupConfig) -> bool:
    jaccard, containment = alike(first, second, config.shingle_words, 18)
    a, b = Bags().quick([" ".join(first), " ".join(second)]).astype(np.float64)
    fewer, more = sorted((len({*first}), len({*second})))
    common = len({*first} & {*second})
    long = min(len(first), len(second)) >= config.semantic_words
    semantic = (
        long
        and round(common / fewer, 4) >= config.common_words
        and round(common / more, 4) >= config.common_words_of_longer
    )
    return (
        first == second
        or round(jaccard, 4) >= config.jaccard
        or round(containment, 4) >= config.containment
        or (semantic and round(float(a @ b), 4) >= config.cosine)
    )


LONG = st.lists(st.sampled_from(WORDS), min_size=20, max_size=40)


@st.composite
def story_posts(draw: st.DrawFn) -> pl.DataFrame:
    texts = draw(st.lists(LONG, min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 10))):
        changed = list(draw(st.sampled_from(texts)))
        for _ in range(draw(st.integers(0, 6))):
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.sampled_from(WORDS))
        texts.append(changed)
    scores = draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts)))
    return posts_of(texts, scores)


CONFIG = DedupConfig(jaccard=0.5, containment=0.7, cosine=0.9, semantic_words=25)


@given(story_posts(), st.integers(0, 1000), st.sampled_from([2, 1_000]))
@settings(deadline=None)
def test_what_stays_is_the_greedy_choice_over_all_pairs_in_any_order(
    posts: pl.DataFrame, seed: int, largest_group: int
) -> None:
    """Also where every shingle of three bearers counts as a template."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_LARGEST_GROUP", largest_group)
        found = find(posts, CONFIG, Bags())
        mixed = find(posts.sample(fraction=1, shuffle=True, seed=seed), CONFIG, Bags())
    assert mixed.removals.equals(found.removals)
    assert mixed.near.equals(found.near)
    kept = set(posts["post_id"]) - set(found.removals["removed_id"])
    assert kept == greedy(posts, CONFIG)
    assert set(found.removals["keeper_id"]) <= kept


@pytest.mark.parametrize("words", [60, 300])
def test_a_template_with_thousands_of_copies_falls_to_one_keeper(words: int) -> None:
    form = [f"f{i}" for i in range(words)]
    texts = [[*form, f"end{i}"] for i in range(prefixes._LARGEST_GROUP + 500)]
    found = find(posts_of(texts, [0] * len(texts)), DedupConfig(embedding_model=""), None)
    assert found.removals.height == len(texts) - 1
    assert found.removals["keeper_id"].n_unique() == 1


def test_posts_come_back_when_what_they_fell_for_goes_too() -> None:
    """c falls to b by its words, b to a by meaning; c is unlike a, and stays after all."""
    a, b = [*WORDS[:20], *WORDS[:20]], [*WORDS[:20], *reversed(WORDS[:19])]
    c = [*b[10:], *["w24"] * 6]
    posts = posts_of([a, b, c], [3, 2, 1])
    config = dataclasses.replace(CONFIG, containment=1.0)
    assert greedy(posts, config) == {"p000", "p002"}
    found = find(posts, config, Bags())
    assert found.removals.rows() == [("p001", "p000", "semantic", found.removals[0, 3])]


def test_a_long_text_is_not_the_story_of_every_short_one_on_its_topic() -> None:
    """Its vector is near theirs and it has all of their words, but they have few of its own."""
    many = [f"much{i}" for i in range(200)]
    short, long = many[::4], [word for word in many for _ in range(3)]
    posts = posts_of([long, short[::-1]], [1, 1])
    for least, stay in ((0.2, 1), (0.3, 2)):  # the short one has a quarter of the other's words
        config = dataclasses.replace(CONFIG, common_words_of_longer=least)
        found = find(posts, config, Alike())
        assert posts.height - found.removals.height == stay


class Alike:
    """All texts mean the same."""

    def quick(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), dtype=np.float32)

    exact = quick


def test_pairs_near_a_threshold_are_shown_on_either_side() -> None:
    base = [f"base{i}" for i in range(60)]
    texts = [base, *([*base[:k], *(f"n{k}x{i}" for i in range(60 - k))] for k in (45, 42, 38, 10))]
    config = dataclasses.replace(CONFIG, jaccard=0.5, containment=1.0)
    near = find(posts_of(texts, [1] * len(texts)), config, None).near
    to_base = near.filter(better_id="p000").select("worse_id", "over").rows()
    assert to_base == [("p003", False), ("p002", True), ("p001", True)]
    assert near["threshold"].to_list() == [0.5] * near.height
    assert dict(near.schema) == schema.NEAR_PAIRS


def test_nothing_is_like_nothing() -> None:
    for texts in ([], [[]], [[], ["a"]]):
        assert find(posts_of(texts, [1] * len(texts)), CONFIG, Bags()).removals.is_empty()


def one_normal(text: str) -> str:
    return pl.DataFrame({"t": [text]}).select(normal(pl.col("t"))).item()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("My  Boss's\ncat_and “dog”!", "my bosss cat and dog"),
        ("The long story of us.\n\nEDIT: thanks all", "the long story of us"),
        ("The long, long story.\n\n**Update** I did.\nSo.", "the long long story"),
        ("The long story of us.\n\ntl;dr a story", "the long story of us"),
        ("The editor wants an update, edit it", "the editor wants an update edit it"),
        ("Edit: only this", "edit only this"),
        ("See [my post](https://a.example/b) or https://c.example", "see my post or"),
        ("É, straße & 北京", "é straße 北京"),
    ],
)
def test_normal_keeps_the_words_of_the_story(text: str, words: str) -> None:
    assert one_normal(text) == words


@given(st.text(max_size=200))
def test_normal_words_stay_as_they_are(text: str) -> None:
    words = one_normal(text)
    assert words == words.strip()
    assert "  " not in words
    assert one_normal(f"x {words}") == f"x {words}".strip() or "tl" in words or "edit" in words


@pytest.mark.parametrize(
    ("title", "body", "words"),
    [
        ("Should I go?", "", ""),
        ("Should I go?", "Title says it all", ""),
        (
            "Should I go?",
            "Please help me with this one",
            "should i go please help me with this one",
        ),
        ("Should I go?", "w " * 20, ("w " * 20).strip()),
    ],
)
def test_short_bodies_are_compared_with_their_titles(title: str, body: str, words: str) -> None:
    assert compared(pl.Series([title]), pl.Series([body])).to_list() == [words]


@pytest.mark.parametrize(
    "opening", ["TL;DR: see below.", "Edit: typos.", "Update your CV, they say."]
)
def test_two_stories_that_open_with_a_summary_or_an_edit_stay_two(opening: str) -> None:
    stories = (
        "My landlord wants to sell the house we have rented for nine years, and we cannot buy.",
        "I was offered a place on an expedition, but my mother has just fallen ill and needs me.",
    )
    texts = [f"{opening}\n\n{story}".split() for story in stories]
    assert find(posts_of(texts, [1, 1]), CONFIG, None).removals.is_empty()
