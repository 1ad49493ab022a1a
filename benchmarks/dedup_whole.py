"""All posts of a dump through deduplication, end to end, by words and meanings.

The first time no vector is known, which is run once: it takes an hour or two for a real dump. It is
done in pieces, each a process of its own; who is interrupted loses one piece, and goes on from
there. Then vectors are known, and only thresholds are others.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import polars as pl

from benchmarks import dedup_run
from benchmarks.dedup_run import Run
from pipeline.artifacts import sha256_file, write_json

THRESHOLDS = (0.85, 0.86, 0.88)  # cosines, beside the configured one
POSTS_A_PIECE = 8_000


def first_time(posts: Path, cache: Path) -> Run:
    """Clean the texts, embed all of them and find near-duplicates.

    Args:
        posts: Rows of schema.POSTS.
        cache: Folder of vectors, emptied before unless a first time was interrupted there.

    Returns:
        All of it: seconds and CPU time of the pieces together (each of them loads the model and
        tries bfloat16, in some seconds), and the most memory of any.
    """
    place, digest = cache / "pieces.json", sha256_file(posts)
    known = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    if known.get("posts") != digest:
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        known = {"posts": digest, "runs": []}
    height = pl.scan_parquet(posts).select(pl.len()).collect().item()
    starts = range(0, height, POSTS_A_PIECE)
    with tempfile.TemporaryDirectory() as folder:
        text, out = (Path(folder, f"{name}.parquet") for name in ("text", "out"))
        cleaned = dedup_run.run("text", str(posts), str(text))
        call = (str(text), str(out), "--cache", str(cache))
        for start in starts[len(known["runs"]) :]:
            span = (f"--after={start}", f"--first={POSTS_A_PIECE}")
            known["runs"].append(asdict(dedup_run.run("embed", *call, *span)))
            write_json(known, place)
            took = sum(run["seconds"] for run in known["runs"])
            end = min(start + POSTS_A_PIECE, height)
            print(f"  embedded {end:,} of {height:,} posts, {took:.0f} s", flush=True)
        found = dedup_run.run("find", *call)
    place.unlink()
    return _together([cleaned, *(Run(**run) for run in known["runs"]), found])


def known(posts: Path, cache: Path, runs: int) -> tuple[list[Run], list[Run]]:
    """Return runs of the same with the vectors in `cache`, and of `find` with other thresholds."""
    with tempfile.TemporaryDirectory() as folder:
        text, out = (Path(folder, f"{name}.parquet") for name in ("text", "out"))
        call = ("find", str(text), str(out), "--cache", str(cache))
        again, others = [], []
        for _ in range(runs):
            cleaned = dedup_run.run("text", str(posts), str(text))
            again.append(_together([cleaned, dedup_run.run(*call)]))
        for turn in range(runs):
            cosine = THRESHOLDS[turn % len(THRESHOLDS)]
            others.append(dedup_run.run(*call, f"--cosine={cosine}"))
    return again, others


def _together(runs: Iterable[Run]) -> Run:
    """Return runs that follow each other as one."""
    every = list(runs)
    seconds, cpu_s = sum(run.seconds for run in every), sum(run.cpu_s for run in every)
    return Run(seconds, cpu_s, max(run.peak_mb for run in every), every[-1].found)
