"""Requests straight to a provider: the same answers, retries and limits as by Inspect's own way."""

import threading

import anyio
import pytest
from inspect_ai.model import ChatMessageUser, GenerateConfig, Model
from inspect_ai.util import AdaptiveConcurrency, concurrency
from tenacity import RetryError

from valact_eval.models import generate_config, open_model
from valact_eval.straight import straight


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts are no part of what is tested."""
    monkeypatch.setattr("valact_eval.straight._FIRST_WAIT_S", 0.001)


def opened(url: str, retries: int = 2, at_once: int | None = 4) -> Model:
    config = generate_config(
        max_retries=retries,
        max_connections=at_once,
        reasoning_effort=None,
        extra_body=None,
        cache=False,
    )
    # the SDK's own retries would hide which are ours
    return open_model(
        "openai-api/local/m", base_url=url, config=config, args={"max_retries": 0}, http="httpx"
    )


CONFIG = GenerateConfig(temperature=0.5, max_tokens=7, logprobs=True, top_logprobs=3)


def test_the_request_and_the_output_are_inspects_own(serve):
    server = serve(lambda prompt: {"content": f"B, said of {prompt}"})
    model = opened(server.url)
    short = anyio.run(straight(model, CONFIG), "case 1")
    long = anyio.run(lambda: model.generate([ChatMessageUser(content="case 1")], config=CONFIG))
    assert server.requests[0] == server.requests[1]
    assert server.requests[0]["max_tokens"] == 7
    assert short.completion == "B, said of case 1"
    assert 0 < short.time < 60
    # Inspect counts the context by itself, for agents
    own = {"time": True, "input_context_tokens": True, "choices": {"__all__": {"message": {"id"}}}}
    assert short.model_dump(exclude=own) == long.model_dump(exclude=own)


def test_a_failed_request_is_made_anew_and_then_given_up(serve, no_waiting):
    failures = iter([503, 429, 200])
    server = serve(lambda prompt: {"content": "A", "status": next(failures)})
    put = straight(opened(server.url), CONFIG)
    assert anyio.run(put, "case").completion == "A"
    assert len(server.requests) == 3
    server = serve(lambda prompt: {"status": 503})
    with pytest.raises(RetryError):
        anyio.run(straight(opened(server.url, retries=1), CONFIG), "case")
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_request_that_is_wrong_is_made_once(serve, status):
    server = serve(lambda prompt: {"status": status})
    with pytest.raises(Exception, match=str(status)):
        anyio.run(straight(opened(server.url), CONFIG), "case")
    assert len(server.requests) == 1


def test_no_more_requests_are_under_way_than_may_be(serve):
    lock, under_way, most, full = threading.Lock(), [0], [0], threading.Barrier(3)

    def answer(prompt: str) -> dict[str, object]:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        full.wait(30)  # three have come, or the test fails
        with lock:
            under_way[0] -= 1
        return {"content": "A"}

    put = straight(opened(serve(answer).url, at_once=3), CONFIG)

    async def many() -> None:
        async with anyio.create_task_group() as group:
            for number in range(9):
                group.start_soon(put, f"case {number}")

    anyio.run(many)
    assert most[0] == 3


def test_a_limited_provider_makes_the_pool_smaller_and_successes_larger(serve, no_waiting):
    limited = iter([True])
    server = serve(lambda prompt: {"content": "A", "status": 429 if next(limited, False) else 200})
    model = opened(server.url, at_once=None)
    put = straight(model, CONFIG)
    key = f"Model{type(model.api).__name__}:{model.api.connection_key()}"

    async def sizes() -> list[int]:
        found = []
        async with concurrency("m", 1, key, adaptive=AdaptiveConcurrency()) as pool:
            found.append(pool.concurrency)
        await put("case")
        found.append(pool.concurrency)
        return found

    before, after = anyio.run(sizes)
    assert after < before
