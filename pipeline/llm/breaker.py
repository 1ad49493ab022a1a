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
    """Counts failures in a row of one model's calls.

    After `_TRIP` in a row, of at least two different requests (one may be to blame itself), it is
    open: calls wait, and one at a time goes out as a probe, after a pause that doubles. The first
    answer closes it; `_PROBES` failed probes exhaust it.
    """

    def __init__(self) -> None:
        self._failures = self._failed_probes = 0
        self._requests: set[str] = set()
        self._probe = asyncio.Lock()

    @property
    def open(self) -> bool:
        """True while the provider counts as down."""
        return self._is_down()

    def _is_down(self) -> bool:
        return self._failures >= _TRIP and len(self._requests) > 1

    @property
    def exhausted(self) -> bool:
        """True if the provider did not come back."""
        return self._failed_probes >= _PROBES

    def answered(self) -> None:
        """Note that the provider answered, be it with a 429."""
        self._failures = self._failed_probes = 0
        self._requests.clear()

    def failed(self, key: str, *, probe: bool) -> None:
        """Note that no answer came, or a 5xx.

        Args:
            key: The request's key.
            probe: What `passage` gave: calls that were in flight already exhaust no patience.
        """
        if probe and self.open:
            self._failed_probes += 1
        else:
            self._failures += 1
            self._requests.add(key)

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[bool]:
        """Hold a call back while the provider is down, unless it is this call's turn to probe.

        Yields:
            True for a probe.
        """
        while self.open:
            async with self._probe:
                if not self._is_down():
                    break  # it is back: those that waited go on side by side
                if not self.exhausted:
                    await asyncio.sleep(_pause(self._failed_probes))
                yield True
                return
        yield False


def _pause(probe: int) -> float:
    seconds = min(retry.LONGEST_WAIT_S, retry.FIRST_WAIT_S * 2 ** (probe + 2))
    return float(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, never data
