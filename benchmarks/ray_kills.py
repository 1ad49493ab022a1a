"""Builds on a Ray cluster that loses a machine, again and again: does one ever stall?

python -m benchmarks.ray_kills [CASE ...] [--runs 20] [--json PATH] [--keep FOLDER]

`kill` builds `--posts` invented posts up to `dedup` on two machines of two processors, and kills
one of them (every process, -9) at a drawn moment; run after run it is another stage's turn. With
`--meanings` some are embedded. The other cases provoke, each `--tries` times: see ray_cases.py. A
watchdog calls a run stalled if its processes do next to nothing for `--idle` seconds or it takes
`--limit` seconds, and then writes what it sees: machines and free processors, open tasks, what
Ray's scheduler and the driver's threads wait for. Where a case replaces the machine, it does so
after a stall, and says whether the run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.engine_posts import write
from benchmarks.ray_cases import CASES, Case, Outcome, frames, seen, summary
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
