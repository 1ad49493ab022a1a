"""Servers of the bundled model: one for each call in flight, as far as there are processors.

An answer does not depend on the server that gave it, nor on the others: each computes in one
thread and remembers nothing (see `local_server`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.errors import StageError
from pipeline.llm.local_server import LocalServer

_RESTARTS = 3
_LOOK_AGAIN_S = 0.02


class LocalServers:
    """Starts servers when they are first needed, and again if they die.

    Attributes:
        most: Servers at once: one a processor.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most or _processors()
        self._free: list[LocalServer] = []
        self._lent: list[LocalServer] = []
        self._restarts = 0

    @property
    def pids(self) -> list[int]:
        """Process ids of the servers that run."""
        return [server.pid for server in (*self._free, *self._lent) if server.pid is not None]

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[str]:
        """Wait for a server that has nothing to do; yield its address.

        Raises:
            StageError: Servers died too often.
        """
        while not self._free and len(self._lent) >= self.most:
            await asyncio.sleep(_LOOK_AGAIN_S)
        server = self._living()
        self._lent.append(server)
        try:
            yield server.base_url
        finally:
            self._lent.remove(server)
            self._free.append(server)

    def _living(self) -> LocalServer:
        while self._free:
            server = self._free.pop()
            status = server.exit_status
            if status is None:
                return server
            server.__exit__(None, None, None)
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise StageError(
                    f"the local model server died {self._restarts} times (exit status {status}); "
                    "the answers so far are kept, run the same command again to go on"
                )
        return LocalServer().__enter__()

    def close(self) -> None:
        """Stop them all."""
        for server in (*self._free, *self._lent):
            server.__exit__(None, None, None)
        self._free, self._lent = [], []


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
