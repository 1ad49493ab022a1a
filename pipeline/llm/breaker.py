"""A circuit breaker: when a provider is down, one request at a time finds out if it is back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.llm import retry

_TRIP = 6
_PROBES = 8


class Breaker:
    """Counts failures in a row of one model's calls, whichever requests they belong to.

    After `_TRIP` in a row it is open: calls wait, and one at a time goes out as a probe, after a
    pause that doubles. The first answer closes it; `_PROBES` failed probes exhaust it.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._probe = asyncio.Lock()

    @property
    def open(self) -> bool:
        """True while the provider counts as down."""
        return self._failures >= _TRIP

    @property
    def exhausted(self) -> bool:
        """True if the provider did not come back."""
        return self._failures >= _TRIP + _PROBES

    def answered(self) -> None:
        """Note that the provider answered, be it with a 429."""
        self._failures = 0

    def failed(self) -> None:
        """Note that no answer came, or a 5xx."""
        self._failures += 1

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Hold a call back while the provider is down; as a probe if it is this call's turn."""
        if not self.open:
            yield
            return
        async with self._probe:
            if self.open and not self.exhausted:
                await asyncio.sleep(_pause(self._failures - _TRIP))
            yield


def _pause(probe: int) -> float:
    seconds = min(retry.LONGEST_WAIT_S, retry.FIRST_WAIT_S * 2 ** (probe + 2))
    return float(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, never data
