"""Measures how well personal data is found in the labelled posts, and how fast.

python -m benchmarks.personal [--json PATH] [--errors tuned|held] [--peers]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import personal_peers
from pipeline.paths import ROOT
from pipeline.personal import KINDS, Span, find

POSTS = ROOT / "tests" / "personal_posts.ndjson"
TUNED = 100
COVERED = 0.8
_REPEATS = 5
Finder = Callable[[Sequence[str]], list[tuple[Span, ...]]]


@dataclass(frozen=True)
class Post:
    """A labelled post."""

    id: str
    text: str
    spans: tuple[Span, ...]


def load_posts() -> list[Post]:
    """Return the labelled posts in order of their ids."""
    posts = []
    for line in POSTS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        spans = tuple(Span(start, end, kind) for start, end, kind, _ in row["spans"])
        posts.append(Post(row["id"], row["text"], spans))
    return posts


def parts(posts: Sequence[Post]) -> dict[str, Sequence[Post]]:
    """Return the posts that the rules were tuned on, and those that were held out."""
    return {"tuned": posts[:TUNED], "held": posts[TUNED:]}


def judge(posts: Sequence[Post], found: Sequence[tuple[Span, ...]]) -> dict[str, dict[str, Any]]:
    """Return figures by kind, and under "all".

    A labelled span counts as found if 80 % of its characters are in found spans of any kind, and
    as `same_kind` if they are in spans of its kind; a found span counts as right if 80 % of its
    characters are labelled, whatever the kind.
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for post, spans in zip(posts, found, strict=True):
        for span in post.spans:
            size = span.end - span.start
            hit = _covered(span, spans)
            same = _covered(span, [other for other in spans if other.kind == span.kind])
            for kind in (span.kind, "all"):
                counts[kind]["labelled"] += 1
                counts[kind]["hit"] += hit >= COVERED * size
                counts[kind]["same"] += same >= COVERED * size
                counts[kind]["characters"] += size
                counts[kind]["characters_hit"] += hit
        for span in spans:
            right = _covered(span, post.spans) >= COVERED * (span.end - span.start)
            for kind in (span.kind, "all"):
                counts[kind]["found"] += 1
                counts[kind]["right"] += right
    return {kind: _figures(counts[kind]) for kind in (*KINDS, "all") if kind in counts}


def _figures(count: dict[str, int]) -> dict[str, Any]:
    return {
        "labelled": count["labelled"],
        "found": count["found"],
        "recall": _ratio(count["hit"], count["labelled"]),
        "same_kind": _ratio(count["same"], count["labelled"]),
        "character_recall": _ratio(count["characters_hit"], count["characters"]),
        "precision": _ratio(count["right"], count["found"]),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _covered(span: Span, others: Sequence[Span]) -> int:
    """Return how many of a span's characters lie in others (which do not overlap)."""
    return sum(max(0, min(span.end, o.end) - max(span.start, o.start)) for o in others)


def clean_posts(posts: Sequence[Post], found: Sequence[tuple[Span, ...]]) -> tuple[int, int]:
    """Return (posts without personal data in which nothing was found, posts without)."""
    without = [spans for post, spans in zip(posts, found, strict=True) if not post.spans]
    return sum(not spans for spans in without), len(without)


def measure(name: str, finder: Finder, posts: Sequence[Post]) -> dict[str, Any]:
    """Print and return a finder's figures."""
    result: dict[str, Any] = {}
    for part, some in parts(posts).items():
        found = finder([post.text for post in some])
        figures = judge(some, found)
        clean, without = clean_posts(some, found)
        print(f"{name}, {part}: {len(some)} posts; {clean} of {without} without data left alone")
        print("  kind      labelled  recall  as its kind  of characters   found  precision")
        for kind, row in figures.items():
            shares = [row[name] for name in ("recall", "same_kind", "character_recall")]
            recall, same, characters = (_show(share) for share in shares)
            counted = f"  {kind:9} {row['labelled']:8} {recall} {same:>12} {characters:>14}"
            print(f"{counted} {row['found']:7} {_show(row['precision']):>10}")
        result[part] = {"posts": len(some), "clean": [clean, without], "kinds": figures}
    return result


def _show(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.3f}"


def cost(posts: Sequence[Post]) -> dict[str, float]:
    """Return seconds and megabytes of loading, and posts a second."""
    import psutil

    process = psutil.Process()
    before, start = process.memory_info().rss, time.perf_counter()
    find(["Anna"])
    load_s, after = time.perf_counter() - start, process.memory_info().rss
    texts = [post.text for post in posts]
    start = time.perf_counter()
    for _ in range(_REPEATS):
        find(texts)
    rate = _REPEATS * len(texts) / (time.perf_counter() - start)
    words = sum(len(text.split()) for text in texts) / len(texts)
    figures = {
        "load_s": load_s,
        "load_mb": (after - before) / 1e6,
        "resident_mb": process.memory_info().rss / 1e6,
        "posts_per_s": rate,
        "words_a_post": words,
    }
    print(
        f"loading: {load_s:.1f} s, {figures['load_mb']:.0f} MB more (resident at the end "
        f"{figures['resident_mb']:.0f} MB); {rate:.0f} posts/s of {words:.0f} words, one process"
    )
    return figures


def print_errors(posts: Sequence[Post]) -> None:
    """Print what was missed (-) and what was masked without need (+), each in its place."""
    for post, spans in zip(posts, find([post.text for post in posts]), strict=True):
        for span in post.spans:
            if _covered(span, spans) < COVERED * (span.end - span.start):
                print(f"- {post.id} {_in_place(post.text, span)}")
        for span in spans:
            if _covered(span, post.spans) < COVERED * (span.end - span.start):
                print(f"+ {post.id} {_in_place(post.text, span)}")


def _in_place(text: str, span: Span) -> str:
    before, after = text[max(0, span.start - 40) : span.start], text[span.end : span.end + 30]
    return f"{span.kind}: {before}>>{text[span.start : span.end]}<<{after}".replace("\n", " ")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--errors", choices=["tuned", "held"], help="print the errors of a part")
    parser.add_argument(
        "--peers", action="store_true", help="measure Presidio and the model alone beside it"
    )
    arguments = parser.parse_args()
    posts = load_posts()
    if arguments.errors:
        print_errors(parts(posts)[arguments.errors])
        return
    figures: dict[str, Any] = {"cost": cost(posts), "pipeline": measure("pipeline", find, posts)}
    if arguments.peers:
        figures["model alone"] = measure("model alone", personal_peers.model_alone, posts)
        if find_spec("presidio_analyzer"):
            figures["presidio"] = measure("presidio", personal_peers.presidio, posts)
        else:
            print(f"presidio: pip install presidio-analyzer=={personal_peers.PRESIDIO} first")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
