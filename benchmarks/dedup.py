"""Measures the deduplication: growth, what it misses, embedding; beside semhash and datasketch.

python -m benchmarks.dedup [lexical|growth|beyond|embed|peers|index|all] [--posts FILE]
    [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import dedup_peers, dedup_posts, dedup_run, dedup_vectors
from pipeline import schema
from pipeline.config import DedupConfig
from pipeline.duplicates import lexical
from pipeline.duplicates.lexical import Thresholds, similar
from pipeline.duplicates.normal import compared
from pipeline.embedding import BUNDLED, Embedder
from pipeline.paths import ROOT

SIZES = (100_000, 300_000, 1_000_000)
MOST_GROWTH = 1.2  # time a post, the largest over the smallest
MOST_MB = 8_000
CACHE = ROOT / "build" / "bench-dedup-cache"
_INVENTED = 50_000
_SEED = "dedup"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Chosen:
    """What is measured.

    Attributes:
        posts: Rows of schema.POSTS from `ingest`, or None: then they are invented.
        sizes: Of growth.
        limit: Posts of peers; 0 is all.
        texts: Of embed.
        rows: Of index.
        vectors: index: vectors of posts, not random ones.
        cache: Folder of known vectors.
    """

    posts: Path | None = None
    sizes: tuple[int, ...] = SIZES
    limit: int = 10_000
    texts: int = 512
    rows: int = 50_000
    vectors: bool = False
    cache: Path = CACHE


class Bench:
    """The measurements of one command."""

    def __init__(self, folder: Path, chosen: Chosen) -> None:
        self._folder, self._file = folder, chosen.posts
        self._sizes = tuple(sorted(chosen.sizes))
        self._limit, self._texts, self._cache = chosen.limit, chosen.texts, chosen.cache
        self._rows, self._vectors = chosen.rows, chosen.vectors

    def lexical(self) -> Figures:
        """Time and memory on the posts themselves, without meanings."""
        text, done, out = (self._folder / f"{name}.parquet" for name in ("l", "lt", "lr"))
        self._posts.write_parquet(text)
        read = dedup_run.run("text", str(text), str(done))
        run = dedup_run.run("find", str(done), str(out))
        posts = run.found["posts"]
        print(f"lexical: {posts:,} {self._kind} posts; reading their text {read.seconds:.1f} s")
        print(
            f"  {run.seconds:.1f} s (CPU {run.cpu_s:.1f} s), {run.peak_mb:,.0f} MB; "
            f"{run.found['removed']:,} removed: {_counts(run.found['methods'])}",
            flush=True,
        )
        return {"posts": posts, "text": _taken(read), "find": _taken(run), **run.found}

    def growth(self) -> Figures:
        """How time and memory grow with the number of posts."""
        raw, done, out = (self._folder / f"{name}.parquet" for name in ("g", "gt", "gr"))
        seed = dedup_posts.number_of(_SEED)
        dedup_posts.write(raw, self._sizes[-1], dedup_posts.Source.of(self._file, seed), seed)
        base = pl.read_parquet(raw, columns=["base"])["base"]
        read = dedup_run.run("text", str(raw), str(done))
        print(
            f"growth: synthetic posts from {self._kind} ones; reading the text of "
            f"{self._sizes[-1]:,} {read.seconds:.0f} s, {read.peak_mb:,.0f} MB",
            flush=True,
        )
        print(
            "      posts  near-duplicates  removed   seconds     CPU s  ms a post  growth      MB"
        )
        rows = []
        for size in self._sizes:
            run = dedup_run.run("find", str(done), str(out), f"--first={size}")
            each = 1000 * run.seconds / size
            each_cpu = 1000 * run.cpu_s / size
            near = size - int(base.head(size).null_count())
            row = {"posts": size, "near": near, "ms": each, "cpu_ms": each_cpu}
            rows.append(row | _taken(run) | run.found)
            print(
                f"  {size:9,} {near:16,} {run.found['removed']:8,} {run.seconds:9.1f} "
                f"{run.cpu_s:9.1f} {each:10.3f} {each / rows[0]['ms']:7.2f} {run.peak_mb:7,.0f}",
                flush=True,
            )
        worst = rows[-1]["ms"] / rows[0]["ms"]
        cpu = rows[-1]["cpu_ms"] / rows[0]["cpu_ms"]
        said = f"time a post grows {worst:.2f} times, CPU time {cpu:.2f} times"
        _judge(said, worst <= MOST_GROWTH, f"at most {MOST_GROWTH} times")
        peak = max(row["peak_mb"] for row in rows)
        _judge(f"{peak:,.0f} MB", peak < MOST_MB, f"less than {MOST_MB:,} MB")
        return {"text": _taken(read), "sizes": rows}

    def beyond(self) -> Figures:
        """What the path for more than EXACT_TEXTS texts misses of what the exact one finds."""
        config = DedupConfig()
        least = Thresholds(config.jaccard, config.containment)
        words = compared(self._posts["title"], self._posts["body"])
        texts = words.filter(words != "").unique().sort()
        exact = similar(texts, config.shingle_words, least, least).pairs
        whole, lexical.EXACT_TEXTS = lexical.EXACT_TEXTS, 0
        try:
            longer = similar(texts, config.shingle_words, least, least).pairs
        finally:
            lexical.EXACT_TEXTS = whole
        same = exact.join(longer, on=exact.columns, how="semi").height
        print(
            f"beyond: of {exact.height:,} pairs among {len(texts):,} {self._kind} texts, the path "
            f"for more than {whole:,} finds {same:,}, and {longer.height - same:,} others",
            flush=True,
        )
        return {"texts": len(texts), "exact": exact.height, "same": same, "beyond": longer.height}

    def embed(self) -> Figures:
        """Texts a second, and what bulk vectors are off."""
        usable = self._posts.filter(pl.col("body").str.len_chars() >= dedup_posts.LEAST_BODY)
        chosen = usable.gather_every(max(1, usable.height // self._texts)).head(self._texts)
        texts = dedup_peers.compared_posts(chosen, 0)["text"].to_list()
        return dedup_vectors.embed(texts)

    def peers(self) -> Figures:
        """What each tool finds, misses and takes."""
        posts = dedup_peers.compared_posts(self._posts, self._limit)
        folder = self._folder / "peers"
        folder.mkdir()
        return dedup_peers.Comparison(posts, folder, self._cache).run()

    def index(self) -> Figures:
        """What the index misses of what products of all pairs find."""
        if not self._vectors:
            return dedup_vectors.index("random vectors", dedup_vectors.clustered(self._rows))
        posts = dedup_peers.compared_posts(self._posts, self._rows)
        embedder = Embedder(BUNDLED, DedupConfig().window_words, self._cache)
        vectors = embedder.quick(posts["text"].to_list())
        return dedup_vectors.index(f"vectors of {self._kind} posts", vectors)

    @property
    def _kind(self) -> str:
        return "real" if self._file else "invented"

    @cached_property
    def _posts(self) -> pl.DataFrame:
        if self._file:
            return pl.read_parquet(self._file, columns=list(schema.POSTS))
        seed = dedup_posts.number_of(_SEED)
        source = dedup_posts.Source.of(None, seed)
        return pl.concat(dedup_posts.chunks(source, _INVENTED, seed)).select(schema.POSTS.keys())


def _taken(run: dedup_run.Run) -> Figures:
    return {"seconds": run.seconds, "cpu_s": run.cpu_s, "peak_mb": run.peak_mb}


def _counts(methods: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in methods.items())


def _judge(said: str, met: bool, target: str) -> None:
    print(f"    {said}: {'meets' if met else 'MISSES'} the target of {target}", flush=True)


def machine() -> Figures:
    """Return what the figures depend on."""
    packages = ("polars", "numpy", "scipy", "faiss-cpu", "torch", "sentence-transformers")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": os.getloadavg()[0],
        "packages": {name: version(name) for name in packages},
    }


def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ("lexical", "growth", "beyond", "embed", "peers", "index")
    parser.add_argument("what", nargs="?", default="all", choices=(*names, "all"))
    parser.add_argument("--posts", type=Path, help="from `ingest`; without it posts are invented")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--sizes", type=int, nargs="+", default=Chosen.sizes, help="of growth")
    parser.add_argument("--limit", type=int, default=Chosen.limit, help="posts of peers; 0 is all")
    parser.add_argument("--texts", type=int, default=Chosen.texts, help="of embed")
    parser.add_argument("--rows", type=int, default=Chosen.rows, help="of index")
    parser.add_argument(
        "--vectors", action="store_true", help="index: vectors of posts, not random ones"
    )
    parser.add_argument("--cache", type=Path, default=Chosen.cache, help="folder of known vectors")
    arguments = parser.parse_args()
    chosen = Chosen(**{each.name: getattr(arguments, each.name) for each in fields(Chosen)})
    figures: Figures = {"machine": machine()}
    print(", ".join(f"{name} {value}" for name, value in figures["machine"].items()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), chosen)
        for name in names if arguments.what == "all" else (arguments.what,):
            measure: Callable[[], Figures] = getattr(bench, name)
            figures[name] = measure()
    figures["load_average_after"] = os.getloadavg()[0]
    print(f"load average at the end {figures['load_average_after']:.1f}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
