"""Stage dedup: each story once. Every removal is one measured pair, whatever the row order.

First the same or nearly the same words (over all posts and domains), then the same meaning (over
a pool that is drawn by id, since only pool posts can be selected). Keepers are stars, not chains:
posts are visited by rank (longest text, then score, then id); a post that nothing removed keeps
its place and removes the posts that are directly similar to it.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from rensa import RMinHash

from pipeline import funnel, schema
from pipeline.artifacts import sha256_text, unit_interval
from pipeline.config import DedupConfig
from pipeline.embedding import embed
from pipeline.stage import Context, Result

_PERMUTATIONS, _BANDS = 128, 32  # four rows a band: a pair at Jaccard 0.7 is missed once in 5,000
_SEED = 1
_MAX_BUCKET = 200  # a larger bucket is a template: its members are compared with one neighbour
_BLOCK = 2_000
_DIGITS = 4
_TAIL = re.compile(
    r"^\W*(?:(?:edit(?:ed)?|update)\s*\d*\s*[:*\u2013-]|tl;?dr\b).*\Z", re.I | re.M | re.S
)
_LEAST_KEPT = 0.5  # a "tail" longer than half the text is the text
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Pair:
    """Two similar posts, by row number; `method` and `similarity` say how they were measured."""

    a: int
    b: int
    method: str
    similarity: float


def run(context: Context) -> Result:
    """Remove duplicates; see the module's text for the order of the steps."""
    config = context.config.dedup
    posts = context.tables["screen.posts"]
    ranked = posts.sort(
        pl.col("text").str.len_chars(),
        pl.col("score").fill_null(-(2**62)),
        pl.col("post_id"),
        descending=[True, True, False],
    )
    words = [normalise(text).split() for text in ranked["text"]]
    removals = stars(ranked.height, lexical_pairs(words, config))
    unique = _without(ranked, removals)
    pool = draw_pool(unique, config.pool_per_domain, context.config.build.seed)
    vectors = embed(pool["text"].to_list(), config.embedding_model, config.window_words)
    semantic = stars(pool.height, cosine_pairs(vectors, config.cosine))
    kept = _without(pool, semantic).sort("post_id")

    pairs = schema.frame(
        itertools.chain(_named(ranked, removals), _named(pool, semantic)), schema.DUPLICATES
    ).sort("removed_id")
    outside = unique.join(pool, on="post_id", how="anti")
    dropped = pl.concat(
        [
            pairs.join(posts, left_on="removed_id", right_on="post_id", how="left").select(
                id="removed_id",
                domain="domain",
                outcome=pl.lit("rejected"),
                reason=pl.col("method") + "_duplicate",
                detail=pl.lit("of ") + pl.col("keeper_id"),
            ),
            outside.select(
                id="post_id",
                domain="domain",
                outcome=pl.lit("rejected"),
                reason=pl.lit("outside_pool"),
                detail=pl.lit(""),
            ),
        ]
    ).sort("id")
    return Result(
        tables={"posts": kept, "pairs": pairs},
        dropped=dropped,
        funnel=funnel.count("dedup", "post", posts.height, kept, dropped),
    )


def normalise(text: str) -> str:
    """Return `text` in lower case, words only, without a trailing EDIT, UPDATE or TL;DR part."""
    head = _TAIL.sub("", text)
    body = head if len(head) >= _LEAST_KEPT * len(text) else text
    return _NOT_WORD.sub(" ", body.lower()).strip()


def lexical_pairs(texts: Sequence[list[str]], config: DedupConfig) -> list[Pair]:
    """Return every candidate pair whose shingle sets have at least `config.jaccard`.

    Candidates come from MinHash banding (Broder 1997; Leskovec et al., Mining of Massive
    Datasets, ch. 3) and from equal texts; the Jaccard of each is then computed exactly.
    """
    shingles = [_shingles(words, config.shingle_words) for words in texts]
    by_text: dict[str, list[int]] = defaultdict(list)
    for row, words in enumerate(texts):
        by_text[sha256_text(" ".join(words))].append(row)
    pairs = [Pair(rows[0], other, "exact", 1.0) for rows in by_text.values() for other in rows[1:]]
    rows = [row for row in range(len(texts)) if shingles[row]]
    for a, b in _candidates([shingles[row] for row in rows]):
        first, second = shingles[rows[a]], shingles[rows[b]]
        shared = len(first & second)
        similarity = round(shared / (len(first) + len(second) - shared), _DIGITS)
        if similarity >= config.jaccard:
            pairs.append(Pair(rows[a], rows[b], "lexical", similarity))
    return pairs


def cosine_pairs(vectors: npt.NDArray[np.float32], threshold: float) -> list[Pair]:
    """Return every pair of rows whose cosine, to four digits, is at least `threshold`.

    Args:
        vectors: Unit vectors, shape (n, dimensions).
        threshold: Least cosine.
    """
    pairs = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors[start:].T
        # Rounded before the comparison, so that the last bits of a product decide nothing.
        rows, columns = np.nonzero(np.round(block, _DIGITS) >= np.float32(threshold))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if column > row:
                similarity = round(float(block[row, column]), _DIGITS)
                pairs.append(Pair(start + row, start + column, "semantic", similarity))
    return pairs


def stars(size: int, pairs: Iterable[Pair]) -> dict[int, Pair]:
    """Choose keepers: {removed row: the pair that removed it}, rows being in rank order.

    A removed row never removes another one, and its pair always holds its keeper.
    """
    better: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        better[max(pair.a, pair.b)].append(pair)
    removed: dict[int, Pair] = {}
    for row in range(size):
        choices = [pair for pair in better.get(row, ()) if min(pair.a, pair.b) not in removed]
        if choices:
            best = min(choices, key=lambda p: (p.method, -p.similarity, min(p.a, p.b)))
            removed[row] = best
    return removed


def draw_pool(posts: pl.DataFrame, per_domain: int, seed: str) -> pl.DataFrame:
    """Return `per_domain` posts of each domain (all if 0), drawn by a hash of their ids."""
    if not per_domain:
        return posts
    draw = [unit_interval(seed, "pool", post_id) for post_id in posts["post_id"]]
    place = pl.Series("draw", draw, dtype=pl.Float64)
    chosen = posts.with_columns(place).filter(
        pl.struct("draw", "post_id").rank("ordinal").over("domain") <= per_domain
    )
    return chosen.drop("draw")


def _shingles(words: list[str], size: int) -> set[str]:
    if len(words) < size:
        return {" ".join(words)} if words else set()
    return {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}


def _candidates(shingles: list[set[str]]) -> Iterable[tuple[int, int]]:
    """Return the pairs of rows that share a band of their MinHash signatures, sorted."""
    if not shingles:
        return []
    digests = np.asarray(
        RMinHash.digests_from_token_sets(shingles, _PERMUTATIONS, _SEED), dtype=np.uint32
    )
    width = _PERMUTATIONS // _BANDS
    found: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        keys = np.ascontiguousarray(digests[:, band * width : (band + 1) * width])
        packed = keys.view(np.dtype((np.void, keys.dtype.itemsize * width))).ravel()
        _, group, sizes = np.unique(packed, return_inverse=True, return_counts=True)
        order = np.argsort(group, kind="stable")
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        for bucket in np.nonzero(sizes > 1)[0].tolist():
            rows = order[starts[bucket] : starts[bucket] + sizes[bucket]].tolist()
            if len(rows) <= _MAX_BUCKET:
                found.update(itertools.combinations(rows, 2))
            else:
                found.update(itertools.pairwise(rows))
                found.update((rows[0], row) for row in rows[1:])
    return sorted(found)


def _without(posts: pl.DataFrame, removed: dict[int, Pair]) -> pl.DataFrame:
    keep = np.ones(posts.height, dtype=bool)
    keep[list(removed)] = False
    return posts.filter(pl.Series(keep))


def _named(posts: pl.DataFrame, removed: dict[int, Pair]) -> Iterable[dict[str, object]]:
    ids = posts["post_id"].to_list()
    for row, pair in removed.items():
        yield {
            "removed_id": ids[row],
            "keeper_id": ids[min(pair.a, pair.b)],
            "method": pair.method,
            "similarity": pair.similarity,
        }
