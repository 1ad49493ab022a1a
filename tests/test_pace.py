"""Pace: rates that hold, and a number of calls in flight that finds its level."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import BudgetConfig
from pipeline.config_model import ModelConfig
from pipeline.llm.call import Caller
from pipeline.llm.pace import Pace
from pipeline.llm.request import Request
from tests.conftest import PRICES
from tests.loopback import ChatServer

REQUEST = Request("p", "e", "m", (("user", "x"),), 50, 0.0, 1.0, 0.0, None, "", 0, "item", "name")
MODEL = ModelConfig(provider="openai", model="fake", max_tokens=50, base_url="http://127.0.0.1")


@given(most=st.integers(1, 64), events=st.lists(st.booleans(), max_size=200))
def test_the_limit_stays_between_one_and_the_most_and_halves_on_429(
    most: int, events: list[bool]
) -> None:
    pace = Pace(dataclasses.replace(MODEL, concurrency=most))
    cuts = 0
    for throttled in events:
        before = pace.limit
        if throttled:
            pace.throttled(cuts)
            cuts += 1
            assert pace.limit == max(1.0, before / 2)
            pace.throttled(cuts - 1)  # another of the same round
            assert pace.limit == max(1.0, before / 2)
        else:
            pace.answered()
            assert before <= pace.limit <= before + 1
        assert 1 <= pace.limit <= most


@given(most=st.integers(1, 20), calls=st.integers(1, 60))
def test_never_more_in_flight_than_the_limit(most: int, calls: int) -> None:
    async def run() -> int:
        pace = Pace(dataclasses.replace(MODEL, concurrency=most))
        flying = highest = 0

        async def call() -> None:
            nonlocal flying, highest
            async with pace.slot(REQUEST):
                flying += 1
                highest = max(highest, flying)
                assert flying <= pace.limit
                await asyncio.sleep(0)  # gives the others their turn
                flying -= 1
                pace.answered()

        await asyncio.gather(*(call() for _ in range(calls)))
        return highest

    assert asyncio.run(run()) <= most


def test_requests_a_minute_hold(tmp_path: Path, server: ChatServer) -> None:
    model = dataclasses.replace(
        MODEL, base_url=server.base_url, concurrency=20, requests_per_minute=6_000
    )
    with Caller(tmp_path / "l", {"m": model}, BudgetConfig(10.0, str(PRICES))) as caller:
        requests = [caller.request("m", (("user", str(i)),), item=str(i)) for i in range(40)]
        begun = time.monotonic()
        list(caller.ask(requests))
    # A hundred a second, the first ten at once: the other thirty take 0.3 s at the least.
    assert time.monotonic() - begun >= 0.29
    assert len(server.bodies) == 40


def test_tokens_a_minute_hold() -> None:
    async def run() -> float:
        pace = Pace(dataclasses.replace(MODEL, concurrency=10, tokens_per_minute=6_000))
        big = dataclasses.replace(REQUEST, max_tokens=5_950)
        async with pace.slot(big):
            pass
        begun = time.monotonic()
        async with pace.slot(dataclasses.replace(REQUEST, max_tokens=50)):
            return time.monotonic() - begun

    # A hundred tokens a second: what the first left free does not hold the second.
    assert asyncio.run(run()) >= 0.1


def test_a_request_larger_than_a_minute_s_tokens_is_still_sent() -> None:
    async def run() -> bool:
        pace = Pace(dataclasses.replace(MODEL, tokens_per_minute=10))
        async with pace.slot(REQUEST):
            return True

    assert asyncio.run(run())


def test_429_lowers_the_limit_and_every_request_is_still_answered_once(
    tmp_path: Path, server: ChatServer
) -> None:
    server.faults.extend([429, "", 429, "", "", 429] * 5)
    model = dataclasses.replace(MODEL, base_url=server.base_url, concurrency=16)
    with Caller(tmp_path / "l", {"m": model}, BudgetConfig(10.0, str(PRICES))) as caller:
        requests = [caller.request("m", (("user", str(i)),), item=str(i)) for i in range(80)]
        replies = list(caller.ask(requests))
        outcomes = caller.ledger.outcomes()
    assert [reply.outcome for reply in replies] == ["ok"] * 80
    assert outcomes == {"ok": 80, "failed": 15}
