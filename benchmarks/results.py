"""Results as files: one JSON of figures for each part, in benchmarks/results.

A part is run as one; what it measured is written when all of it is done, and nothing else changes.
The files hold figures and names of tools, never a text of a post or a path.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from benchmarks.dedup_run import Run
from pipeline.paths import ROOT

FOLDER = ROOT / "benchmarks" / "results"
WIDE = 0.2
"""Least and most further apart than this share of the median: a wide spread."""
Cell = str | float | int | None
_SPEEDS = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "bfloat16": {"avx512_bf16", "amx_bf16", "bf16"},
}


@dataclass(frozen=True)
class Taken:
    """One run: wall-clock seconds, CPU seconds, most resident memory in MB (10^6 bytes)."""

    seconds: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Tool:
    """One tool's runs of one job."""

    name: str
    runs: tuple[Taken, ...]

    @property
    def seconds(self) -> float:
        """Median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_s(self) -> float:
        """Median."""
        return statistics.median(run.cpu_s for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Of all runs."""
        return max(run.peak_mb for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most seconds."""
        found = [run.seconds for run in self.runs]
        return min(found), max(found)

    @property
    def wide(self) -> bool:
        """Whether least and most are far apart."""
        least, most = self.spread
        return most - least > WIDE * self.seconds


@dataclass(frozen=True)
class Job:
    """One job of one size, by ours and by peers.

    Attributes:
        name: A key of report.BOUNDS.
        size: How many.
        unit: Of what.
        ours: What this project takes.
        peers: What others take for the same.
        limit: What the job cannot be faster than, if that was measured.
    """

    name: str
    size: int
    unit: str
    ours: Tool
    peers: tuple[Tool, ...] = ()
    limit: Tool | None = None


@dataclass(frozen=True)
class Table:
    """Other figures of a part."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Part:
    """What one part of the benchmarks measured, and where.

    Attributes:
        name: The part.
        date: When it ended, UTC, such as 2026-11-22.
        machine: Processor, cores and memory.
        versions: Of Python and of packages, ours and the peers'.
        load: Load average when it began and when it ended.
        posts: "real", "invented" or "" where there are none.
        jobs: What is compared.
        tables: Other figures.
    """

    name: str
    date: str
    machine: str
    versions: Mapping[str, str]
    load: tuple[float, float]
    posts: str
    jobs: tuple[Job, ...]
    tables: tuple[Table, ...] = ()


def tool(name: str, runs: Sequence[Run | Taken]) -> Tool:
    """Return the runs of a tool, rounded to what can be told apart."""
    taken = (
        Taken(round(run.seconds, 4), round(run.cpu_s, 4), round(run.peak_mb, 1)) for run in runs
    )
    return Tool(name, tuple(taken))


def save(part: Part, folder: Path = FOLDER) -> None:
    """Write a part's file, in place of an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{part.name}.json"
    waiting = place.with_suffix(".new")
    waiting.write_text(json.dumps(asdict(part), indent=1) + "\n", encoding="utf-8")
    waiting.replace(place)


def load(folder: Path = FOLDER) -> dict[str, Part]:
    """Return every part that was run, by name.

    Raises:
        SystemExit: A file is not one of ours.
    """
    found = {}
    for place in sorted(folder.glob("*.json")):
        try:
            found[place.stem] = msgspec.json.decode(place.read_bytes(), type=Part)
        except msgspec.DecodeError as error:
            raise SystemExit(f"{place}: {error}; run `make bench ONLY={place.stem}`") from None
    return found


def today() -> str:
    """Return the date in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def machine() -> str:
    """Return the processor with what it has for vectors, its usable cores, and the memory."""
    cpu, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        told = dict(line.split("\t", 1) for line in info.read_text().splitlines() if "\t" in line)
        cpu = told.get("model name", cpu).strip(": \t")
        has = set(told.get("flags", "").split())
        flags = "".join(f", {name}" for name, any_of in _SPEEDS.items() if has & any_of)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}{flags}, {memory:.0f} GB"


def versions(names: Sequence[str], others: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of Python, of installed packages, and `others` as given."""
    found = {"Python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | dict(others)
