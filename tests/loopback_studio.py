"""A loopback Label Studio: the calls that we make, over real sockets, with what can go wrong.

It was written beside the real server (test_studio_real.py runs against that). It takes what that
one takes, invalid answers too; as Enterprise it imports and exports in the background.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback import serving

KEY = "0123456789abcdef0123456789abcdef01234567"
NOW = "2026-01-31T12:00:00.000000Z"

Row = dict[str, Any]


@dataclass
class Studio:
    """State that tests read and change.

    Attributes:
        enterprise: Imports and exports run in the background.
        fault: Called with method and path before each request; may return an answer instead.
        after: Called with method and path when a request was carried out, before its answer.
    """

    url: str = ""
    enterprise: bool = False
    projects: dict[int, Row] = field(default_factory=dict)
    tasks: dict[int, Row] = field(default_factory=dict)
    users: list[Row] = field(default_factory=list)
    fault: Callable[[str, str], Response | None] = lambda method, path: None
    after: Callable[[str, str], Response | None] = lambda method, path: None
    calls: list[tuple[str, str]] = field(default_factory=list)
    imports: dict[int, list[Row]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def project_tasks(self, project: int) -> list[Row]:
        return [task for task in self.tasks.values() if task["project"] == project]

    def add(self, project: int, data: list[Row]) -> None:
        for each in data:
            number = len(self.tasks) + 1
            while number in self.tasks:
                number += 1
            self.tasks[number] = {
                "id": number,
                "project": project,
                "data": each["data"],
                "annotations": [],
                "drafts": [],
            }

    def annotate(self, task: int, result: Any, user: int = 2, **fields: Any) -> Row:
        made: Row = {
            "id": 1 + sum(len(each["annotations"]) for each in self.tasks.values()),
            "completed_by": user,
            "updated_by": user,
            "result": result,
            "was_cancelled": False,
            "created_at": NOW,
            "updated_at": NOW,
            "lead_time": 10.0,
        }
        self.tasks[task]["annotations"].append(made | fields)
        return made

    async def handle(self, request: Request) -> Response:
        method, path = request.method, request.url.path
        body = await request.json() if method in ("POST", "PATCH") else None
        with self.lock:
            self.calls.append((method, path))
            early = self.fault(method, path)
            if early is not None:
                return early
            if request.headers.get("authorization") != f"Token {KEY}":
                return JSONResponse({"detail": "Invalid token.", "status_code": 401}, 401)
            answer = self._answer(method, path.strip("/").split("/")[1:], request, body)
            return self.after(method, path) or answer

    def _answer(self, method: str, parts: list[str], request: Request, body: Any) -> Response:
        match (method, *parts):
            case ("GET", "current-user", "whoami"):
                return JSONResponse(self.users[0])
            case ("GET", "users"):
                return JSONResponse(self.users)
            case ("GET", "version"):
                edition = "Enterprise" if self.enterprise else "Community"
                return JSONResponse({"release": "1.23.2", "edition": edition})
            case ("GET", "projects"):
                rows = list(self.projects.values())
                if int(request.query_params.get("page", 1)) > 1:
                    return JSONResponse({"detail": "Invalid page."}, 404)
                return JSONResponse({"count": len(rows), "next": None, "results": rows})
            case ("POST", "projects"):
                number = len(self.projects) + 1
                self.projects[number] = {"id": number} | body
                return JSONResponse(self.projects[number], 201)
            case (_, "projects", number):
                return self._project(method, int(number), body)
            case ("POST", "projects", number, "import"):
                if self.enterprise:
                    self.imports[len(self.imports) + 1] = [{"project": int(number)}, *body]
                    return JSONResponse({"import": len(self.imports)}, 201)
                self.add(int(number), body)
                return JSONResponse({"task_count": len(body), "annotation_count": 0}, 201)
            case ("GET", "projects", number, "imports", job):
                # The second time one asks, it is done.
                waiting = self.imports[int(job)]
                if waiting:
                    self.add(waiting[0]["project"], waiting[1:])
                    self.imports[int(job)] = []
                    return JSONResponse({"id": int(job), "status": "in_progress"})
                return JSONResponse({"id": int(job), "status": "completed"})
            case ("GET", "projects", number, "export"):
                if self.enterprise:
                    return JSONResponse({"detail": "use snapshots"}, 404)
                return JSONResponse(self.project_tasks(int(number)))
            case ("POST", "projects", number, "exports"):
                return JSONResponse({"id": int(number), "status": "created"}, 201)
            case ("GET", "projects", number, "exports", _):
                return JSONResponse({"id": int(number), "status": "completed"})
            case ("GET", "projects", number, "exports", _, "download"):
                rows = [
                    task
                    | {
                        "annotations": [
                            each | {"completed_by": {"id": each["completed_by"], "email": "x@y.z"}}
                            for each in task["annotations"]
                        ]
                    }
                    for task in self.project_tasks(int(number))
                ]
                return JSONResponse(rows)
            case ("GET", "tasks"):
                return self._list(request)
            case ("DELETE", "tasks", number):
                gone = self.tasks.pop(int(number), None)
                return Response(status_code=204 if gone else 404)
        return JSONResponse({"detail": f"no such call: {method} {parts}"}, 404)

    def _project(self, method: str, number: int, body: Any) -> Response:
        if number not in self.projects:
            return JSONResponse({"detail": "Not found."}, 404)
        if method == "DELETE":
            del self.projects[number]
            return Response(status_code=204)
        if method == "PATCH":
            self.projects[number] |= body
        return JSONResponse(self.projects[number])

    def _list(self, request: Request) -> Response:
        query = request.query_params
        size, page = int(query["page_size"]), int(query.get("page", 1))
        rows = [
            task
            | {
                "total_annotations": sum(not a["was_cancelled"] for a in task["annotations"]),
                "cancelled_annotations": sum(a["was_cancelled"] for a in task["annotations"]),
                "annotations": [],
            }
            for task in self.project_tasks(int(query["project"]))
        ]
        part = rows[(page - 1) * size : page * size]
        if not part and page > 1:
            return JSONResponse({"detail": "Invalid page."}, 404)
        return JSONResponse({"tasks": part, "total": len(rows)})


@contextmanager
def studio_server() -> Iterator[Studio]:
    """Run a Studio on a free loopback port while the block runs."""
    state = Studio(users=[{"id": n, "email": e} for n, e in enumerate(EMAILS, start=1)])
    methods = ["GET", "POST", "PATCH", "DELETE"]
    with serving(Starlette(routes=[Route("/{path:path}", state.handle, methods=methods)])) as url:
        state.url = url
        yield state


EMAILS = ("manager@valact.local", *(f"expert-{n}@valact.local" for n in (1, 2, 3)))
