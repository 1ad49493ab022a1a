"""Measures the call layer against a loopback server, beside the bare SDK and beside curator.

python -m benchmarks.calls [throughput|memory|replay|curator|all] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import client, curator
from benchmarks.chat_server import chat_server
from benchmarks.peers import CURATOR

CEILINGS = (250, 500)  # requests a second
LEAST_SHARE = 0.95
MOST_MB = 300
MOST_REPLAY_S = 10
THROUGHPUT_CALLS = 3_000
CURATOR_CALLS = 2_000
LARGE_CALLS = 60_000
SMALL_CALLS = 1_000
EXTRA_WORK = (
    "What the extra work buys: money is reserved before each sending and settled after it, under "
    "a cap that holds across processes, and every raw reply is in SQLite before it is read."
)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """One quantity over several runs."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def text(self, form: str = ".2f") -> str:
        """Return the median, and the least and the most in brackets."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:{form}} ({low:{form}} to {high:{form}})"

    def figures(self) -> Figures:
        """Return it for the JSON file."""
        return {"median": self.median, "runs": list(self.values)}


@dataclass(frozen=True)
class _Large:
    """A ledger that was filled: the address that is part of its keys, its option, the run."""

    base_url: str
    option: str
    run: client.Run


class Bench:
    """The measurements of one command; they share a folder and the large ledger."""

    def __init__(self, folder: Path, runs: int, latency_s: float, calls: int | None = None) -> None:
        self._folder, self._runs, self._latency_s = folder, runs, latency_s
        self._calls = calls  # instead of each measurement's own number
        self._ledgers = 0

    def throughput(self) -> Figures:
        """How near the limiter's ceiling, and what a call costs beside the SDK alone."""
        count = self._calls or THROUGHPUT_CALLS
        clients = {f"layer at {ceiling}/s": ceiling for ceiling in CEILINGS}
        clients |= dict.fromkeys(client.KINDS, 0)
        taken: dict[str, list[tuple[client.Run, float, float]]] = {name: [] for name in clients}
        for _ in range(self._runs):  # by turns: what else the machine does meets them all alike
            for name, ceiling in clients.items():
                with chat_server(self._latency_s) as server:
                    options = (f"--requests-per-minute={60 * ceiling}", self._fresh_ledger())
                    run = client.run(name.split()[0], server.base_url, count, *options)
                    taken[name].append((run, server.steady_rate(), server.cpu_s() / count))
        print(f"throughput: {count:,} calls, {self._latency_s * 1000:g} ms, {self._runs} runs each")
        figures: Figures = {}
        for name, ceiling in clients.items():
            runs = taken[name]
            rate = Spread(tuple(steady for _, steady, _ in runs))
            overall = Spread(tuple(count / run.seconds for run, _, _ in runs))
            cpu_ms = Spread(tuple(run.cpu_s / count * 1000 for run, _, _ in runs))
            server_ms = Spread(tuple(cpu_s * 1000 for _, _, cpu_s in runs))
            figures[name] = {
                "steady_per_s": rate.figures(),
                "overall_per_s": overall.figures(),
                "client_cpu_ms_a_call": cpu_ms.figures(),
                "server_cpu_ms_a_call": server_ms.figures(),
            }
            print(
                f"  {name:15} {rate.text('.1f')}/s, with start and end {overall.median:.1f}/s, "
                f"CPU a call {cpu_ms.text()} ms, the server's {server_ms.median:.2f} ms"
            )
            if ceiling:
                share = rate.median / ceiling
                figures[name]["share_of_ceiling"] = share
                _judge(f"{share:.1%} of {ceiling}/s", share >= LEAST_SHARE, f"{LEAST_SHARE:.0%}")
        medians = {name: figures[name]["client_cpu_ms_a_call"]["median"] for name in client.KINDS}
        for peer in client.KINDS[1:]:
            more = figures[f"layer_less_{peer}_ms"] = medians["layer"] - medians[peer]
            print(f"  the layer less {peer}: {more:+.2f} ms CPU a call")
        return figures

    def memory(self) -> Figures:
        """How much memory the largest build's calls take."""
        with chat_server(self._latency_s) as server:
            small = client.run("layer", server.base_url, SMALL_CALLS, self._fresh_ledger())
        count, run = self._large_count, self._large.run
        print(f"memory: {count:,} calls in {run.seconds:.0f} s")
        print(
            f"  {run.peak_mb:.0f} MB resident at the most; {small.peak_mb:.0f} at {SMALL_CALLS:,}"
        )
        _judge(f"{run.peak_mb:.0f} MB", run.peak_mb < MOST_MB, f"less than {MOST_MB} MB")
        return {"calls": count, "peak_mb": run.peak_mb, "peak_mb_small": small.peak_mb}

    def replay(self) -> Figures:
        """How long the ledger takes to answer the same calls again."""
        count, base_url, option = self._large_count, self._large.base_url, self._large.option
        runs = [client.run("layer", base_url, count, option) for _ in range(self._runs)]
        seconds = Spread(tuple(run.seconds for run in runs))
        print(f"replay: {count:,} calls, {self._runs} runs, the server gone")
        print(f"  {seconds.text()} s")
        _judge(f"{seconds.median:.1f} s", seconds.median < MOST_REPLAY_S, f"{MOST_REPLAY_S} s")
        return {"calls": count, "seconds": seconds.figures()}

    def curator(self) -> Figures:
        """How long bespokelabs-curator takes for the same calls, under the same limits."""
        CURATOR.python()
        (number,) = CURATOR.versions.values()
        count = self._calls or CURATOR_CALLS
        limits = (
            f"--requests-per-minute={curator.REQUESTS_PER_MINUTE}",
            f"--tokens-per-minute={curator.TOKENS_PER_MINUTE}",
        )
        ours: list[client.Run] = []
        theirs: list[client.Run] = []
        for _ in range(self._runs):
            with chat_server(self._latency_s) as server:
                options = (*limits, self._fresh_ledger())
                ours.append(client.run("layer", server.base_url, count, *options))
            with chat_server(self._latency_s) as server, self._subfolder() as folder:
                theirs.append(curator.run(server.base_url, count, folder))
                sent = server.count()
        print(f"curator {number}: {count:,} calls ({sent:,} sent), {self._runs} runs each")
        figures: Figures = {"version": number, "calls": count, "sent": sent}
        for name, runs in (("layer", ours), ("curator", theirs)):
            seconds, cpu_s, peak = (
                Spread(tuple(getattr(run, field) for run in runs))
                for field in ("seconds", "cpu_s", "peak_mb")
            )
            figures[name] = {
                "seconds": seconds.figures(),
                "cpu_s": cpu_s.figures(),
                "peak_mb": peak.figures(),
            }
            print(f"  {name:8} {seconds.text()} s, CPU {cpu_s.text()} s, {peak.median:.0f} MB")
        ratio = figures["curator"]["seconds"]["median"] / figures["layer"]["seconds"]["median"]
        figures["ratio"] = ratio
        print(f"  curator's seconds over the layer's: {ratio:.2f}")
        if ratio < 1:
            print(f"  {EXTRA_WORK}")
        return figures

    @property
    def _large_count(self) -> int:
        return self._calls or LARGE_CALLS

    @cached_property
    def _large(self) -> _Large:
        """Fill a ledger with the largest build's calls."""
        option = self._fresh_ledger()
        with chat_server(self._latency_s) as server:
            run = client.run("layer", server.base_url, self._large_count, option)
        return _Large(server.base_url, option, run)

    def _fresh_ledger(self) -> str:
        self._ledgers += 1
        return f"--ledger={self._folder / f'{self._ledgers}.sqlite'}"

    @contextmanager
    def _subfolder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            yield Path(folder)


def _judge(said: str, met: bool, target: str) -> None:
    print(f"    {said}: {'meets' if met else 'MISSES'} the target of {target}", flush=True)


def machine() -> Figures:
    """Return what the figures depend on."""
    packages = ("openai", "httpx2", "aiohttp", "aiolimiter", "jsonschema")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": os.getloadavg()[0],
        "packages": {name: version(name) for name in packages},
    }


def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ("throughput", "memory", "replay", "curator")
    parser.add_argument("what", nargs="?", default="all", choices=(*names, "all"))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--calls", type=int, help="instead of each measurement's own number")
    parser.add_argument("--latency-ms", type=float, default=20.0)
    arguments = parser.parse_args()
    figures: Figures = {"machine": machine(), "latency_ms": arguments.latency_ms}
    print(", ".join(f"{name} {value}" for name, value in figures["machine"].items()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        latency_s = arguments.latency_ms / 1000
        bench = Bench(Path(folder), arguments.runs, latency_s, arguments.calls)
        for name in names if arguments.what == "all" else (arguments.what,):
            measure: Callable[[], Figures] = getattr(bench, name)
            figures[name] = measure()
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
