"""One run of our deduplication in a process of its own, so that time and memory are its alone.

Prints one line of JSON. Reading the file counts for memory and not for time, starting Python for
neither.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from pipeline.config import DedupConfig
from pipeline.duplicates.find import find
from pipeline.duplicates.normal import compared
from pipeline.duplicates.parts_find import find_in_parts
from pipeline.duplicates.parts_posts import facts_of
from pipeline.embedding import BUNDLED, Embedder
from pipeline.scale import Local, Part
from pipeline.tag import with_text

NICE = 5


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        seconds: Wall-clock time of the work.
        cpu_s: CPU time of the process meanwhile, user and system, all threads.
        peak_mb: Most resident memory of the process ever, imports and all.
        found: What else it tells.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    found: dict[str, Any] = field(default_factory=dict)


def run(kind: str, *arguments: str) -> Run:
    """Run this module in a process of its own; see `main`."""
    return run_command([sys.executable, "-m", "benchmarks.dedup_run", kind, *arguments])


def run_command(command: Sequence[str], **options: Any) -> Run:
    """Run a command that prints a Run in its last line."""
    nicely = ["nice", "-n", str(NICE), *command]
    done = subprocess.run(nicely, check=False, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:300]}\n{done.stderr[-2_000:]}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


class Meter:
    """Time since it was made."""

    def __init__(self) -> None:
        self._begun, self._cpu = time.perf_counter(), cpu_seconds()

    def print(self, **found: Any) -> None:
        """Print a Run in one line."""
        seconds, cpu_s = time.perf_counter() - self._begun, cpu_seconds() - self._cpu
        taken = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb(), "found": found}
        print("\n" + json.dumps(taken), flush=True)


def cpu_seconds() -> float:
    """Return the CPU time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """Return the most resident memory of this process.

    Not getrusage's: that also counts what the process that started this one held (it is kept
    across exec).
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def main() -> None:
    """Run once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["text", "embed", "find"])
    parser.add_argument("posts", type=Path)
    parser.add_argument(
        "out",
        type=Path,
        help="Parquet file: posts with their text, or removals; embed writes into its cache alone",
    )
    parser.add_argument("--cache", type=Path, help="compare meanings too, with this cache")
    parser.add_argument("--cosine", type=float, default=DedupConfig.cosine, help="threshold")
    parser.add_argument("--reversed", action="store_true", help="take the rows from the last on")
    parser.add_argument("--first", type=int, help="only so many posts")
    parser.add_argument("--after", type=int, default=0, help="without so many before")
    parser.add_argument("--partitions", type=int, default=1, help="cut the work up, in files")
    parser.add_argument("--processes", type=int, default=1, help="that do it")
    arguments = parser.parse_args()
    if arguments.partitions > 1:
        _in_parts(arguments)
        return
    # A list, so that `find` is the only one that holds them, and can let go of their bodies.
    some = pl.scan_parquet(arguments.posts).slice(arguments.after, arguments.first)
    posts = [some.collect()]
    size = posts[0].height
    if arguments.reversed:
        posts = [posts[0].reverse()]
    config = DedupConfig(cosine=arguments.cosine)
    if arguments.kind == "text":
        meter = Meter()
        with_text(posts.pop()).write_parquet(arguments.out)
        meter.print(posts=size)
        return
    embedder = Embedder(BUNDLED, config.window_words, arguments.cache) if arguments.cache else None
    if embedder and arguments.kind == "embed":
        meter = Meter()
        meter.print(posts=size, texts=len(embedder.quick(_long(posts.pop(), config))))
        return
    meter = Meter()
    removals = find(posts.pop(), config, embedder).removals
    counts = removals["method"].value_counts().sort("method")
    meter.print(posts=size, removed=removals.height, methods=dict(counts.iter_rows()))
    removals.write_parquet(arguments.out)


def _long(posts: pl.DataFrame, config: DedupConfig) -> list[str]:
    """Return the texts of which `find` compares meanings, if no words are alike."""
    words = compared(posts["title"], posts["body"])
    return posts["text"].filter(words.str.count_matches(" ") + 1 >= config.semantic_words).to_list()


def _in_parts(arguments: argparse.Namespace) -> None:
    """Find the same in partitions, by words; memory is that of the process that leads."""
    config, engine = DedupConfig(), Local(arguments.partitions, arguments.processes)
    size = pl.scan_parquet(arguments.posts).select(pl.len()).collect().item()
    size = min(size, arguments.first or size)
    place = str(arguments.posts.resolve())
    ends = [size * k // engine.partitions for k in range(engine.partitions + 1)]
    parts = [Part(place, a, b - a) for a, b in pairwise(ends) if b > a]
    meter = Meter()
    with TemporaryDirectory(dir=arguments.out.resolve().parent) as folder:
        facts = facts_of(parts, engine)
        found = find_in_parts(parts, facts, config, None, (), engine, Path(folder, "work"))
    counts = found.removals["method"].value_counts().sort("method")
    meter.print(posts=size, removed=found.removals.height, methods=dict(counts.iter_rows()))
    found.removals.write_parquet(arguments.out)


if __name__ == "__main__":
    main()
