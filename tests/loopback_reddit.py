"""A loopback Reddit: tokens, listings, search and look-ups by id over real sockets, with faults.

It does what the Data API does as far as PRAW can tell: at most 100 items a request and 1,000 a
listing, HTML-escaped unless raw_json=1 is asked for, an empty page behind a post that it no longer
lists, and rate-limit headers on every answer.
"""

from __future__ import annotations

import base64
import html
import json
import os
import signal
import threading
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from tests.loopback import serving

NOW = 1_730_400_000.0
DAY = 86_400.0
_END = 1000
_WINDOWS = {"hour": DAY / 24, "day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": 365 * DAY}
_SORTS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "new": lambda post: (-post["created_utc"], post["id"]),
    "top": lambda post: (-post["score"], post["id"]),
    "hot": lambda post: (-post["score"] - post["created_utc"] / DAY, post["id"]),
    "controversial": lambda post: (-post["num_comments"], post["id"]),
    "relevance": lambda post: (post["title"], post["id"]),
}
_PLENTY = {"x-ratelimit-used": "1", "x-ratelimit-remaining": "995.0", "x-ratelimit-reset": "1"}
_SPENT = {"x-ratelimit-used": "996", "x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "1"}
_CLOSED = {
    "private": (403, {"reason": "private", "message": "Forbidden", "error": 403}),
    "quarantined": (403, {"reason": "quarantined", "message": "Forbidden", "error": 403}),
    "forbidden": (403, {"message": "Forbidden", "error": 403}),
    "banned": (404, {"reason": "banned", "message": "Not Found", "error": 404}),
    "legal": (451, {"reason": "legal", "message": "Unavailable", "error": 451}),
}


def make_post(subreddit: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return an invented submission with the fields that a listing of the API has."""
    name = subreddit.lower()
    mark = name if len(name) <= 6 else f"{zlib.crc32(name.encode()):08x}"
    own = {
        "id": f"{mark}{number:04d}",
        "subreddit": subreddit,
        "title": f"Should I take course {number}?",
        "selftext": f"I stand between two courses, number {number}, and cannot decide.",
        "created_utc": NOW - number * DAY / 2,
        "score": number * 7919 % 1009,
        "num_comments": number * 104729 % 97,
        "author": f"Writer_{number % 5}",
    }
    given = own | fields
    return {
        "selftext_html": f"<div class='md'><p>{html.escape(given['selftext'] or '')}</p></div>",
        "author_fullname": f"t2_{number % 5:05d}",
        "subreddit_name_prefixed": f"r/{subreddit}",
        "name": f"t3_{given['id']}",
        "upvote_ratio": 0.87,
        "ups": given["score"],
        "is_self": True,
        "over_18": False,
        "stickied": False,
        "distinguished": None,
        "edited": False,
        "link_flair_text": None,
        "removed_by_category": None,
        "domain": f"self.{subreddit}",
        "permalink": f"/r/{subreddit}/comments/{given['id']}/should_i/",
        "url": f"https://www.reddit.com/r/{subreddit}/comments/{given['id']}/should_i/",
        **given,
    }


@dataclass
class RedditServer:
    """State of a running server; `faults` are used up one a request before it answers normally.

    A fault is an HTTP status, "drop" (no answer), "cut" (half an answer), "page" (a web page),
    "list" (JSON that is no listing), "silence" (no answer until the client gives up), "refuse" (a
    web page with status 403), "spent" (a normal answer that leaves no request for a second).
    `token_faults` holds statuses and "page" for the requests for a token.

    Attributes:
        posts: Every submission, by subreddit.
        closed: Subreddits that are not shown, and why; unknown ones lead to the search page.
        unlisted: Ids that a page has room for but does not show.
        retry_after: Header of answers with a status for a fault, or None.
        window_ends: Their x-ratelimit-reset, or None.
        asked: Path and parameters of every request but those for tokens.
        agents: User agents of all requests.
        kill: (n, moment): kill `victim` at the n-th request from now, "before" an answer, in the
            "middle" of it, or "after" it.
    """

    base_url: str = ""
    client_id: str = "loopback-app-id"
    client_secret: str = "loopback-app-secret-never-seen"
    posts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    faults: deque[int | str] = field(default_factory=deque)
    token_faults: deque[int | str] = field(default_factory=deque)
    retry_after: str | None = "0"
    window_ends: str | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    kill: tuple[int, str] | None = None
    victim: int = 0
    victim_known: threading.Event = field(default_factory=threading.Event)

    def fill(self, subreddit: str, count: int, **fields: Any) -> None:
        """Give a subreddit `count` posts, numbered from 1, newest first."""
        self.posts[subreddit] = [make_post(subreddit, n, **fields) for n in range(1, count + 1)]

    def address(self) -> dict[str, str]:
        """Return the settings that lead here."""
        return {f"reddit.{name}_url": self.base_url for name in ("reddit", "oauth", "short")}

    async def token(self, request: Request) -> Response:
        self.agents.add(request.headers.get("user-agent", ""))
        fault = self.token_faults.popleft() if self.token_faults else None
        if isinstance(fault, int):
            return JSONResponse({"message": "fault", "error": fault}, fault)
        if fault == "page":
            return HTMLResponse("<html>Our CDN was unable to reach our servers</html>")
        wanted = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            return JSONResponse({"message": "Unauthorized", "error": 401}, 401)
        form = await request.form()
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"})
        token = f"token-{len(self.tokens)}"
        self.tokens.append(token)
        self.valid.add(token)
        answer = {"access_token": token, "token_type": "bearer", "expires_in": 86400, "scope": "*"}
        return JSONResponse(answer)

    async def listing(self, request: Request) -> Response:
        name = request.path_params["subreddit"]
        sort = request.path_params["sort"].removesuffix(".json")

        def answer() -> Response:
            if name in self.closed:
                status, body = _CLOSED[self.closed[name]]
                return JSONResponse(body, status)
            known = {other.lower(): posts for other, posts in self.posts.items()}
            if name.lower() not in known:
                return RedirectResponse(f"{self.base_url}/subreddits/search.json?q={name}", 302)
            if sort not in ("new", "top", "hot", "controversial", "search"):
                return JSONResponse({"message": "Not Found", "error": 404}, 404)
            return self._page(known[name.lower()], sort, request.query_params)

        return await self._answer(request, answer)

    async def info(self, request: Request) -> Response:
        def answer() -> Response:
            names = request.query_params.get("id", "").split(",")[:100]
            known = {post["name"]: post for posts in self.posts.values() for post in posts}
            found = [known[name] for name in names if name in known]
            return _as_listing(found, None, request.query_params)

        return await self._answer(request, answer)

    def _page(self, posts: list[dict[str, Any]], sort: str, query: Any) -> Response:
        if sort == "search":
            words = query.get("q", "").lower()
            if words == "bad(":
                return JSONResponse({"message": "Bad Request", "error": 400}, 400)
            posts = [p for p in posts if words in f"{p['title']} {p['selftext']}".lower()]
            sort = query.get("sort", "relevance")
        if sort in ("top", "controversial", "relevance"):
            oldest = NOW - _WINDOWS.get(query.get("t", "all"), NOW)
            posts = [post for post in posts if post["created_utc"] >= oldest]
        ordered = sorted(posts, key=_SORTS[sort])[:_END]
        size, start = min(int(query.get("limit", 25)), 100), 0
        if after := query.get("after"):
            names = [post["name"] for post in ordered]
            start = names.index(after) + 1 if after in names else len(names)
        page = ordered[start : start + size]
        more = page[-1]["name"] if start + size < len(ordered) else None
        shown = [post for post in page if post["id"] not in self.unlisted]
        return _as_listing(shown, more, query)

    async def _answer(self, request: Request, normally: Callable[[], Response]) -> Response:
        """Note a request; answer it with the next fault, or else normally."""
        self.agents.add(request.headers.get("user-agent", ""))
        self.asked.append((request.url.path, dict(request.query_params)))
        token = request.headers.get("authorization", "").removeprefix("bearer ")
        if token not in self.valid:
            told = {"www-authenticate": 'Bearer realm="reddit", error="invalid_token"'}
            return JSONResponse({"message": "Unauthorized", "error": 401}, 401, headers=told)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            body = {"message": f"status {fault}", "error": fault}
            told = {"retry-after": self.retry_after, "x-ratelimit-reset": self.window_ends}
            headers = {name: value for name, value in told.items() if value is not None}
            return JSONResponse(body, fault, headers=headers)
        if fault == "drop":
            request.scope["transport_to_close"].abort()
            return Response()
        if fault == "silence":
            while (await request.receive())["type"] != "http.disconnect":
                pass
            return Response()
        if fault == "page":
            return HTMLResponse("<html>whoa there, pardner!</html>", headers=_PLENTY)
        if fault == "refuse":
            return HTMLResponse("<html>blocked by network security</html>", 403)
        if fault == "list":
            return JSONResponse([], headers=_PLENTY)
        response = normally()
        response.headers.update(_SPENT if fault == "spent" else _PLENTY)
        if fault == "cut":
            return self._half(request, response, None)
        return self._killing(request, response)

    def _killing(self, request: Request, response: Response) -> Response:
        if self.kill is None:
            return response
        count, moment = self.kill
        self.kill = (count - 1, moment) if count > 1 else None
        if count > 1:
            return response
        if moment == "before":
            self._strike()
            return response
        if moment == "middle":
            return self._half(request, response, self._strike)
        response.background = BackgroundTask(self._strike)
        return response

    def _strike(self) -> None:
        self.victim_known.wait(30)
        os.kill(self.victim, signal.SIGKILL)

    def _half(
        self, request: Request, response: Response, then: Callable[[], None] | None
    ) -> Response:
        async def half() -> AsyncIterator[bytes]:
            yield bytes(response.body[: len(response.body) // 2])
            if then:
                then()
            request.scope["transport_to_close"].close()

        return StreamingResponse(half(), headers=dict(response.headers))


def _as_listing(posts: list[dict[str, Any]], after: str | None, query: Any) -> Response:
    children = [{"kind": "t3", "data": post} for post in posts]
    if query.get("raw_json") != "1":
        children = json.loads(json.dumps(children), object_hook=_escape)
    data = {"after": after, "dist": len(posts), "modhash": None, "before": None}
    body = {"kind": "Listing", "data": data | {"children": children, "geo_filter": ""}}
    return Response(json.dumps(body), media_type="application/json")  # ASCII, as Reddit's is


def _escape(thing: dict[str, Any]) -> dict[str, Any]:
    texts = {
        name: thing[name] for name in ("title", "selftext", "link_flair_text") if name in thing
    }
    return thing | {name: text and html.escape(text, quote=False) for name, text in texts.items()}


@contextmanager
def reddit_server() -> Iterator[RedditServer]:
    """Run a RedditServer on a free loopback port while the block runs."""
    state = RedditServer()
    routes = [
        Route("/api/v1/access_token", state.token, methods=["POST"]),
        Route("/api/info/", state.info),
        Route("/r/{subreddit}/{sort}/", state.listing),
        Route("/r/{subreddit}/{sort}", state.listing),
    ]
    with serving(Starlette(routes=routes)) as address:
        state.base_url = address
        yield state
