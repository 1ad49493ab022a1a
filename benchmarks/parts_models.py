"""Parts of `make bench` around language models: calls, the evaluator, a whole build."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from benchmarks import calls, client, curator, evaluator, peers, results
from benchmarks.chat_server import chat_server
from benchmarks.parts import OURS, Found, Settings, say
from benchmarks.results import Cell, Job, Table, Taken, Tool
from pipeline.paths import ROOT

PER_SECOND = "requests a second"
NO_LIMIT = "ours, no limit, 64 in flight"
RATES = {
    "layer at 250/s": "ours, limit of 250 a second",
    "layer at 500/s": "ours, limit of 500 a second",
    "layer": NO_LIMIT,
    "sdk": "openai SDK alone, as its documents show it",
    "sdk-aiohttp": "openai SDK alone, by aiohttp",
    "sdk-post": "openai SDK alone, by aiohttp and the call that ours makes",
}
"""What `benchmarks.calls throughput` measures, and what the report calls it."""
_LATENCY_S = 0.02


def calls_part(settings: Settings) -> Found:
    """Calls to a model on loopback, beside curator and the bare SDK; memory; replay."""
    counts = (50, 100) if settings.quick else (500, 2_000)
    large = 200 if settings.quick else 60_000
    limits = (
        f"--requests-per-minute={curator.REQUESTS_PER_MINUTE}",
        f"--tokens-per-minute={curator.TOKENS_PER_MINUTE}",
    )
    peers.CURATOR.python()
    jobs = []
    ledgers = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def asked(kind: str, count: int) -> client.Run:
            nonlocal ledgers
            ledgers += 1
            with chat_server(_LATENCY_S) as server:
                if kind == "bespokelabs-curator":
                    home = folder / f"curator-{ledgers}"
                    home.mkdir()
                    return curator.run(server.base_url, count, home)
                options = (f"--ledger={folder / f'{ledgers}.sqlite'}", *limits)
                return client.run(kind, server.base_url, count, *options)

        names = {"layer": OURS, "bespokelabs-curator": "bespokelabs-curator"}
        names |= {"sdk": "openai SDK alone"}
        for count in counts:
            runs: dict[str, list[client.Run]] = {kind: [] for kind in names}
            for turn in range(settings.runs):
                for kind, taken in runs.items():
                    taken.append(asked(kind, count))
                    say(
                        f"{count:,} calls, {names[kind]}, run {turn + 1}: {taken[-1].seconds:.2f} s"
                    )
            ours, *others = (_clients(names[kind], taken) for kind, taken in runs.items())
            jobs.append(Job("calls to a model", count, "calls", ours, tuple(others)))
        many, again = [], []
        for turn in range(settings.runs):
            option = f"--ledger={folder / f'large-{turn}.sqlite'}"
            with chat_server(_LATENCY_S) as server:
                many.append(client.run("layer", server.base_url, large, option))
            again.append(client.run("layer", server.base_url, large, option))
            say(f"{large:,} calls: {many[-1].seconds:.1f} s, again {again[-1].seconds:.2f} s")
        size_mb = (folder / "large-0.sqlite").stat().st_size / 1e6
        bench = calls.Bench(folder, settings.runs, _LATENCY_S, 100 if settings.quick else None)
        table_of_rates = rates(bench.throughput())
    jobs.append(Job("calls to a model, many", large, "calls", _clients(OURS, many)))
    jobs.append(Job("the same calls from the ledger", large, "calls", _clients(OURS, again)))
    row = (large, round(size_mb, 1), round(1e6 * size_mb / large))
    table = Table("The ledger's file", ("calls", "MB", "bytes a call"), (row,))
    return Found(tuple(jobs), (table, table_of_rates), (peers.CURATOR,))


def rates(figures: calls.Figures) -> Table:
    """Return how near the layer comes to its limits, and what it adds to the SDK alone."""
    rows: list[tuple[Cell, ...]] = []
    for name, about in RATES.items():
        rate, cpu_ms = (figures[name][key] for key in ("steady_per_s", "client_cpu_ms_a_call"))
        share = figures[name].get("share_of_ceiling")
        ends = (round(least, 1) for least in (min(rate["runs"]), max(rate["runs"])))
        of_limit = None if share is None else f"{100 * share:.1f} %"
        rows.append((about, round(rate["median"], 1), *ends, of_limit, round(cpu_ms["median"], 2)))
    columns = (PER_SECOND, "least", "most", "of the limit", "CPU a call, ms")
    title = "Requests as they arrive at the server, without the first and last tenth; medians"
    return Table(title, ("client", *columns), tuple(rows))


def _clients(name: str, runs: Sequence[client.Run]) -> Tool:
    return results.tool(name, [Taken(run.seconds, run.cpu_s, run.peak_mb) for run in runs])


def evaluator_part(settings: Settings) -> Found:
    """`valact-eval run` beside plain Inspect and lm-evaluation-harness, as whole commands."""
    sizes = (10, 20) if settings.quick else (500, 2_000)
    evaluator.lm_eval_python()
    jobs = []
    for questions in sizes:
        with tempfile.TemporaryDirectory() as folder:
            bench = evaluator.Bench(Path(folder), questions, 1000 * _LATENCY_S)
            ways: dict[str, Callable[[int | None], evaluator.Taken]] = {
                OURS: bench.valact,
                "lm-evaluation-harness": bench.lm_eval,
            }
            if questions == sizes[0]:  # slow, and in proportion to the calls
                ways["plain Inspect"] = bench.plain
            runs: dict[str, list[evaluator.Taken]] = {name: [] for name in ways}
            for turn in range(settings.runs):
                for name, way in ways.items():
                    runs[name].append(way(evaluator.AT_ONCE))
                    took = runs[name][-1].seconds
                    say(f"{bench.calls:,} calls, {name}, run {turn + 1}: {took:.1f} s")
        tools = [
            results.tool(name, [Taken(one.seconds, one.cpu_s, one.peak_mb) for one in some])
            for name, some in runs.items()
        ]
        jobs.append(Job("evaluate a model", bench.calls, "calls", tools[0], tuple(tools[1:])))
    return Found(tuple(jobs), others=(peers.LM_EVAL,))


def build_part(settings: Settings) -> Found:
    """The whole demonstration as a user builds it, and the same command again."""
    stages: dict[str, list[float]] = {}
    scenarios = 5 if settings.quick else 0
    first, again = [], []
    for turn in range(settings.runs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            first.append(_build(folder, scenarios))
            say(f"build, run {turn + 1}: {first[-1].seconds:.0f} s")
            again.append(_build(folder, scenarios))
            say(f"build again: {again[-1].seconds:.1f} s")
            for place in folder.glob("work/*/run.json"):
                told = json.loads(place.read_text(encoding="utf-8"))
                stages.setdefault(place.parent.name, []).append(told["seconds"])
            made = pl.read_parquet(folder / "work" / "compose" / "questions.parquet").height
    jobs = (
        Job("build the demonstration", made, "questions", results.tool(OURS, first)),
        Job("build it again", made, "questions", results.tool(OURS, again)),
    )
    ranked = sorted(stages.items(), key=lambda item: -sorted(item[1])[len(item[1]) // 2])
    rows = tuple((name, round(sorted(took)[len(took) // 2], 1)) for name, took in ranked)
    table = Table("Seconds of each stage, medians", ("stage", "seconds"), rows)
    return Found(jobs, (table,))


def _build(folder: Path, scenarios: int) -> Taken:
    place = folder / "took.json"
    python, took = [sys.executable, "-m"], ["benchmarks.took", str(place)]
    command = [*python, *took, *python, "pipeline", "build"]
    command += ["--config", str(ROOT / "configs" / "demo.toml")]
    command += ["--workspace", str(folder / "work"), "--ledger", str(folder / "ledger.sqlite")]
    command += ["--dist", str(folder / "dist"), "--set", f"build.cache={folder / 'cache'}"]
    command += ["--scenarios", str(scenarios)] if scenarios else []
    ended = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )
    last = ""
    assert ended.stdout is not None
    for line in ended.stdout:
        print(f"    {line.rstrip()}", flush=True)
        last = line.strip() or last
    if status := ended.wait():
        raise SystemExit(f"the build failed (status {status}): {last}")
    return Taken(**json.loads(place.read_text(encoding="utf-8")))
