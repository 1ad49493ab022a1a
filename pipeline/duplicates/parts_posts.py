"""Posts by rank, in partitions: what is long stays in files; few numbers of each post do not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline import schema
from pipeline.duplicates.normal import compared
from pipeline.duplicates.parts_sets import Numbers, Texts
from pipeline.duplicates.sets import portions
from pipeline.duplicates.stars import FOUND, Rows
from pipeline.duplicates.story import (
    linked,
    links_in,
    long_titled,
    named,
    resubmitted,
    titled,
)
from pipeline.scale import BUCKET, LOCAL, Engine, Part, Spool
from pipeline.text import recurring

NOWHERE = 2**32 - 1
"""Row of a post that is not compared."""

_RANKED: schema.Schema = {
    "row": pl.UInt32(),
    "post_id": pl.String(),
    "subreddit": pl.String(),
    "created_utc": schema.TIME,
    "author_hash": pl.String(),
    "title": pl.String(),
    "words": pl.String(),
    "text": pl.String(),
}
_ALWAYS = 200  # characters that a post counts beside its own


@dataclass(frozen=True)
class Facts:
    """What is known of posts before they are compared.

    Attributes:
        posts: Columns place (the number of the post in its table), post_id, domain, chars and
            score.
        links: Links to posts in their bodies; column row is a place.
    """

    posts: pl.DataFrame
    links: pl.DataFrame


@dataclass(frozen=True)
class Ranked:
    """Posts in files by rank: the best one is row 0.

    Attributes:
        ids: Post id of each row.
        texts: Their normal words; the files have the columns of _RANKED.
        recurring: Rows of threads that a forum opens again and again.
        linked: Rows of FOUND for posts of one story, whatever their texts; see
            `story.story_pairs`.
    """

    ids: pl.Series
    texts: Texts
    recurring: npt.NDArray[np.bool]
    linked: pl.DataFrame

    def column(self, name: str, rows: Rows) -> dict[int, str]:
        """Return a column of some rows, sorted ones, by row."""
        place = self.texts.range_of(rows)
        found: dict[int, str] = {}
        for k in np.unique(place).tolist():
            here = rows[place == k]
            values = self.texts.parts[k].scan().select(name).collect().to_series()
            chosen = values.gather(here - self.texts.firsts[k])
            found |= zip(here.tolist(), chosen.to_list(), strict=True)
        return found


def facts_of(parts: Sequence[Part], engine: Engine) -> Facts:
    """Return what ranks posts, and their links; columns of schema.SCREENED."""
    starts = np.cumsum([0, *(part.rows for part in parts)]).tolist()
    found = list(engine.map("posts ranked", _facts, list(zip(parts, starts, strict=False))))
    posts, links = zip(*found, strict=True)
    return Facts(pl.concat(posts), pl.concat(links))


def ranked(
    parts: Sequence[Part],
    facts: Facts,
    first: Sequence[Part],
    with_text: bool,
    engine: Engine,
    folder: Path,
) -> Ranked:
    """Return posts in the order of rank: see `find.by_rank`.

    Args:
        parts: Posts, columns of schema.SCREENED.
        facts: Of those that are compared.
        first: Posts that are better than any of them, in their order.
        with_text: Keep texts beside normal words.
        engine: Who does the work.
        folder: For files; not there yet.
    """
    before = facts_of(first, LOCAL) if first else None
    count = before.posts.height if before else 0
    order = facts.posts.sort(
        "chars", pl.col("score").fill_null(-(2**62)), "post_id", descending=[True, True, False]
    )
    rows = np.full(sum(part.rows for part in parts), NOWHERE, dtype=np.uint32)
    rows[order["place"].to_numpy()] = np.arange(count, count + order.height, dtype=np.uint32)
    if before:
        order = pl.concat([before.posts, order])
    chars = order["chars"].to_numpy().astype(np.int64) + _ALWAYS
    starts = [start for start, _ in portions(chars, int(chars.sum()) // engine.partitions + 1)]
    borders = np.array(starts, dtype=np.int64)
    items = [(part, rows[at : at + part.rows]) for part, at in _starts(parts)]
    items += [(part, np.arange(at, at + part.rows, dtype=np.uint32)) for part, at in _starts(first)]
    spool = Spool(_RANKED, folder)
    counts, recurring = [], []
    put = engine.shuffle(
        "words compared", _to_range, items, _by_row, len(borders), borders, with_text
    )
    for frame, many, again in put:
        spool.add(frame)
        counts.append(many)
        recurring.append(again)
    texts = Texts(tuple(spool.parts()), borders, np.concatenate(counts))
    links = facts.links.with_columns(row=pl.Series(rows).gather(facts.links["row"]))
    if before:
        links = pl.concat([before.links, links])
    links = links.filter(pl.col("row") != NOWHERE)
    return Ranked(
        order["post_id"], texts, np.concatenate(recurring), _stories(texts.parts, links, engine)
    )


def first_of_equal(texts: Texts, engine: Engine) -> Numbers:
    """Return for each row the first one of the same words."""
    first = np.arange(len(texts.counts), dtype=np.uint32)
    for again in engine.shuffle(
        "equal words", _digests, texts.parts, _equal, engine.partitions, engine.partitions
    ):
        first[again["row"].to_numpy()] = again["first"].to_numpy()
    return first


def _starts(parts: Sequence[Part]) -> list[tuple[Part, int]]:
    starts = np.cumsum([0, *(part.rows for part in parts)]).tolist()
    return list(zip(parts, starts, strict=False))


def _facts(item: tuple[Part, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    part, start = item
    posts = part.read().with_columns(row=pl.int_range(start, start + pl.len(), dtype=pl.UInt32))
    chars = pl.col("text").str.len_chars().cast(pl.UInt32)
    return posts.select("post_id", "domain", "score", place="row", chars=chars), links_in(posts)


def _to_range(item: tuple[Part, Numbers], borders: Rows, with_text: bool) -> pl.DataFrame:
    part, rows = item
    posts = part.read().with_columns(row=pl.Series(rows)).filter(pl.col("row") != NOWHERE)
    body = pl.when(pl.col("removal") == "none").then("body").otherwise(pl.lit(""))
    words = compared(posts["title"], posts.select(body).to_series())
    place = np.searchsorted(borders, posts["row"].to_numpy(), side="right") - 1
    return posts.select(
        *(name for name in _RANKED if name not in ("words", "text")),
        words=words.alias("words"),
        text="text" if with_text else pl.lit(""),
    ).with_columns(pl.Series(BUCKET, place.astype(np.int32)))


def _by_row(posts: pl.DataFrame, *_: object) -> tuple[pl.DataFrame, Numbers, npt.NDArray[np.bool]]:
    posts = posts.sort("row")
    many = (
        pl.when(pl.col("words") == "").then(0).otherwise(pl.col("words").str.count_matches(" ") + 1)
    )
    counts = posts.select(many.cast(pl.UInt32)).to_series().to_numpy()
    threads = posts.select(recurring(pl.col("title"))).to_series()
    return posts, counts, threads.to_numpy()


def _digests(part: Part, buckets: int) -> pl.DataFrame:
    posts = part.scan().select("row", "words").filter(pl.col("words") != "").collect()
    joined = b"".join(
        hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for words in posts["words"]
    )
    digest = np.frombuffer(joined, dtype="<u8").reshape(-1, 2)
    bucket = (digest[:, 0] % np.uint64(buckets)).astype(np.int32)
    columns = {"row": posts["row"], "one": digest[:, 0], "two": digest[:, 1], BUCKET: bucket}
    return pl.DataFrame(columns)


def _equal(posts: pl.DataFrame, _: int) -> pl.DataFrame:
    """Return the rows whose words stand in a better one; 128 bits do not meet by chance."""
    first = pl.col("row").min().over("one", "two")
    return posts.select("row", first=first).filter(pl.col("row") != pl.col("first"))


def _stories(parts: Sequence[Part], links: pl.DataFrame, engine: Engine) -> pl.DataFrame:
    """Return what `story.story_pairs` does."""
    targets = links["post_id"].unique()
    titles = pl.concat(list(engine.map("titles of updates", _titles_of_updates, parts))).unique()
    met = list(engine.map("links and titles", _met, parts, targets, titles))
    led, titled_alike = (pl.concat(frames) for frames in zip(*met, strict=True))
    pairs = [pl.DataFrame(schema=FOUND), linked(links, led), named(titled_alike)]
    buckets = engine.partitions
    pairs += engine.shuffle("authors", _by_author, parts, _resubmitted, buckets, buckets)
    return pl.concat(pairs).unique()


def _table(part: Part) -> pl.DataFrame:
    return titled(part.scan().drop("words", "text").collect())


def _titles_of_updates(part: Part) -> pl.Series:
    return _title(_table(part).filter(pl.col("update") & long_titled()))


def _title(table: pl.DataFrame) -> pl.Series:
    return table.select(title=pl.struct("base", "subreddit").hash(seed=1)).to_series()


def _met(part: Part, targets: pl.Series, titles: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the posts that links lead to, and those with the title of an update."""
    table = _table(part)
    known = pl.col("post_id").is_in(targets.implode())
    return table.filter(known), table.filter(_title(table).is_in(titles.implode()))


def _by_author(part: Part, buckets: int) -> pl.DataFrame:
    table = _table(part).filter(pl.col("author_hash").is_not_null())
    place = (pl.col("author_hash").hash(seed=1) % buckets).cast(pl.Int32)
    return table.select("row", "author_hash", "created_utc", "base", place.alias(BUCKET))


def _resubmitted(table: pl.DataFrame, _: int) -> pl.DataFrame:
    return resubmitted(table)
