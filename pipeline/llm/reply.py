"""Reading a reply: its outcome is decided once, from the finish reason and the schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema


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
    try:
        jsonschema.validate(data, json.loads(schema))
    except jsonschema.ValidationError as error:
        place = ".".join(str(part) for part in error.absolute_path) or "reply"
        return None, f"{place}: {error.message[:120]}"
    return data, ""


def outcome_of(text: str, finish_reason: str, refusal: str, schema: str) -> tuple[str, str]:
    """Return (outcome, detail) of a reply; see ledger.Reply for the outcomes."""
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
