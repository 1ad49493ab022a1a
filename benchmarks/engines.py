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
from benchmarks.engine_tables import Run, fits, tables
from benchmarks.engine_work import BUILD, ENGINES, processors, read
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
    print("\n".join(tables(bench.runs, chosen.check)))


class Bench:
    """The measurements of one command."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self.tasks: dict[str, Any] = {}
        self.runs: list[Run] = []
        if chosen.again:
            self.tasks, self.runs = load(chosen.again)

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
                "growth": [asdict(fit) for fit in fits(self.runs, chosen.check)],
            }
            chosen.json.parent.mkdir(parents=True, exist_ok=True)
            chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        if chosen.table:
            chosen.table.parent.mkdir(parents=True, exist_ok=True)
            text = "\n".join(tables(self.runs, chosen.check)) + "\n"
            chosen.table.write_text(text, encoding="utf-8")
        if chosen.figure and (found := fits(self.runs, chosen.check)):
            chosen.figure.parent.mkdir(parents=True, exist_ok=True)
            engine_growth.draw(found, chosen.figure)


def load(path: Path) -> tuple[dict[str, Any], list[Run]]:
    """Return the tasks and runs that an earlier command wrote down."""
    earlier = json.loads(path.read_text(encoding="utf-8"))
    return earlier["tasks"], [Run(**run) for run in earlier["runs"]]


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
