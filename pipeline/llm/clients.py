"""The clients of one model, and its pace, for as long as an event loop lives."""

from __future__ import annotations

from pipeline.config_model import ModelConfig
from pipeline.llm import local_server
from pipeline.llm.openai_chat import OpenAIChat
from pipeline.llm.pace import Pace
from pipeline.llm.provider import Provider


class Clients:
    """One model's pace and clients, one an address: a restarted local server has a new one.

    Attributes:
        config: The model.
        pace: Its pace.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.pace = Pace(config)
        self._open: dict[str, Provider] = {}

    async def close(self) -> None:
        """Close all connections."""
        for provider in self._open.values():
            await provider.close()

    def get(self, base_url: str, key: str) -> Provider:
        """Return the client of an address, opened when first asked for."""
        if base_url not in self._open:
            self._open[base_url] = _client(self.config, base_url, key)
        return self._open[base_url]


def _client(config: ModelConfig, base_url: str, key: str) -> Provider:
    if config.provider == "dashscope":
        from pipeline.llm.dashscope_chat import DashScopeChat

        return DashScopeChat(base_url, key, config.timeout_s)
    extra = local_server.EXTRA_BODY if config.provider == "llama_cpp" else {}
    return OpenAIChat(base_url, key, config.timeout_s, extra)
