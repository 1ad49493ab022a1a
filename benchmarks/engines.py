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
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import engine_growth
from benchmarks.dedup_run import peak_mb
from benchmarks.engine_posts import write
from benchmarks.watch import Watch

PARTS = 8
PROCESSORS = 2
STAGES = ("scrape", "tag", "screen", "dedup")
MOST_OVERHEAD = 0.25  # of Ray, on a whole job with embeddings


@dataclass
class Run:
    """One measurement.

    Attributes:
        kind: "stages" or "growth".
        engine: "local" or "ray".
        posts: Lines that were read; 0 for all.
        pool: Posts a domain that are embedded and compared; 0 for no embeddings, and all posts.
        seconds: Wall-clock time of each stage, of Ray's start, and of `all`.
        cpu_s: CPU time of all processes, Python's start included.
        peak_mb: Most memory of all processes (PSS).
        driver_mb: Most memory of the driver (resident).
        load: The machine's load average before.
        found: Posts kept by stages, and the hash of keys and files.
    """

    kind: str
    engine: str
    posts: int
    pool: int
    seconds: dict[str, float]
    cpu_s: float
    peak_mb: float
    driver_mb: float
    load: float
    found: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Return it for people."""
        what = f"{self.posts:,} posts" if self.posts else f"pool {self.pool}"
        parts = [f"{name} {value:.1f}" for name, value in self.seconds.items()]
        return (
            f"{self.kind} {self.engine}, {what}: {', '.join(parts)} s; CPU {self.cpu_s:.0f} s, "
            f"{self.peak_mb:,.0f} MB (driver {self.driver_mb:,.0f}), load {self.load:.1f}, "
            f"files {self.found['files']}"
        )


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
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pool", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one.startswith("stages-"):
        engine = chosen.one.removeprefix("stages-")
        print(json.dumps(_stages(engine, chosen.source, chosen.pool, chosen.limit)))
        return
    if chosen.one:
        print(json.dumps(_measure(chosen.one, chosen.posts)))
        return
    bench = Bench(chosen)
    with tempfile.TemporaryDirectory() as name:
        engines = [engine for engine in chosen.only if engine in ENGINES]
        if engines:
            posts = Path(name, "posts.parquet")
            _read(chosen.source, posts)
            for engine in engines:
                call = ["--one", engine, "--posts", str(posts)]
                bench.tasks[engine], _ = _called(chosen.source, call)
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
                call = ["--one", f"stages-{engine}", "--pool", str(pool), "--limit", str(limit)]
                told, watch = _called(source, call)
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


def overhead_table(runs: list[Run]) -> list[str]:
    """Return what Ray adds to whole builds, in Markdown."""
    columns = ("start", *STAGES, "all")
    lines = []
    for pool in dict.fromkeys(run.pool for run in runs):
        lines += [
            f"| {f'embeddings, pool {pool}' if pool else 'no embeddings'} | "
            f"{' | '.join(columns)} | CPU s | MB, all processes | driver, MB | load |",
            f"| --- |{' ---: |' * (len(columns) + 4)}",
        ]
        totals: dict[str, tuple[float, float]] = {}
        for engine in ("local", "ray"):
            mine = [run for run in runs if run.pool == pool and run.engine == engine]
            if not mine:
                continue
            wall = [statistics.median(run.seconds[name] for run in mine) for name in columns]
            cpu = statistics.median(run.cpu_s for run in mine)
            totals[engine] = (wall[-1], cpu)
            cells = [f"{value:.1f}" for value in wall]
            cells += [f"{cpu:.0f}", f"{max(run.peak_mb for run in mine):,.0f}"]
            cells += [f"{max(run.driver_mb for run in mine):,.0f}"]
            cells += [f"{min(r.load for r in mine)} to {max(r.load for r in mine)}"]
            lines.append(f"| {engine} | {' | '.join(cells)} |")
        lines.append("")
        if len(totals) == 2:
            more, more_cpu = (
                ray / local - 1 for ray, local in zip(totals["ray"], totals["local"], strict=True)
            )
            said = f"Ray adds {more:+.0%} to the time and {more_cpu:+.0%} to the CPU time"
            if pool:
                met = "meets" if more <= MOST_OVERHEAD else "MISSES"
                said += f": {met} the aim of {MOST_OVERHEAD:.0%}"
            same = len({run.found["files"] for run in runs if run.pool == pool}) == 1
            lines += [f"{said}. Keys and files are {'the same' if same else 'NOT THE SAME'}.", ""]
    return lines


def growth_table(runs: list[Run]) -> list[str]:
    """Return the builds of growing dumps, in Markdown."""
    columns = ("start", *STAGES, "all")
    names = ("posts", "engine", *columns, "CPU s", "MB, all processes", "driver, MB", "load")
    lines = [
        f"| {' | '.join(names)} |",
        f"| ---: | --- |{' ---: |' * (len(columns) + 4)}",
    ]
    for run in sorted(runs, key=lambda run: (run.posts, run.engine)):
        cells = [f"{run.posts:,}", run.engine, *(f"{run.seconds[name]:.1f}" for name in columns)]
        cells += [f"{run.cpu_s:.0f}", f"{run.peak_mb:,.0f}", f"{run.driver_mb:,.0f}", str(run.load)]
        lines.append(f"| {' | '.join(cells)} |")
    files = {size: {r.found["files"] for r in runs if r.posts == size} for size in _sizes(runs)}
    same = all(len(each) == 1 for each in files.values())
    return [*lines, "", f"Keys and files are {'the same' if same else 'NOT THE SAME'}."]


def _sizes(runs: list[Run]) -> list[int]:
    return sorted({run.posts for run in runs})


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
        "used": len(_processors()),
        "packages": packages,
    }


def _called(source: Path, arguments: list[str]) -> tuple[dict[str, Any], Watch]:
    """Run a measurement in a process of its own; return what it tells, and what it took."""
    call = [sys.executable, "-m", "benchmarks.engines", str(source), *arguments]
    with Watch() as watch:
        done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(call)}\n{done.stderr[-2_000:]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told, watch


def _processors() -> list[int]:
    return sorted(os.sched_getaffinity(0))[:PROCESSORS]


def _read(source: Path, posts: Path) -> None:
    from pipeline.artifacts import write_parquet
    from pipeline.config_file import load
    from pipeline.sources.read import read_posts

    config = load(Path("configs/demo.toml"))
    write_parquet(read_posts([source], config, all_subreddits=True).posts, posts)


def _measure(kind: str, posts: Path) -> dict[str, Any]:
    os.sched_setaffinity(0, _processors())
    clock = time.perf_counter()
    work = ENGINES[kind]()
    found: dict[str, Any] = {"start": time.perf_counter() - clock}
    for name in ("tag", "sort"):
        clock = time.perf_counter()
        rows = work(name, posts)
        found[name] = time.perf_counter() - clock
        found[f"{name}_rows"] = rows
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {key: round(value, 1) for key, value in found.items()}


def _stages(engine: str, source: Path, pool: int, limit: int) -> dict[str, Any]:
    os.sched_setaffinity(0, _processors())
    from pipeline import build
    from pipeline.artifacts import sha256_text
    from pipeline.config_file import load
    from pipeline.scale import engine_of
    from pipeline.workspace import load_funnel

    with tempfile.TemporaryDirectory() as name:
        changes: dict[str, Any] = {
            "source.path": str(source),
            "source.limit": limit,
            "dedup.pool_per_domain": pool,
            "dedup.embedding_model": "minilm-package" if pool else "",
            "build.cache": f"{name}/cache",
            "build.workspace": f"{name}/build",
            "build.dist": f"{name}/dist",
            "build.engine": engine,
            "build.partitions": PARTS if engine == "ray" else 0,
        }
        config = load(Path("configs/demo.toml"), changes)
        clock = time.perf_counter()
        if engine == "ray":
            import ray

            quiet = {"log_to_driver": False, "include_dashboard": False}
            ray.init("local", num_cpus=PROCESSORS, **quiet)
            engine_of(config.build)  # asks every machine what it runs
        seconds = {"start": time.perf_counter() - clock}
        build.build(config, until="dedup")
        seconds["all"] = time.perf_counter() - clock
        place = Path(name, "build")
        found: dict[str, Any] = {}
        for stage in STAGES:
            seconds[stage] = json.loads((place / stage / "run.json").read_text())["seconds"]
            found[f"{stage}_kept"] = load_funnel(place, stage).kept
        manifests = {s: json.loads((place / s / "manifest.json").read_text()) for s in STAGES}
        found["files"] = sha256_text(json.dumps(manifests, sort_keys=True))[:12]
    found["seconds"] = {key: round(value, 2) for key, value in seconds.items()}
    found["driver_mb"] = round(peak_mb())
    return found


def _tag(frame: pl.DataFrame) -> pl.DataFrame:
    from pipeline.tag import tagged

    return tagged(frame)


def _in_process() -> Callable[[str, Path], int]:
    def work(name: str, posts: Path) -> int:
        table = pl.read_parquet(posts)
        return (_tag(table) if name == "tag" else table.sort("post_id")).height

    return work


def _tasks() -> Callable[[str, Path], int]:
    """Plain Ray tasks, and Ray Data where rows move: what the pipeline does."""
    import ray

    ray.init("local", num_cpus=PROCESSORS, log_to_driver=False, include_dashboard=False)
    from pipeline.scale import parts_of
    from pipeline.scale_ray import Ray
    from pipeline.scrape import _by_id

    engine = Ray(PARTS)

    def work(name: str, posts: Path) -> int:
        parts = parts_of(posts, PARTS)
        if name == "tag":
            return sum(f.height for f in engine.map("tag", _tag_part, parts))
        ids = pl.scan_parquet(posts).select("post_id").collect().to_series().sort()
        borders = [ids[len(ids) * k // PARTS] for k in range(1, PARTS)]
        found = engine.shuffle("sort", _by_id, parts, _sorted, PARTS, borders, posts)
        return sum(frame.height for frame in found)

    return work


def _tag_part(part: Any) -> pl.DataFrame:
    return _tag(part.read())


def _sorted(frame: pl.DataFrame, *_: object) -> pl.DataFrame:
    return frame.sort("post_id")


def _ray_data() -> Callable[[str, Path], int]:
    import ray
    import ray.data

    ray.init("local", num_cpus=PROCESSORS, log_to_driver=False, include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def work(name: str, posts: Path) -> int:
        data = ray.data.read_parquet(str(posts), override_num_blocks=PARTS)
        if name == "tag":
            data = data.map_batches(_tag_arrow, batch_format="pyarrow", batch_size=None)
        else:
            data = data.sort("post_id")
        return sum(block.num_rows for block in map(ray.get, data.to_arrow_refs()))

    return work


def _tag_arrow(batch: Any) -> Any:
    frame = pl.DataFrame(batch)
    return _tag(frame).to_arrow()


def _daft() -> Callable[[str, Path], int]:
    import daft

    from pipeline import schema

    @daft.udf(return_dtype=daft.DataType.string())
    def language(*columns: Any) -> Any:
        names = list(schema.POSTS)
        series = [pl.Series(n, c.to_arrow()) for n, c in zip(names, columns, strict=True)]
        frame = pl.DataFrame(series).cast(schema.POSTS)  # type: ignore[arg-type]
        return _tag(frame)["language"].to_arrow()

    def work(name: str, posts: Path) -> int:
        table = daft.read_parquet(str(posts))
        if name == "tag":
            columns = [daft.col(n) for n in schema.POSTS]
            table = table.into_batches(15_000).with_column("language", language(*columns))
        else:
            table = table.sort("post_id")
        return len(table.to_arrow())

    return work


ENGINES: dict[str, Callable[[], Callable[[str, Path], int]]] = {
    "in-process": _in_process,
    "ray-tasks": _tasks,
    "ray-data": _ray_data,
    "daft": _daft,
}

if __name__ == "__main__":
    main()
