"""What a build can be told of one model: the sections [models.NAME] and [models.NAME.batch]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", strict=True)
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class BatchConfig:
    """That a model is asked by batch, and within which limits of the provider.

    Attributes:
        enabled: False asks online, whatever else stands here.
        url: Address of an OpenAI-compatible batch API; empty for the model's own `base_url`.
        requests: Most requests of one batch (OpenAI and DashScope: 50,000).
        megabytes: Most megabytes of one batch's file (OpenAI: 200).
        tokens: Most prompt tokens on their way at once, by your account's limit; 0 for none.
        leftovers: What becomes of requests that a batch gave no answer to: "online", or "batch"
            for up to two batches more.
    """

    enabled: bool = True
    url: str = ""
    requests: Positive = 50_000
    megabytes: Positive = 200
    tokens: Count = 0
    leftovers: Literal["online", "batch"] = "online"


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """One model with its sampling settings, under the name that the release shows.

    Attributes:
        provider: "openai" for any OpenAI-compatible endpoint; "openai_json" for one that knows JSON
            mode but no schemas (DeepSeek); "dashscope" for Alibaba Cloud's own API; "llama_cpp" for
            the bundled model, which the build serves on loopback by itself.
        model: Model name as the endpoint knows it.
        base_url: Endpoint; empty for "llama_cpp".
        api_key_env: Environment variable that holds the key; empty if none is needed.
        max_tokens: Most tokens of one reply.
        temperature: Sampling temperature.
        top_p: Nucleus sampling mass.
        frequency_penalty: OpenAI's frequency penalty; DashScope has none.
        seeded: Send a seed that is derived from the item's id.
        limits_in_schema: Put the prompt's pattern into the JSON schema (endpoints differ in
            support): a small model keeps to the form only by grammar.
        concurrency: Most calls in flight at once; a build starts lower and finds its level.
        requests_per_minute: The provider's limit; 0 for none.
        tokens_per_minute: The provider's limit, prompt and `max_tokens` together; 0 for none.
        timeout_s: Seconds after which a call counts as failed.
        batch: Ask by batch, which costs less and takes up to a day.
    """

    provider: Literal["openai", "openai_json", "dashscope", "llama_cpp"]
    model: str
    max_tokens: Positive
    base_url: str = ""
    api_key_env: str = ""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    seeded: bool = False
    limits_in_schema: bool = False
    concurrency: Positive = 1
    requests_per_minute: Count = 0
    tokens_per_minute: Count = 0
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    batch: BatchConfig | None = None

    @property
    def by_batch(self) -> bool:
        """True if the model is asked by batch."""
        return self.batch is not None and self.batch.enabled


PACE_FIELDS = frozenset(
    {"api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute", "timeout_s", "batch"}
)
"""ModelConfig fields that change how fast an answer comes, not what it is."""
