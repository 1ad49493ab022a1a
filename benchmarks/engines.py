"""Partitions by several engines: `python -m benchmarks.engines SOURCE [--only NAME ...]`.

- `in-process`, `ray-tasks`, `ray-data`, `daft`: two kinds of work over the posts of a dump. `tag`
  stays in its partition, `sort` moves every row (by post id, as stage scrape does it).
- `stages`: whole builds up to `dedup` over the dump in one process and on Ray, once for each of
  `--pools`: 0 is no embeddings, N those of N posts a domain. `files` is a hash over all keys and
  files of the build.
- `growth`: builds over the first `--sizes` posts of an invented dump, without embeddings; see
  benchmarks/engine_growth.py. `--posts`, what `ingest` writes, makes it of real posts.

Each measurement is a process of its own, on two processors, with eight partitions on Ray. `--json`,
`--table` and `--figure` write what was found there, after every measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import engine_growth
from benchmarks.engine_posts import write
from benchmarks.engine_tables import Run, growth_table, overhead_table
from benchmarks.engine_work import BUILD, ENGINES, STAGES, processors, read
from benchmarks.watch import Watch


def main() -> None:
    """Measure, each engine in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    names = (*ENGINES, "stages", "growth")
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    parser.add_argument("--pools", type=int, nargs="*", default=[0, 300], help="of stages")
    parser.add_argument("--sizes", type=int, nargs="*", default=engine_growth.SIZES)
    parser.add_argument("--check", type=int, default=1, help="largest sizes that are not fitted on")
    parser.add_argument("--posts", type=Path, help="growth: from `ingest`")
    parser.add_argument("--runs", type=int, default=1, help="of each build, engines in turn")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--table", type=Path, help="write them here in Markdown")
    parser.add_argument("--figure", type=Path, help="draw growth here (.svg, .png)")
    parser.add_argument("--again", type=Path, help="runs of an earlier --json, not measured again")
    chosen = parser.parse_args()
    bench = Bench(chosen)
    with tempfile.TemporaryDirectory() as name:
        engines = [engine for engine in chosen.only if engine in ENGINES]
        if engines:
            posts = Path(name, "posts.parquet")
            read(chosen.source, posts)
            for engine in engines:
                bench.tasks[engine], _ = _called(chosen.source, engine, "--posts", str(posts))
                print(f"{engine:<16} {json.dumps(bench.tasks[engine])}", flush=True)
        if "stages" in chosen.only:
            for pool in chosen.pools:
                bench.builds("stages", chosen.source, pool, 0)
        if "growth" in chosen.only:
            dump = Path(name, "growth.ndjson")
            write(dump, max(chosen.sizes), chosen.posts)
            for size in sorted(chosen.sizes):
                bench.builds("growth", dump, 0, size)
    bench.write()
    print("\n".join(bench.table()))


class Bench:
    """The measurements of one command."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self.tasks: dict[str, Any] = {}
        self.runs: list[Run] = []
        if chosen.again:
            earlier = json.loads(chosen.again.read_text(encoding="utf-8"))
            self.tasks = earlier["tasks"]
            self.runs = [Run(**run) for run in earlier["runs"]]

    def builds(self, kind: str, source: Path, pool: int, limit: int) -> None:
        """Build in one process and on Ray, in turn; write down what is known."""
        for turn in range(self._chosen.runs):
            for engine in ("local", "ray") if turn % 2 == 0 else ("ray", "local"):
                load = round(os.getloadavg()[0], 1)
                options = ("--pool", str(pool), "--limit", str(limit))
                told, watch = _called(source, f"{BUILD}{engine}", *options)
                run = Run(
                    kind,
                    engine,
                    limit,
                    pool,
                    told.pop("seconds"),
                    round(watch.cpu_s, 1),
                    round(watch.peak_mb),
                    told.pop("driver_mb"),
                    load,
                    told,
                )
                self.runs.append(run)
                print(run.line(), flush=True)
                self.write()

    def write(self) -> None:
        """Write what is known."""
        chosen = self._chosen
        if chosen.json:
            figures = {
                "machine": machine(),
                "posts": "real, varied" if chosen.posts else "invented",
                "tasks": self.tasks,
                "runs": [asdict(run) for run in self.runs],
                "growth": [asdict(fit) for fit in self._fits()],
            }
            chosen.json.parent.mkdir(parents=True, exist_ok=True)
            chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        if chosen.table:
            chosen.table.parent.mkdir(parents=True, exist_ok=True)
            chosen.table.write_text("\n".join(self.table()) + "\n", encoding="utf-8")
        if chosen.figure and (fits := self._fits()):
            chosen.figure.parent.mkdir(parents=True, exist_ok=True)
            engine_growth.draw(fits, chosen.figure)

    def table(self) -> list[str]:
        """Return what was found, in Markdown."""
        lines = overhead_table([run for run in self.runs if run.kind == "stages"])
        grown = [run for run in self.runs if run.kind == "growth"]
        if grown:
            lines += [*growth_table(grown), "", *engine_growth.table(self._fits())]
        return lines

    def _fits(self) -> list[engine_growth.Fit]:
        points: dict[tuple[str, str], dict[int, list[float]]] = {}
        for run in self.runs:
            if run.kind == "growth":
                for measure, value in _measures(run).items():
                    place = points.setdefault((run.engine, measure), {})
                    place.setdefault(run.posts, []).append(value)
        check = self._chosen.check
        return [
            engine_growth.fitted(
                engine, measure, {size: statistics.median(v) for size, v in found.items()}, check
            )
            for (engine, measure), found in points.items()
            if len(found) >= check + engine_growth.LEAST_POINTS
        ]


def _measures(run: Run) -> dict[str, float]:
    return {
        "seconds": run.seconds["all"],
        "CPU s": run.cpu_s,
        "memory of all, MB": run.peak_mb,
        "memory of the driver, MB": run.driver_mb,
    } | {f"{stage}, seconds": run.seconds[stage] for stage in STAGES}


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    packages = {}
    for name in ("polars", "numpy", "torch", "ray", "daft"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = ""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "used": len(processors()),
        "packages": packages,
    }


def _called(source: Path, *arguments: str) -> tuple[dict[str, Any], Watch]:
    """Run a measurement in a process of its own; return what it tells, and what it took."""
    call = [sys.executable, "-m", "benchmarks.engine_work", str(source), *arguments]
    with Watch() as watch:
        done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(call)}\n{done.stderr[-2_000:]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told, watch


if __name__ == "__main__":
    main()
