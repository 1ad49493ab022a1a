"""Typed configuration: a TOML file becomes frozen dataclasses, or one clear line of error."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.errors import BadInputError, nearest

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
        concurrency: Calls in flight at once.
        timeout_s: Seconds after which a call counts as failed.
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
    timeout_s: Annotated[float, Field(gt=0)] = 120.0


PACE_FIELDS = frozenset({"api_key_env", "concurrency", "timeout_s"})
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


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a TOML file.

    Args:
        path: The file.
        overrides: {"section.key": value}, applied over the file's values.

    Raises:
        BadInputError: The file is missing or broken, or a key is unknown, missing or mistyped.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = (
            "no such configuration file" if isinstance(error, FileNotFoundError) else error.strerror
        )
        raise BadInputError(f"{path}: {what}; see configs/ for files that work") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not valid TOML: {error}") from None
    for dotted, value in (overrides or {}).items():
        table, parts = data, dotted.split(".")
        for part in parts[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise BadInputError(f"--set {dotted}: '{part}' is not a section of {path}")
        table[parts[-1]] = value
    if "file" in data:  # a field of Config, but not a key of its file
        raise BadInputError(f"{path}: file: unknown key; remove it")
    try:
        # Validated as JSON: strict about types, yet TOML arrays may become tuples. Not sorted: the
        # order of the domains is that of their slots.
        config = TypeAdapter(Config).validate_json(json.dumps(data, allow_nan=False))
    except ValidationError as error:
        raise BadInputError(f"{path}: {_explain(error, data)}") from None
    except (ValueError, TypeError) as error:  # NaN or a date in the TOML
        raise BadInputError(f"{path}: {error}") from None
    config = dataclasses.replace(config, file=str(path))
    _check_references(config)
    return config


def parse_override(text: str) -> tuple[str, Any]:
    """Split "section.key=value"; the value is read as TOML, or else as a plain string."""
    key, separator, value = text.partition("=")
    if not separator or "." not in key:
        raise BadInputError(f"--set {text}: write it as section.key=value")
    try:
        return key.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def _check_references(config: Config) -> None:
    for name in config.generate.generators:
        if name not in config.models:
            raise BadInputError(
                f"{config.file}: generate.generators: '{name}' is not in [models]; "
                + nearest(name, config.models)
            )
    for name, model in config.models.items():
        if model.provider == "dashscope" and model.frequency_penalty:
            raise BadInputError(
                f"{config.file}: models.{name}.frequency_penalty: DashScope has no such setting; "
                "remove it"
            )
        if model.provider != "llama_cpp" and not model.base_url:
            raise BadInputError(f"{config.file}: models.{name}.base_url: missing; add it")
    if len(set(config.generate.generators)) != 2:
        raise BadInputError(f"{config.file}: generate.generators: the two names must differ")
    seen: dict[str, str] = {}
    for domain, subreddits in config.domains.items():
        for subreddit in subreddits:
            if (other := seen.setdefault(subreddit.lower(), domain)) != domain:
                raise BadInputError(
                    f"{config.file}: domains.{domain}: r/{subreddit} already belongs to {other}"
                )
    if not config.domains or config.select.scenarios % len(config.domains):
        raise BadInputError(
            f"{config.file}: select.scenarios: {config.select.scenarios} cannot be split "
            f"equally over {len(config.domains)} domains"
        )


def _explain(error: ValidationError, data: Mapping[str, Any]) -> str:
    """Return the first problem as 'section.key: what is wrong and what would be right'."""
    problem = error.errors()[0]
    place = [str(part) for part in problem["loc"]]
    dotted = ".".join(place)
    if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"{dotted}: unknown key; {nearest(place[-1], _valid_keys(place[:-1]))}"
    if problem["type"] in {"missing", "missing_argument"}:
        return f"{dotted}: missing; add it (its meaning is in pipeline/config.py)"
    given = problem["input"]
    shown = f" (given: {given!r})" if not isinstance(given, dict) else ""
    message = problem["msg"].removeprefix("Input ").replace("tuple", "list")
    return f"{dotted}: {message}{shown}"


def _valid_keys(place: list[str]) -> list[str]:
    """Return the field names of the section at `place`."""
    known: dict[str, Any] = {
        "build": BuildConfig,
        "source": SourceConfig,
        "screen": ScreenConfig,
        "dedup": DedupConfig,
        "select": SelectConfig,
        "models": ModelConfig,
        "generate": GenerateConfig,
        "budget": BudgetConfig,
        "compose": ComposeConfig,
        "release": ReleaseConfig,
    }
    owner = known.get(place[0], Config) if place else Config
    names = [item.name for item in dataclasses.fields(owner)]
    return [name for name in names if name != "file"]
