"""Losses of a machine that `benchmarks.ray_kills` tries, what came of them, how a stall looks."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ray_cluster import Machines


@dataclass(frozen=True)
class Case:
    """What happens to which cluster.

    Attributes:
        what: For people.
        cpus: Processors of each machine.
        head_cpus: Those of the head, if others.
        blow: "kill", "silence", or "" for none.
        at: When: at a drawn moment of the "work", run by run of another stage, or of the "start".
        nested: The driver runs `nested` instead of a build.
        replaced: A machine is added after a stall.
    """

    what: str
    cpus: int = 2
    head_cpus: int | None = None
    blow: str = "kill"
    at: str = "work"
    nested: bool = False
    replaced: bool = False


CASES = {
    "kill": Case("two machines of two processors, one is killed"),
    "silent": Case("two machines, one stops answering and keeps its connections", blow="silence"),
    "start": Case("one of two machines is killed while the build gets to know them", at="start"),
    "one-cpu": Case("two machines of one processor, one is killed", cpus=1),
    "no-cpus": Case(
        "a head without processors, and one machine, which is killed", head_cpus=0, replaced=True
    ),
    "nested": Case(
        "two tasks that each run a Ray Data sort; one of two machines is killed",
        at="start",
        nested=True,
        replaced=True,
    ),
}


@dataclass
class Outcome:
    """What one run came to.

    Attributes:
        case: Which.
        run: Its number.
        blow_s: When a machine was lost, in seconds since the driver started.
        stage: What the build was at then.
        ended: "same bytes", "other bytes", "done" (no build), "stalled", or what the driver said.
        seconds: From the driver's start to its end, or to the stall.
        longest_idle_s: Longest time without work.
        peak_mb: Most memory of all processes (PSS).
        load: The machine's load average.
        seen: What the watchdog saw at a stall.
        replaced: What came of it after a machine was added: "" if none was.
    """

    case: str
    run: int
    blow_s: float = 0.0
    stage: str = ""
    ended: str = ""
    seconds: float = 0.0
    longest_idle_s: float = 0.0
    peak_mb: float = 0.0
    load: float = 0.0
    seen: dict[str, Any] = field(default_factory=dict)
    replaced: str = ""

    def line(self) -> str:
        """Return it for people."""
        parts = [
            f"{self.case} {self.run:2}: {self.ended} after {self.seconds:.0f} s",
            f"hit in {self.stage} at {self.blow_s:.1f} s" if self.stage else "",
            f"idle for {self.longest_idle_s:.0f} s at most",
            f"{self.peak_mb:,.0f} MB, load {self.load:.1f}",
            self.replaced and f"after a machine was added: {self.replaced}",
        ]
        return "; ".join(filter(None, parts))


def seen(machines: Machines, folder: Path) -> dict[str, Any]:
    """Return what the cluster says of itself; its schedulers' whole accounts go to files."""
    found = machines.situation()
    for path in sorted(machines.logs().glob("debug_state*.txt")):
        text = path.read_text(encoding="utf-8", errors="replace")
        (folder / path.name).write_text(text, encoding="utf-8")
        telling = re.compile(r"^.*(?:waiting|infeasible|dispatch|\bpulls?\b).*[1-9]\d*$", re.I)
        found[path.name] = [line.strip() for line in text.splitlines() if telling.match(line)][:20]
    return found


def frames(stacks: str, most: int = 6) -> dict[str, list[str]]:
    """Return where the main thread stands, and that of Ray Data; innermost first."""
    threads = re.split(r"(?=^(?:Current thread|Thread) 0x)", stacks, flags=re.M)
    marks = {"main": "Current thread", "Ray Data": "in _scheduling_loop_step"}
    found = {}
    for name, mark in marks.items():
        text = next((thread for thread in threads if mark in thread), "")
        lines = re.findall(r'File "(.*?)", line (\d+) in (\S+)', text)[:most]
        found[name] = [f"{Path(f).parent.name}/{Path(f).name}:{n} {call}" for f, n, call in lines]
    return found


def summary(outcomes: list[Outcome]) -> list[str]:
    """Return a table of the cases in Markdown."""
    lines = [
        "| case | runs | came to | seconds: median (most) | longest idle: median (most) | MB |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(outcome.case for outcome in outcomes):
        runs = [outcome for outcome in outcomes if outcome.case == name]
        ends = Counter(
            f"{run.ended}, then {run.replaced}" if run.replaced else run.ended for run in runs
        )
        came = ", ".join(f"{text} {count}" for text, count in ends.most_common())
        spans = [
            f"{statistics.median(values):.0f} ({max(values):.0f})"
            for values in ([r.seconds for r in runs], [r.longest_idle_s for r in runs])
        ]
        peak = f"{max(run.peak_mb for run in runs):,.0f}"
        cells = [name, str(len(runs)), came, *spans, peak]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
