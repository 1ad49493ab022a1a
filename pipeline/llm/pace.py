"""How fast one model is asked: rates from the configuration, concurrency that finds its level."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from pipeline.config import ModelConfig
from pipeline.llm.prices import most_prompt_tokens
from pipeline.llm.request import Request

_FIRST_LIMIT = 4
_BURST_S = 0.1
_BYTES_A_TOKEN = 3  # of English prompts, on the safe side


class Pace:
    """Rates and concurrency of one model, within one event loop.

    Concurrency starts low and doubles with every round of answers, until the first 429 halves it;
    from then on it grows by one a round, as TCP's congestion window does (RFC 5681).

    Attributes:
        limit: Calls that may be in flight now, between 1 and `concurrency`.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._most = config.concurrency
        self.limit = float(min(_FIRST_LIMIT, self._most))
        self._starting = True
        self._flying = 0
        self._change = asyncio.Condition()
        self._tokens_a_minute = config.tokens_per_minute
        self._tokens = AsyncLimiter(self._tokens_a_minute, 60) if self._tokens_a_minute else None
        self._requests = _bucket(config.requests_per_minute)

    @asynccontextmanager
    async def slot(self, request: Request) -> AsyncIterator[None]:
        """Wait until one more call may go out; hold its place while the block runs."""
        async with self._change:
            await self._change.wait_for(lambda: self._flying < int(self.limit))
            self._flying += 1
        try:
            if self._tokens is not None:
                size = most_prompt_tokens(request) // _BYTES_A_TOKEN + request.max_tokens
                await self._tokens.acquire(min(size, self._tokens_a_minute))
            if self._requests is not None:
                await self._requests.acquire()
            yield
        finally:
            async with self._change:
                self._flying -= 1
                self._change.notify_all()

    def answered(self) -> None:
        """Note an answer: room for more."""
        step = 1.0 if self._starting else 1.0 / self.limit
        self.limit = min(float(self._most), self.limit + step)

    def throttled(self) -> None:
        """Note a 429: half as many from now on."""
        self._starting = False
        self.limit = max(1.0, self.limit / 2)


def _bucket(a_minute: int) -> AsyncLimiter | None:
    """Return a limiter that lets through a tenth of a second's requests at once."""
    if not a_minute:
        return None
    burst = max(1.0, a_minute / 60 * _BURST_S)
    return AsyncLimiter(burst, burst * 60 / a_minute)
