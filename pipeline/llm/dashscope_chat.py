"""Alibaba Cloud's DashScope, through its SDK's native asynchronous API.

The SDK returns error statuses instead of raising them, and would send a request a second time if
a connection breaks before the answer, which may then be charged twice; neither gets past here. It
knows JSON mode but no JSON schema: the schema is checked when the reply is read.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import aiohttp
from dashscope import AioGeneration

from pipeline.llm.provider import CallFailed, one_line, received, seconds
from pipeline.llm.reply import Reply
from pipeline.llm.request import Request

# The SDK logs every failed request with a traceback; failures are reported by the caller.
logging.getLogger("dashscope").setLevel(logging.CRITICAL + 1)


class DashScopeChat:
    """A client of one base URL; see provider.Provider."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        self._base_url, self._key, self._timeout_s = base_url, api_key, timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Reply:
        """Send one request and return its reply; see provider.Provider."""
        if self._session is None:  # sessions belong to an event loop, so not in __init__
            self._session = aiohttp.ClientSession(middlewares=(_once,))
        try:
            response: Any = await AioGeneration.call(**self._arguments(request))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            sent = not isinstance(error.__cause__ or error, aiohttp.ClientConnectorError)
            raise CallFailed(None, type(error).__name__, one_line(error), sent=sent) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # The SDK reads the body before it looks at it: a web page, say, with status 200.
            raise CallFailed(None, "not_a_completion", one_line(error)) from None
        if response.status_code != HTTPStatus.OK:
            headers = {k.lower(): v for k, v in (response.headers or {}).items()}
            raise CallFailed(
                int(response.status_code),
                str(response.code or ""),
                one_line(response.message),
                seconds(headers.get("retry-after")),
            )
        return _reply(request, response)

    def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": role, "content": text} for role, text in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "result_format": "message",
            "api_key": self._key,
            "base_address": self._base_url,
            "request_timeout": self._timeout_s,
            "session": self._session,
        }
        if request.seed is not None:
            arguments["seed"] = request.seed
        if request.schema:
            arguments["response_format"] = {"type": "json_object"}
        return arguments


class _Dropped(aiohttp.ClientError):
    """A broken connection, under a name that the SDK does not take for its cue to send again."""


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Rename broken connections, as a middleware of the session."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectionError as error:
        raise _Dropped(str(error)) from error


def _reply(request: Request, response: Any) -> Reply:
    output, usage = response.output or {}, response.usage or {}
    choice = (output.get("choices") or [{}])[0]
    return received(
        request,
        text=(choice.get("message") or {}).get("content") or "",
        finish_reason=choice.get("finish_reason") or "",
        refusal="",
        model=str(output.get("model") or request.model),
        prompt_tokens=int(usage.get("input_tokens") or 0),
        completion_tokens=int(usage.get("output_tokens") or 0),
    )
