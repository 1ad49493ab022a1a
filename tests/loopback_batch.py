"""Files and batches of the loopback server, as OpenAI's Batch API and DashScope's answer them."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from tests.loopback import ChatServer

OK, MISSING, EXPIRED, JUNK, PAGE = "", "missing", "expired", "junk", "page"


@dataclass
class BatchServer:
    """State of the server's batches. A batch stays in progress until a test ends it.

    Attributes:
        files: Content by file id.
        batches: Batch objects by id, in order of creation.
        faults: For each of "upload", "create", "list", "retrieve", "content": what the next
            requests meet: an HTTP status (nothing was done), or "lost" (done, but the answer is
            cut off).
        on_request: Called with the endpoint's name before and, as "upload-done" and so on, after
            its work.
        most_tokens: Prompt characters that may be queued before batches fail with
            token_limit_exceeded; 0 for none.
        bill_micro: What the answers so far cost at a dollar and four a million, halved.
    """

    chat: ChatServer
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, deque[int | str]] = field(default_factory=dict)
    on_request: Callable[[str], None] = lambda _: None
    most_tokens: int = 0
    bill_micro: float = 0.0

    def routes(self, prefix: str) -> list[Route]:
        return [
            Route(f"{prefix}/files", self.upload, methods=["POST"]),
            Route(f"{prefix}/files/{{id}}/content", self.content, methods=["GET"]),
            Route(f"{prefix}/batches", self.create, methods=["POST"]),
            Route(f"{prefix}/batches", self.list, methods=["GET"]),
            Route(f"{prefix}/batches/{{id}}", self.retrieve, methods=["GET"]),
        ]

    async def upload(self, request: Request) -> Response:
        form = await request.form()
        assert form["purpose"] == "batch"
        content = await form["file"].read()

        def work() -> dict[str, Any]:
            number = f"file-in-{len(self.files)}"
            self.files[number] = content
            return {"id": number, "object": "file", "bytes": len(content), "created_at": 1,
                    "filename": "f", "purpose": "batch", "status": "processed"}  # fmt: skip

        return self._answer(request, "upload", work)

    async def create(self, request: Request) -> Response:
        asked = await request.json()
        assert asked["endpoint"] == "/v1/chat/completions"
        assert asked["completion_window"] == "24h"

        def work() -> dict[str, Any]:
            number = f"batch_{len(self.batches)}"
            lines = self._lines(asked["input_file_id"])
            batch = {
                "id": number, "object": "batch", "endpoint": asked["endpoint"], "created_at": 1,
                "completion_window": "24h", "input_file_id": asked["input_file_id"],
                "status": "in_progress", "errors": None, "output_file_id": None,
                "error_file_id": None,
                "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            }  # fmt: skip
            queued = sum(
                len(self.files[other["input_file_id"]])
                for other in self.batches.values()
                if other["status"] == "in_progress"
            )
            size = len(self.files[asked["input_file_id"]])
            if self.most_tokens and queued + size > self.most_tokens:
                self._fail(batch, "token_limit_exceeded", "Enqueued token limit reached")
            if len({line["custom_id"] for line in lines}) < len(lines):
                self._fail(batch, "duplicate_custom_id", "custom_id must be unique")
            self.batches[number] = batch
            return batch

        return self._answer(request, "create", work)

    async def list(self, request: Request) -> Response:
        def work() -> dict[str, Any]:
            newest = list(reversed(self.batches.values()))
            after = request.query_params.get("after")
            ids = [batch["id"] for batch in newest]
            start = ids.index(after) + 1 if after else 0
            page = newest[start : start + 2]  # two a page, so that paging is tried
            return {"object": "list", "data": page, "has_more": start + 2 < len(newest),
                    "first_id": ids[0] if ids else None,
                    "last_id": page[-1]["id"] if page else None}  # fmt: skip

        return self._answer(request, "list", work)

    async def retrieve(self, request: Request) -> Response:
        batch = self.batches.get(request.path_params["id"])
        if batch is None:
            return _error(404, "batch not found")
        return self._answer(request, "retrieve", lambda: batch)

    async def content(self, request: Request) -> Response:
        found = self.files.get(request.path_params["id"])
        if found is None:
            return _error(404, "file not found")
        return self._answer(request, "content", lambda: found)

    def end(self, handle: str, status: str = "completed", faults: dict[int, Any] = {}) -> None:  # noqa: B006
        """End a batch; `faults` says for the n-th line: a status, a chat fault, or a word above.

        Answers come shuffled, errors in a file of their own, as OpenAI's do.
        """
        batch = self.batches[handle]
        answers, errors = [], []
        for number, line in enumerate(self._lines(batch["input_file_id"])):
            fault = faults.get(number, OK)
            if fault == MISSING:
                continue
            if fault == EXPIRED:
                told = {"code": "batch_expired", "message": "This request could not be executed"}
                errors.append(_line(line, None, told))
            elif isinstance(fault, int):
                told = {"code": "made_up", "message": f"status {fault}"}
                errors.append(_line(line, {"status_code": fault, "body": {"error": told}}, None))
            elif fault == PAGE:
                answers.append(_line(line, {"status_code": 200, "body": {"choices": "no"}}, None))
            else:
                body = self.chat.completion(line["body"], "" if fault == JUNK else fault)
                self.bill_micro += 15.0  # (10 * 1 + 5 * 4) / 2
                text = _line(line, {"status_code": 200, "body": body}, None)
                answers.append("{broken" if fault == JUNK else text)
        random.Random(handle).shuffle(answers)
        batch["status"] = status
        batch["request_counts"] |= {"completed": len(answers), "failed": len(errors)}
        for name, found in (("output_file_id", answers), ("error_file_id", errors)):
            if found:
                batch[name] = f"file-{name}-{handle}"
                self.files[batch[name]] = "\n".join(found).encode() + b"\n"

    def end_all(self) -> None:
        """End every batch that is in progress."""
        for handle, batch in self.batches.items():
            if batch["status"] == "in_progress":
                self.end(handle)

    def fail(self, handle: str, code: str, message: str) -> None:
        """Let the provider refuse a batch as a whole."""
        self._fail(self.batches[handle], code, message)

    def _fail(self, batch: dict[str, Any], code: str, message: str) -> None:
        told = {"code": code, "message": message, "line": None, "param": None}
        batch |= {"status": "failed", "errors": {"object": "list", "data": [told]}}

    def _lines(self, file_id: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[file_id].decode().splitlines()]

    def _answer(
        self, request: Request, name: str, work: Callable[[], dict[str, Any] | bytes]
    ) -> Response:
        self.on_request(name)
        waiting = self.faults.get(name)
        fault = waiting.popleft() if waiting else ""
        if isinstance(fault, int):
            return _error(fault, f"status {fault}")
        done = work()
        self.on_request(f"{name}-done")
        if fault == "lost":
            request.scope["transport_to_close"].abort()
            return Response()
        return Response(done) if isinstance(done, bytes) else JSONResponse(done)


def _line(line: dict[str, Any], response: dict[str, Any] | None, error: Any) -> str:
    told = {"id": "r", "custom_id": line["custom_id"], "response": response, "error": error}
    # Raw U+2028 and U+0085 inside strings are legal JSON; they must not end a line.
    return json.dumps(told | {"note": "\u2028 \u0085"}, ensure_ascii=False)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "code": "made_up"}}, status)
