"""Parts of `make bench` over posts: each runs its jobs, ours and the peers', and returns figures.

`--quick` makes every part small, to see that it works; its figures say nothing.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import zstandard

from benchmarks import (
    dedup_peers,
    dedup_posts,
    dedup_run,
    dedup_vectors,
    embed_backends,
    peers,
    read,
    results,
)
from benchmarks.results import Job, Table, Tool
from pipeline import schema
from pipeline.embedding import ERROR

OURS = "ours"
BYTES_A_LINE = "bytes a line"
_NAMES = {"duckdb": "zstd -dc, DuckDB", "datatrove": "datatrove's reader"}


class SkippedError(Exception):
    """A part that needs what was not given."""


@dataclass(frozen=True)
class Settings:
    """What parts are told.

    Attributes:
        dump: The real dump, a zstd file of submissions, or None.
        posts: The posts in it, as `ingest` writes them, or None.
        runs: Of every tool.
        quick: Whether to be small.
        cache: Folder of known vectors, or None: then all are made, which is measured.
    """

    dump: Path | None
    posts: Path | None
    runs: int
    quick: bool
    cache: Path | None


@dataclass(frozen=True)
class Found:
    """What a part measured, before where and when are added."""

    jobs: tuple[Job, ...]
    tables: tuple[Table, ...] = ()
    others: tuple[peers.Peer, ...] = ()
    posts: str = ""


def read_part(settings: Settings) -> Found:
    """Read the dump into Parquet, and tag it; beside DuckDB and datatrove."""
    if settings.dump is None:
        raise SkippedError("needs a real dump: POSTS=submissions.ndjson.zst")
    jobs: list[Job] = []
    for lines in (1_000, 3_000) if settings.quick else (30_000, 0):
        with tempfile.TemporaryDirectory() as folder:
            some = _first(settings.dump, Path(folder) / "first.ndjson.zst", lines)
            say(f"the first {lines:,} lines" if lines else "all lines")
            found = read.measure(some, settings.runs)
        tools = {name: results.tool(name, runs) for name, runs in found.items()}
        size = found["limit"][0].found["rows"]
        limit = Tool("unpack, and parse by polars", tools["limit"].runs)
        others = tuple(Tool(_NAMES[name], tools[name].runs) for name in read.PEERS)
        jobs += [
            Job("read a dump into Parquet", size, "lines", _ours(tools["read"]), others, limit),
            Job("read and tag", size, "lines", _ours(tools["read and tag"])),
            Job("unpack a dump into lines", size, "lines", _ours(tools["lines"])),
        ]
    disk = [(name, found[name][0].found["bytes"]) for name in ("read", "read and tag")]
    rows = tuple((name, round(held / 1e6, 1), round(held / size)) for name, held in disk)
    table = Table("Parquet files", ("after", "MB", BYTES_A_LINE), rows)
    return Found(tuple(jobs), (_steps(found), table), (peers.DUCKDB, peers.DATATROVE), "real")


def _steps(found: dict[str, list[dedup_run.Run]]) -> Table:
    """Return where the CPU time of reading goes, by what more each longer job takes."""
    cpu = {
        name: statistics.median(run.cpu_s for run in runs) for name, runs in found.items() if runs
    }
    writing = statistics.median(run.found["write_cpu_s"] for run in found["read"])
    steps = {
        "unpack, cut into lines": cpu["lines"],
        "parse each line, check it, make its row": cpu["rows"] - cpu["lines"],
        "rows into a table, one a post id": cpu["read"] - writing - cpu["rows"],
        "write zstd Parquet": writing,
        "all": cpu["read"],
        "the limit: unpack, and parse by polars": cpu["limit"],
        "all of zstd -dc and DuckDB": cpu["duckdb"],
    }
    rows = tuple((name, round(seconds, 3)) for name, seconds in steps.items())
    return Table("CPU seconds of our reading, by step, medians", ("step", "CPU s"), rows)


def embed_part(settings: Settings) -> Found:
    """Vectors of whole texts, beside the library's own `encode`."""
    sizes = (8, 16) if settings.quick else (128, 512)
    posts, kind = posts_of(settings)
    every = dedup_peers.compared_posts(posts, 4 * sizes[-1])
    jobs, rows = [], []
    some = {
        size: every["text"].gather_every(every.height // size).head(size).to_list()
        for size in sizes
    }
    for size, texts in some.items():
        figures = dedup_vectors.embed(texts, settings.runs)
        ways = {name: tool_of(name, runs) for name, runs in figures["ways"].items()}
        ours = Tool(f"{OURS}, quick", ways[dedup_vectors.QUICK].runs)
        others = tuple(ways[name] for name in (dedup_vectors.WINDOWS, dedup_vectors.PLAIN))
        jobs.append(Job("vectors of texts", size, "texts", ours, others))
        exact = ways[dedup_vectors.EXACT]
        rate, error = size / exact.seconds, figures["most_cosine_error"]
        rows.append((size, figures["windows"], round(rate, 2), round(error, 5)))
    columns = ("texts", "windows", "texts a second, exact vectors", "most error of quick cosines")
    title = "Exact vectors decide on pairs near the threshold; few are needed"
    tables = (Table(title, columns, tuple(rows)), _backends(some[sizes[0]], settings.runs))
    return Found(tuple(jobs), tables, (peers.BACKENDS,), kind)


def _backends(texts: Sequence[str], runs: int) -> Table:
    """Return what each way of running the model takes for the windows of texts."""
    found, errors = embed_backends.measure(texts, runs)
    rows = []
    for name, taken in found.items():
        tool = results.tool(name, taken)
        each = taken[0].found["windows"] / tool.seconds
        good = "yes" if errors[name] <= ERROR else "no"
        rows.append((name, round(each, 1), round(tool.peak_mb), round(errors[name], 4), good))
    title = (
        "Ways of running the model. Good enough: no cosine is off by more than "
        f"{ERROR}, so that candidates are the same; ours takes the quicker of torch's two"
    )
    columns = ("way", "windows a second", "memory, MB", "most error of cosines", "good enough")
    return Table(title, columns, tuple(rows))


def posts_of(settings: Settings) -> tuple[pl.DataFrame, str]:
    """Return posts, rows of schema.POSTS, and whether they are real."""
    if settings.posts:
        return pl.read_parquet(settings.posts, columns=list(schema.POSTS)), "real"
    seed = dedup_posts.number_of("dedup")
    source = dedup_posts.Source.of(None, seed)
    count = 2_000 if settings.quick else 50_000
    chunks = pl.concat(dedup_posts.chunks(source, count, seed))
    return chunks.select(schema.POSTS.keys()), "invented"


def tool_of(name: str, runs: Sequence[dict[str, Any]]) -> Tool:
    """Return a tool from runs as a benchmark's own process prints them."""
    return results.tool(name, [dedup_run.Run(**run) for run in runs])


def _ours(tool: Tool) -> Tool:
    return Tool(OURS, tool.runs)


def _first(dump: Path, out: Path, lines: int) -> Path:
    """Write the first lines of a dump, and return where; 0 is the dump itself."""
    if not lines:
        return dump
    unpack = subprocess.Popen(["zstd", "-dcq", "--long=31", dump], stdout=subprocess.PIPE)
    assert unpack.stdout is not None
    some = b"".join(itertools.islice(unpack.stdout, lines))
    unpack.terminate()
    unpack.communicate()
    out.write_bytes(zstandard.compress(some))
    return out


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"  {text}", flush=True)
