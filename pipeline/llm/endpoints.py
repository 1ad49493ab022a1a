"""Where each model is reached: an address and a key from the environment, or our own servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.config_model import ModelConfig
from pipeline.errors import BadInputError
from pipeline.llm.local_servers import LocalServers


class Endpoints:
    """Addresses and keys; the bundled model has servers of its own."""

    def __init__(self) -> None:
        self._servers = LocalServers()

    @property
    def server_pids(self) -> list[int]:
        """Process ids of the bundled model's servers, as far as they were started."""
        return self._servers.pids

    @asynccontextmanager
    async def lent(self, name: str, config: ModelConfig) -> AsyncIterator[tuple[str, str]]:
        """Yield (base URL, key) of a model for one call.

        Raises:
            BadInputError: Its key is not in the environment.
            StageError: The bundled model's servers died too often.
        """
        if config.provider == "llama_cpp":
            async with self._servers.lent() as base_url:
                yield base_url, ""
        else:
            yield config.base_url, key_of(name, config)

    def close(self) -> None:
        """Stop our own servers."""
        self._servers.close()


def key_of(name: str, config: ModelConfig) -> str:
    """Return a model's key from the environment.

    Raises:
        BadInputError: It is not there.
    """
    key = os.environ.get(config.api_key_env, "") if config.api_key_env else ""
    if config.api_key_env and not key:
        raise BadInputError(
            f"models.{name}: the environment variable {config.api_key_env} is not set; "
            "it must hold the API key"
        )
    return key
