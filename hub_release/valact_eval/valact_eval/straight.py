"""Requests straight to the provider that Inspect opened, with its retries and limits and no more.

``Model.generate`` does much else for each call: an event, a cache, tools, hooks, an agent protocol.
Where none of that is kept it is most of a call's CPU time (benchmarks/README.md).
"""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from inspect_ai.model import (
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    RetryDecision,
)
from inspect_ai.util import AdaptiveConcurrency, concurrency
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_never,
    wait_exponential_jitter,
)

Put = Callable[[str], Awaitable[ModelOutput]]
"""Puts a prompt to a model."""


@runtime_checkable
class _Adaptive(Protocol):
    """Inspect's pool that learns how many requests a provider bears."""

    def notify_success(self) -> None: ...

    def notify_retry(self) -> None: ...


# As Inspect waits between attempts
_FIRST_WAIT_S = 3
_LONGEST_WAIT_S = 30 * 60


def through_inspect(model: Model) -> Put:
    """Inspect's own way, with all that it keeps of a call."""

    async def put(prompt: str) -> ModelOutput:
        return await model.generate([ChatMessageUser(content=prompt)])

    return put


def straight(model: Model, config: GenerateConfig) -> Put:
    """The short way.

    As in ``Model.generate``, as many requests as the model's ``max_connections`` are under way,
    or, where that is not set, as many as its provider bears; and a failed request is made anew
    where its provider says that this may help, at most ``max_retries`` times.

    Args:
        model: who is asked.
        config: how it answers, over the model's own configuration.

    Returns:
        A function that raises what the provider raises, or tenacity's ``RetryError``.
    """
    settings = model.config.merge(config)
    api, name = model.api, str(model)
    at_once = settings.max_connections
    # Inspect's own key: its limit of samples under way follows the limit of requests.
    pool_key = f"Model{type(api).__name__}:{api.connection_key()}"
    retries = settings.max_retries
    stop = stop_never if retries is None else stop_after_attempt(retries + 1)
    wait = api.retry_wait() or wait_exponential_jitter(
        multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S, jitter=_FIRST_WAIT_S
    )

    async def attempt(prompt: str) -> ModelOutput | Exception:
        begun = time.monotonic()
        message = ChatMessageUser(content=prompt)
        given = await api.generate([message], [], "auto", settings.model_copy())
        took = time.monotonic() - begun
        output, call = given if isinstance(given, tuple) else (given, None)
        if isinstance(output, ModelOutput):
            output.time = took if call is None or call.time is None else call.time
        return output

    async def refresh(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            await model.before_retry(error)

    async def put(prompt: str) -> ModelOutput:
        adaptive = None if at_once else AdaptiveConcurrency()
        limit = at_once or api.max_connections()
        async with concurrency(name, limit, pool_key, adaptive=adaptive) as pool:
            retrying = AsyncRetrying(
                retry=retry_if_exception(lambda error: _again(model, error, pool)),
                stop=stop,
                wait=wait,
                before_sleep=refresh,
            )
            output: ModelOutput | Exception = await retrying(attempt, prompt)
            if isinstance(pool, _Adaptive) and retrying.statistics["attempt_number"] == 1:
                pool.notify_success()
        if isinstance(output, Exception):  # the provider refused the request itself
            raise output
        return output

    return put


def _again(model: Model, error: BaseException, pool: object) -> bool:
    """Whether to try again; a provider's limit makes a pool that adapts smaller."""
    if not model.should_retry(error):
        return False
    decision = model.api.should_retry(error) if isinstance(error, Exception) else False
    limited = isinstance(decision, RetryDecision) and decision.kind == "rate_limit"
    if limited and isinstance(pool, _Adaptive):
        pool.notify_retry()
    return True
