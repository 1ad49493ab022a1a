"""A chat server that breaks as real ones do, keeps its own bill, and outlives its clients.

It speaks HTTP/1.1 over raw sockets, so that it can drop a connection before or in the middle of an
answer. Whatever it worked on is billed, whether or not the answer arrives: the worst case.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_TOKENS = 100
"""The most completion tokens that the client asks for; a truncated answer uses them all."""
PROMPT_TOKEN_MICRO, COMPLETION_TOKEN_MICRO = 1, 4  # tests/prices.toml: $1 and $4 a million
SLOW_S = 8.0
"""Seconds that a slow answer takes, far beyond the client's timeout."""

FINAL = frozenset({"ok", "invalid", "truncated", "refused"})
"""Kinds of answers that end a request; they are called as the ledger calls their outcome."""
LOST = frozenset({"drop", "cut", "slow", "trickle", "garbled", "error_200"})
"""Kinds by which work that is billed does not arrive as an answer."""

_QUESTION = re.compile(r"Question (\d+):")


@dataclass(frozen=True)
class Arrival:
    """One request as it came in.

    Attributes:
        number: How many requests the server has received with this one.
        item: Number of the question.
        seen: How often the same body came before.
        at: When it came, in seconds of the monotonic clock.
    """

    number: int
    item: int
    seen: int
    at: float


Rule = Callable[[Arrival], Awaitable[str]]
"""What becomes of an arrival: a kind in FINAL or LOST, or a status such as "500" or "429 0.5" (with
the seconds of its Retry-After header)."""


def mixture(shares: dict[str, float], seed: str) -> Rule:
    """Return a rule that draws the kind from a hash of the question and how often it came.

    Args:
        shares: Share of each kind; what is left of 1 is "ok".
        seed: Salt of the hash.
    """

    async def rule(arrival: Arrival) -> str:
        left = _draw(f"{seed} {arrival.item} {arrival.seen}")
        for kind, share in shares.items():
            if left < share:
                return kind
            left -= share
        return "ok"

    return rule


@dataclass(frozen=True)
class Kill:
    """When the server kills its client.

    Attributes:
        at: The number of a request.
        moment: One of MOMENTS in its course.
        later_s: Seconds after that, in which the client goes on.
    """

    at: int
    moment: str
    later_s: float

    MOMENTS = ("received", "billed", "written")


@dataclass
class ChaosServer:
    """State of a running server.

    Attributes:
        rule: What becomes of each arrival.
        arrivals: Every request that came.
        kinds: For each question, how many requests were dealt with in each way.
        bills: Micro-dollars for each question.
        bill: Everything that was worked on, in micro-dollars.
        ledger: The client's ledger, read at every request; None for none.
        most_committed: The highest sum of settlements and reservations that was seen in it.
        broken: What must never be and was.
        kill: The next kill.
        do_kill: Kills the client.
    """

    rule: Rule
    base_url: str = ""
    arrivals: list[Arrival] = field(default_factory=list)
    kinds: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    bills: Counter[int] = field(default_factory=Counter)
    bill: int = 0
    ledger: Path | None = None
    most_committed: int = 0
    broken: list[str] = field(default_factory=list)
    kill: Kill | None = None
    do_kill: Callable[[], None] = lambda: None
    secret: str = ""
    _bodies: dict[int, bytes] = field(default_factory=dict)
    _seen: Counter[int] = field(default_factory=Counter)
    _open: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _watched: sqlite3.Connection | None = None

    @property
    def all_kinds(self) -> Counter[str]:
        """How many requests were dealt with in each way."""
        return sum(self.kinds.values(), Counter())

    def wait_until_idle(self) -> None:
        """Return when every connection has ended, so that the bill grows no more."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, timeout=60), "still connected"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until either side ends it."""
        with self._changed:
            self._open += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, or the server ends
        except Exception as error:
            self.broken.append(f"the server failed: {error!r}")
            raise
        finally:
            writer.transport.abort()
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return False if the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?im)^content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        arrival = self._note(head, body)
        kill = self.kill if self.kill and self.kill.at <= arrival.number else None
        if kill:
            self.kill = None
            self._kill_at(kill, "received")
        kind = await self.rule(arrival)
        self.kinds[arrival.item][kind] += 1
        if kind[0] not in "45":
            cost = _cost(_usage(kind, arrival, body))
            self.bills[arrival.item] += cost
            self.bill += cost
        self._compare_with_ledger()
        self._kill_at(kill, "billed")
        try:
            return await self._write(kind, arrival, body, reader, writer)
        finally:
            self._kill_at(kill, "written")

    def _note(self, head: str, body: bytes) -> Arrival:
        sent = json.loads(body)
        found = _QUESTION.match(sent["messages"][-1]["content"])
        assert found, sent
        item = int(found[1])
        if self._bodies.setdefault(item, body) != body:
            self.broken.append(f"question {item} was sent in another form the next time")
        if self.secret and f"authorization: Bearer {self.secret}" not in head:
            self.broken.append(f"question {item} came without the key")
        arrival = Arrival(len(self.arrivals) + 1, item, self._seen[item], time.monotonic())
        self._seen[item] += 1
        self.arrivals.append(arrival)
        return arrival

    def _kill_at(self, kill: Kill | None, moment: str) -> None:
        if kill is None or kill.moment != moment:
            return
        if kill.later_s:
            asyncio.get_running_loop().call_later(kill.later_s, self._kill_now)
        else:
            self._kill_now()

    def _kill_now(self) -> None:
        self.do_kill()
        self.stop_watching()

    def stop_watching(self) -> None:
        """Close the ledger, so that a dead client's is recovered by the next one, as in life."""
        self.ledger = None
        if self._watched is not None:
            self._watched.close()
            self._watched = None

    def _compare_with_ledger(self) -> None:
        """Check that what was billed is settled or reserved in the ledger at this moment."""
        if self.ledger is None:
            return
        if self._watched is None:
            uri = f"{self.ledger.resolve().as_uri()}?mode=ro"
            self._watched = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
        (committed,) = self._watched.execute("SELECT committed_micro_usd FROM total").fetchone()
        self.most_committed = max(self.most_committed, committed)
        if committed < self.bill:
            self.broken.append(f"billed {self.bill} while the ledger knew of {committed} only")

    async def _write(
        self,
        kind: str,
        arrival: Arrival,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Put the answer on the wire, as far as it goes; return False if that is the end."""
        if kind == "drop":
            return False
        if kind == "slow" and await _hung_up(reader, SLOW_S):
            return False
        answer = _http(kind, arrival, body)
        if kind == "cut":
            writer.write(answer[:-40])
            await writer.drain()
            return False
        if kind == "trickle":
            for at in range(0, len(answer), 8):
                writer.write(answer[at : at + 8])
                if await _hung_up(reader, 0.1):
                    return False
            return True
        writer.write(answer)
        await writer.drain()
        return True


async def _hung_up(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Wait so long; return True at once if the client hangs up meanwhile."""
    try:
        return not await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return False


def _cost(usage: dict[str, int]) -> int:
    """Return what these tokens cost, in micro-dollars."""
    return (
        usage["prompt_tokens"] * PROMPT_TOKEN_MICRO
        + usage["completion_tokens"] * COMPLETION_TOKEN_MICRO
    )


def _usage(kind: str, arrival: Arrival, body: bytes) -> dict[str, int]:
    """Return the tokens of an answer; they depend on the question and the kind."""
    content = json.loads(body)["messages"][-1]["content"]
    prompt = len(content.encode()) // 2 + 8
    drawn = 10 + int(_draw(f"{arrival.item}") * (MAX_TOKENS - 10))
    completion = MAX_TOKENS if kind == "truncated" else drawn
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _http(kind: str, arrival: Arrival, body: bytes) -> bytes:
    """Return the whole answer as bytes on the wire."""
    status, headers, content = 200, "", json.dumps(_content(kind, arrival, body)).encode()
    if kind[0] in "45":
        status = int(kind[:3])
        headers = f"retry-after: {kind[4:]}\r\n" if kind[4:] else ""
    elif kind == "garbled":
        content = content[: len(content) // 2]  # well delivered, and no JSON
    head = (
        f"HTTP/1.1 {status} Made up\r\ncontent-type: application/json\r\n"
        f"{headers}content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _content(kind: str, arrival: Arrival, body: bytes) -> dict[str, Any]:
    if kind[0] in "45" or kind == "error_200":
        return {"error": {"message": f"made up: {kind}", "code": "made_up"}}
    text = json.dumps({"a": f"Answer to question {arrival.item}."})
    finish, refusal = "stop", None
    if kind == "invalid":
        text = text[:-1]
    elif kind == "truncated":
        text, finish = text[: len(text) // 2], "length"
    elif kind == "refused":
        text, refusal = "", "I cannot help with that."
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return {
        "id": f"chatcmpl-{arrival.number}",
        "object": "chat.completion",
        "created": 1,
        "model": "fake-snapshot",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _usage(kind, arrival, body),
    }


def _draw(text: str) -> float:
    """Return a number in [0, 1) that depends on the text only."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def kills(count: int, below: int, seed: str) -> list[Kill]:
    """Return `count` random kills in the course of the requests 1 to `below`, in order."""
    rng = random.Random(seed)
    return [
        Kill(at, rng.choice(Kill.MOMENTS), rng.choice((0.0, rng.uniform(0, 0.01))))
        for at in sorted(rng.sample(range(1, below), count))
    ]


@contextmanager
def chaos_server(rule: Rule, secret: str = "") -> Iterator[ChaosServer]:
    """Run a ChaosServer on a free loopback port while the block runs."""
    state = ChaosServer(rule, secret=secret)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(state.serve, "127.0.0.1", 0, limit=2**20, backlog=256)
    )
    state.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(_end(state, server), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


async def _end(state: ChaosServer, server: asyncio.Server) -> None:
    server.close()
    state.stop_watching()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
