"""How fast one model is asked: rates from the configuration, concurrency that finds its level."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from pipeline.config_model import ModelConfig
from pipeline.llm.prices import likely_prompt_tokens
from pipeline.llm.request import Request

_FIRST_LIMIT = 4
_BURST_S = 0.1


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
        self._not_before = 0.0
        self._cuts = 0
        self._change = asyncio.Condition()
        self._tokens_a_minute = config.tokens_per_minute
        self._tokens = AsyncLimiter(self._tokens_a_minute, 60) if self._tokens_a_minute else None
        self._requests = _bucket(config.requests_per_minute)

    @asynccontextmanager
    async def slot(self, request: Request) -> AsyncIterator[int]:
        """Wait until one more call may go out; hold its place while the block runs.

        Yields:
            The round that the call belongs to, for `throttled`.
        """
        async with self._change:
            await self._change.wait_for(lambda: self._flying < int(self.limit))
            self._flying += 1
        try:
            await self._turn(request)
            while (left := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(left)
                await self._turn(request)  # so that those held back do not go all at once
            yield self._cuts
        finally:
            async with self._change:
                self._flying -= 1
                self._change.notify(2)  # its own place, and one by which the limit may have grown

    async def _turn(self, request: Request) -> None:
        """Wait as the rates demand."""
        if self._tokens is not None:
            size = likely_prompt_tokens(request) + request.max_tokens
            await self._tokens.acquire(min(size, self._tokens_a_minute))
        if self._requests is not None:
            await self._requests.acquire()

    def answered(self) -> None:
        """Note an answer: room for more."""
        step = 1.0 if self._starting else 1.0 / self.limit
        self.limit = min(float(self._most), self.limit + step)

    def hold(self, retry_after: float | None) -> None:
        """Let no call go out before the seconds that the provider asks to wait, if it does."""
        self._not_before = max(self._not_before, time.monotonic() + (retry_after or 0.0))

    def throttled(self, sent_in: int) -> None:
        """Note a 429: half as many from now on.

        Args:
            sent_in: Round of the call; several 429 of one round halve the limit once.
        """
        if sent_in == self._cuts:
            self._cuts += 1
            self._starting = False
            self.limit = max(1.0, self.limit / 2)


def _bucket(a_minute: int) -> AsyncLimiter | None:
    """Return a limiter that lets through a tenth of a second's requests at once."""
    if not a_minute:
        return None
    burst = max(1.0, a_minute / 60 * _BURST_S)
    return AsyncLimiter(burst, burst * 60 / a_minute)
