"""Measured builds by engine as Markdown: what Ray adds, and how builds grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import engine_growth
from benchmarks.engine_work import STAGES

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


def tables(runs: Sequence[Run], check: int) -> list[str]:
    """Return what was found, in Markdown; the `check` largest sizes are not fitted on."""
    lines = _overhead([run for run in runs if run.kind == "stages"])
    if grown := [run for run in runs if run.kind == "growth"]:
        lines += [*_growth(grown), "", *engine_growth.table(fits(runs, check))]
    return lines


def fits(runs: Sequence[Run], check: int) -> list[engine_growth.Fit]:
    """Return each measure of each engine as a function of the number of posts."""
    points: dict[tuple[str, str], dict[int, list[float]]] = {}
    for run in runs:
        if run.kind == "growth":
            for measure, value in _measures(run).items():
                place = points.setdefault((run.engine, measure), {})
                place.setdefault(run.posts, []).append(value)
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


def _overhead(runs: list[Run]) -> list[str]:
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


def _growth(runs: list[Run]) -> list[str]:
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
