"""Duplicates among posts in partitions: what `find` finds, with little of each post in memory.

The process that leads holds numbers of each post (its id, rank, words and shingles counted), the
pairs that are found and, where meanings are compared, vectors. Bodies, words and shingles lie in
files, of which a process holds a partition.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from pipeline import schema
from pipeline.config import DedupConfig
from pipeline.duplicates.find import NEAR, Duplicates, Step, as_posts, common_of, decided, least_of
from pipeline.duplicates.lexical import Found, Thresholds
from pipeline.duplicates.parts_posts import Facts, Ranked, first_of_equal, ranked
from pipeline.duplicates.parts_similar import similar_in_parts
from pipeline.duplicates.semantic import Embedder, Meanings, Vectors
from pipeline.duplicates.stars import FOUND, Rows
from pipeline.duplicates.wordings import Wordings
from pipeline.scale import Engine, Part

_TEXTS_AT_ONCE = 20_000
_PAIRS_AT_ONCE = 20_000


def find_in_parts(
    parts: Sequence[Part],
    facts: Facts,
    config: DedupConfig,
    embedder: Embedder | None,
    earlier: Sequence[tuple[str, str]],
    engine: Engine,
    folder: Path,
) -> Duplicates:
    """Return what `find` does.

    Args:
        parts: Posts, columns of schema.SCREENED.
        facts: Of those posts of `parts` that are compared.
        config: Thresholds.
        embedder: As there.
        earlier: As there.
        engine: Who does the work.
        folder: For files on the way; not there yet.
    """
    before = as_posts(earlier, pl.Schema(schema.SCREENED))
    first = [Part("", 0, before.height, before)] if earlier else []
    if not first and facts.posts.is_empty():
        return decided(facts.posts["post_id"], pl.DataFrame(schema=FOUND), [], config, 0, 0)
    posts = ranked(parts, facts, first, embedder is not None, engine, folder / "posts")
    words = _StoredWordings(posts, config, engine, folder)
    steps: list[Step] = [words.equal, words.similar]
    if embedder is not None:
        told = (posts.texts.counts >= config.semantic_words) & ~posts.recurring
        least = config.cosine - NEAR["semantic"]
        meanings = _StoredMeanings(posts, embedder, least, common_of(config), engine)
        steps.append(lambda rows: meanings.add(rows[told[rows]]))
    without_text = int(np.count_nonzero(posts.texts.counts == 0))
    return decided(posts.ids, posts.linked, steps, config, len(earlier), without_text)


class _StoredWordings(Wordings):
    """Rows by their words, which lie in files."""

    def __init__(self, posts: Ranked, config: DedupConfig, engine: Engine, folder: Path) -> None:
        table = pl.DataFrame(
            {"row": [], "words": []}, schema={"row": pl.UInt32, "words": pl.String}
        )
        super().__init__(table["words"], config, least_of(config), engine)
        self._stored = posts.texts
        self._folder = folder / "words"
        first = first_of_equal(posts.texts, engine)
        rows = np.flatnonzero(posts.texts.counts).astype(np.uint32)
        self._best, text = np.unique(first[rows], return_inverse=True)
        self._texts = pl.DataFrame({"text": np.arange(len(self._best), dtype=np.uint32)})
        self._text_of = pl.DataFrame({"row": rows, "text": text.astype(np.uint32)})

    def _compared(self, texts: pl.DataFrame) -> Found:
        wanted = np.zeros(len(self._stored.counts), dtype=bool)
        rows = self._best[texts["text"].to_numpy()]
        wanted[rows] = True
        enough = Thresholds(self._config.jaccard, self._config.containment)
        size = self._config.shingle_words
        try:
            found = similar_in_parts(
                self._stored, wanted, size, self._least, enough, self._engine, self._folder
            )
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        places = {
            name: np.searchsorted(rows, found.pairs[name].to_numpy()).astype(np.uint32)
            for name in ("a", "b")
        }
        pairs = found.pairs.with_columns(**{k: pl.Series(place) for k, place in places.items()})
        return Found(pairs, np.searchsorted(rows, found.aside))


class _StoredMeanings(Meanings):
    """Rows by their meaning; texts and words lie in files, vectors do not."""

    def __init__(
        self,
        posts: Ranked,
        embedder: Embedder,
        least: float,
        common: tuple[float, float],
        engine: Engine,
    ) -> None:
        super().__init__({}, {}, embedder, least, common, engine)
        self._stored = posts

    def _quick(self, rows: Rows) -> Vectors:
        # By rank, so that the texts of one time are of like length.
        found = []
        for start in range(0, len(rows), _TEXTS_AT_ONCE):
            some = self._stored.column("text", rows[start : start + _TEXTS_AT_ONCE])
            found.append(self._embedder.quick(list(some.values())))
        return np.concatenate(found)

    def _decided(self, a: Rows, b: Rows) -> pl.DataFrame:
        found = [pl.DataFrame(schema=FOUND)]
        for start in range(0, len(a), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            rows = np.unique(np.concatenate([a[some], b[some]]))
            self._words = self._stored.column("words", rows)
            self._texts = self._stored.column("text", rows)
            found.append(super()._decided(a[some], b[some]))
        self._words, self._texts = {}, {}
        return pl.concat(found)
