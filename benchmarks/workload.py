"""What is asked: prompts of the size that stage generate sends, each with a text of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.config import BudgetConfig
from pipeline.config_model import ModelConfig
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.paths import ROOT
from pipeline.values import load_values, value_ids

CONCURRENCY = 64
NAME = "fake"
SAMPLING: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 900}
_SYSTEM_BYTES = 2_500
_USER_BYTES = 1_200
_PRICES = ROOT / "tests" / "prices.toml"
_CAP_USD = 1_000.0
_RULE = "Write what a person would do for whom this value matters most, in the first person.\n"
_STORY = (
    "I told my sister that we would not lend her the car again after what she said about our "
    "mother at the wedding while everyone could hear, and now nobody answers when I call. "
)


def system_text() -> str:
    """Return what every call begins with."""
    values = "".join(f"- {value.id}: {value.definition}\n{_RULE}" for value in load_values())
    return (values + _RULE * _SYSTEM_BYTES)[:_SYSTEM_BYTES]


def user_text(number: int) -> str:
    """Return what only call `number` holds; making it must cost nothing beside the call."""
    mark = f"Situation {number}: "
    return (mark + _STORY * (_USER_BYTES // len(_STORY) + 1))[:_USER_BYTES]


def schema_text() -> str:
    """Return the JSON schema of ten texts, one a value, as stage generate asks for them."""
    ids, text = list(value_ids()), {"type": "string"}
    return json.dumps(
        {
            "type": "object",
            "properties": dict.fromkeys(ids, text),
            "required": ids,
            "additionalProperties": False,
        }
    )


def model(
    base_url: str, concurrency: int, requests_per_minute: int = 0, tokens_per_minute: int = 0
) -> ModelConfig:
    """Return the model that is asked; 0 is no limit."""
    return ModelConfig(
        provider="openai",
        model=NAME,
        base_url=base_url,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        **SAMPLING,
    )


def caller(ledger: Path, config: ModelConfig) -> Caller:
    """Return a Caller with a real price list, so that every call is reserved and settled."""
    return Caller(ledger, {NAME: config}, BudgetConfig(_CAP_USD, str(_PRICES)))


def requests(asking: Caller, count: int) -> Iterator[Request]:
    """Make the requests one by one."""
    system, schema = system_text(), schema_text()
    for number in range(count):
        messages = (("system", system), ("user", user_text(number)))
        yield asking.request(NAME, messages, item=f"s_{number} by {NAME}", schema=schema)
