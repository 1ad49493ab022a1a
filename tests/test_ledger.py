"""Auditing a ledger, and rebuilding from it alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline import build as runner
from pipeline.artifacts import folder_digest
from pipeline.config import Config
from pipeline.errors import BadInputError, StageError
from pipeline.llm.audit import export_ledger, verify_ledger, why
from tests.conftest import command
from tests.loopback import ChatServer

World = Callable[..., Config]


@pytest.fixture
def built(world: World, server: ChatServer) -> Config:
    server.faults.extend(["truncated", "refusal", 500])
    config = world()
    runner.build(config)
    return config


def test_a_sound_ledger_verifies_and_a_tampered_one_does_not(built: Config) -> None:
    path = Path(built.build.ledger)
    requests, attempts, problems = verify_ledger(path)
    assert problems == []
    assert requests == 2 * built.select.scenarios + 2  # two were asked again
    assert attempts == requests + 1  # and one sending failed
    with sqlite3.connect(path) as db:
        db.execute("UPDATE attempt SET text = 'no json' WHERE id = 15")
        db.execute(
            "UPDATE request SET components = replace(components, 'fake', 'fraud') "
            "WHERE key = (SELECT key FROM attempt WHERE id = 17)"
        )
    _, _, problems = verify_ledger(path)
    assert len(problems) == 2
    assert "another key" in problems[0]
    assert problems[1] == "attempt 15: recorded as ok, reads as invalid"
    done = command("ledger", "verify", f"--ledger={path}")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_replay_only_gives_the_same_bytes_without_a_connection(
    built: Config, world: World, server: ChatServer, tmp_path: Path, prepared: Path
) -> None:
    asked = len(server.bodies)
    again = world(build__workspace=str(tmp_path / "two"), build__dist=str(tmp_path / "dist2"))
    runner.build(again, replay_only=True)
    assert len(server.bodies) == asked
    assert folder_digest(Path(again.build.dist)) == folder_digest(Path(built.build.dist))
    other = world(build__workspace=str(tmp_path / "three"), **{"models.g-two.temperature": 0.25})
    with pytest.raises(StageError, match=r"replay only: .* 10 of 10 requests to g-two"):
        runner.build(other, replay_only=True)
    assert len(server.bodies) == asked


def test_export_gives_a_row_an_attempt(built: Config, tmp_path: Path) -> None:
    path = tmp_path / "calls.parquet"
    rows = export_ledger(Path(built.build.ledger), path)
    table = pl.read_parquet(path)
    assert table.height == rows
    assert sorted(table["outcome"].unique()) == ["failed", "ok", "refused", "truncated"]


def test_why_names_the_component_that_differs(built: Config, world: World) -> None:
    path = Path(built.build.ledger)
    with sqlite3.connect(path) as db:
        before = {key for (key,) in db.execute("SELECT key FROM request")}
    runner.build(world(**{"models.g-two.top_p": 0.5}))
    with sqlite3.connect(path) as db:
        new = sorted({key for (key,) in db.execute("SELECT key FROM request")} - before)
    assert len(new) == built.select.scenarios
    nearest, lines = why(path, new[0])
    assert nearest in before
    assert lines == ["top_p: '1.0' -> '0.5' at 0"]
    with pytest.raises(BadInputError, match="0 keys begin with 'r1:zz'"):
        why(path, "r1:zz")
    with pytest.raises(BadInputError, match="keys begin with 'r1:'"):
        why(path, "r1:")


def test_looking_needs_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such ledger"):
        verify_ledger(tmp_path / "none")
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(BadInputError, match="not a ledger"):
        verify_ledger(tmp_path / "junk")
