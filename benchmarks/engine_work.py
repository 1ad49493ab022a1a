"""One measurement by one engine, in this process: `benchmarks.engines` starts it and says what of.

Work over partitions (`ENGINES`), or a build up to `dedup`. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.dedup_run import peak_mb

PARTS = 8
PROCESSORS = 2
STAGES = ("scrape", "tag", "screen", "dedup")
BUILD = "stages-"  # and an engine: what a build is called here


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("one", choices=(*ENGINES, f"{BUILD}local", f"{BUILD}ray"))
    parser.add_argument("--posts", type=Path, help="of work over partitions: from `ingest`")
    parser.add_argument("--limit", type=int, default=0, help="lines of a build; 0 reads all")
    parser.add_argument("--pool", type=int, default=0, help="posts a domain that are embedded")
    chosen = parser.parse_args()
    if chosen.one in ENGINES:
        print(json.dumps(measure(chosen.one, chosen.posts)))
        return
    engine = chosen.one.removeprefix(BUILD)
    print(json.dumps(stages(engine, chosen.source, chosen.pool, chosen.limit)))


def processors() -> list[int]:
    """Return those that a measurement may use."""
    return sorted(os.sched_getaffinity(0))[:PROCESSORS]


def read(source: Path, posts: Path) -> None:
    """Write the posts of a dump as Parquet."""
    from pipeline.artifacts import write_parquet
    from pipeline.config_file import load
    from pipeline.sources.read import read_posts

    config = load(Path("configs/demo.toml"))
    write_parquet(read_posts([source], config, all_subreddits=True).posts, posts)


def measure(kind: str, posts: Path) -> dict[str, Any]:
    """Return seconds and memory of both kinds of work."""
    os.sched_setaffinity(0, processors())
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


def stages(engine: str, source: Path, pool: int, limit: int) -> dict[str, Any]:
    """Build up to `dedup`; return its seconds by stage, what is kept, and a hash of all files."""
    os.sched_setaffinity(0, processors())
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
