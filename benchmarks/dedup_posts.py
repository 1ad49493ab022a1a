"""Synthetic posts, as many as wanted: new ones, and near-duplicates of earlier ones.

python -m benchmarks.dedup_posts COUNT OUT.parquet [--posts FILE.parquet] [--seed TEXT]

A new post is put together from sentences of several source posts. Within a sentence it goes over,
at most words, to another place where the source has the same word, so that, as in real posts, each
new one brings word sequences that no other has: with whole sentences of a fixed source, any text of
a large set would have been seen before, and pairs would grow with the square.

A near-duplicate is an earlier new post with words edited (2, 5, 10 or 20 %), a sentence dropped or
a tail added; a new post has at most four. What post n is depends on the seed and n alone, so that
a smaller set is the beginning of a larger one. Posts are made in chunks and written as they come.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from pipeline import schema

SHARE = 0.15  # of posts that are near-duplicates
CAP = 4  # near-duplicates a post
VARIATIONS = ("edit 2 %", "edit 5 %", "edit 10 %", "edit 20 %", "sentence dropped", "tail added")
LEAST_BODY = 200  # characters of a source post
_EDITS = (0.02, 0.05, 0.10, 0.20)
_HOPS = 0.6  # so that as many word triples as in 20,000 to 70,000 real posts stand in one alone
_MOST_WORDS = 1_500
_CHUNK = 10_000
_TAIL_WORDS = 15
_END = (".", "!", "?", '."', ".)")

Numbers = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """Texts of source posts as one row of words.

    Attributes:
        vocabulary: Words as they are written, punctuation and line ends included.
        word: Number of the word at each place.
        places: Places in order of their words; those of word w are
            places[first[w] : first[w + 1]].
        first: See `places`.
        openings: Places where a sentence begins.
        sizes: Words of each text.
    """

    vocabulary: npt.NDArray[np.object_]
    word: npt.NDArray[np.int32]
    places: Places
    first: Places
    openings: Places
    sizes: Places

    @classmethod
    def of(cls, texts: pl.Series) -> Corpus:
        """Return the corpus of `texts`, which are not empty."""
        lists = texts.str.split(" ")
        words = lists.explode()
        numbered = words.cast(pl.Categorical)
        word = numbered.to_physical().to_numpy().astype(np.int32)
        distinct = pl.DataFrame({"word": words, "n": word}).unique("n").sort("n")
        sizes = lists.list.len().to_numpy().astype(np.int64)
        # Categories may be shared with other series: numbers are made dense.
        known = distinct["n"].to_numpy()
        word = np.searchsorted(known, word).astype(np.int32)
        ends = words.str.contains(r"[.!?][\")\u201d]?\n*$|\n").to_numpy()
        starts = np.zeros(len(word), dtype=bool)
        starts[np.cumsum(sizes) - sizes] = True
        starts[1:] |= ends[:-1]
        return cls(
            vocabulary=distinct["word"].to_numpy().astype(object),
            word=word,
            places=np.argsort(word, kind="stable"),
            first=np.concatenate([[0], np.cumsum(np.bincount(word, minlength=len(known)))]),
            openings=np.flatnonzero(starts),
            sizes=sizes,
        )

    def written(self, seed: int, numbers: Numbers) -> tuple[npt.NDArray[np.int32], Places]:
        """Return texts of the given numbers as words in one row, and where each begins."""
        sizes = np.minimum(self.sizes[_draw(seed, numbers, 0, len(self.sizes))], _MOST_WORDS)
        begins = np.concatenate([[0], np.cumsum(sizes)])
        order = np.argsort(-sizes, kind="stable")
        long = np.cumsum(np.bincount(sizes, minlength=_MOST_WORDS + 2)[::-1])[::-1]
        row = np.empty(int(begins[-1]), dtype=np.int32)
        opens = np.zeros(len(self.word) + 1, dtype=bool)
        opens[self.openings] = opens[-1] = True
        at = self.openings[_draw(seed, numbers[order], 1, len(self.openings))]
        for step in range(int(sizes.max(initial=0))):
            active = order[: long[step + 1]]  # texts of more than `step` words
            at = at[: len(active)]
            chance = _mixed(seed, numbers[active], step + 2)
            word = self.word[at]
            row[begins[active] + step] = word
            bearers = self.first[word + 1] - self.first[word]
            other = self.places[
                self.first[word]
                + ((chance >> np.uint64(16)) % bearers.astype(np.uint64)).astype(int)
            ]
            hops = (chance & np.uint64(0xFFFF)) < _HOPS * 2**16
            at = np.where(hops, other, at) + 1
            fresh = np.flatnonzero(opens[at])
            place = (chance[fresh] >> np.uint64(8)) % np.uint64(len(self.openings))
            at[fresh] = self.openings[place.astype(int)]
        return row, begins


@dataclass(frozen=True)
class Source:
    """What synthetic posts are made of."""

    posts: pl.DataFrame
    titles: Corpus
    bodies: Corpus

    @classmethod
    def of(cls, file: Path | None, seed: int) -> Source:
        """Return the posts of a file with a body worth the name, or invented ones."""
        if file is None:
            posts = invented(seed)
        else:
            posts = pl.read_parquet(file, columns=list(schema.POSTS)).filter(
                pl.col("removal") == "none",
                pl.col("body").str.len_chars() >= LEAST_BODY,
                pl.col("title") != "",
            )
        return cls(posts, Corpus.of(posts["title"]), Corpus.of(posts["body"]))


def chunks(source: Source, count: int, seed: int) -> Iterator[pl.DataFrame]:
    """Yield rows of schema.POSTS, `count` in all, and their column base.

    Base is the number of the post that a near-duplicate is made from, null for a new one.
    """
    base = bases(count, seed)
    for start in range(0, count, _CHUNK):
        numbers = np.arange(start, min(start + _CHUNK, count), dtype=np.int64)
        yield _chunk(source, numbers, base[numbers], seed)


def bases(count: int, seed: int) -> Places:
    """Return for each post the number of the new post that it is made from, or -1."""
    numbers = np.arange(count, dtype=np.uint64)
    wanted = _mixed(seed, numbers, -1) < np.uint64(int(SHARE * 2**63) * 2)
    drawn = _mixed(seed, numbers, -2).tolist()
    base = np.full(count, -1, dtype=np.int64)
    taken = bytearray(count)
    new: list[int] = []
    for number, wants in enumerate(wanted.tolist()):
        if wants and new:
            chosen = new[drawn[number] % len(new)]
            if taken[chosen] < CAP:
                taken[chosen] += 1
                base[number] = chosen
                continue
        new.append(number)
    return base


def _chunk(source: Source, numbers: Places, base: Places, seed: int) -> pl.DataFrame:
    own = numbers.astype(np.uint64)
    made_from = np.where(base >= 0, base, numbers).astype(np.uint64)
    row, begins = source.bodies.written(seed, made_from)
    title_row, title_begins = source.titles.written(seed + 1, made_from)
    kinds = _draw(seed, own, -3, len(VARIATIONS))
    bodies, titles = [], []
    for k, number in enumerate(own.tolist()):
        words = row[begins[k] : begins[k + 1]]
        if base[k] >= 0:
            words = _varied(source.bodies, words, VARIATIONS[kinds[k]], seed, number)
        bodies.append(" ".join(source.bodies.vocabulary[words]))
        titles.append(
            " ".join(source.titles.vocabulary[title_row[title_begins[k] : title_begins[k + 1]]])
        )
    facts = source.posts[_draw(seed, made_from, -4, source.posts.height)]
    return facts.with_columns(
        post_id=pl.Series([f"z{number:07d}" for number in numbers.tolist()]),
        title=pl.Series(titles, dtype=pl.String),
        body=pl.Series(bodies, dtype=pl.String),
        score=pl.Series(_draw(seed, own, -5, 1_000)),
        author_hash=pl.lit(None, dtype=pl.String),
        source_file=pl.lit("synthetic"),
        source_line=pl.Series(numbers + 1),
        base=pl.Series(base).replace(-1, None),
    )


def _varied(
    corpus: Corpus, words: npt.NDArray[np.int32], kind: str, seed: int, number: int
) -> npt.NDArray[np.int32]:
    """Return `words` as another person would have posted them."""
    steps = np.arange(len(words) + _TAIL_WORDS, dtype=np.uint64) << np.uint64(32)
    chance = _mixed(seed, steps + np.uint64(number), -6)
    others = corpus.word[(chance >> np.uint64(16)) % np.uint64(len(corpus.word))]
    if kind == "tail added":
        return np.concatenate([words, others[len(words) :]])
    if kind == "sentence dropped":
        ends = [
            k + 1 for k, w in enumerate(words[:-1]) if corpus.vocabulary[w].rstrip().endswith(_END)
        ]
        if len(ends) > 1:
            drop = int(chance[0] % np.uint64(len(ends) - 1))
            return np.concatenate([words[: ends[drop]], words[ends[drop + 1] :]])
        kind = VARIATIONS[0]  # a post of one sentence has a word edited
    share = _EDITS[VARIATIONS.index(kind)]
    edited = (chance[: len(words)] & np.uint64(0xFFFF)) < share * 2**16
    edited[int(chance[0] >> np.uint64(40)) % len(words)] = True
    return np.where(edited, others[: len(words)], words)


def invented(seed: int, count: int = 20_000) -> pl.DataFrame:
    """Return posts of invented words, common ones and rare ones in the shares of a language."""
    random = np.random.default_rng(seed % 2**63)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "en", "or")]
    size = 30_000
    words = [
        "".join(syllables[k] for k in random.integers(0, len(syllables), length))
        for length in 1 + np.minimum(np.log10(np.arange(1, size + 1)).astype(int), 3)
    ]
    weight = 1 / (np.arange(size) + 2.7) ** 1.05
    cumulated = np.cumsum(weight / weight.sum())
    bodies, titles = [], []
    for length in np.clip(random.lognormal(5.1, 0.8, count), 40, _MOST_WORDS).astype(int):
        drawn = np.searchsorted(cumulated, random.random(length + 8))
        text = [words[min(k, size - 1)] for k in drawn]
        ends = np.flatnonzero(random.random(length) < 1 / 15)
        for place in ends:
            text[place] += "."
        bodies.append(" ".join(text[:length]))
        titles.append(" ".join(text[length:]))
    nothing = pl.Series([None] * count)
    facts: dict[str, object] = dict.fromkeys(schema.POSTS, nothing) | {
        "post_id": [f"i{k:06d}" for k in range(count)],
        "subreddit": ["Advice", "AmItheAsshole", "college", "personalfinance"] * (count // 4),
        "domain": ["everyday"] * count,
        "title": titles,
        "body": bodies,
        "created_utc": pl.Series([1_600_000_000_000_000] * count).cast(pl.Datetime("us", "UTC")),
        "removal": ["none"] * count,
    }
    return pl.DataFrame(facts).cast(schema.POSTS)  # type: ignore[arg-type]


def write(file: Path, count: int, source: Source, seed: int) -> None:
    """Write `count` posts, chunk by chunk."""
    writer = None
    try:
        for chunk in chunks(source, count, seed):
            table = chunk.select(*schema.POSTS, "base").to_arrow()
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def number_of(seed: str) -> int:
    """Return a seed's number."""
    return int.from_bytes(sha256(seed.encode()).digest()[:7], "little")


def _draw(seed: int, numbers: Numbers, purpose: int, size: int) -> Places:
    """Return for each number one of `size`."""
    return ((_mixed(seed, numbers, purpose) >> np.uint64(11)) % np.uint64(size)).astype(np.int64)


def _mixed(seed: int, numbers: Numbers, purpose: int) -> Numbers:
    """Return 64 bits for each number that depend on seed, number and purpose (SplitMix64)."""
    with np.errstate(over="ignore"):
        start = (seed * 0x9E3779B97F4A7C15 + purpose * 0xD1342543DE82EF95) % 2**64
        z = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(start)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        mixed: Numbers = z ^ (z >> np.uint64(31))
    return mixed


def main() -> None:
    """Write synthetic posts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--posts", type=Path, help="source posts; without them they are invented")
    parser.add_argument("--seed", default="dedup")
    arguments = parser.parse_args()
    seed = number_of(arguments.seed)
    write(arguments.out, arguments.count, Source.of(arguments.posts, seed), seed)


if __name__ == "__main__":
    main()
