"""A chat server on loopback that costs little: OpenAI's protocol, one fixed latency, no faults.

It runs as a process of its own (`python -m benchmarks.chat_server`), prints its address, and ends
when its standard input is closed. `GET /count` tells how many completions it was asked for and what
CPU time that took, `GET /arrivals` when each came: rates are read where requests arrive, so that
every client is measured alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

_END_OF_HEAD = b"\r\n\r\n"
_CHAT = b"/v1/chat/completions"
_BYTES_A_TOKEN = 4
_ACTION = "I sit down with both of them, say openly what I have decided, and leave it at that"


class _Chat(asyncio.Protocol):
    """One keep-alive connection; answers go out in the order of its requests."""

    def __init__(self, latency_s: float, arrivals: list[float], letters: bool) -> None:
        self._latency_s, self._arrivals, self._letters = latency_s, arrivals, letters
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (request := self._next()) is not None:
            self._take(*request)

    def _next(self) -> tuple[bytes, bytes] | None:
        """Cut the next whole request off what was received: its request line and its body."""
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return None
        head = bytes(self._received[:end])
        body_at = end + len(_END_OF_HEAD)
        stop = body_at + _content_length(head)
        if len(self._received) < stop:
            return None
        body = bytes(self._received[body_at:stop])
        del self._received[:stop]
        return head.partition(b"\r\n")[0], body

    def _take(self, line: bytes, body: bytes) -> None:
        path = line.split(b" ")[1]
        if path == b"/count":
            self._write(200, {"requests": len(self._arrivals), "cpu_s": time.process_time()})
        elif path == b"/arrivals":
            self._write(200, self._arrivals)
        elif path == _CHAT:
            self._arrivals.append(time.monotonic())
            try:
                status, reply = 200, completion(json.loads(body), len(body), self._letters)
            except (ValueError, KeyError, TypeError) as error:
                status, reply = 400, {"error": {"message": repr(error), "code": "bad_request"}}
            self._loop.call_later(self._latency_s, self._write, status, reply)
        else:
            self._write(404, {"error": {"message": "no such path", "code": "not_found"}})

    def _write(self, status: int, reply: Any) -> None:
        if self._transport is None:
            return  # the client has hung up
        body = json.dumps(reply).encode()
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


def completion(body: dict[str, Any], size: int, letters: bool = False) -> dict[str, Any]:
    """Return a completion that meets the request's schema and depends on the request alone.

    With `letters` it is one of A, B, C, D.
    """
    asked = body["messages"][-1]["content"] if body["messages"] else ""
    mark = sha256(asked.encode()).hexdigest()[:8]  # replies differ as their questions do
    form = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    fields = form.get("properties", {})
    text = (
        json.dumps({name: _value(name, fields[name], mark) for name in fields}) if fields else mark
    )
    if letters:
        text = "ABCD"[int(mark, 16) % 4]
    prompt_tokens, completion_tokens = size // _BYTES_A_TOKEN, len(text) // _BYTES_A_TOKEN
    return {
        "id": f"chatcmpl-{mark}",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _value(name: str, form: dict[str, Any], mark: str) -> str | int:
    return 1 if form["type"] == "integer" else f"{_ACTION} ({name}, {mark})."


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        root: Its address, without `/v1`.
    """

    root: str

    @property
    def base_url(self) -> str:
        """What a client is told."""
        return f"{self.root}/v1"

    def count(self) -> int:
        """Return how many completions were asked for."""
        return int(self._get("/count")["requests"])

    def cpu_s(self) -> float:
        """Return the CPU time that the server has taken."""
        return float(self._get("/count")["cpu_s"])

    def steady_rate(self) -> float:
        """Return requests a second between the first tenth of them and the last."""
        arrivals = self._get("/arrivals")
        first, last = len(arrivals) // 10, len(arrivals) * 9 // 10
        return float((last - first) / (arrivals[last] - arrivals[first]))

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.root + path, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def chat_server(latency_s: float, letters: bool = False) -> Iterator[Server]:
    """Run a server as a process of its own while the block runs."""
    command = [sys.executable, "-m", "benchmarks.chat_server", f"--latency-ms={latency_s * 1000}"]
    command += ["--letters"] if letters else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield Server(process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(timeout=10)


async def _serve(latency_s: float, letters: bool) -> None:
    loop = asyncio.get_running_loop()
    arrivals: list[float] = []
    server = await loop.create_server(
        lambda: _Chat(latency_s, arrivals, letters), "127.0.0.1", 0, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    # The one that started it holds the other end: it cannot be left behind.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Serve until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--letters", action="store_true", help="answer with A, B, C or D")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.latency_ms / 1000, arguments.letters))


if __name__ == "__main__":
    main()
