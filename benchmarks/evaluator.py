"""Measures the evaluator beside plain Inspect and lm-evaluation-harness, on a loopback server.

python -m benchmarks.evaluator [--questions 15000] [--runs 1] [--json PATH]

Each client is a whole command: starting Python, reading the release, asking, writing down. All ask
the same prompts, five for each question. `$LM_EVAL_PYTHON` names a Python that has
lm-evaluation-harness; without it, it goes into build/bench-lm-eval.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.calls import Figures, Spread
from benchmarks.chat_server import Server, chat_server
from benchmarks.dedup_run import Run
from benchmarks.peers import LM_EVAL, PACKAGE

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = 5
AT_ONCE = 64
LEAST_OVER_PLAIN = 3.0
MOST_UNDER_LM_EVAL = 2.0
_MODEL = "openai-api/local/bench"
_WORDS = 130  # of a post; the median of real ones
_VALUES = (
    *("self_direction", "stimulation", "hedonism", "achievement", "power"),
    *("security", "conformity", "tradition", "benevolence", "universalism"),
)


@dataclass(frozen=True)
class Taken:
    """What one whole command took.

    Attributes:
        seconds: Wall time.
        cpu_s: CPU time of the command and its children.
        peak_mb: Most resident memory of the largest of its processes.
        steady: Calls a second as they arrived, without the first and last tenth.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    steady: float


def write_release(folder: Path, count: int) -> None:
    """Write a release of `count` questions, whose texts are as long as real ones."""
    rows = []
    for number in range(count):
        scenario, index = divmod(number, 5)
        values = [_VALUES[(number + step) % 10] for step in (0, 3, 5, 8)]
        rows.append(
            {
                "question_id": f"q{number:05}",
                "scenario_id": f"s{scenario:05}",
                "domain": ("career", "ethics")[scenario % 2],
                "slot": scenario,
                "question_index": index,
                "scenario": f"Case {scenario}. {_text(f'scenario {scenario}', _WORDS)}",
                "options": [_text(f"option {number} {k}", 20) for k in range(4)],
                "option_ids": [f"a{number:05}{k}" for k in range(4)],
                "option_values": values,
                "option_generators": ["one", "two"] * 2,
                "target_value": values[number % 4],
                "target_index": number % 4,
            }
        )
    (folder / "questions").mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(folder / "questions" / "test.parquet")
    files = "- split: test\n    path: questions/test.parquet"
    head = f"---\nconfigs:\n- config_name: questions\n  data_files:\n  {files}\n---\n"
    (folder / "README.md").write_text(head, encoding="utf-8")
    meanings = [{"id": v, "name": v.title(), "definition": f"Meaning of {v}."} for v in _VALUES]
    (folder / "values.json").write_text(json.dumps(meanings), encoding="utf-8")


def _text(seed: str, words: int) -> str:
    digest = sha256(seed.encode()).hexdigest()
    return " ".join(f"word{digest[i % 60 : i % 60 + 3]}" for i in range(words))


class Bench:
    """The clients, over one release."""

    def __init__(self, folder: Path, questions: int, latency_ms: float) -> None:
        self._folder, self.calls = folder, questions * VARIANTS
        self._latency_s, self._runs = latency_ms / 1000, 0
        self._release = folder / "release"
        write_release(self._release, questions)

    def valact(self, at_once: int | None) -> Taken:
        """`valact-eval run`."""
        command = [sys.executable, "-m", "valact_eval.cli", "run", str(self._release)]
        command += ["--task", "default", "--model", _MODEL, "--out", self._out()]
        return self._take([*command, *_option("--max-connections", at_once)])

    def plain(self, at_once: int | None) -> Taken:
        """Inspect with a sample for each call, its own `generate` and one scorer."""
        command = [sys.executable, "-m", "benchmarks.evaluator_plain", str(self._release)]
        command += ["--model", _MODEL, "--log-dir", self._out()]
        return self._take([*command, *_option("--max-connections", at_once)])

    def lm_eval(self, at_once: int | None) -> Taken:
        """lm-evaluation-harness with this package's YAML task."""
        folder = PACKAGE / "valact_eval" / "lm_eval_tasks"
        command = [lm_eval_python(), "-m", "lm_eval", "--include_path", str(folder)]
        command += ["--tasks", "valact_default", "--model", "local-chat-completions"]
        command += ["--apply_chat_template", "--output_path", self._out(), "--log_samples"]

        def with_url(server: Server) -> list[str]:
            url = f"model=bench,base_url={server.base_url}/chat/completions"
            url += f",num_concurrent={at_once}" if at_once else ""
            return [*command, "--model_args", url]

        return self._take(with_url)

    def _out(self) -> str:
        self._runs += 1
        return str(self._folder / f"out-{self._runs}")

    def _take(self, command: Sequence[str] | Callable[[Server], list[str]]) -> Taken:
        with chat_server(self._latency_s, letters=True) as server:
            env = os.environ | {
                "LOCAL_BASE_URL": server.base_url,
                "LOCAL_API_KEY": "none",
                "OPENAI_API_KEY": "none",
                "VALACT_DATA": str(self._release),
                "HF_HOME": str(self._folder / "hf"),
                "HF_HUB_OFFLINE": "1",
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [str(PACKAGE), str(ROOT), os.environ.get("PYTHONPATH")])
                ),
            }
            line = command(server) if callable(command) else list(command)
            place = self._folder / "took.json"
            took = [sys.executable, str(Path(__file__).with_name("took.py")), str(place)]
            done = subprocess.run(
                [*took, *line],
                check=False,
                capture_output=True,
                text=True,
                env=env,
                cwd=self._folder,
            )
            if done.returncode:
                raise SystemExit(f"{' '.join(line)[:300]}\n{done.stderr[-2_000:]}")
            if (asked := server.count()) != self.calls:
                raise SystemExit(f"{' '.join(line)[:300]}: {asked} calls, not {self.calls}")
            run = Run(**json.loads(place.read_text()))
            return Taken(run.seconds, run.cpu_s, run.peak_mb, server.steady_rate())


def lm_eval_python() -> str:
    """Return a Python that has lm-evaluation-harness; install it if need be."""
    if not os.environ.get(LM_EVAL.variable) and find_spec("lm_eval"):
        return sys.executable
    return LM_EVAL.python()


def _option(name: str, number: int | None) -> list[str]:
    return [name, str(number)] if number else []


def measure(
    bench: Bench, clients: Sequence[str], runs: int, concurrencies: Sequence[int | None]
) -> Figures:
    """Run the clients by turns and print one table; return the figures."""
    makers: dict[str, Callable[[int | None], Taken]] = {
        "valact-eval": bench.valact,
        "plain Inspect": bench.plain,
        "lm-eval": bench.lm_eval,
    }
    kinds = [(name, at_once) for name in clients for at_once in concurrencies]
    taken: dict[tuple[str, int | None], list[Taken]] = {kind: [] for kind in kinds}
    for _ in range(runs):  # by turns: what else the machine does meets them all alike
        for name, at_once in kinds:
            taken[name, at_once].append(makers[name](at_once))
    print(f"| {bench.calls:,} calls | at once | seconds | calls a second | steady | CPU a call |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    figures: Figures = {"calls": bench.calls}
    for (name, at_once), found in taken.items():
        seconds = Spread(tuple(one.seconds for one in found))
        rate = Spread(tuple(bench.calls / one.seconds for one in found))
        steady = Spread(tuple(one.steady for one in found))
        peak = Spread(tuple(one.peak_mb for one in found))
        cpu_ms = Spread(tuple(one.cpu_s / bench.calls * 1000 for one in found))
        print(
            f"| {name} | {at_once or 'default'} | {seconds.text('.1f')} | {rate.median:.0f} "
            f"| {steady.median:.0f} | {cpu_ms.median:.2f} ms |"
        )
        figures[f"{name} {at_once or 'default'}"] = {
            "seconds": seconds.figures(),
            "per_s": rate.figures(),
            "steady_per_s": steady.figures(),
            "cpu_ms_a_call": cpu_ms.figures(),
            "peak_mb": peak.figures(),
        }
    for at_once in concurrencies:
        _compare(figures, str(at_once or "default"))
    return figures


def _compare(figures: Figures, at_once: str) -> None:
    if (ours := figures.get(f"valact-eval {at_once}")) is None:
        return
    for name in ("plain Inspect", "lm-eval"):
        if theirs := figures.get(f"{name} {at_once}"):
            wall = ours["per_s"]["median"] / theirs["per_s"]["median"]
            cpu = theirs["cpu_ms_a_call"]["median"] / ours["cpu_ms_a_call"]["median"]
            figures[f"valact-eval over {name}, {at_once}"] = {"calls_per_s": wall, "cpu": cpu}
            least = LEAST_OVER_PLAIN if name == "plain Inspect" else 1 / MOST_UNDER_LM_EVAL
            met = "meets" if wall >= least else "MISSES"
            print(
                f"valact-eval over {name}, {at_once} at once: {wall:.2f} times the calls a second "
                f"({met} {least:g}), {cpu:.2f} times as many a second of CPU"
            )


def machine() -> Figures:
    """Return what the figures depend on."""
    packages = ("inspect-ai", "openai", "aiohttp")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
        "packages": {name: version(name) for name in packages} | LM_EVAL.versions,
    }


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=int, default=15_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument(
        "--client", action="append", choices=("valact-eval", "plain Inspect", "lm-eval")
    )
    parser.add_argument("--at-once", choices=("default", str(AT_ONCE)), help="else both")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    concurrencies: dict[str | None, tuple[int | None, ...]]
    concurrencies = {None: (None, AT_ONCE), "default": (None,), str(AT_ONCE): (AT_ONCE,)}
    clients: Any = arguments.client or ("valact-eval", "plain Inspect", "lm-eval")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.questions, arguments.latency_ms)
        found = measure(bench, clients, arguments.runs, concurrencies[arguments.at_once])
    figures = {"machine": about, **found}
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
