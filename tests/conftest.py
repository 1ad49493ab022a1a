"""Fixtures: a loopback chat server, and a tiny world that builds end to end in seconds."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from pipeline import build as runner
from pipeline.checks.evaluation import check_evaluation
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.config_model import ModelConfig
from pipeline.paths import ROOT
from tests.hub_world import CONSENT, HubWorld, write_config
from tests.loopback import ChatServer, chat_server
from tests.loopback_hub import loopback_hub
from tests.loopback_reddit import RedditServer, reddit_server
from tests.reddit_world import World as SweepWorld
from tests.reddit_world import reddit_world as sweep_world
from tests.trace_world import finished

if TYPE_CHECKING:
    import httpx

    from pipeline.labelstudio.server import Server
    from pipeline.labelstudio.studio import Studio

DEMO = ROOT / "configs" / "demo.toml"
PRICES = ROOT / "tests" / "prices.toml"
# A busy machine is no failure: nothing here is judged by how long it takes.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
SECRET = "sk-this-must-never-be-seen-anywhere"
# Builds that are compared are of one day, also at midnight; see pipeline.llm.ledger.now.
os.environ.setdefault("SOURCE_DATE_EPOCH", str(int(time.time())))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker take all tests of the real Label Studio, so that it is started once."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            real = any(name in nodeid for name in ("test_studio_real", "test_studio_browser"))
            return "label_studio" if real else nodeid

    return Scheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session", autouse=True)
def _quiet_wait() -> None:
    """Retries in tests wait milliseconds: the waiting is real, only the unit is smaller."""
    from pipeline.llm import retry

    retry.FIRST_WAIT_S = 0.001


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture(params=["openai", "dashscope"])
def model(
    request: pytest.FixtureRequest, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> ModelConfig:
    monkeypatch.setenv("VALACT_TEST_KEY", SECRET)
    native = request.param == "dashscope"
    return ModelConfig(
        provider=request.param,
        model="fake",
        base_url=server.base_url.replace("/v1", "/api/v1") if native else server.base_url,
        api_key_env="VALACT_TEST_KEY",
        max_tokens=50,
        concurrency=3,
        timeout_s=10,
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose stages up to `select` are built; tests start from a copy."""
    folder = tmp_path_factory.mktemp("prepared")
    places = {"build.workspace": str(folder / "work"), "build.dist": str(folder / "dist")}
    runner.build(load(DEMO, places), until="select")
    return folder / "work"


@pytest.fixture
def overrides(
    server: ChatServer, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Settings that turn the demonstration into a build against the loopback server."""
    shutil.copytree(prepared, tmp_path / "work")
    monkeypatch.setenv("VALACT_TEST_KEY", SECRET)
    return tiny(server.base_url, tmp_path)


def tiny(base_url: str, folder: Path) -> dict[str, Any]:
    """Return what turns the demonstration into a build in a folder, against a loopback server."""
    model = {
        "provider": "openai",
        "model": "fake",
        "base_url": base_url,
        "api_key_env": "VALACT_TEST_KEY",
        "max_tokens": 500,
        "concurrency": 4,
    }
    return {
        "models": {"g-one": model, "g-two": {**model, "temperature": 1.0}},
        "generate.generators": ["g-one", "g-two"],
        "generate.plain_repairs": [],
        "build.workspace": str(folder / "work"),
        "build.ledger": str(folder / "ledger.sqlite"),
        "build.dist": str(folder / "dist"),
        "budget.prices": str(PRICES),
        "budget.cap_usd": 10.0,
        # The server's answers are no sentences; what they break is flagged.
        "validate.reject": ["empty", "repeated"],
        "validate.embedding_model": "",
        "vote.voters": [],
        "vote.tie_breaker": "",
        "recognise.model": "",
    }


@pytest.fixture
def world(overrides: dict[str, Any]) -> Callable[..., Config]:
    """Return a function that gives the tiny world's configuration, with keys changed."""

    def make(**changes: Any) -> Config:
        dotted = {name.replace("__", "."): value for name, value in changes.items()}
        return load(DEMO, overrides | dotted)

    return make


@pytest.fixture(scope="session")
def released(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny world with two voters; tests start from a copy of `work`, `dist` and all."""
    folder = tmp_path_factory.mktemp("released")
    shutil.copytree(prepared, folder / "work")
    with chat_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALACT_TEST_KEY", SECRET)
        runner.build(load(DEMO, tiny(server.base_url, folder) | CONSENT))
    # What comes along for evaluators is the same in every copy: it is looked at once.
    check_evaluation(folder / "dist", folder / "cache")
    return folder


@pytest.fixture
def hub_world(released: Path, tmp_path: Path) -> Iterator[HubWorld]:
    """A copy of the finished tiny world, its configuration as a file, and a running Hub."""
    shutil.copytree(released, tmp_path, dirs_exist_ok=True)
    places = tiny("http://127.0.0.1:9/v1", tmp_path)  # nobody is asked any more
    places |= {"source.tombstones": str(tmp_path / "stones.ndjson")}
    places |= {"build.cache": str(tmp_path / "cache"), "reddit.out": str(tmp_path / "swept.ndjson")}
    places |= {"annotation.folder": str(tmp_path / "rounds")}
    places |= {"annotation.server": str(tmp_path / "private")}
    config = write_config(DEMO, tmp_path / "publish.toml", places | CONSENT)
    with loopback_hub() as hub:
        yield HubWorld(hub, config, tmp_path, SECRET)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first test of a file that needs a finished build leaves it."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def built(world: Callable[..., Config], shelf: Path) -> Config:
    """A finished build of the tiny world, which a test may spoil."""
    return finished(world(), shelf)


@pytest.fixture
def reddit() -> Iterator[RedditServer]:
    with reddit_server() as running:
        yield running


@pytest.fixture
def reddit_world(
    reddit: RedditServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SweepWorld:
    """Return a function that gives a configuration for the loopback Reddit, with keys changed."""
    return sweep_world(reddit, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real Label Studio, started once for all tests: that takes half a minute."""
    from pipeline.labelstudio.server import HOME, Server

    if not (HOME / "bin" / "python").exists():
        pytest.skip("no Label Studio in .venv-labelstudio; `make labelstudio` installs it")
    for name in os.environ:
        assert not name.startswith("LABEL_STUDIO_"), f"unset {name} for this test"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with Server(tmp_path_factory.mktemp("studio") / "private", port) as running:
        yield running


@pytest.fixture
def studio(label_studio: Server) -> Iterator[Studio]:
    """The real Label Studio with three experts' accounts."""
    from pipeline.labelstudio.connect import connect

    with connect(label_studio.folder, (1, 2, 3)) as connection:
        yield connection.studio


@pytest.fixture
def people(label_studio: Server, studio: Studio) -> Iterator[Callable[[int], httpx.Client]]:
    """Return a function that logs an expert in."""
    from pipeline.labelstudio.accounts import open_accounts
    from tests.studio_world import login

    clients: dict[int, httpx.Client] = {}

    def client(number: int) -> httpx.Client:
        if number not in clients:
            who = open_accounts(label_studio.folder).experts[number]
            clients[number] = login(label_studio.url, who.email, who.password)
        return clients[number]

    yield client
    for each in clients.values():
        each.close()


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipeline` as a user would, from the checkout's root."""
    environment = os.environ | options.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=options.pop("timeout", 300),
        check=False,
        **options,
    )
