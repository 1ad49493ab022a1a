"""The call layer against a real server over real sockets: what is asked, kept and served."""

from __future__ import annotations

import dataclasses
import socket
import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import BudgetConfig
from pipeline.config_model import ModelConfig
from pipeline.errors import BadInputError, BudgetError, StageError
from pipeline.llm.call import Caller
from pipeline.llm.ledger import Ledger, Money
from pipeline.llm.prices import Price, load_prices, most_prompt_tokens
from pipeline.llm.reply import Reply
from pipeline.llm.request import EXCLUDED_FROM_KEY, Request
from tests.conftest import PRICES, SECRET
from tests.loopback import ChatServer

SCHEMA = (
    '{"additionalProperties":false,"properties":{"a":{"type":"str'
    'ing"}},"required":["a"],"type":"object"}'
)


def is_native(model: ModelConfig) -> bool:
    return model.provider == "dashscope"


def ask(
    ledger: Path,
    model: ModelConfig,
    count: int = 1,
    schema: str = SCHEMA,
    cap_usd: float = 10.0,
    prices: Path = PRICES,
) -> list[Reply]:
    with Caller(ledger, {"m": model}, BudgetConfig(cap_usd, str(prices))) as caller:
        requests = [
            caller.request("m", (("user", f"question {i}"),), item=f"item {i}", schema=schema)
            for i in range(count)
        ]
        return list(caller.ask(requests))


def test_every_field_of_a_request_is_in_its_key_or_excluded_by_name() -> None:
    base = Request("p", "e", "m", (("user", "x"),), 5, 0.0, 1.0, 0.0, None, "", 0, "item", "name")
    other = {
        "provider": "q",
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
        "name": "another",
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
    # DashScope's own API does not name the model that answered.
    assert first[0].model_returned == ("fake" if is_native(model) else "fake-snapshot")


def test_equal_requests_are_asked_once(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    with Caller(tmp_path / "l", {"m": model}, BudgetConfig(1.0, str(PRICES))) as caller:
        one = caller.request("m", (("user", "x"),), item="one", schema=SCHEMA)
        two = caller.request("m", (("user", "y"),), item="two", schema=SCHEMA)
        replies = list(caller.ask([one, two, one]))
    assert [reply.key for reply in replies] == [one.key, two.key, one.key]
    assert len(server.bodies) == 2


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
    if is_native(model) and fault == "refusal":
        outcome = "empty"  # DashScope has no field for refusals
    server.faults.append(fault)
    (reply,) = ask(tmp_path / "l", model)
    assert reply.outcome == outcome
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.outcomes() == {outcome: 1}
        kept = ledger.find(reply.key)
    assert kept is not None
    assert kept.outcome == outcome  # spent, and never turned into an answer
    assert kept.text == reply.text


@pytest.mark.parametrize("fault", [429, 500, 503, 408, "drop", "page"])
def test_passing_faults_are_retried(
    tmp_path: Path, server: ChatServer, model: ModelConfig, fault: int | str
) -> None:
    server.faults.extend([fault, fault])
    (reply,) = ask(tmp_path / "l", model)
    assert reply.outcome == "ok"
    assert len(server.bodies) == 3


def test_text_in_parts_is_read_and_a_redirect_is_not_followed(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    if is_native(model):
        pytest.skip("of OpenAI-compatible endpoints")
    server.faults.append("parts")
    (reply,) = ask(tmp_path / "l", model)
    assert reply.outcome == "ok"
    server.faults.extend([307] * 20)
    with pytest.raises(BadInputError, match="answered status 307"):
        ask(tmp_path / "l", model, 2)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("code", ["insufficient_quota", "Arrearage"])
def test_a_spent_account_stops_at_once(
    tmp_path: Path, server: ChatServer, model: ModelConfig, code: str
) -> None:
    server.code = code
    server.faults.extend([429] * 50)
    with pytest.raises(BadInputError, match=f"answered status 429 {code}"):
        ask(tmp_path / "l", model, 20)
    assert len(server.bodies) <= model.concurrency


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


def test_money_is_settled_from_usage(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    ask(tmp_path / "l", model, 3)
    with Ledger(tmp_path / "l") as ledger:
        # Ten prompt tokens at $1 and five of completion at $4 a million, three times.
        assert ledger.money() == Money(measured=3 * 30, unknown=0, open=0, open_requests=0)
        assert ledger.committed() == 90


def test_a_reply_without_usage_costs_its_reservation(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.faults.append("no_usage")
    ask(tmp_path / "l", model)
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.money().measured == 0
        assert ledger.money().unknown == ledger.committed() > 200


def test_an_error_status_costs_nothing_and_a_lost_answer_costs_its_reservation(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.faults.extend([500, "drop", 429])
    ask(tmp_path / "l", model)
    with Ledger(tmp_path / "l") as ledger:
        money = ledger.money()
    assert money.measured == 30
    assert money.unknown > 200  # the whole reservation: fifty tokens of completion and the prompt
    assert (money.open, money.open_requests) == (0, 0)


def test_where_no_connection_came_about_nothing_is_charged(
    tmp_path: Path, model: ModelConfig
) -> None:
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))  # bound and not listening: refused
    port = closed.getsockname()[1]
    with closed, pytest.raises(StageError, match="no answer from"):
        ask(tmp_path / "l", dataclasses.replace(model, base_url=f"http://127.0.0.1:{port}/v1"), 5)
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.money() == Money(0, 0, 0, 0)
        assert ledger.outcomes()["failed"] > 5


def test_calls_on_their_way_that_fill_the_cap_are_waited_for(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    # One reservation is some 300 to 400 micro-dollars; only one fits beside the ten answers.
    assert [r.outcome for r in ask(tmp_path / "l", model, 10, cap_usd=0.00075)] == ["ok"] * 10
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.committed() == 300


def test_the_cap_is_never_exceeded_and_holds_across_restarts(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    cap = 0.001  # a thousand micro-dollars; a reservation is some 300 to 400
    for _ in range(3):
        with pytest.raises(BudgetError, match="raise the cap to go on"):
            ask(tmp_path / "l", model, 60, cap_usd=cap)
        with Ledger(tmp_path / "l") as ledger:
            assert ledger.committed() <= cap * 1e6
            assert ledger.money().measured == 30 * len(server.bodies)
    sent = len(server.bodies)
    assert sent >= 3
    assert [r.outcome for r in ask(tmp_path / "l", model, 60)] == ["ok"] * 60
    assert len(server.bodies) == 60


def test_open_reservations_of_a_killed_build_count_as_spent(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.reserve("r1:killed", 9_900, 10_000) == 1
    with pytest.raises(BudgetError, match=r"\$0\.009900 are spent or reserved"):
        ask(tmp_path / "l", model, cap_usd=0.01)
    assert not server.bodies
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.money() == Money(0, 0, 9_900, 1)


def test_a_model_without_a_price_is_not_asked(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    with pytest.raises(BadInputError, match=r"no price for 'fak'; add one .*did you mean 'fake'"):
        ask(tmp_path / "l", dataclasses.replace(model, model="fak"))
    assert not server.bodies


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("price = 3", "price"),
        ('[[price]]\nmodel = "m"\n', "price.0.input_usd: Field required"),
        ("no toml at all", "not valid TOML"),
        (PRICES.read_text() * 2, "fake has two prices"),
    ],
)
def test_a_broken_price_file_names_the_file_and_the_place(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=f"prices.toml: .*{said}"):
        load_prices(path)


@given(
    prompt=st.integers(0, 10**6),
    completion=st.integers(0, 10**6),
    price=st.builds(Price, st.integers(0, 10**9), st.integers(0, 10**9)),
)
def test_a_cost_is_rounded_up_by_less_than_a_micro_dollar(
    prompt: int, completion: int, price: Price
) -> None:
    exact = Fraction(prompt * price.input_micro + completion * price.output_micro, 10**6)
    assert 0 <= price.cost(prompt, completion) - exact < 1


@given(st.lists(st.text(), max_size=4))
def test_the_bound_on_prompt_tokens_is_at_least_the_bytes(texts: list[str]) -> None:
    messages = tuple(("user", text) for text in texts)
    request = Request("p", "e", "m", messages, 5, 0.0, 1.0, 0.0, None, "", 0, "item", "name")
    assert most_prompt_tokens(request) >= sum(
        len(text.encode("utf-8", "surrogatepass")) for text in texts
    )


def test_an_endpoint_without_schemas_is_asked_in_json_mode_and_its_reply_checked_here(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALACT_TEST_KEY", SECRET)
    model = ModelConfig(
        provider="openai_json",
        model="fake",
        base_url=server.base_url,
        api_key_env="VALACT_TEST_KEY",
        max_tokens=50,
    )
    (reply,) = ask(tmp_path / "l.sqlite", model)
    assert [body["response_format"] for body in server.bodies] == [{"type": "json_object"}]
    assert reply.outcome == "ok"
    server.names = ["other"]
    (wrong,) = ask(tmp_path / "m.sqlite", model)
    assert wrong.outcome == "invalid"
