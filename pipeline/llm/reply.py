"""What came back for a request: its outcome is decided once, from the finish reason and schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

FAILED = "failed"
"""Outcome of one sending that gave no answer; the request is sent again."""
ERROR = "error"
"""Outcome of a request that ended without an answer: refused as it stands, or failed too often."""
PURGED = "purged"
"""Outcome of an attempt whose text had to go; it is never served."""


@dataclass(frozen=True)
class Reply:
    """What came back for one request.

    Attributes:
        key: The request's key.
        outcome: "ok", "truncated", "filtered", "refused", "empty", "invalid", "error" or "failed".
        detail: Why it is not ok, for people.
        text: The raw reply.
        finish_reason: As the endpoint gave it.
        model_returned: The model name that the endpoint says answered.
        prompt_tokens: Tokens of the prompt, from the endpoint's own count.
        completion_tokens: Tokens of the reply, likewise.
    """

    key: str
    outcome: str
    detail: str
    text: str
    finish_reason: str
    model_returned: str
    prompt_tokens: int
    completion_tokens: int


def without_answer(key: str, outcome: str, detail: str) -> Reply:
    """Return the record of a sending that gave no answer."""
    return Reply(key, outcome, detail, "", "", "", 0, 0)


def read_json(text: str, schema: str) -> tuple[dict[str, Any] | None, str]:
    """Parse a reply that must meet a JSON schema.

    Args:
        text: The raw reply.
        schema: JSON schema as JSON text.

    Returns:
        (data, "") if it meets the schema, else (None, what is wrong in one line).
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {str(error)[:120]}"
    problem = best_match(_validator(schema).iter_errors(data))
    if problem is not None:
        place = ".".join(str(part) for part in problem.absolute_path) or "reply"
        return None, f"{place}: {problem.message[:120]}"
    return data, ""


@lru_cache(maxsize=64)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def outcome_of(text: str, finish_reason: str, refusal: str, schema: str) -> tuple[str, str]:
    """Return (outcome, detail) of an answer; see Reply for the outcomes."""
    if refusal:
        return "refused", refusal[:200]
    if finish_reason == "length":
        return "truncated", "the reply hit max_tokens"
    if finish_reason == "content_filter":
        return "filtered", "stopped by the provider's content filter"
    if not text.strip():
        return "empty", "the reply holds no text"
    if schema:
        data, problem = read_json(text, schema)
        if data is None:
            return "invalid", problem
    return "ok", ""
