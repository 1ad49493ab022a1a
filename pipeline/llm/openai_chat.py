"""Any OpenAI-compatible chat endpoint, through the openai SDK with its own retries off."""

from __future__ import annotations

import json
from typing import Any

from openai import AsyncOpenAI

from pipeline.llm.ledger import Reply
from pipeline.llm.reply import outcome_of
from pipeline.llm.request import Request


def client(base_url: str, api_key: str, timeout_s: float) -> AsyncOpenAI:
    """Return a client; endpoints without keys still want some text in the header."""
    return AsyncOpenAI(
        base_url=base_url, api_key=api_key or "none", timeout=timeout_s, max_retries=0
    )


async def send(sdk: AsyncOpenAI, request: Request, extra: dict[str, Any]) -> Reply:
    """Send one request and return its reply, whatever the outcome.

    Args:
        sdk: An open client.
        request: What to ask.
        extra: Fields of the endpoint's own, beside OpenAI's.

    Raises:
        openai.OpenAIError: Transport errors and error statuses, for the caller to classify.
    """
    arguments: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": role, "content": text} for role, text in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "frequency_penalty": request.frequency_penalty,
        "extra_body": extra,
    }
    if request.seed is not None:
        arguments["seed"] = request.seed
    if request.schema:
        arguments["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": "reply",
                "strict": True,
                "schema": json.loads(request.schema),
            },
        }
    completion = await sdk.chat.completions.create(**arguments)
    if not completion.choices:
        return Reply(request.key, "empty", "no choice in the reply", "", "", completion.model, 0, 0)
    choice = completion.choices[0]
    text = choice.message.content or ""
    finish = choice.finish_reason or ""
    outcome, detail = outcome_of(text, finish, choice.message.refusal or "", request.schema)
    usage = completion.usage
    return Reply(
        key=request.key,
        outcome=outcome,
        detail=detail,
        text=text,
        finish_reason=finish,
        model_returned=completion.model,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )
