"""Any OpenAI-compatible chat endpoint, through the openai SDK with its own retries off."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import openai
from openai.types.chat import ChatCompletion

from pipeline.llm.provider import CallFailed, one_line, received, seconds
from pipeline.llm.reply import Reply
from pipeline.llm.request import Request

_UNREADABLE = (aiohttp.ClientError, json.JSONDecodeError, UnicodeDecodeError)
"""What the SDK lets through as it is: an answer that is no HTTP, or no JSON."""


class OpenAIChat:
    """A client of one base URL; see provider.Provider."""

    def __init__(
        self, base_url: str, api_key: str, timeout_s: float, extra: dict[str, Any] | None = None
    ) -> None:
        # Endpoints without keys still want some text in the header.
        self._sdk = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            timeout=timeout_s,
            max_retries=0,
            # Two thirds of the default's CPU time; and no POST is sent twice for a redirect.
            http_client=openai.DefaultAioHttpClient(follow_redirects=False),
        )
        self._extra = extra or {}

    async def close(self) -> None:
        """Close its connections."""
        await self._sdk.close()

    async def send(self, request: Request) -> Reply:
        """Send one request and return its reply; see provider.Provider."""
        try:
            # What chat.completions.create puts on the wire; it would first look through the whole
            # body for names to translate, which takes 0.4 of 1.0 ms a call and finds none here.
            completion = await self._sdk.post(
                "/chat/completions",
                body={**body_of(request), **self._extra},
                cast_to=ChatCompletion,
            )
        except openai.APIError as error:
            raise failed(error) from None
        except _UNREADABLE as error:
            raise CallFailed(None, type(error).__name__, one_line(error)) from None
        # A web page, say, or an error object, with status 200.
        if not isinstance(completion, ChatCompletion) or completion.choices is None:
            raise CallFailed(None, "not_a_completion", "the answer is no chat completion")
        return reply_of(request, completion)


def failed(error: openai.APIError) -> CallFailed:
    """Return what the SDK raised as our one error."""
    if isinstance(error, openai.APIStatusError):
        stated = seconds(error.response.headers.get("retry-after"))
        return CallFailed(error.status_code, error.code or "", one_line(error.message), stated)
    # The SDK calls most of these a time-out; below it and httpx2 stands what went wrong.
    cause: BaseException = error
    for _ in range(2):
        cause = cause.__cause__ or cause
    sent = not isinstance(cause, aiohttp.ClientConnectorError)
    return CallFailed(None, type(cause).__name__, one_line(cause), sent=sent)


def body_of(request: Request) -> dict[str, Any]:
    """Return a request in OpenAI's form, for a call or for a line of a batch."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": role, "content": text} for role, text in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
    native = request.provider == "dashscope"  # its batches are asked as its own API is
    if not native:
        body["frequency_penalty"] = request.frequency_penalty
    if request.seed is not None:
        body["seed"] = request.seed
    if request.schema and (native or request.provider == "openai_json"):
        body["response_format"] = {"type": "json_object"}
    elif request.schema:
        form = {"name": "reply", "strict": True, "schema": json.loads(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def reply_of(request: Request, completion: ChatCompletion) -> Reply:
    """Return a completion as a Reply."""
    # Any: endpoints other than OpenAI's leave out what the SDK's types promise.
    choice: Any = completion.choices[0] if completion.choices else None
    usage = completion.usage
    return received(
        request,
        text=_text(choice.message.content) if choice else "",
        finish_reason=(choice.finish_reason or "") if choice else "",
        refusal=(choice.message.refusal or "") if choice else "",
        model=completion.model or "",
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )


def _text(content: Any) -> str:
    """Return the text of a message; some endpoints send it in parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
