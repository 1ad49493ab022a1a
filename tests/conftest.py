"""Fixtures: a loopback chat server, and a tiny world that builds end to end in seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import build as runner
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.config_model import ModelConfig
from pipeline.paths import ROOT
from tests.hub_world import CONSENT, HubWorld, write_config
from tests.loopback import ChatServer, chat_server
from tests.loopback_hub import loopback_hub

DEMO = ROOT / "configs" / "demo.toml"
PRICES = ROOT / "tests" / "prices.toml"
SECRET = "sk-this-must-never-be-seen-anywhere"


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
    return settings(server.base_url, tmp_path)


def settings(base_url: str, folder: Path) -> dict[str, Any]:
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
        runner.build(load(DEMO, settings(server.base_url, folder) | CONSENT))
    return folder


@pytest.fixture
def hub_world(released: Path, tmp_path: Path) -> Iterator[HubWorld]:
    """A copy of the finished tiny world, its configuration as a file, and a running Hub."""
    shutil.copytree(released, tmp_path, dirs_exist_ok=True)
    places = settings("http://127.0.0.1:9/v1", tmp_path)  # nobody is asked any more
    places |= {"source.tombstones": str(tmp_path / "stones.ndjson")}
    places |= {"build.cache": str(tmp_path / "cache"), "reddit.out": str(tmp_path / "swept.ndjson")}
    config = write_config(DEMO, tmp_path / "publish.toml", places | CONSENT)
    with loopback_hub() as hub:
        yield HubWorld(hub, config, tmp_path, SECRET)


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
