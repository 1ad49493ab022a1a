"""Partitions by several engines: `python -m benchmarks.engines SOURCE [--only NAME ...]`.

Two kinds of work over the posts of a dump: `tag`, which stays in its partition, and `sort`, which
moves every row (by post id, as stage scrape does it). Each engine runs in a process of its own,
with two processors and eight partitions, and tells the seconds of its start and of each work. Then
whole builds up to `dedup` in one process and on Ray (`stages`): without embeddings, or by
`--pool N` with those of N posts a domain. `files` is a hash over all keys and files of the build.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

PARTS = 8
STAGES = ("scrape", "tag", "screen", "dedup")


def main() -> None:
    """Measure, each engine in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--only", nargs="*", default=[*ENGINES, "stages"])
    parser.add_argument("--pool", type=int, default=0)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--posts", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(_measure(chosen.one, chosen.posts, chosen.source, chosen.pool)))
        return
    with tempfile.TemporaryDirectory() as name:
        posts = Path(name, "posts.parquet")
        if set(chosen.only) & set(ENGINES):
            _read(chosen.source, posts)
        for engine in chosen.only:
            for one in ("local", "ray") if engine == "stages" else (engine,):
                kind = f"stages-{one}" if engine == "stages" else one
                call = [sys.executable, "-m", "benchmarks.engines", str(chosen.source)]
                call += ["--one", kind, "--posts", str(posts), "--pool", str(chosen.pool)]
                done = subprocess.run(call, capture_output=True, text=True, check=False)
                last = done.stdout.strip().splitlines()[-1:] or [done.stderr[-500:]]
                print(f"{kind:<16} {last[0]}", flush=True)


def _read(source: Path, posts: Path) -> None:
    from pipeline.artifacts import write_parquet
    from pipeline.config_file import load
    from pipeline.scrape import read_posts

    config = load(Path("configs/demo.toml"))
    write_parquet(read_posts([source], config, all_subreddits=True).posts, posts)


def _measure(kind: str, posts: Path, source: Path, pool: int) -> dict[str, Any]:
    if kind.startswith("stages-"):
        return _stages(kind.removeprefix("stages-"), source, pool)
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


def _stages(engine: str, source: Path, pool: int) -> dict[str, Any]:
    from pipeline import build
    from pipeline.config_file import load

    with tempfile.TemporaryDirectory() as name:
        changes: dict[str, Any] = {
            "source.path": str(source),
            "dedup.pool_per_domain": pool,
            "dedup.embedding_model": "minilm-package" if pool else "",
            "build.cache": f"{name}/cache",
            "build.workspace": f"{name}/build",
            "build.dist": f"{name}/dist",
            "build.engine": engine,
            "build.partitions": PARTS if engine == "ray" else 0,
        }
        clock = time.perf_counter()
        build.build(load(Path("configs/demo.toml"), changes), until="dedup")
        found: dict[str, Any] = {"all": round(time.perf_counter() - clock, 1)}
        place = Path(name, "build")
        for stage in STAGES:
            found[stage] = json.loads((place / stage / "run.json").read_text())["seconds"]
            found[f"{stage}_kept"] = build.load_funnel(place, stage).kept
        manifests = {s: json.loads((place / s / "manifest.json").read_text()) for s in STAGES}
        found["files"] = build.sha256_text(json.dumps(manifests, sort_keys=True))[:12]
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
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

    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
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

    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
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
