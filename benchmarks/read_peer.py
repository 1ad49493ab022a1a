"""One run of a peer that reads a dump into Parquet; nothing of ours is imported.

duckdb: `zstd -dc` piped into its JSON reader, with the columns that we read. datatrove: its JSONL
reader and Parquet writer on the unpacked file, one process. Prints one line of JSON; starting
Python and importing count for no time.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

_MODULES = {
    "duckdb": ("duckdb",),
    "datatrove": (
        "datatrove.executor",
        "datatrove.pipeline.readers",
        "datatrove.pipeline.writers",
    ),
}
_COLUMNS = {
    "id": "VARCHAR",
    "subreddit": "VARCHAR",
    "title": "VARCHAR",
    "selftext": "VARCHAR",
    "author": "VARCHAR",
    "created_utc": "JSON",
    "score": "BIGINT",
    "num_comments": "BIGINT",
    "over_18": "BOOLEAN",
    "link_flair_text": "VARCHAR",
    "removed_by_category": "VARCHAR",
}


def duckdb(source: str, out: str) -> int:
    """Return the number of rows written."""
    import duckdb as engine

    unpack = subprocess.Popen(["zstd", "-dcq", "--long=31", source], stdout=subprocess.PIPE)
    assert unpack.stdout is not None
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    path = f"/dev/fd/{unpack.stdout.fileno()}"
    query = (
        f"copy (select * from read_json('{path}', format='newline_delimited', "
        f"columns={{{columns}}}, ignore_errors=true, maximum_object_size=67108864)) "
        f"to '{out}' (format parquet, compression zstd)"
    )
    engine.sql(query)
    unpack.wait()
    return int(engine.sql(f"select count(*) from '{out}'").fetchall()[0][0])


def _adapted(_: object, data: dict[str, object], path: str, number: int) -> dict[str, object]:
    """Return a post as datatrove wants it; its writer cannot take all of Reddit's own fields."""
    kept = {name: str(data.get(name)) for name in _COLUMNS if name not in ("id", "selftext")}
    text = str(data.get("selftext") or "-")  # one without a text would be left out
    return {"text": text, "id": str(data.get("id") or f"{path}/{number}"), "metadata": kept}


def datatrove(source: str, out: str) -> int:
    """Return the number of rows written."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import ParquetWriter

    folder = Path(out).with_suffix("")
    path = Path(source)
    steps = [
        JsonlReader(str(path.parent), adapter=_adapted, glob_pattern=path.name),
        ParquetWriter(str(folder / "posts")),
    ]
    stats = LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(folder / "logs")).run()
    return int(stats.stats[1].stats["total"].total)


def main() -> None:
    """Run once and print what it took."""
    name, source, out = sys.argv[1:]
    for module in _MODULES[name]:  # importing is no part of the job
        importlib.import_module(module)
    begun, before = time.perf_counter(), _cpu()
    rows = {"duckdb": duckdb, "datatrove": datatrove}[name](source, out)
    seconds, cpu = time.perf_counter() - begun, _cpu() - before
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    held = int(status.split("VmHWM:")[1].split()[0])
    held += resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # zstd, at the same time
    peak = held * 1024 / 1e6
    told = {"seconds": seconds, "cpu_s": cpu, "peak_mb": peak, "found": {"rows": rows}}
    print("\n" + json.dumps(told), flush=True)


def _cpu() -> float:
    every = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in every)


if __name__ == "__main__":
    main()
