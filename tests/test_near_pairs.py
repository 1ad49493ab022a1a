"""The review of near duplicates: both sides of each threshold, and posts shown as what they say."""

from __future__ import annotations

import dataclasses
import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline import schema
from pipeline.config import DedupConfig
from pipeline.duplicates.find import NEAR
from pipeline.errors import BadInputError
from pipeline.near_pairs import KEYS, NearPair, mark_shared, nearest, print_pairs, write_page

THRESHOLDS = {"lexical": 0.6, "contained": 0.9, "semantic": 0.88}
SCRIPT = "<script>alert('1')</script><img src=x onerror=alert(2)>"
ESCAPES = "\x1b[31mred\x1b[0m\x07 a\u202eb\x9b2J"
WORDS = st.lists(st.sampled_from([*"abcde", "A,", "it's", "its", "\n", "\u2014"]), max_size=30)


def posts(**texts: tuple[str, str]) -> pl.DataFrame:
    rows = [
        dict.fromkeys(schema.POSTS)
        | {"post_id": name, "title": title, "body": body, "subreddit": "Advice"}
        | {"created_utc": datetime(2021, 3, 4, 23, 59, tzinfo=UTC)}
        for name, (title, body) in texts.items()
    ]
    return schema.frame(rows, schema.POSTS)


def near(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """Return NEAR_PAIRS of (worse, better, method, similarity)."""
    named = [
        dict(zip(schema.NEAR_PAIRS, (*row, least, row[3] >= least), strict=True))
        for row in rows
        for least in [THRESHOLDS[row[2]]]
    ]
    return schema.frame(named, schema.NEAR_PAIRS)


def one_pair(title: str, body: str, other: str = "Nothing like it.") -> list[NearPair]:
    return nearest(near(("w", "b", "lexical", 0.6)), posts(w=(title, body), b=("T", other)), 1)


def printed(pairs: list[NearPair], color: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=100, force_terminal=color, color_system="standard" if color else None
    )
    print_pairs(pairs, console)
    return out.getvalue()


class Page(HTMLParser):
    """A page's tags, the names of their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(pairs: list[NearPair], tmp_path: Path) -> Page:
    path = tmp_path / "near.html"
    write_page(pairs, path)
    return Page(path)


def test_both_sides_of_each_threshold_nearest_first_whatever_the_order() -> None:
    table = near(
        ("p1", "p0", "lexical", 0.7),
        ("p2", "p0", "lexical", 0.61),
        ("p3", "p0", "lexical", 0.6),
        ("p4", "p0", "lexical", 0.59),
        ("p5", "p0", "lexical", 0.51),
        ("p6", "p0", "lexical", 0.55),
        ("p7", "p0", "semantic", 0.87),
        ("p8", "p1", "contained", 0.95),
        ("p8", "p0", "contained", 0.95),
        ("p7", "p3", "contained", 0.95),
    )
    texts = posts(**{f"p{k}": ("Title", f"Body {k}") for k in range(9)})
    found = nearest(table, texts, 2)
    assert [(p.method, p.over, p.worse.post_id, p.better.post_id) for p in found] == [
        ("contained", True, "p7", "p3"),
        ("contained", True, "p8", "p0"),
        ("lexical", True, "p3", "p0"),
        ("lexical", True, "p2", "p0"),
        ("lexical", False, "p4", "p0"),
        ("lexical", False, "p6", "p0"),
        ("semantic", False, "p7", "p0"),
    ]
    for seed in range(5):
        shuffled = table.sample(fraction=1, shuffle=True, seed=seed)
        assert nearest(shuffled, texts.reverse(), 2) == found
    assert nearest(table, texts, 2, "lexical") == [p for p in found if p.method == "lexical"]
    assert nearest(table.clear(), texts, 2) == []


def test_what_is_not_known_of_a_post_is_left_out() -> None:
    texts = posts(w=("Title", "A body"), b=("Other", "Another")).with_columns(
        subreddit=pl.when(pl.col("post_id") == "w").then("subreddit"),
        created_utc=pl.when(pl.col("post_id") == "w").then("created_utc"),
    )
    (pair,) = nearest(near(("w", "b", "lexical", 0.6)), texts, 1)
    assert pair.worse.facts == "w · r/Advice · 2021-03-04"
    assert (pair.better.subreddit, pair.better.date, pair.better.facts) == (None, "", "b")


def test_texts_of_an_earlier_release_are_named_but_never_go(tmp_path: Path) -> None:
    table = near(("w", "s_old", "lexical", 0.6), ("s_older", "s_old", "lexical", 0.6))
    pairs = nearest(table, posts(w=("Title", "A body")), 5)
    assert [(p.worse.post_id, p.better.post_id) for p in pairs] == [("w", "s_old")]
    assert "(no text)" in printed(pairs)
    assert "no text at hand" in page_of(pairs, tmp_path).text


def test_an_unknown_method_names_those_there_are() -> None:
    for wrong in ("lexcial", "exact", "a\nb"):
        with pytest.raises(BadInputError) as caught:
            nearest(near(), posts(), 1, wrong)
        assert "contained, lexical, semantic" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_each_method_near_a_threshold_has_its_configuration_key() -> None:
    fields = {f"dedup.{field.name}" for field in dataclasses.fields(DedupConfig)}
    assert set(KEYS) == set(NEAR)
    assert set(KEYS.values()) <= fields


def test_shared_runs_are_marked_whatever_their_case_and_punctuation() -> None:
    one, other = mark_shared(
        "Hello. My sister WON\u2019T talk,\nto me! So what?", "So: my sister won't talk to me, she"
    )
    assert one == (
        ("Hello. ", False),
        ("My sister WON\u2019T talk,\nto me", True),
        ("! So what?", False),
    )
    assert other == (("So: ", False), ("my sister won't talk to me", True), (", she", False))
    assert mark_shared("my sister cried", "my sister sang") == (
        (("my sister cried", False),),
        (("my sister sang", False),),
    )
    assert mark_shared("", "one two three") == ((), (("one two three", False),))


@given(WORDS, WORDS)
def test_parts_are_the_text_and_marks_are_found_in_the_other(
    one: list[str], other: list[str]
) -> None:
    def plain(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower().replace("'", ""))

    texts = (" ".join(one), " ".join(other))
    marked = mark_shared(*texts)
    assert mark_shared(*reversed(texts)) == tuple(reversed(marked))
    for text, rest, parts in zip(texts, reversed(texts), marked, strict=True):
        assert "".join(part for part, _ in parts) == text
        words, kept, runs = plain(text), set(), plain(rest)
        there = {tuple(runs[k : k + 3]) for k in range(len(runs) - 2)}
        for k in range(len(words) - 2):
            if tuple(words[k : k + 3]) in there:
                kept |= {k, k + 1, k + 2}
        flags = [shared for part, shared in parts for _ in plain(part)]
        assert flags == [k in kept for k in range(len(words))]


def test_the_terminal_shows_markup_and_swallows_control_characters() -> None:
    pairs = one_pair(f"[bold]T[/bold] {ESCAPES}", f"[red]not red[/red] :smile: [/] {ESCAPES}")
    text = printed(pairs)
    assert "[bold]T[/bold]" in text
    assert "[red]not red[/red] :smile: [/]" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "lexical 0.6000, at or above dedup.jaccard = 0.6: removed" in text
    assert "goes      w · r/Advice · 2021-03-04" in text
    assert "stays     b" in text
    below = printed([dataclasses.replace(pairs[0], over=False, similarity=0.5)])
    assert "below dedup.jaccard = 0.6: kept" in below
    assert "would go  w" in below


def test_the_terminal_underlines_shared_runs_and_cuts_long_bodies() -> None:
    pairs = one_pair("T", "I ate the last cake. " + "x " * 500 + "end", "You ate the last cake!")
    assert "I \x1b[4mate the last cake\x1b[0m." in printed(pairs, color=True)
    text = printed(pairs)
    assert text.count("x") < 200
    assert text.count("…") == 1
    assert "end" not in text
    assert printed([]) == "No pairs near a threshold were measured.\n"


def test_posts_are_text_in_the_page(tmp_path: Path) -> None:
    pairs = one_pair(SCRIPT + ESCAPES, f"{SCRIPT} {ESCAPES} {{{{ 7*7 }}}}", SCRIPT)
    page = page_of(pairs, tmp_path)
    assert not {"script", "img", "a", "link"} & set(page.tags)
    assert not {"src", "href", "onerror"} & page.attributes
    assert page.text.count("alert('1')") == 3
    assert "{{ 7*7 }}" in page.text
    raw = (tmp_path / "near.html").read_bytes().decode()
    assert "<script" not in raw
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", raw)


def test_the_page_holds_each_pair_on_its_side_with_whole_bodies(tmp_path: Path) -> None:
    long = "word " * 3000 + "and this ends it"
    texts = posts(a=("A", long), b=("B", "so this ends it"), c=("C", "and this ends it all"))
    table = near(("a", "b", "semantic", 0.9), ("c", "b", "semantic", 0.87))
    pairs = nearest(table, texts, 5)
    page = page_of(pairs, tmp_path)
    for key in KEYS.values():
        assert key in page.text
    assert "semantic: dedup.cosine = 0.88" in page.text
    removed, kept = page.text.split("Kept (below the threshold): the nearest 1")
    assert "0.9000" in removed
    assert long in removed
    assert "0.8700" in kept
    assert kept.index("would go · c") < kept.index("stays · b")
    raw = (tmp_path / "near.html").read_text()
    marked = re.findall("<mark>(.*?)</mark>", raw)
    assert marked == ["Marked words", *["this ends it"] * 4]
    again = tmp_path / "again.html"
    write_page(pairs, again)
    assert again.read_text() == raw
    write_page([], again)
    assert "No pairs near a threshold" in again.read_text()
