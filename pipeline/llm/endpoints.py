"""Where each model is reached: an address and a key from the environment, or our own server."""

from __future__ import annotations

import os

from pipeline.config_model import ModelConfig
from pipeline.errors import BadInputError, StageError
from pipeline.llm import local_server

_RESTARTS = 3


class Endpoints:
    """Addresses and keys; starts the bundled model's server when it is first needed."""

    def __init__(self) -> None:
        self._server: local_server.LocalServer | None = None
        self._restarts = 0

    @property
    def server_pid(self) -> int | None:
        """Process id of the local model server, if it was started."""
        return self._server.pid if self._server else None

    def get(self, name: str, config: ModelConfig) -> tuple[str, str]:
        """Return (base URL, key) of a model.

        Raises:
            BadInputError: Its key is not in the environment.
            StageError: The local server died too often.
        """
        if config.provider == "llama_cpp":
            return self._local_url(), ""
        return config.base_url, key_of(name, config)

    def _local_url(self) -> str:
        """Return the local server's address; start it when first needed, and again if it died."""
        if self._server is not None and self._server.exit_status is not None:
            status = self._server.exit_status
            self.close()
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise StageError(
                    f"the local model server died {self._restarts} times (exit status {status}); "
                    "the answers so far are kept, run the same command again to go on"
                )
        if self._server is None:
            self._server = local_server.LocalServer().__enter__()
        return self._server.base_url

    def close(self) -> None:
        """Stop the local server."""
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None


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
