"""The call layer against a real server over real sockets: what is asked, kept and served."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from pipeline.config import ModelConfig
from pipeline.errors import BadInputError, StageError
from pipeline.llm.call import Caller
from pipeline.llm.ledger import Ledger, Reply
from pipeline.llm.request import EXCLUDED_FROM_KEY, Request
from tests.conftest import SECRET
from tests.loopback import ChatServer

SCHEMA = (
    '{"additionalProperties":false,"properties":{"a":{"type":"str'
    'ing"}},"required":["a"],"type":"object"}'
)


@pytest.fixture
def model(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> ModelConfig:
    monkeypatch.setenv("VALACT_TEST_KEY", SECRET)
    return ModelConfig(
        provider="openai",
        model="fake",
        base_url=server.base_url,
        api_key_env="VALACT_TEST_KEY",
        max_tokens=50,
        concurrency=3,
        timeout_s=10,
    )


def ask(ledger: Path, model: ModelConfig, count: int = 1, schema: str = SCHEMA) -> list[Reply]:
    with Caller(ledger, {"m": model}) as caller:
        requests = [
            caller.request("m", (("user", f"question {i}"),), item=f"item {i}", schema=schema)
            for i in range(count)
        ]
        return caller.ask("m", requests, lambda _: None)


def test_every_field_of_a_request_is_in_its_key_or_excluded_by_name() -> None:
    base = Request("e", "m", (("user", "x"),), 5, 0.0, 1.0, 0.0, None, "", 0, "item")
    other = {
        "endpoint": "f",
        "model": "n",
        "messages": (("user", "y"),),
        "max_tokens": 6,
        "temperature": 0.1,
        "top_p": 0.9,
        "frequency_penalty": 0.5,
        "seed": 1,
        "schema": "{}",
        "replicate": 1,
        "item": "other",
    }
    assert other.keys() == {f.name for f in dataclasses.fields(Request)}
    for name, value in other.items():
        changed = dataclasses.replace(base, **{name: value})
        assert (changed.key == base.key) == (name in EXCLUDED_FROM_KEY), name


def test_answers_come_back_in_the_order_of_the_questions_and_are_asked_once(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    first = ask(tmp_path / "l", model, 20)
    assert len(server.bodies) == 20
    again = ask(tmp_path / "l", model, 20)
    assert len(server.bodies) == 20
    assert [r.text for r in again] == [r.text for r in first]
    assert len({r.text for r in first}) == 20
    assert all(r.replayed for r in again)
    assert not any(r.replayed for r in first)
    assert first[0].model_returned == "fake-snapshot"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("truncated", "truncated"),
        ("invalid", "invalid"),
        ("refusal", "refused"),
        ("empty", "empty"),
        ("filtered", "filtered"),
    ],
)
def test_an_unusable_reply_is_kept_by_kind_with_its_raw_text(
    tmp_path: Path, server: ChatServer, model: ModelConfig, fault: str, outcome: str
) -> None:
    server.faults.append(fault)
    (reply,) = ask(tmp_path / "l", model)
    assert reply.outcome == outcome
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.outcomes() == {outcome: 1}
        kept = ledger.find(reply.key)
    assert kept is not None
    assert kept.outcome == outcome  # spent, and never turned into an answer
    assert kept.text == reply.text


@pytest.mark.parametrize("fault", [429, 500, 503, 408, "drop"])
def test_passing_faults_are_retried(
    tmp_path: Path, server: ChatServer, model: ModelConfig, fault: int | str
) -> None:
    server.faults.extend([fault, fault])
    (reply,) = ask(tmp_path / "l", model)
    assert reply.outcome == "ok"
    assert len(server.bodies) == 3


def test_a_refused_key_stops_at_once_without_showing_it(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.faults.extend([401] * 50)
    with pytest.raises(BadInputError, match="VALACT_TEST_KEY") as caught:
        ask(tmp_path / "l", model, 20)
    assert SECRET not in str(caught.value)
    assert len(server.bodies) <= model.concurrency
    assert server.keys[0] == f"Bearer {SECRET}"


def test_a_missing_key_is_named_before_anything_is_sent(
    tmp_path: Path, server: ChatServer, model: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VALACT_TEST_KEY")
    with pytest.raises(BadInputError, match="VALACT_TEST_KEY is not set"):
        ask(tmp_path / "l", model)
    assert not server.bodies


def test_an_endpoint_that_stays_down_ends_the_stage_and_keeps_what_was_answered(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.faults.extend(["", "", *[500] * 100])
    with pytest.raises(StageError, match="run the same command again"):
        ask(tmp_path / "l", model, 10)
    with Ledger(tmp_path / "l") as ledger:
        answered = ledger.outcomes()["ok"]
    assert answered >= 2
    server.faults.clear()
    server.bodies.clear()
    assert [r.outcome for r in ask(tmp_path / "l", model, 10)] == ["ok"] * 10
    assert len(server.bodies) == 10 - answered


def test_one_request_that_is_too_long_does_not_end_the_others(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.faults.append(400)
    outcomes = sorted(r.outcome for r in ask(tmp_path / "l", model, 5))
    assert outcomes == ["error", "ok", "ok", "ok", "ok"]
    assert [r.outcome for r in ask(tmp_path / "l", model, 5)] == ["ok"] * 5


def test_the_secret_is_nowhere_in_the_ledger(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.faults.extend([400, "refusal", 500])
    ask(tmp_path / "l", model, 6)
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_ledger_components_give_the_key_back(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    from pipeline.artifacts import sha256_text

    (reply,) = ask(tmp_path / "l", model)
    with Ledger(tmp_path / "l") as ledger:
        text = ledger.components(reply.key)
    assert text is not None
    assert reply.key == f"r1:{sha256_text(text)}"


def test_a_file_that_is_no_ledger_or_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("this is not a database, not at all, and quite long" * 50)
    with pytest.raises(BadInputError, match="not usable as a ledger"):
        Ledger(tmp_path / "junk")
    with sqlite3.connect(tmp_path / "new") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(BadInputError, match="newer version"):
        Ledger(tmp_path / "new")
