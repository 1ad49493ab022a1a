"""Our deduplication beside semhash, datasketch and datatrove, on the same posts."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks import dedup_run
from benchmarks.dedup_run import Run
from benchmarks.dedup_truth import Marks, Truth, words_of
from benchmarks.peers import DATATROVE, DEDUP
from pipeline import schema
from pipeline.artifacts import unit_interval
from pipeline.config import DedupConfig
from pipeline.duplicates.find import find
from pipeline.embedding import BUNDLED, Embedder
from pipeline.paths import ROOT
from pipeline.tag import with_text

LEAST_BODY = 200  # characters
LEAST_WORDS = 20
LABELS = ROOT / "benchmarks" / "same_story_pairs.csv"
REMOVED = ROOT / "benchmarks" / "judged_removals.csv"
BY_WORDS = ("exact", "lexical", "contained")
ALL = "ours, all"
RIGHT = (0.5, 0.8)  # Jaccard or containment above which a removal is right
VERDICTS = ("right", "wrong", "not judged")
_SEMHASH = 0.9  # its own threshold, if none is given
_VERDICT_OF = {"1": "right", "0": "wrong", "m": "wrong", "u": "not judged"}
Figures = dict[str, Any]
Verdicts = dict[str, int]


def compared_posts(posts: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Return posts with a body that says something, with their text; `limit` of them unless 0.

    They are drawn by their ids; labelled ones are always among them.
    """
    labelled = pl.concat([_labels()["a_id"], _labels()["b_id"]])
    draw = [unit_interval("bench-dedup", post_id) for post_id in posts["post_id"]]
    words = [len(words_of(body)) for body in posts["body"]]
    usable = posts.with_columns(draw=pl.Series(draw), count=pl.Series(words)).filter(
        pl.col("removal") == "none",
        pl.col("body").str.len_chars() >= LEAST_BODY,
        pl.col("count") >= LEAST_WORDS,
    )
    first = pl.col("post_id").is_in(labelled.implode())
    chosen = usable.sort(first, -pl.col("draw"), descending=True)
    chosen = chosen.head(limit or usable.height).drop("draw", "count").sort("post_id")
    return with_text(chosen)


@dataclass(frozen=True)
class _Tool:
    """What a tool did, the rows from the first on and, in its last run, from the last on.

    `run` is the one of median seconds.
    """

    run: Run
    runs: tuple[Run, ...]
    removed: dict[str, str]  # to its keeper
    backwards: dict[str, str]
    method: dict[str, str]  # of ours: how each was found


class Comparison:
    """The same posts through every tool, judged by the same truth."""

    def __init__(self, posts: pl.DataFrame, folder: Path, cache: Path) -> None:
        self._posts, self._folder, self._cache = posts, folder, cache
        self._forwards = range(1)
        self._row = {name: row for row, name in enumerate(posts["post_id"])}
        words = [words_of(body) for body in posts["body"]]
        begun = time.perf_counter()
        self._truth = Truth.of(words)
        self._pairs = self._truth.pairs()
        self._truth_s = time.perf_counter() - begun
        bodies = posts["body"].to_numpy()
        first, second = self._pairs[:, 0], self._pairs[:, 1]
        self._equal = np.asarray(bodies[first] == bodies[second], dtype=bool)
        self._labelled = _labels().filter(
            pl.col("a_id").is_in(posts["post_id"].implode()),
            pl.col("b_id").is_in(posts["post_id"].implode()),
        )
        self._label = {
            frozenset((a, b)): same
            for a, b, same in pl.concat([_labels(REMOVED), _labels()]).iter_rows()
        }
        posts.write_parquet(folder / "posts.parquet")
        with (folder / "posts.ndjson").open("w", encoding="utf-8") as file:
            columns = zip(posts["post_id"], words, posts["text"], strict=True)
            for name, some, text in columns:
                file.write(json.dumps({"id": name, "words": " ".join(some), "text": text}) + "\n")

    def run(self, runs: int = 1) -> Figures:
        """Run every tool so many times, print the table and return the figures.

        The last run has the rows in the other order, so there are two at least.
        """
        config = DedupConfig()
        embedder = Embedder(BUNDLED, config.window_words, self._cache)
        begun = time.perf_counter()
        vectors = embedder.quick(self._posts["text"].to_list())
        embed_s = time.perf_counter() - begun
        np.save(self._folder / "vectors.npy", vectors)
        equal = int(self._equal.sum())
        print(
            f"peers: {len(self._row):,} posts of {LEAST_BODY} characters and more; truth: "
            f"{len(self._pairs):,} pairs, {equal:,} of them with one body, in "
            f"{self._truth_s:.0f} s; vectors in {embed_s:.0f} s (in nobody's seconds)",
            flush=True,
        )
        tools: dict[str, Callable[[], _Tool]] = {
            "ours, words and stories": lambda: self._ours(),
            ALL: lambda: self._ours("--cache", str(self._cache)),
            f"MinHashLSH {config.jaccard}": lambda: self._peer("minhash", config.jaccard),
            "datatrove MinHash": lambda: self._peer("datatrove", 0.0),
            f"semhash {_SEMHASH}": lambda: self._peer("semhash", _SEMHASH),
            f"semhash {config.cosine}": lambda: self._peer("semhash", config.cosine),
        }
        figures: Figures = {
            "posts": len(self._row),
            "truth": {"pairs": len(self._pairs), "equal": equal, "seconds": self._truth_s},
            "embedding_s": embed_s,
            "versions": DEDUP.versions | DATATROVE.versions,
            "tools": {},
        }
        print(
            "  tool                     removed  equal bodies  similar  right/wrong/not judged"
            "  other if reversed    same story  different  seconds   CPU s      MB"
        )
        self._forwards = range(max(1, runs - 1))
        for name, run in tools.items():
            figures["tools"][name] = self._judged(name, run())
        figures["chain"] = self._chain(config)
        return figures

    def _ours(self, *options: str) -> _Tool:
        place, out = str(self._folder / "posts.parquet"), self._folder / "removals.parquet"
        if options:  # so that exact vectors of near pairs are known, as all vectors are
            dedup_run.run("find", place, str(out), *options)
        runs = [dedup_run.run("find", place, str(out), *options) for _ in self._forwards]
        table = pl.read_parquet(out)
        runs.append(dedup_run.run("find", place, str(out), "--reversed", *options))
        return _Tool(
            _middle(runs),
            tuple(runs),
            dict(table.select("removed_id", "keeper_id").iter_rows()),
            dict(pl.read_parquet(out).select("removed_id", "keeper_id").iter_rows()),
            dict(table.select("removed_id", "method").iter_rows()),
        )

    def _peer(self, kind: str, threshold: float) -> _Tool:
        runs = [_run_peer(kind, self._folder, threshold) for _ in self._forwards]
        runs.append(_run_peer(kind, self._folder, threshold, "--reversed"))
        first, backwards = (dict(runs[turn].found["result"]) for turn in (0, -1))
        return _Tool(_middle(runs), tuple(runs), first, backwards, {})

    def _judged(self, name: str, tool: _Tool) -> Figures:
        gone = np.zeros(len(self._row), dtype=bool)
        gone[[self._row[each] for each in tool.removed]] = True
        caught = gone[self._pairs[:, 0]] | gone[self._pairs[:, 1]]
        other = len(tool.removed.keys() ^ tool.backwards.keys())
        same, different = (self._merged(tool.removed, judged) for judged in ("1", "0"))
        figures: Figures = dataclasses.asdict(tool.run) | {
            "found": None,
            "runs": [dataclasses.asdict(run) | {"found": None} for run in tool.runs],
            "removed": len(tool.removed),
            "recall_equal": _share(caught[self._equal]),
            "recall": _share(caught),
            "verdicts": self._verdicts(tool.removed),
            "other_if_reversed": other,
            "labelled_same": same,
            "labelled_different": different,
        }
        print(
            f"  {name:24} {len(tool.removed):7,} {_show(figures['recall_equal']):>13} "
            f"{_show(figures['recall']):>8} {_told(figures['verdicts']):>23} "
            f"{other:18,} "
            f"{same[0]:6} of {same[1]:3} {different[0]:4} of {different[1]:3} "
            f"{tool.run.seconds:8.1f} {tool.run.cpu_s:7.1f} {tool.run.peak_mb:7,.0f}",
            flush=True,
        )
        if tool.method:
            figures["methods"] = self._by_method(tool)
        return figures

    def _by_method(self, tool: _Tool) -> Figures:
        """Print and return how many were found in each way, and what they are."""
        counts: Figures = {}
        for method in dict.fromkeys((*BY_WORDS, *sorted(set(tool.method.values())))):
            some = {a: b for a, b in tool.removed.items() if tool.method[a] == method}
            counts[method] = self._verdicts(some)
        print(f"    by method: {', '.join(f'{m} {_told(some)}' for m, some in counts.items())}")
        return counts

    def _verdicts(self, removed: dict[str, str]) -> Verdicts:
        """Return how many removals are right (by words, or by label), wrong, and not judged."""
        found = dict.fromkeys(VERDICTS, 0)
        if not removed:
            return found
        a = np.array([self._row[name] for name in removed])
        b = np.array([self._row[name] for name in removed.values()])
        alike = self._truth.similar(a, b, *RIGHT)
        for pair, same in zip(removed.items(), alike, strict=True):
            label = "1" if same else self._label.get(frozenset(pair), "u")
            found[_VERDICT_OF[label]] += 1
        return found

    def _merged(self, removed: dict[str, str], judged: str) -> tuple[int, int]:
        """Return how many labelled pairs have one keeper, and how many there are."""
        pairs = self._labelled.filter(same=judged).select("a_id", "b_id").rows()
        return sum(removed.get(a, a) == removed.get(b, b) for a, b in pairs), len(pairs)

    def _chain(self, config: DedupConfig) -> Figures:
        """Print and return how many of a chain A, B, C each tool keeps, by the order of rows."""
        theirs = _run_peer("chain", self._folder, config.cosine).found["result"]
        ours = {"".join(order): _kept(order, config) for order in itertools.permutations("ABC")}
        print("  of A, B, C, where only B is like both others (cosines 0.94, 0.94, 0.77), kept:")
        for name, kept in (("ours", ours), ("semhash", theirs)):
            print(f"    {name:8} " + ", ".join(f"{order} {n}" for order, n in kept.items()))
        return {"ours": ours, "semhash": theirs}


class _Chain:
    """Vectors of the three texts."""

    def quick(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        turns = np.radians([20.0 * "abc".index(text[0]) for text in texts])
        return np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)

    exact = quick


def _kept(order: Sequence[str], config: DedupConfig) -> int:
    rows = []
    count = 2 * config.semantic_words
    for name in order:
        # The same words, which is asked of texts that mean the same, in three orders: no step has
        # a factor in common with the number of places.
        step = {"A": 5, "B": 7, "C": 11}[name]
        places = [step * k % (count + 1) for k in range(1, count + 1)]
        text = " ".join([name.lower(), *(f"word{place}" for place in places)])
        facts = dict.fromkeys(schema.SCREENED) | {"post_id": name, "title": "", "body": text}
        rows.append(facts | {"text": text, "removal": "none"})
    return len(rows) - find(schema.frame(rows, schema.SCREENED), config, _Chain()).removals.height


def _run_peer(kind: str, folder: Path, threshold: float, *options: str) -> Run:
    script = Path(__file__).with_name("dedup_peer_client.py")
    python = (DATATROVE if kind == "datatrove" else DEDUP).python()
    command = [python, str(script), kind, str(folder), "--threshold", str(threshold)]
    return dedup_run.run_command([*command, *options], env=os.environ | {"HF_HUB_OFFLINE": "1"})


def _middle(runs: Sequence[Run]) -> Run:
    return sorted(runs, key=lambda run: run.seconds)[(len(runs) - 1) // 2]


def _labels(place: Path = LABELS) -> pl.DataFrame:
    names = ("a_id", "b_id", "same")
    if not place.exists():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.read_csv(place, infer_schema=False).select(names)


def _told(verdicts: Verdicts) -> str:
    return "/".join(f"{count:,}" for count in verdicts.values())


def _share(hits: Marks) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
