"""All ways of finding duplicates together: which posts go, each for one measured pair.

The result is what comparing every post with every other, in every way, would give. It does not
depend on the order of rows, on batches, on cores or on how the work is cut up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from pipeline import schema
from pipeline.config import DedupConfig
from pipeline.duplicates.lexical import Thresholds
from pipeline.duplicates.normal import compared
from pipeline.duplicates.semantic import Embedder, Meanings
from pipeline.duplicates.stars import Rows, kept_rows, stars
from pipeline.duplicates.story import story_pairs
from pipeline.duplicates.wordings import Wordings
from pipeline.scale import LOCAL, Engine
from pipeline.text import recurring

NEAR = {"lexical": 0.1, "contained": 0.05, "semantic": 0.02}
"""So far below its threshold a pair is still measured, for those who set the threshold."""

_SHOWN = 100  # pairs a method on either side of the threshold

Step = Callable[[Rows], pl.DataFrame]


@dataclass(frozen=True)
class Duplicates:
    """What was found among posts.

    Attributes:
        removals: Rows of schema.DUPLICATES, each removed post once, sorted by it.
        near: Rows of schema.NEAR_PAIRS: the pairs nearest the thresholds, on either side.
        without_text: Posts with no more than a title: only links, titles and authors of theirs
            were compared.
    """

    removals: pl.DataFrame
    near: pl.DataFrame
    without_text: int


def find(
    posts: pl.DataFrame,
    config: DedupConfig,
    embedder: Embedder | None,
    earlier: Sequence[tuple[str, str]] = (),
    engine: Engine = LOCAL,
) -> Duplicates:
    """Find every post that tells the story of another one, which stays.

    Of similar posts the one with the longest text stays, then the one with the highest score, then
    the one whose id comes first.

    Args:
        posts: Columns of schema.SCREENED; post ids are unique.
        config: Thresholds.
        embedder: Makes vectors; None compares no meanings.
        earlier: Ids and texts of an earlier release: they all stay, and what is like them goes.
        engine: Who does the work.
    """
    ranked = pl.concat([as_posts(earlier, posts.schema), _by_rank(posts)])
    del posts  # as below, if the caller holds them no longer
    body = pl.when(pl.col("removal") == "none").then("body").otherwise(pl.lit(""))
    words = compared(ranked["title"], ranked.select(body).to_series(), engine)
    linked = story_pairs(ranked)
    # The longest columns, a second time: gone before the shingles need their memory.
    ranked = ranked.select("post_id", "title", *(["text"] if embedder else []))
    wordings = Wordings(words, config, least_of(config), engine)
    steps: list[Step] = [wordings.equal, wordings.similar]
    if embedder is not None:
        long = words.str.count_matches(" ") + 1 >= config.semantic_words
        threads = ranked.select(recurring(pl.col("title"))).to_series()
        told = (long & ~threads).to_numpy()
        least = config.cosine - NEAR["semantic"]
        meanings = Meanings(ranked["text"], words, embedder, least, common_of(config), engine)
        steps.append(lambda rows: meanings.add(rows[told[rows]]))
    without_text = int((words == "").sum())
    return decided(ranked["post_id"], linked, steps, config, len(earlier), without_text)


def decided(
    ids: pl.Series,
    linked: pl.DataFrame,
    steps: Sequence[Step],
    config: DedupConfig,
    staying: int,
    without_text: int,
) -> Duplicates:
    """Return which posts go.

    Args:
        ids: Post ids in rank order.
        linked: Rows of FOUND that are known.
        steps: Ways to find more among some rows.
        config: Thresholds.
        staying: So many rows, the first ones, stay whatever they are like.
        without_text: Posts without a text, to be told.
    """
    measured = _closed(len(ids), linked, steps, config)
    measured = measured.filter(pl.col("b") >= staying)
    removals = stars(len(ids), measured.filter(_enough(config)))
    return Duplicates(
        removals=_named(ids, removals),
        near=_nearest(_named(ids, measured), config),
        without_text=without_text,
    )


def among(
    texts: Sequence[tuple[str, str]],
    config: DedupConfig,
    embedder: Embedder | None,
    earlier: Sequence[tuple[str, str]] = (),
) -> pl.DataFrame:
    """Return the removals (schema.DUPLICATES) among texts that are no posts, such as scenarios.

    Args:
        texts: Ids and texts.
        config: Thresholds.
        embedder: Makes vectors; None compares no meanings.
        earlier: As in `find`.
    """
    posts = as_posts(texts, pl.Schema(schema.SCREENED))
    return find(posts, config, embedder, earlier).removals


def _by_rank(posts: pl.DataFrame) -> pl.DataFrame:
    return posts.sort(
        pl.col("text").str.len_chars(),
        pl.col("score").fill_null(-(2**62)),
        pl.col("post_id"),
        descending=[True, True, False],
    )


def _closed(
    size: int, pairs: pl.DataFrame, steps: Sequence[Step], config: DedupConfig
) -> pl.DataFrame:
    """Return `pairs` and what `steps` find among the rows that stay, until they find no more.

    A step sees only rows that no step before it removes, and a row comes back if what it was
    removed for goes too. At the end no two rows that stay are similar. So they are the rows that a
    greedy choice over the pairs of all rows keeps: by induction over rank, for a row that the one
    removes is similar to a better row that both keep, and the other way round.
    """
    stay = kept_rows(size, stars(size, pairs))
    while True:
        for step in steps:
            fresh = step(stay).join(pairs, on=["a", "b", "method"], how="anti")
            pairs = pl.concat([pairs, fresh])
            if not fresh.filter(_enough(config)).is_empty():
                break
        else:
            return pairs
        stay = kept_rows(size, stars(size, pairs.filter(_enough(config))))


def least_of(config: DedupConfig) -> Thresholds:
    """Return what pairs of similar words must reach to be measured."""
    return Thresholds(config.jaccard - NEAR["lexical"], config.containment - NEAR["contained"])


def common_of(config: DedupConfig) -> tuple[float, float]:
    """Return the shares of common words that a pair found by its meaning must reach."""
    return config.common_words, config.common_words_of_longer


def _threshold(config: DedupConfig) -> pl.Expr:
    least = {
        "lexical": config.jaccard,
        "contained": config.containment,
        "semantic": config.cosine,
    }
    name = pl.col("method").cast(pl.String)
    return name.replace_strict(least, default=0.0, return_dtype=pl.Float64)


def _enough(config: DedupConfig) -> pl.Expr:
    return pl.col("similarity") >= _threshold(config)


def _nearest(pairs: pl.DataFrame, config: DedupConfig) -> pl.DataFrame:
    distance = (pl.col("similarity") - pl.col("threshold")).abs()
    place = pl.struct(distance, "removed_id", "keeper_id").rank("ordinal")
    return (
        pairs.with_columns(threshold=_threshold(config))
        .filter(pl.col("threshold") > 0)
        .with_columns(over=pl.col("similarity") >= pl.col("threshold"))
        .filter(place.over("method", "over") <= _SHOWN)
        .rename({"removed_id": "worse_id", "keeper_id": "better_id"})
        .select(schema.NEAR_PAIRS.keys())
        .sort("method", "similarity", "worse_id", "better_id")
    )


def _named(ids: pl.Series, pairs: pl.DataFrame) -> pl.DataFrame:
    named = pairs.with_columns(
        pl.col("method").cast(pl.String),
        removed_id=ids.gather(pairs["b"]),
        keeper_id=ids.gather(pairs["a"]),
    )
    return named.select(schema.DUPLICATES.keys()).sort("removed_id", "keeper_id", "method")


def as_posts(earlier: Sequence[tuple[str, str]], columns: pl.Schema) -> pl.DataFrame:
    """Return texts as posts without a title, which nothing refers to."""
    rows = [
        dict.fromkeys(columns.names())
        | {"post_id": name, "title": "", "body": text, "text": text, "removal": "none"}
        for name, text in earlier
    ]
    return pl.DataFrame(rows, schema=columns)
