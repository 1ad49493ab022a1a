"""OpenAI's Batch API, which DashScope's compatible mode speaks too, through the openai SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import openai
from openai.types import Batch as SdkBatch
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from pipeline.llm.openai_chat import body_of, failed
from pipeline.llm.provider import CallFailed, one_line
from pipeline.llm.request import Request
from pipeline.llm.retry import TRIES, may_pass, wait

ENDED = frozenset({"completed", "expired", "cancelled", "failed"})
_URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_LISTED = 2_000
T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """A batch as its provider reports it.

    Attributes:
        handle: The provider's id.
        status: The provider's word, such as "in_progress" or "expired".
        completed: Requests that it says were answered, or None if it does not say.
        output_file: Id of the file of answers, or "".
        error_file: Id of the file of errors, or "".
        code: Why the whole batch failed, in the provider's word, or "".
        problem: The same, for people.
    """

    handle: str
    status: str
    completed: int | None
    output_file: str
    error_file: str
    code: str
    problem: str


class BatchApi:
    """The batches of one address; every method retries what may pass and raises CallFailed."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        self._sdk = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", timeout=timeout_s, max_retries=0
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._sdk.close()

    async def upload(self, path: Path) -> str:
        """Upload a file of requests; return its id."""

        async def send() -> str:
            uploaded = await self._sdk.files.create(file=path, purpose="batch")
            return uploaded.id

        return await _retrying(send)

    async def submit(self, file_id: str) -> State:
        """Begin the batch of an uploaded file, or return the one that was begun from it before.

        The look before each try is what makes this safe to repeat: an answer that got lost, or
        a build that was killed before it could note the id, leaves a batch that costs money.
        """

        async def send() -> State:
            found = await self._begun_from(file_id)
            if found is not None:
                return found
            return _state(
                await self._sdk.batches.create(
                    input_file_id=file_id, endpoint=_URL, completion_window="24h"
                )
            )

        return await _retrying(send)

    async def _begun_from(self, file_id: str) -> State | None:
        seen = 0
        async for batch in self._sdk.batches.list(limit=100):
            if batch.input_file_id == file_id:
                return _state(batch)
            seen += 1
            if seen >= _LISTED:
                break
        return None

    async def state(self, handle: str) -> State:
        """Return how a batch stands."""

        async def send() -> State:
            return _state(await self._sdk.batches.retrieve(handle))

        return await _retrying(send)

    async def download(self, file_id: str, path: Path) -> None:
        """Write a file of the provider's to `path`, without holding it in memory."""

        async def send() -> None:
            async with self._content(file_id) as content:
                with path.open("wb") as out:
                    async for chunk in content.iter_bytes():
                        out.write(chunk)

        await _retrying(send)

    @asynccontextmanager
    async def _content(self, file_id: str) -> AsyncIterator[Any]:
        async with self._sdk.files.with_streaming_response.content(file_id) as content:
            yield content


def write_lines(requests: Iterable[Request], path: Path) -> None:
    """Write a batch's input file: one request a line, its key as `custom_id`."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(line_of(request) for request in requests)


def line_of(request: Request) -> str:
    """Return a request as a line of a batch's input file."""
    line = {"custom_id": request.key, "method": "POST", "url": _URL, "body": body_of(request)}
    return json.dumps(line, ensure_ascii=True) + "\n"


@dataclass(frozen=True)
class Line:
    """One line of an output or error file.

    Attributes:
        key: The request's key.
        status: HTTP status of the answer; 0 if there was none.
        body: The answer.
        problem: What went wrong, for people.
    """

    key: str
    status: int
    body: dict[str, Any]
    problem: str


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the readable lines of an output or error file; others tell nothing and are left out."""
    with path.open("rb") as lines:  # bytes: replies may hold characters that split text lines
        for raw in lines:
            try:
                data = json.loads(raw)
            except (ValueError, RecursionError):
                continue
            line = _line(data)
            if line is not None:
                yield line


def _line(data: object) -> Line | None:
    if not isinstance(data, dict) or not isinstance(data.get("custom_id"), str):
        return None
    response = _object(data.get("response"))
    body, status = _object(response.get("body")), response.get("status_code")
    told = _object(data.get("error") or body.get("error"))
    problem = one_line(f"{told.get('code') or ''} {told.get('message') or ''}")
    return Line(data["custom_id"], status if isinstance(status, int) else 0, body, problem)


def _object(data: object) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


async def _retrying(send: Callable[[], Awaitable[T]]) -> T:
    async def once() -> T:
        try:
            return await send()
        except openai.APIError as error:
            raise failed(error) from None
        except AttributeError as error:  # a web page, say, where an object was expected
            raise CallFailed(None, "not_an_object", one_line(error)) from None

    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass), stop=stop_after_attempt(TRIES), wait=wait, reraise=True
    )
    return await retrying(once)


def _state(batch: SdkBatch) -> State:
    problems = (batch.errors.data or []) if batch.errors else []
    counts = batch.request_counts
    return State(
        handle=batch.id,
        status=batch.status,
        completed=counts.completed if counts else None,
        output_file=batch.output_file_id or "",
        error_file=batch.error_file_id or "",
        code=(problems[0].code or "") if problems else "",
        problem=one_line(problems[0].message or "") if problems else "",
    )
