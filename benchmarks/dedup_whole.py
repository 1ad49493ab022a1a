"""All posts of a dump through deduplication, end to end, by words and meanings.

The first time no vector is known, which is run once: it takes the better part of an hour for a real
dump. Then vectors are known, and only thresholds are others.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks import dedup_run
from benchmarks.dedup_run import Run

THRESHOLDS = (0.85, 0.86, 0.88)  # cosines, beside the configured one


def first_time(posts: Path, cache: Path) -> Run:
    """Clean the texts, embed all of them and find near-duplicates; empties `cache` before."""
    shutil.rmtree(cache, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        text, out = (Path(folder, f"{name}.parquet") for name in ("text", "out"))
        cleaned = dedup_run.run("text", str(posts), str(text))
        found = dedup_run.run("find", str(text), str(out), "--cache", str(cache))
    return _both(cleaned, found)


def known(posts: Path, cache: Path, runs: int) -> tuple[list[Run], list[Run]]:
    """Return runs of the same with the vectors in `cache`, and of `find` with other thresholds."""
    with tempfile.TemporaryDirectory() as folder:
        text, out = (Path(folder, f"{name}.parquet") for name in ("text", "out"))
        call = ("find", str(text), str(out), "--cache", str(cache))
        again, others = [], []
        for _ in range(runs):
            cleaned = dedup_run.run("text", str(posts), str(text))
            again.append(_both(cleaned, dedup_run.run(*call)))
        for turn in range(runs):
            cosine = THRESHOLDS[turn % len(THRESHOLDS)]
            others.append(dedup_run.run(*call, f"--cosine={cosine}"))
    return again, others


def _both(cleaned: Run, found: Run) -> Run:
    return Run(
        cleaned.seconds + found.seconds,
        cleaned.cpu_s + found.cpu_s,
        max(cleaned.peak_mb, found.peak_mb),
        found.found,
    )
