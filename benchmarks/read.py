"""Measures reading a dump into Parquet, and its tags; beside DuckDB and datatrove.

python -m benchmarks.read DUMP [--runs 3] [--json PATH]

DUMP is a zstd file of submissions, one a line. Every run is a process of its own. What bounds the
job is decoding the archive and parsing its lines as JSON: `limit` does just that, by polars.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.dedup_run import Meter, Run, cpu_seconds, run_command
from benchmarks.peers import DATATROVE, DUCKDB
from pipeline.config_file import load
from pipeline.paths import ROOT
from pipeline.sources.dump import dump_lines, read_dump
from pipeline.sources.post import Wanted

AIM = 1.3  # times DuckDB's time for read to Parquet, at most
_PEER = Path(__file__).with_name("read_peer.py")
_NULL_MEDIA = re.compile(rb'"media":\s*null')
OURS = ("limit", "lines", "rows", "read", "read and tag")
PEERS = {"duckdb": DUCKDB, "datatrove": DATATROVE}


@dataclass(frozen=True)
class Row:
    """One job over several runs: medians, and the spread of its seconds."""

    name: str
    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        """Median wall-clock time."""
        return statistics.median(run.seconds for run in self.runs)

    def line(self, bound: float) -> str:
        """Return the row of the table; `bound` is the seconds of what bounds the job."""
        least, most = (pick(run.seconds for run in self.runs) for pick in (min, max))
        cpu = statistics.median(run.cpu_s for run in self.runs)
        peak = max(run.peak_mb for run in self.runs)
        rows = self.runs[0].found.get("rows", 0)
        seconds = f"{self.seconds:.2f} ({least:.2f} to {most:.2f})"
        cells = (self.name, f"{rows:,}", seconds, f"{cpu:.2f}", f"{peak:,.0f}")
        return f"| {' | '.join(cells)} | {self.seconds / bound:.2f} |"


def own(kind: str, dump: Path, out: Path) -> None:
    """Do one of our jobs in this process, and print what it took."""
    import polars as pl

    if kind == "limit":
        pl.read_ndjson(b"{}")  # starts its threads
        meter = Meter()
        meter.print(rows=_limit(dump))
        return
    if kind == "lines":
        meter = Meter()
        meter.print(rows=sum(1 for _ in dump_lines(dump)))
        return
    if kind == "rows":
        wanted = Wanted({}, html_escaped=True, all_subreddits=True)
        meter = Meter()
        meter.print(rows=sum(1 for _ in read_dump(dump, wanted)))
        return
    from pipeline.artifacts import write_parquet
    from pipeline.sources.read import read_posts
    from pipeline.tag import tagged

    settings = {"source.path": str(dump), "source.max_bad_lines": 10**9}
    config = load(ROOT / "configs" / "demo.toml", settings)
    meter = Meter()  # importing is no part of the job
    posts = read_posts([dump], config, all_subreddits=True).posts
    if kind == "read and tag":
        posts = tagged(posts)
    before = cpu_seconds()
    write_parquet(posts, out)
    written = cpu_seconds() - before
    meter.print(rows=posts.height, bytes=out.stat().st_size, write_cpu_s=written)


def _limit(dump: Path) -> int:
    import polars as pl

    from pipeline.sources.post import BadLine
    from pipeline.sources.unpack import blocks

    rows, rest = 0, b""
    for block in blocks(dump):
        if isinstance(block, BadLine):
            continue
        whole, _, rest = (rest + block).rpartition(b"\n")
        rows += pl.read_ndjson(whole, infer_schema_length=100, ignore_errors=True).height
    return rows + (pl.read_ndjson(rest, ignore_errors=True).height if rest.strip() else 0)


def prepare(dump: Path, out: Path) -> None:
    """Write a dump's lines as datatrove can read them: unpacked, and without a `media` of null.

    Its reader refuses the dump's window of 2 GiB, and fails on a post whose `media` is null.
    """
    unpack = subprocess.Popen(
        ["zstd", "-dcq", "--long=31", str(dump)], stdout=subprocess.PIPE, text=False
    )
    assert unpack.stdout is not None
    with out.open("wb") as file:
        for line in unpack.stdout:
            if _NULL_MEDIA.search(line):
                row = json.loads(line)
                if row.get("media", "") is None:
                    del row["media"]
                line = json.dumps(row).encode() + b"\n"
            file.write(line)
    if unpack.wait():
        raise SystemExit(f"{dump}: zstd could not unpack it (status {unpack.returncode})")


def measure(dump: Path, runs: int) -> dict[str, list[Run]]:
    """Run every job so many times, in turn; return the runs of each."""
    found: dict[str, list[Run]] = {name: [] for name in (*OURS, *PEERS)}
    pythons = {name: peer.python() for name, peer in PEERS.items()}
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "posts.jsonl"
        prepare(dump, plain)
        for turn in range(runs):
            for name in found:
                out = str(Path(folder) / f"{turn}-{name.replace(' ', '-')}.parquet")
                if name in OURS:
                    call = [sys.executable, "-m", "benchmarks.read", str(dump)]
                    run = run_command([*call, f"--own={name}", f"--out={out}"])
                else:
                    source = plain if name == "datatrove" else dump
                    run = run_command([pythons[name], str(_PEER), name, str(source), out])
                found[name].append(run)
                print(f"  {name}, run {turn + 1} of {runs}: {run.seconds:.2f} s", flush=True)
    return found


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
        "polars": version("polars"),
        **DUCKDB.versions,
        **DATATROVE.versions,
    }


def main() -> None:
    """Run every job so many times, in turn, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--own", choices=OURS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        own(arguments.own, arguments.dump, arguments.out)
        return
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    found = measure(arguments.dump, arguments.runs)
    rows = [Row(name, tuple(runs)) for name, runs in found.items()]
    bound = next(row.seconds for row in rows if row.name == "limit")
    print("| job | posts | seconds: median (least to most) | CPU s | MB | over the limit |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        print(row.line(bound), flush=True)
    ours, theirs = (next(r.seconds for r in rows if r.name == name) for name in ("read", "duckdb"))
    said = "meets" if ours <= AIM * theirs else "MISSES"
    print(f"read takes {ours / theirs:.2f} times DuckDB's time: {said} the aim of {AIM}")
    if arguments.json:
        figures = {row.name: [vars(run) for run in row.runs] for row in rows}
        arguments.json.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
