"""What a build can be told: frozen dataclasses, one a section of the configuration file."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True)
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=_STRICT)
class BuildConfig:
    """Where a build lives. None of these fields can change what is built, except the first three.

    Attributes:
        name: Short name of the build.
        demonstration: True if the result only shows that the machine works; the card says so.
        seed: Text that every draw is salted with.
        workspace: Folder of the stages' artifacts.
        ledger: SQLite file that keeps every model reply that was ever paid for.
        dist: Folder that receives the finished release.
    """

    name: str
    demonstration: bool
    seed: str
    workspace: str
    ledger: str
    dist: str


@dataclass(frozen=True, config=_STRICT)
class SourceConfig:
    """Where posts come from.

    Attributes:
        path: A dump (`.ndjson`, plain, `.gz` or `.zst`), or "sample" for the bundled posts.
        html_escaped: True if the source escapes `&`, `<`, `>` once (dumps do, PRAW does not).
        max_bad_lines: Unreadable lines after which the scrape stops.
        limit: Read only this many lines; 0 reads all.
    """

    path: str
    html_escaped: bool = True
    max_bad_lines: Count = 10_000
    limit: Count = 0


@dataclass(frozen=True, config=_STRICT)
class ScreenConfig:
    """Rules that a post must pass; lengths in words of the body.

    Attributes:
        min_words: Shorter bodies are dropped (40 as published).
        max_words: Longer bodies are dropped: they do not fit beside ten actions in a prompt.
        languages: ISO 639-1 codes that are kept.
        drop_over_18: Drop posts that Reddit marks as adult.
        require_question: Drop posts that ask nothing.
    """

    min_words: Positive = 40
    max_words: Positive = 600
    languages: tuple[str, ...] = ("en",)
    drop_over_18: bool = True
    require_question: bool = True


@dataclass(frozen=True, config=_STRICT)
class DedupConfig:
    """When two posts count as the same story.

    Attributes:
        jaccard: Least Jaccard similarity of word shingles for a lexical duplicate.
        shingle_words: Words in a shingle.
        cosine: Least cosine of embeddings for a semantic duplicate.
        embedding_model: "minilm-package" for the bundled model, else a sentence-transformers name.
        window_words: Longer texts are embedded in windows of this many words and averaged.
        pool_per_domain: Posts a domain, drawn by id, that go on to embedding; 0 takes all.
    """

    jaccard: Share = 0.7
    shingle_words: Positive = 3
    cosine: Share = 0.9
    embedding_model: str = "minilm-package"
    window_words: Positive = 180
    pool_per_domain: Count = 0


@dataclass(frozen=True, config=_STRICT)
class SelectConfig:
    """How many scenarios are drawn.

    Attributes:
        scenarios: Total, in equal parts over the domains.
        reserve: Further candidates a domain, which replace scenarios that fail.
    """

    scenarios: Positive
    reserve: Count = 0


@dataclass(frozen=True, config=_STRICT)
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


@dataclass(frozen=True, config=_STRICT)
class ModelConfig:
    """One model with its sampling settings, under the name that the release shows.

    Attributes:
        provider: "openai" for any OpenAI-compatible endpoint; "dashscope" for Alibaba Cloud's own
            API; "llama_cpp" for the bundled model, which the build serves on loopback by itself.
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

    provider: Literal["openai", "dashscope", "llama_cpp"]
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


@dataclass(frozen=True, config=_STRICT)
class GenerateConfig:
    """Who writes the actions.

    Attributes:
        generators: Exactly two names from [models].
        prompt: Prompt file in prompts/, without `.md`.
        attempts: Times a generator is asked before its scenario is replaced.
    """

    generators: tuple[str, str]
    prompt: str = "generate_actions"
    attempts: Positive = 3


@dataclass(frozen=True, config=_STRICT)
class BudgetConfig:
    """What may be spent.

    Attributes:
        cap_usd: The most that this build's ledger may ever commit; 0 pays for nothing.
        prices: TOML file of prices, relative to the working folder.
    """

    cap_usd: Annotated[float, Field(ge=0)] = 0.0
    prices: str = "configs/prices.toml"


@dataclass(frozen=True, config=_STRICT)
class ComposeConfig:
    """How actions become questions.

    Attributes:
        design: Balanced design in pipeline/designs/, without `.json`.
    """

    design: str = "cycle12"


@dataclass(frozen=True, config=_STRICT)
class ReleaseConfig:
    """What the release folder says of itself.

    Attributes:
        title: Heading of the card.
        text: What is published of a post; "verbatim" keeps a release of real posts local.
        canary: GUID that stands in every row, so that training on the data can be detected.
    """

    title: str
    text: Literal["verbatim"]
    canary: str


@dataclass(frozen=True, config=_STRICT)
class Config:
    """A whole build. `domains` maps each domain to its subreddits, in slot order."""

    build: BuildConfig
    source: SourceConfig
    domains: dict[str, tuple[str, ...]]
    screen: ScreenConfig
    dedup: DedupConfig
    select: SelectConfig
    models: dict[str, ModelConfig]
    generate: GenerateConfig
    compose: ComposeConfig
    release: ReleaseConfig
    budget: BudgetConfig = BudgetConfig()
    file: str = field(default="", kw_only=True)

    def section(self, name: str) -> Any:
        """Return a top-level section as plain data, for a stage's key."""
        value = getattr(self, name)
        return value if isinstance(value, dict) else dataclasses.asdict(value)
