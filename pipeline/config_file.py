"""Reading a configuration: a TOML file becomes a Config, or one clear line of error."""

from __future__ import annotations

import copy
import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pipeline.config import Config
from pipeline.config_model import BatchConfig, ModelConfig
from pipeline.errors import BadInputError, nearest

_Read = TypeVar("_Read")
_UNKNOWN = {"unexpected_keyword_argument", "extra_forbidden"}


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a TOML file.

    Args:
        path: The file.
        overrides: {"section.key": value}, applied over the file's values.

    Raises:
        BadInputError: The file is missing or broken, or a key is unknown, missing or mistyped.
    """
    data = read_toml(path, "configuration file", "see configs/ for files that work")
    for dotted, value in (overrides or {}).items():
        table, parts = data, dotted.split(".")
        for part in parts[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise BadInputError(f"--set {dotted}: '{part}' is not a section of {path}")
        table[parts[-1]] = copy.deepcopy(value)  # later keys may go into it
    if "file" in data:  # a field of Config, but not a key of its file
        raise BadInputError(f"{path}: file: unknown key; remove it")
    config = dataclasses.replace(validated(path, Config, data), file=str(path))
    _check_references(config)
    return config


def validated(path: Path, kind: type[_Read], data: Mapping[str, Any]) -> _Read:
    """Return what a TOML file holds as a value of a dataclass.

    Args:
        path: The file, for messages.
        kind: The dataclass, strict about types and unknown keys.
        data: What `read_toml` gave.

    Raises:
        BadInputError: A key is unknown, missing or mistyped.
    """
    try:
        # Validated as JSON: strict about types, yet TOML arrays may become tuples. Not sorted: the
        # order of the domains is that of their slots.
        return TypeAdapter(kind).validate_json(json.dumps(data, allow_nan=False))
    except ValidationError as error:
        raise BadInputError(f"{path}: {_explain(error, kind)}") from None
    except (ValueError, TypeError) as error:  # NaN or a date in the TOML
        raise BadInputError(f"{path}: {error}") from None


def read_toml(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """Return what a TOML file holds.

    Args:
        path: The file.
        what: Its kind, for the error if there is none.
        remedy: What to do then.

    Raises:
        BadInputError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"no such {what}" if isinstance(error, FileNotFoundError) else error.strerror
        raise BadInputError(f"{path}: {problem}; {remedy}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"{path}: not valid TOML: {error}") from None


def parse_override(text: str) -> tuple[str, Any]:
    """Split "section.key=value"; the value is read as TOML, or else as a plain string."""
    key, separator, value = text.partition("=")
    if not separator or "." not in key:
        raise BadInputError(f"--set {text}: write it as section.key=value")
    try:
        return key.strip(), tomllib.loads(f"v = {value}")["v"]
    except (tomllib.TOMLDecodeError, RecursionError):
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
        if model.by_batch and model.batch is not None:
            _check_batch(f"{config.file}: models.{name}.batch", model, model.batch)
    if len(set(config.generate.generators)) != 2:
        raise BadInputError(f"{config.file}: generate.generators: the two names must differ")
    for key in ("one_by_one", "plain_repairs"):
        for name in getattr(config.generate, key):
            if name not in config.generate.generators:
                raise BadInputError(
                    f"{config.file}: generate.{key}: '{name}' is no generator; "
                    + nearest(name, config.generate.generators)
                )
    number, _, count = config.budget.shard.partition("/")
    if count and int(number) >= int(count):
        raise BadInputError(
            f"{config.file}: budget.shard: {config.budget.shard} is none of {count} shards; they "
            f"are 0/{count} to {int(count) - 1}/{count}"
        )
    _check_roles(config)
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
    apart = config.release.dev_slots_per_domain + config.release.held_out_slots_per_domain
    if apart and apart >= (quota := config.select.scenarios // len(config.domains)):
        raise BadInputError(
            f"{config.file}: release.dev_slots_per_domain and held_out_slots_per_domain: {apart} "
            f"of the {quota} slots of a domain leave none for split test; give fewer, or more "
            "select.scenarios"
        )


def _check_roles(config: Config) -> None:
    """Check who votes, who rewrites and who recognises."""
    vote, rewrite = config.vote, config.rewrite
    named = {"vote.voters": vote.voters, "vote.tie_breaker": (vote.tie_breaker,)}
    named |= {"rewrite.model": (rewrite.model,), "recognise.model": (config.recognise.model,)}
    for key, names in named.items():
        for name in filter(None, names):
            if name not in config.models:
                raise BadInputError(
                    f"{config.file}: {key}: '{name}' is not in [models]; "
                    + nearest(name, config.models)
                )
    if vote.voters and (len(set(vote.voters)) != 2 or not vote.tie_breaker):
        raise BadInputError(
            f"{config.file}: vote.voters: give two different names and a tie_breaker, or none"
        )
    if config.release.text == "rewritten" and not rewrite.model:
        raise BadInputError(
            f'{config.file}: rewrite.model: missing; release.text = "rewritten" needs one'
        )
    wire = {name: (config.models[name].provider, config.models[name].model)
            for name in config.generate.generators}  # fmt: skip
    if rewrite.model:
        model = config.models[rewrite.model]
        if (model.provider, model.model) in wire.values() and model.provider != "llama_cpp":
            raise BadInputError(
                f"{config.file}: rewrite.model: {model.model} is a generator too; name another "
                "model, or its options would fit its own words"
            )


def _check_batch(place: str, model: ModelConfig, batch: BatchConfig) -> None:
    if model.provider == "llama_cpp":
        raise BadInputError(f"{place}: the bundled model is asked online; remove the section")
    if model.provider == "dashscope" and not batch.url:
        raise BadInputError(
            f"{place}.url: missing; DashScope's batches go to its OpenAI-compatible address "
            "(.../compatible-mode/v1)"
        )


def _explain(error: ValidationError, owner: type) -> str:
    """Return the first problem as 'section.key: what is wrong and what would be right'."""
    problems = error.errors()
    # A key that is misspelt is also missing; its misspelling tells more.
    problem = next((each for each in problems if each["type"] in _UNKNOWN), problems[0])
    place = [str(part) for part in problem["loc"]]
    dotted = ".".join(place)
    if problem["type"] in _UNKNOWN:
        return f"{dotted}: unknown key; {nearest(place[-1], _valid_keys(owner, place[:-1]))}"
    if problem["type"] in {"missing", "missing_argument"}:
        module = _section(owner, place[:-1]).__module__.replace(".", "/")
        return f"{dotted}: missing; add it (its meaning is in {module}.py)"
    given = problem["input"]
    shown = f" (given: {given!r})" if not isinstance(given, dict) else ""
    message = problem["msg"].removeprefix("Input ").replace("tuple", "list")
    return f"{dotted}: {message}{shown}"


def _valid_keys(owner: Any, place: list[str]) -> list[str]:
    """Return the field names of the section at `place`."""
    names = [item.name for item in dataclasses.fields(_section(owner, place))]
    return [name for name in names if name != "file"]


def _section(owner: Any, place: list[str]) -> Any:
    """Return the dataclass of the section at `place`."""
    for name in place:
        # [models] holds many of a kind: its own names are no fields, and lead nowhere deeper.
        hint = get_type_hints(owner).get(name, owner)
        kinds = [kind for kind in get_args(hint) if dataclasses.is_dataclass(kind)]
        owner = kinds[-1] if kinds else hint
    return owner
