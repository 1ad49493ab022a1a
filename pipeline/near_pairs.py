"""Pairs of posts nearest the thresholds of deduplication, for the person who sets these."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pipeline.artifacts import write_text
from pipeline.errors import BadInputError
from pipeline.pages import environment
from pipeline.text import clean

KEYS = {
    "contained": "dedup.containment",
    "lexical": "dedup.jaccard",
    "semantic": "dedup.cosine",
}
"""The configuration key of each method's threshold."""

_RUN = 3  # fewer words in a row are shared by chance
_EXCERPT = 300  # characters of a body on a terminal
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_APOSTROPHE = re.compile("['\u2019]")

Segments = tuple[tuple[str, bool], ...]
"""A text in parts: (part, whether the other post has the same words in a row)."""


@dataclass(frozen=True)
class Side:
    """One post of a pair, without control characters.

    Attributes:
        post_id: Its id.
        subreddit: Where it was posted; None if unknown.
        date: Day it was posted, as YYYY-MM-DD; "" if unknown.
        title: Its title, on one line.
        body: Its body; "" joins the parts. Nothing if the post is not at hand: texts of an
            earlier release are compared, too.
    """

    post_id: str
    subreddit: str | None
    date: str
    title: str
    body: Segments

    @property
    def facts(self) -> str:
        """Id, subreddit and date, as far as they are known."""
        place = f"r/{self.subreddit}" if self.subreddit else ""
        return " · ".join(filter(None, (self.post_id, place, self.date)))


@dataclass(frozen=True)
class NearPair:
    """Two posts whose similarity is near a threshold.

    Attributes:
        method: What was compared, a key of KEYS.
        similarity: Of the two, by that method.
        threshold: Least similarity at which the worse post goes.
        over: True if the similarity reaches it.
        better: The post that stays in any case.
        worse: The post that goes, or would go if the threshold were lower.
    """

    method: str
    similarity: float
    threshold: float
    over: bool
    better: Side
    worse: Side


def nearest(
    near: pl.DataFrame, posts: pl.DataFrame, count: int, method: str = ""
) -> list[NearPair]:
    """Return the pairs nearest each threshold: by method, first those that reach it.

    Pairs whose worse text is not in `posts` are of an earlier release: neither goes, so they are
    left out.

    Args:
        near: Rows of schema.NEAR_PAIRS in any order.
        posts: Columns of schema.POSTS.
        count: Pairs a method on either side of its threshold.
        method: Only pairs of this method; "" takes all.

    Raises:
        BadInputError: There is no such method.
    """
    if method and method not in KEYS:
        raise BadInputError(f"{method!r}: no such method; there are {', '.join(sorted(KEYS))}")
    chosen = (
        near.filter(pl.col("method") == method if method else pl.lit(value=True))
        .join(posts, left_on="worse_id", right_on="post_id", how="semi")
        .with_columns(under=~pl.col("over"), off=(pl.col("similarity") - pl.col("threshold")).abs())
        .sort("method", "under", "off", "worse_id", "better_id")
        .group_by("method", "under", maintain_order=True)
        .head(count)
    )
    ids = pl.concat([chosen["worse_id"], chosen["better_id"]]).unique()
    found = posts.join(ids.to_frame("post_id"), on="post_id", how="semi").select(
        "post_id",
        "subreddit",
        "title",
        "body",
        date=pl.col("created_utc").dt.strftime("%Y-%m-%d"),
    )
    known = {row["post_id"]: row for row in found.iter_rows(named=True)}
    return [_pair(row, known) for row in chosen.iter_rows(named=True)]


def _pair(row: dict[str, Any], posts: dict[str, dict[str, Any]]) -> NearPair:
    better, worse = (
        {"post_id": row[k], **posts.get(row[k], {})} for k in ("better_id", "worse_id")
    )
    texts = [clean(post.get("body") or "") for post in (better, worse)]
    better_body, worse_body = mark_shared(*texts)
    return NearPair(
        method=row["method"],
        similarity=row["similarity"],
        threshold=row["threshold"],
        over=row["over"],
        better=_side(better, better_body),
        worse=_side(worse, worse_body),
    )


def _side(post: dict[str, Any], body: Segments) -> Side:
    return Side(
        post_id=_line(post["post_id"]),
        subreddit=_line(post.get("subreddit") or "") or None,
        date=post.get("date") or "",
        title=_line(post.get("title") or ""),
        body=body,
    )


def _line(text: str) -> str:
    return " ".join(clean(text).split())


def mark_shared(one: str, other: str) -> tuple[Segments, Segments]:
    """Return both texts in parts; those that have three words or more in common are marked.

    Case, apostrophes and what stands between words do not count, as in the comparison itself.
    """
    words = [
        [(_APOSTROPHE.sub("", match[0].lower()), *match.span()) for match in _WORD.finditer(text)]
        for text in (one, other)
    ]
    runs = [list(_runs([word for word, _, _ in found])) for found in words]
    common = set(runs[0]) & set(runs[1])
    first, second = (
        _segments(text, [span for _, *span in found], [run in common for run in own])
        for text, found, own in zip((one, other), words, runs, strict=True)
    )
    return first, second


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(_RUN)), strict=False)


def _segments(text: str, spans: Sequence[Sequence[int]], starts: Sequence[bool]) -> Segments:
    """Cut `text` at the edges of shared runs; `starts` tells of each word if one starts there."""
    shared = [any(starts[max(0, k - _RUN + 1) : k + 1]) for k in range(len(spans))]
    parts, end = [], 0
    for is_shared, run in itertools.groupby(zip(spans, shared, strict=True), lambda pair: pair[1]):
        if is_shared:
            inside = [span for span, _ in run]
            start, stop = inside[0][0], inside[-1][1]
            parts += [(text[end:start], False), (text[start:stop], True)]
            end = stop
    parts.append((text[end:], False))
    return tuple(part for part in parts if part[0])


def print_pairs(pairs: Collection[NearPair], console: Console) -> None:
    """Print each pair in a few lines; words that both posts have in a row are underlined."""
    if not pairs:
        console.print(Text("No pairs near a threshold were measured."))
    # Text, not markup: a post that holds "[red]" or an escape sequence is shown, not obeyed.
    for pair in pairs:
        console.print(
            Text(f"{pair.method} {pair.similarity:.4f}", "bold")
            + Text(f", {'at or above' if pair.over else 'below'} {KEYS[pair.method]} = ")
            + Text(f"{pair.threshold:g}: {'removed' if pair.over else 'kept'}")
        )
        for label, side in (
            ("goes" if pair.over else "would go", pair.worse),
            ("stays", pair.better),
        ):
            told = Text(f"{label:<8}  ", "bold") + Text(side.facts, "dim")
            console.print(Padding(told, (0, 2)))
            if side.title:
                console.print(Padding(Text(side.title, "italic"), (0, 2, 0, 12)))
            console.print(Padding(_excerpt(side), (0, 2, 0, 12)))
        console.print()


def _excerpt(side: Side) -> Text:
    """Return the start of a body on one line."""
    shown, left = Text(), _EXCERPT
    for part, shared in side.body:
        flat = re.sub(r"\s+", " ", part)
        shown.append(flat[:left], "underline" if shared else "")
        left -= len(flat)
        if left < 0:
            shown.append("…")
            break
    return shown if side.body else Text("(no text)", "dim")


def write_page(pairs: Collection[NearPair], path: Path) -> None:
    """Write a page that shows both posts of each pair side by side; it needs no other file."""
    methods = [
        (method, threshold, _by_side(group))
        for (method, threshold), group in itertools.groupby(
            pairs, lambda pair: (pair.method, pair.threshold)
        )
    ]
    page = environment().get_template("near_pairs.html.j2")
    write_text(page.render(methods=methods, keys=KEYS), path)


def _by_side(pairs: Iterable[NearPair]) -> list[tuple[bool, list[NearPair]]]:
    group = list(pairs)
    return [(over, [pair for pair in group if pair.over == over]) for over in (True, False)]
