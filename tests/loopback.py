"""A loopback chat server: OpenAI's and DashScope's protocols over real sockets, with faults."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.loopback_batch import BatchServer

_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@dataclass
class ChatServer:
    """State of a running server; `faults` are used up one a request before it answers normally.

    A fault is an HTTP status, or one of "drop", "page", "truncated", "invalid", "refusal", "empty",
    "filtered", "same", "no_usage". It speaks OpenAI's protocol and DashScope's own.
    """

    base_url: str = ""
    faults: deque[int | str] = field(default_factory=deque)
    retry_after: str = "0"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    code: str = "made_up"
    names: list[str] = field(default_factory=list)  # fields that a DashScope reply has
    reply: Callable[[dict[str, Any]], str | None] | None = None  # the text, by the body
    snapshot: str = "-snapshot"  # what the model's name comes back with
    rule: Callable[[dict[str, Any]], int | str] | None = None  # a fault by the request's body

    def __post_init__(self) -> None:
        self.batch = BatchServer(self)

    async def chat(self, request: Request) -> Response:
        body, fault, failure = await self._take(request)
        return failure or JSONResponse(self.completion(body, fault))

    async def dashscope(self, request: Request) -> Response:
        body, fault, failure = await self._take(request)
        if failure:
            return failure
        form = {"type": "json_object"}
        choice = self.completion({**body, "response_format": form}, fault)["choices"][0]
        message = {"role": "assistant", "content": choice["message"]["content"]}
        output = {"choices": [{"finish_reason": choice["finish_reason"], "message": message}]}
        usage = {} if fault == "no_usage" else {"input_tokens": 10, "output_tokens": 5}
        return JSONResponse({"request_id": "r", "output": output, "usage": usage})

    async def _take(self, request: Request) -> tuple[dict[str, Any], str, Response | None]:
        """Note a request; return its body, the fault to answer with, or the failure itself."""
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization", ""))
        fault = self.rule(body) if self.rule else ""
        fault = fault or (self.faults.popleft() if self.faults else "")
        if isinstance(fault, int):
            told = {"message": f"status {fault}", "code": self.code}
            content = {"error": told, "request_id": "r", **told}  # OpenAI's form and DashScope's
            headers = {"retry-after": self.retry_after, "location": str(request.url)}
            return body, "", JSONResponse(content, fault, headers=headers)
        if fault == "drop":
            request.scope["transport_to_close"].abort()
            return body, "", Response()
        if fault == "page":
            return body, "", HTMLResponse("<html>Please sign in</html>")
        return body, fault, None

    def completion(self, body: dict[str, Any], fault: str) -> dict[str, Any]:
        if body.get("response_format", {}).get("type") == "json_object":
            # JSON mode knows no schema; the reply has the fields that the test names.
            asked = {"properties": dict.fromkeys(self.names or ["a"])}
            body = {**body, "response_format": {"json_schema": {"schema": asked}}}
        told = self.reply(body) if self.reply else None
        text, finish, refusal = told or answer(body, same=fault == "same"), "stop", None
        if fault == "truncated":
            text, finish = text[: len(text) // 2], "length"
        elif fault == "invalid":
            text = '{"self_direction": 1}'
        elif fault == "refusal":
            text, refusal = "", "I cannot help with that."
        elif fault == "empty":
            text = ""
        elif fault == "filtered":
            text, finish = "", "content_filter"
        content = [{"type": "text", "text": text}] if fault == "parts" else text
        message = {"role": "assistant", "content": content, "refusal": refusal}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"] + self.snapshot,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": None if fault == "no_usage" else _USAGE,
        }


def answer(body: dict[str, Any], *, same: bool = False) -> str:
    """Return a reply that meets the request's schema and depends on nothing but the request."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    if not schema:
        return f"answer {digest[:8]}"
    texts = {}
    for i, (name, field_schema) in enumerate(schema["properties"].items()):
        choices = (field_schema or {}).get("enum")  # in JSON mode nothing is known of a field
        if choices:
            drawn = hashlib.sha256(f"{digest} {name}".encode()).digest()
            texts[name] = choices[drawn[0] % len(choices)]
        else:
            texts[name] = "I do nothing." if same else f"I take course {digest[:6]} number {i}."
    return json.dumps(texts)


class _ExposeTransport:
    """ASGI wrapper that lets a handler abort its own connection, as a dying network does."""

    def __init__(self, app: Any, server: dict[str, uvicorn.Server]) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            connections = self._server["it"].server_state.connections
            client = tuple(scope["client"])
            for connection in connections:
                if connection.transport.get_extra_info("peername")[:2] == client:
                    scope["transport_to_close"] = connection.transport
        await self._app(scope, receive, send)


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Run a ChatServer on a free loopback port while the block runs."""
    state = ChatServer()
    path = "/api/v1/services/aigc/text-generation/generation"
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", state.chat, methods=["POST"]),
            Route(path, state.dashscope, methods=["POST"]),
            *state.batch.routes("/v1"),
        ]
    )
    with serving(app) as address:
        state.base_url = f"{address}/v1"
        yield state


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve `app` on a free loopback port while the block runs; yield its address."""
    holder: dict[str, uvicorn.Server] = {}
    config = uvicorn.Config(
        _ExposeTransport(app, holder), log_level="critical", lifespan="off", access_log=False
    )
    server = holder["it"] = uvicorn.Server(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
