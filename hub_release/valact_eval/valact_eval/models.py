"""Opens a model by its Inspect name; see docs/models.md for the names."""

import json
import re
from collections.abc import Mapping
from typing import Any

from inspect_ai.model import CachePolicy, GenerateConfig, Model, get_model

from valact_eval.errors import ValactError

# Providers that are the openai client with another address and take a transport. On its aiohttp
# transport a call takes about two thirds of the CPU time (benchmarks/README.md).
_OPENAI_CLIENTS = (
    *("openai", "openai-api", "deepseek", "moonshot", "openrouter", "perplexity"),
    "hf-inference-providers",
)
_SECRET = re.compile(r"key|token|secret|password|credential|auth", re.IGNORECASE)
_CONNECT_S = 60.0
_READ_S = 600.0


def open_model(
    name: str,
    *,
    base_url: str | None = None,
    args: Mapping[str, Any] | None = None,
    config: GenerateConfig | None = None,
    http: str = "aiohttp",
) -> Model:
    """Opens a model.

    Args:
        name: Inspect's name, as ``openai/gpt-4o`` or ``openai-api/local/NAME``.
        base_url: instead of the provider's own.
        args: for the provider.
        config: how it generates.
        http: "aiohttp", or "httpx" for the SDK's usual transport.

    Raises:
        ValactError: an unknown provider, a missing package or key; all that a provider's
            constructor may raise.
    """
    given = dict(args or {})
    if name.split("/")[0] in _OPENAI_CLIENTS and http == "aiohttp":
        import httpx2
        from openai import DefaultAioHttpClient

        # a busy event loop must not fail a connection: connecting may take long
        timeout = httpx2.Timeout(_READ_S, connect=_CONNECT_S)
        given.setdefault("http_client", DefaultAioHttpClient(timeout=timeout))
    try:
        return get_model(
            name, base_url=base_url, config=config or GenerateConfig(), memoize=False, **given
        )
    # what a provider's constructor raises is its own affair; all of it is about the model
    except Exception as error:
        raise ValactError(f"{name}: {plain_error(error)}; check --model {name}") from error


def generate_config(
    *,
    max_retries: int,
    max_connections: int | None,
    reasoning_effort: str | None,
    extra_body: str | None,
    cache: bool,
) -> GenerateConfig:
    """How a model generates.

    Raises:
        ValactError: ``extra_body`` is not a JSON object, or an unknown effort.
    """
    body = None
    if extra_body is not None:
        try:
            body = json.loads(extra_body)
            if not isinstance(body, dict):
                raise ValueError("not an object")
        except ValueError as error:
            raise ValactError(f"--extra-body: {error}; give a JSON object") from error
    fields: dict[str, Any] = {"reasoning_effort": reasoning_effort, "extra_body": body}
    try:
        return GenerateConfig(
            max_retries=max_retries,
            max_connections=max_connections,
            cache=CachePolicy(expiry=None) if cache else None,
            **fields,
        )
    except ValueError as error:
        raise ValactError(f"--reasoning-effort {reasoning_effort}: {error}") from error


def parse_args(given: list[str]) -> dict[str, Any]:
    """Reads ``NAME=VALUE``; a value that is JSON is taken as such.

    Raises:
        ValactError: no ``=``.
    """
    args: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ValactError(f"--model-arg {text}: give NAME=VALUE")
        try:
            args[name] = json.loads(value)
        except ValueError:
            args[name] = value
    return args


def shown_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Provider arguments as they may be written down: no secrets."""
    return {name: "(hidden)" if _SECRET.search(name) else args[name] for name in sorted(args)}


def plain_error(error: BaseException) -> str:
    """What went wrong, in one line and without terminal marks."""
    last = getattr(getattr(error, "last_attempt", None), "exception", lambda: None)()
    if isinstance(last, BaseException):  # tenacity's RetryError, which says nothing itself
        return f"{plain_error(last)}, retries used up"
    chain: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in chain:
        chain.append(step)
        step = step.__cause__
    # the openai client calls a refused connection a timeout; the system's own word is better
    system = next((fault for fault in chain[::-1] if isinstance(fault, OSError)), None)
    text = re.sub(r"\[/?[a-z]+\]", "", str(getattr(error, "message", error)))
    if system is not None and str(system):
        text = f"{type(system).__name__}: {system}"
    elif type(error).__name__ == "ModelGenerateError":  # it opens with the whole request
        text = str(getattr(error, "provider_message", None) or text.splitlines()[-1])
    return " ".join(text.split())[:300] or type(error).__name__
