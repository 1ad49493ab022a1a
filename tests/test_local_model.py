"""The bundled model on its real server: same bytes whatever the order of calls, and deaths."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import BudgetConfig
from pipeline.config_file import load
from pipeline.dist import TABLES
from pipeline.errors import StageError
from pipeline.llm.call import Caller
from pipeline.llm.reply import Reply
from tests.conftest import DEMO, SECRET, command
from tests.hub_world import CONSENT, LOAD, REPO, HubWorld, write_config
from tests.loopback_hub import loopback_hub

pytestmark = pytest.mark.slow

SCHEMA = (
    '{"type":"object","properties":{"a":{"type":"string","maxLeng'
    'th":60}},"required":["a"],"additionalProperties":false}'
)
NAME = "smollm2-135m-high-temperature"


def ask(
    ledger: Path, order: list[int], on_first: object = None, at_once: int = 0
) -> dict[int, Reply]:
    models = load(DEMO, {f"models.{NAME}.concurrency": at_once or 1}).models
    with Caller(ledger, models, BudgetConfig()) as caller:
        if at_once:
            caller._endpoints._servers.most = at_once  # on one processor, too
        requests = [
            caller.request(
                NAME,
                (("user", f"Name a thing that comes in {i} colours. Answer as JSON."),),
                item=str(i),
                schema=SCHEMA,
                seed=i,
            )
            for i in order
        ]
        if at_once:
            replies = list(caller.ask(requests))
            assert len(caller.server_pids) == at_once
            return dict(zip(order, replies, strict=True))
        replies = []
        for request in requests:
            replies += list(caller.ask([request]))
            if on_first and len(replies) == 1:
                on_first(caller)  # type: ignore[operator]
        return dict(zip(order, replies, strict=True))


def test_answers_do_not_depend_on_the_order_of_calls_or_the_server(tmp_path: Path) -> None:
    up = ask(tmp_path / "one", [1, 2, 3, 4])
    down = ask(tmp_path / "two", [4, 3, 2, 1])
    assert {i: r.text for i, r in up.items()} == {i: r.text for i, r in down.items()}
    assert all(r.outcome == "ok" for r in up.values())
    assert len({r.text for r in up.values()}) > 1


def test_answers_of_several_servers_at_once_are_those_of_one(tmp_path: Path) -> None:
    one = ask(tmp_path / "one", [1, 2, 3, 4])
    three = ask(tmp_path / "three", [4, 1, 3, 2], at_once=3)
    assert {i: r.text for i, r in three.items()} == {i: r.text for i, r in one.items()}


def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    def kill(caller: Caller) -> None:
        (pid,) = caller.server_pids
        os.kill(pid, signal.SIGKILL)

    calm = ask(tmp_path / "calm", [1, 2])
    killed = ask(tmp_path / "killed", [1, 2], on_first=kill)
    assert {i: r.text for i, r in killed.items()} == {i: r.text for i, r in calm.items()}


def test_a_server_that_dies_again_and_again_ends_the_stage(tmp_path: Path) -> None:
    with (
        Caller(tmp_path / "l", load(DEMO).models, BudgetConfig()) as caller,
        pytest.raises(StageError, match="the local model server died"),
    ):
        for i in range(10):
            request = caller.request(NAME, (("user", f"{i}"),), item=str(i), schema=SCHEMA)
            list(caller.ask([request]))
            (pid,) = caller.server_pids
            os.kill(pid, signal.SIGKILL)


def test_the_server_does_not_outlive_a_killed_build() -> None:
    script = (
        "from pipeline.llm.local_server import LocalServer; import os, signal\n"
        "server = LocalServer().__enter__()\n"
        "print(server.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(done.stdout)
    from tests.test_cli import wait_for

    wait_for(lambda: not _alive(pid), timeout=20)


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_the_demonstration_gives_the_same_bytes_twice_and_is_published(tmp_path: Path) -> None:
    """The embedded default end to end, cut to one scenario of one domain."""
    others = r"(?m)^(career|finance|education|relationships) = .*\n"
    base = tmp_path / "demo.toml"
    base.write_text(re.sub(others, "", DEMO.read_text(encoding="utf-8")), encoding="utf-8")
    fewer = {"select.scenarios": 1, "select.reserve": 0, "rewrite.reserve": 0}
    released = []
    for name in ("one", "two"):
        folder = tmp_path / name
        places = {
            "build.workspace": str(folder / "work"),
            "build.ledger": str(folder / "ledger.sqlite"),
            "build.dist": str(folder / "dist"),
        }
        config = write_config(base, tmp_path / f"{name}.toml", fewer | places | CONSENT)
        done = command("build", f"--config={config}", timeout=500)
        assert done.returncode == 0, done.stderr
        files = sorted(p for p in (folder / "dist").rglob("*") if p.is_file())
        released.append({p.relative_to(folder): p.read_bytes() for p in files})
    assert released[0] == released[1]
    with loopback_hub() as hub:
        world = HubWorld(hub, tmp_path / "one.toml", tmp_path / "one", SECRET)
        done = world.run("publish", f"--repo={REPO}", "--yes")
        assert done.returncode == 0, done.stderr
        for table in TABLES:
            told = world.script(LOAD, REPO, table, "v0.1.0", "no")
            assert told == world.rows(table)
            assert told
