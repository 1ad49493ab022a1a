"""A Ray cluster on this machine that can lose machines, and builds on it.

For tests and benchmarks. A machine is a set of processes, as `ray start` would begin it elsewhere;
it is lost by `kill -9` of all of them at once, or falls silent by SIGSTOP.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.artifacts import folder_digest
from pipeline.paths import ROOT

STAGES = ("scrape", "tag", "screen", "dedup")
_STACK_S = 10.0


class Machines:
    """A head, and others.

    Args:
        others: Machines beside the head.
        cpus: Processors of each, as Ray counts them.
        head_cpus: Those of the head, if others.
        store: Bytes of each machine's object store; more objects are written to disk.
    """

    def __init__(
        self, others: int, cpus: int = 2, head_cpus: int | None = None, store: int = 80 * 2**20
    ) -> None:
        from ray.cluster_utils import Cluster

        self._node = {"num_cpus": cpus, "object_store_memory": store}
        head = self._node | ({} if head_cpus is None else {"num_cpus": head_cpus})
        self._stopped: list[psutil.Process] = []
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self._others = [self.cluster.add_node(**self._node) for _ in range(others)]
        self.cluster.wait_for_nodes()

    def lose(self) -> None:
        """Kill every process of one machine that is not the head."""
        node = self._others.pop()
        _signal(_processes(node), signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)

    def silence(self) -> None:
        """Stop every process of one machine: its connections stay open, and nothing answers."""
        self._stopped = _processes(self._others.pop())
        _signal(self._stopped, signal.SIGSTOP)

    def join(self) -> None:
        """Add a machine."""
        self._others.append(self.cluster.add_node(**self._node))

    def alive(self) -> int:
        """Return how many machines the cluster counts as alive."""
        return sum(node["Alive"] for node in self.cluster.global_state.node_table())

    def situation(self) -> dict[str, Any]:
        """Return machines, processors, and the last known states of tasks that have not ended."""
        state = self.cluster.global_state
        return {
            "machines": self.alive(),
            "processors": state.cluster_resources().get("CPU", 0),
            "free_processors": state.available_resources().get("CPU", 0),
            "tasks": _open_tasks(state._get_all_task_events()),
        }

    def logs(self) -> Path:
        """Return the folder where Ray's own processes write."""
        return Path(self.cluster.head_node.get_logs_dir_path())

    def close(self) -> None:
        """End all of it."""
        _signal(self._stopped, signal.SIGKILL)
        self.cluster.shutdown()


@dataclass
class Driver:
    """A command that uses the cluster, in a process of its own.

    Its output goes to a file; SIGABRT makes it write its stacks there and end.
    """

    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, arguments: Sequence[str], address: str, log: Path) -> Driver:
        """Run `python ARGUMENTS` on the cluster at an address."""
        environment = os.environ | {"RAY_ADDRESS": address, "PYTHONFAULTHANDLER": "1"}
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=out, stderr=out
            )
        return cls(log, process)

    def running(self) -> bool:
        """Return whether it has not ended."""
        return self.process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Wait for its end at most so long; return whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return not self.running()

    def stacks(self) -> str:
        """End it; return where its threads stood."""
        self.process.send_signal(signal.SIGABRT)
        if not self.wait(_STACK_S):
            self.process.kill()
            self.process.wait()
        said = self.log.read_text(encoding="utf-8", errors="replace")
        return said[said.find("Fatal Python error") :]


def search_path() -> str:
    """Return PYTHONPATH for Ray's processes, which look for the pipeline where this one does."""
    return os.pathsep.join([str(ROOT), *filter(None, sys.path)])


def heavy_stages(folder: Path, dump: Path) -> dict[str, Any]:
    """Return settings of the demonstration over a dump: no pool, and a folder of its own."""
    return {
        "source.path": str(dump),
        "dedup.pool_per_domain": 0,
        "dedup.embedding_model": "",
        "build.workspace": str(folder / "build"),
        "build.dist": str(folder / "dist"),
        "build.cache": str(folder / "cache"),
    }


def build_command(folder: Path, dump: Path, engine: str, changes: dict[str, Any]) -> list[str]:
    """Return the command line of a build of the demonstration's heavy stages over a dump."""
    sets = [
        f"--set={key}={_toml(value)}"
        for key, value in (heavy_stages(folder, dump) | changes).items()
    ]
    head = ["-m", "pipeline", "build", "--config", str(ROOT / "configs" / "demo.toml")]
    return [*head, "--until=dedup", f"--engine={engine}", *sets]


def files_of(workspace: Path) -> dict[str, str]:
    """Return the digest of every file of a build but of those that hold the time."""
    found = folder_digest(workspace)
    return {n: d for n, d in found.items() if not n.startswith(".") and "run.json" not in n}


def stage_at(workspace: Path) -> str:
    """Return which stage a build is at; "start" if at none, "end" if at none any more."""
    left = [name for name in STAGES if not (workspace / name / "run.json").exists()]
    if len(left) == len(STAGES) and not (workspace / ".scrape.parts").is_dir():
        return "start"
    return left[0] if left else "end"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _processes(node: Any) -> list[psutil.Process]:
    found: dict[psutil.Process, None] = {}
    for infos in node.all_processes.values():
        for info in infos:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(info.process.pid)
                found |= dict.fromkeys([process, *process.children(recursive=True)])
    return list(found)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _open_tasks(events: Iterable[Any]) -> dict[str, int]:
    """Return how many tasks of each name are in which state, of those that have not ended."""
    from ray.core.generated import common_pb2

    last: dict[bytes, tuple[int, int, str]] = {}
    for event in events:
        states = dict(event.state_updates.state_ts_ns)
        if states:
            state = max(states, key=lambda key: (states[key], key))
            name = event.task_info.name or event.task_info.func_or_class_name
            found = (event.attempt_number, state, name)
            last[event.task_id] = max(last.get(event.task_id, found), found)
    ended = (common_pb2.TaskStatus.FINISHED, common_pb2.TaskStatus.FAILED)
    return dict(
        Counter(
            f"{name or '?'}: {common_pb2.TaskStatus.Name(state)}"
            for _, state, name in last.values()
            if state not in ended
        )
    )
