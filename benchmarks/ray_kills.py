"""Builds on a Ray cluster that loses a machine, again and again: does one ever stall?

python -m benchmarks.ray_kills [CASE ...] [--runs 20] [--json PATH] [--keep FOLDER]

`kill` builds `--posts` invented posts up to `dedup` on two machines of two processors, and kills
one of them (every process, -9) at a drawn moment; run after run it is another stage's turn. With
`--meanings` some are embedded. The other cases provoke, each `--tries` times: see CASES. A watchdog
calls a run stalled if its processes do next to nothing for `--idle` seconds or it takes `--limit`
seconds, and then writes what it sees: machines and free processors, open tasks, what Ray's
scheduler and the driver's threads wait for. Where a case replaces the machine, it does so after a
stall, and says whether the run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.engine_posts import write
from benchmarks.ray_cluster import (
    STAGES,
    Driver,
    Machines,
    build_command,
    files_of,
    search_path,
    stage_at,
)
from benchmarks.watch import Watch
from pipeline.artifacts import unit_interval

PARTITIONS = 8
MEANINGS: dict[str, Any] = {
    "dedup.embedding_model": "minilm-package",
    "dedup.semantic_words": 390,  # few are: the model takes its time
}
_SEED = "ray kills"
_TICK_S = 0.2
_GOES_ON_S = 120.0  # after a machine was replaced


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


class Bench:
    """The runs of one command."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder, self._given = folder, arguments
        self._dump = folder / "posts.ndjson"
        self._changes = MEANINGS if arguments.meanings else {}
        write(self._dump, arguments.posts)
        place = folder / "whole"
        place.mkdir()
        command = build_command(place, self._dump, "local", self._changes)
        driver = Driver.start(command, "", place / "driver.log")
        driver.process.wait()
        self._whole = files_of(place / "build")
        if driver.process.returncode or not self._whole:
            raise SystemExit(driver.log.read_text(encoding="utf-8")[-2_000:])
        self._seconds: dict[str, float] = {}  # of each stage, when no machine is lost
        self.quiet: list[Outcome] = []

    def measure(self) -> None:
        """Run without a loss, twice, since the first reads every file from disk."""
        for number in range(2):
            outcome = self._run("kill", number, Case("no loss", blow=""))
            outcome.case = "no loss"
            self.quiet.append(outcome)
            print(outcome.line(), flush=True)

    def run(self, name: str, number: int) -> Outcome:
        """Do run `number` of a case."""
        return self._run(name, number, CASES[name])

    def _run(self, name: str, number: int, case: Case) -> Outcome:
        folder = self._folder / f"{name}-{number:02}{'' if case.blow else '-no-loss'}"
        folder.mkdir()
        outcome = Outcome(name, number, load=round(os.getloadavg()[0], 1))
        machines = Machines(1, case.cpus, case.head_cpus)
        command = build_command(
            folder, self._dump, "ray", self._changes | {"build.partitions": PARTITIONS}
        )
        if case.nested:
            command = ["-m", "benchmarks.ray_kills", "--nested"]
        try:
            with Watch() as watch:
                driver = Driver.start(command, machines.cluster.address, folder / "driver.log")
                self._watch(driver, machines, watch, case, outcome, folder)
            outcome.longest_idle_s = round(watch.longest_idle_s, 1)
            outcome.peak_mb = round(watch.peak_mb)
        finally:
            machines.close()
        return outcome

    def _watch(
        self,
        driver: Driver,
        machines: Machines,
        watch: Watch,
        case: Case,
        outcome: Outcome,
        folder: Path,
    ) -> None:
        """Lose the machine at its moment, and wait for the end or for a stall."""
        begun = time.monotonic()
        draw = unit_interval(_SEED, outcome.case, outcome.run)
        target = STAGES[outcome.run % len(STAGES)] if case.at == "work" else "start"
        entered: dict[str, float] = {}
        struck = not case.blow
        while not driver.wait(_TICK_S):
            passed = time.monotonic() - begun - watch.paused_s
            stage = "start" if case.nested else stage_at(folder / "build")
            entered.setdefault(stage, passed)
            later = target in entered or stage == "end"
            due = entered.get(target, 0.0) + draw * self._seconds.get(target, 0.0)
            if not struck and later and (passed >= due or stage != target):
                struck = True
                outcome.blow_s, outcome.stage = round(passed, 1), stage
                (machines.lose if case.blow == "kill" else machines.silence)()
            if watch.idle_s > self._given.idle or passed > self._given.limit:
                outcome.ended = "stalled"
                break
        outcome.seconds = round(time.monotonic() - begun - watch.paused_s, 1)
        if not case.blow:
            ends = [*list(entered.values())[1:], outcome.seconds]
            spans = zip(entered.items(), ends, strict=True)
            self._seconds = {name: end - start for (name, start), end in spans}
        if outcome.ended == "stalled":
            outcome.seen = seen(machines, folder)
            if case.replaced:
                machines.join()
                waited = time.monotonic()
                done = driver.wait(_GOES_ON_S)
                after = f"{time.monotonic() - waited:.0f} s"
                outcome.replaced = (
                    f"{self._ended(driver, case, folder)} after {after}" if done else "no change"
                )
            if driver.running():
                stacks = driver.stacks()
                (folder / "stacks.txt").write_text(stacks, encoding="utf-8")
                outcome.seen["driver_waits_in"] = frames(stacks)
        else:
            outcome.ended = self._ended(driver, case, folder)

    def _ended(self, driver: Driver, case: Case, folder: Path) -> str:
        if driver.process.returncode:
            said = driver.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            errors = [line for line in said if line.startswith("error")] or said[-1:]
            return f"status {driver.process.returncode}: {' '.join(errors)[-300:]}"
        if case.nested:
            return "done"
        same = files_of(folder / "build") == self._whole
        return "same bytes" if same else "other bytes"


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


def nested() -> None:
    """Run a Ray Data sort within each of two tasks: what a pipeline must not do."""
    import ray

    ray.init(log_to_driver=False)

    @ray.remote(num_cpus=1, max_retries=3)
    def outer(number: int) -> int:
        import ray.data

        def slow(batch: Any) -> Any:
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                pass
            return batch

        data = ray.data.range(2_000 + number, override_num_blocks=12)
        return int(data.map_batches(slow, batch_size=None).sort("id", descending=True).count())

    print(ray.get([outer.remote(number) for number in range(2)]))


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


def main() -> None:
    """Run the chosen cases."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="; ".join(f"{name}: {case.what}" for name, case in CASES.items()),
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all, if none is named")
    parser.add_argument("--runs", type=int, default=20, help="of kill")
    parser.add_argument("--tries", type=int, default=2, help="of each other case")
    parser.add_argument("--posts", type=int, default=6_000)
    parser.add_argument("--meanings", action="store_true", help="embed some of them")
    parser.add_argument("--idle", type=float, default=90.0, help="seconds")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--keep", type=Path, help="new folder for builds, logs and stacks")
    parser.add_argument("--nested", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.nested:
        nested()
        return
    unknown = set(arguments.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    os.environ["PYTHONPATH"] = search_path()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        if arguments.keep:
            arguments.keep.mkdir(parents=True)
        bench = Bench(arguments.keep or Path(name), arguments)
        bench.measure()
        for case in arguments.cases or CASES:
            for number in range(arguments.runs if case == "kill" else arguments.tries):
                outcomes.append(bench.run(case, number))
                print(outcomes[-1].line(), flush=True)
                if outcomes[-1].seen:
                    print(json.dumps(outcomes[-1].seen, indent=2), flush=True)
                if arguments.json:  # what is known survives an interruption
                    figures = {
                        "machine": {"cores": os.cpu_count(), "ray": version("ray")},
                        "posts": arguments.posts,
                        "meanings": arguments.meanings,
                        "no_loss": [asdict(outcome) for outcome in bench.quiet],
                        "runs": [asdict(outcome) for outcome in outcomes],
                    }
                    arguments.json.parent.mkdir(parents=True, exist_ok=True)
                    arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    print("\n".join(summary([*bench.quiet, *outcomes])))


if __name__ == "__main__":
    main()
