"""A loopback Hub: the dataset side of huggingface.co's protocol over real sockets, in memory.

It keeps commits, refs, git blobs and large files (LFS, single and multipart), and answers as the
Hub does what `huggingface_hub` and `datasets` ask: accounts and tokens, private and gated
repositories with X-Error-Code, preupload, NDJSON commits, trees, tags, squashing, deletion of large
files, resolve with redirect, ETag and Range. Xet is not spoken: clients set HF_HUB_DISABLE_XET=1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.loopback import serving

MAINTAINER, READER, STRANGER = "hf_maintainer", "hf_reader", "hf_stranger"
"""Tokens: an owner of "org"; somebody with access to its gated data; somebody without."""
_LARGE = (".parquet", ".whl", ".gz", ".zip")
_ATTRIBUTES = b"".join(f"*{end} filter=lfs diff=lfs merge=lfs -text\n".encode() for end in _LARGE)


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A file in a commit: its git blob, or the large file that a pointer names."""

    oid: str
    size: int
    lfs: str = ""  # SHA-256

    def info(self, path: str) -> dict[str, Any]:
        told: dict[str, Any] = {"type": "file", "path": path, "oid": self.oid, "size": self.size}
        if self.lfs:
            told["lfs"] = {"oid": self.lfs, "size": self.size, "pointerSize": 130}
        return told


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str
    title: str
    number: int
    files: dict[str, Entry]


@dataclass
class Repo:
    """One dataset repository."""

    name: str
    private: bool = True
    gated: bool | str = False
    granted: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    converts: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def refs(self) -> dict[str, str]:
        converted = {f"refs/convert/{name}": sha for name, sha in self.converts.items()}
        return {**self.branches, **self.tags, **converted}

    def add(self, files: dict[str, Entry], parent: str, title: str) -> Commit:
        told = json.dumps([parent, title, len(self.commits), sorted(files)]).encode()
        sha = hashlib.sha1(told).hexdigest()
        self.commits[sha] = Commit(sha, parent, title, len(self.commits), files)
        return self.commits[sha]

    def line(self, sha: str) -> list[Commit]:
        """Return a commit and those before it, the newest first."""
        found = []
        while sha:
            found.append(self.commits[sha])
            sha = self.commits[sha].parent
        return found

    def data(self, entry: Entry) -> bytes:
        return self.lfs[entry.lfs] if entry.lfs else self.blobs[entry.oid]


class RefusedError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.response = JSONResponse(
            {"error": message or code},
            status,
            headers={"X-Error-Code": code, "X-Error-Message": message or code},
        )


@dataclass
class Hub:
    """State of a running Hub.

    `fault` may answer a request (method, path) with a status; `gate` is called before each PUT of
    a large file and may block. `lazy` leaves commits that no ref reaches readable by their hash,
    as a server does that has not collected its garbage yet.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    users: dict[str, str] = field(
        default_factory=lambda: {MAINTAINER: "ana", READER: "ben", STRANGER: "cleo"}
    )
    owners: set[str] = field(default_factory=lambda: {"ana"})
    asked: list[tuple[str, str]] = field(default_factory=list)
    stored: Counter[str] = field(default_factory=Counter)  # PUTs that were received whole, by oid
    multipart_over: int = 1 << 40
    lazy: bool = False
    fault: Callable[[str, str], int | None] | None = None
    gate: Callable[[str], None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    # Who asks, and for what

    def user(self, request: Request) -> str:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given and given not in self.users:
            raise RefusedError(401, "", "Invalid credentials in Authorization header")
        return self.users.get(given, "")

    def repo(self, request: Request, *, write: bool = False, content: bool = False) -> Repo:
        user = self.user(request)
        name = f"{request.path_params['org']}/{request.path_params['name']}"
        repo = self.repos.get(name)
        if repo is None or (repo.private and user not in self.owners | repo.granted):
            raise RefusedError(404 if user else 401, "RepoNotFound", "Repository not found")
        if write and user not in self.owners:
            raise RefusedError(403, "", f"you don't have write access to {name}")
        if content and repo.gated and user not in self.owners | repo.granted:
            what = f"Access to dataset {name} is restricted and you are not in the authorized list."
            raise RefusedError(403 if user else 401, "GatedRepo", what)
        return repo

    def commit(self, repo: Repo, rev: str) -> Commit:
        sha = repo.refs().get(rev, rev)
        reachable = {c.sha for ref in repo.refs().values() for c in repo.line(ref)}
        if sha not in repo.commits or (sha not in reachable and not self.lazy):
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {rev}")
        return repo.commits[sha]

    # Accounts and repositories

    def whoami(self, request: Request, _: bytes) -> Response:
        user = self.user(request)
        if not user:
            raise RefusedError(401, "", "Invalid username or password.")
        orgs = [{"type": "org", "name": "org"}] if user in self.owners else []
        return JSONResponse({"type": "user", "name": user, "orgs": orgs, "auth": {}})

    def create(self, request: Request, body: bytes) -> Response:
        asked, user = json.loads(body), self.user(request)
        name = f"{asked.get('organization') or user}/{asked['name']}"
        if user not in self.owners:
            raise RefusedError(403, "", f"you can't create a dataset under the namespace {name}")
        if name in self.repos:
            told = {"url": f"{self.url}/datasets/{name}", "name": name}
            return JSONResponse({"error": "You already created this repo", **told}, 409)
        private = asked.get("visibility", "private" if asked.get("private") else "public")
        repo = self.repos[name] = Repo(name, private=private == "private")
        oid = git_oid(_ATTRIBUTES)
        repo.blobs[oid] = _ATTRIBUTES
        first = repo.add({".gitattributes": Entry(oid, len(_ATTRIBUTES))}, "", "initial commit")
        repo.branches["main"] = first.sha
        return JSONResponse({"url": f"{self.url}/datasets/{name}", "name": name, "id": name})

    def settings(self, request: Request, body: bytes) -> Response:
        repo, asked = self.repo(request, write=True), json.loads(body)
        repo.gated = asked.get("gated", repo.gated)
        if "visibility" in asked:
            repo.private = asked["visibility"] == "private"
        return JSONResponse({"private": repo.private, "gated": repo.gated})

    def info(self, request: Request, _: bytes) -> Response:
        repo = self.repo(request)
        commit = self.commit(repo, request.path_params.get("rev", "main"))
        told = {
            "_id": "1", "id": repo.name, "sha": commit.sha, "private": repo.private,
            "gated": repo.gated, "disabled": False, "tags": [], "downloads": 0, "likes": 0,
            "lastModified": when(commit), "createdAt": when(commit),
            "siblings": [{"rfilename": path} for path in sorted(commit.files)],
        }  # fmt: skip
        return JSONResponse(told)

    def auth_check(self, request: Request, _: bytes) -> Response:
        self.repo(request, content=True)
        return JSONResponse({})

    # Reading

    def tree(self, request: Request, _: bytes) -> Response:
        repo = self.repo(request, content=True)
        commit = self.commit(repo, request.path_params["rev"])
        under = request.path_params.get("path", "").strip("/")
        deep = request.query_params.get("recursive", "").lower() in {"1", "true"}
        found: dict[str, dict[str, Any]] = {}
        for path, entry in sorted(commit.files.items()):
            if under and not path.startswith(f"{under}/"):
                continue
            rest = path[len(under) + 1 :] if under else path
            folders = rest.split("/")[:-1]
            for depth in range(1, len(folders) + 1 if deep else min(2, len(folders) + 1)):
                place = "/".join(filter(None, [under, *folders[:depth]]))
                oid = hashlib.sha1(place.encode()).hexdigest()
                found[place] = {"type": "directory", "path": place, "oid": oid, "size": 0}
            if deep or not folders:
                found[path] = entry.info(path)
        if under and not found:
            raise RefusedError(404, "EntryNotFound", f"{under} does not exist on {commit.sha}")
        # In pages, as the Hub gives them, so that clients have to follow the link.
        size, at = 7, int(request.query_params.get("cursor", "0"))
        rows, headers = list(found.values()), {}
        if at + size < len(rows):
            query = f"{request.url.include_query_params(cursor=at + size)}"
            headers["Link"] = f'<{query}>; rel="next"'
        return JSONResponse(rows[at : at + size], headers=headers)

    def paths_info(self, request: Request, body: bytes) -> Response:
        repo = self.repo(request, content=True)
        commit = self.commit(repo, request.path_params["rev"])
        if request.headers.get("content-type", "").startswith("application/json"):
            paths = json.loads(body)["paths"]
        else:
            from urllib.parse import parse_qs

            paths = parse_qs(body.decode())["paths"]
        found = []
        for path in [paths] if isinstance(paths, str) else paths:
            if path in commit.files:
                found.append(commit.files[path].info(path))
            elif any(each.startswith(f"{path}/") for each in commit.files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return JSONResponse(found)

    def refs(self, request: Request, _: bytes) -> Response:
        repo = self.repo(request)
        kinds = {
            "branches": (repo.branches, "refs/heads/"),
            "tags": (repo.tags, "refs/tags/"),
            "converts": (repo.converts, "refs/convert/"),
        }
        told = {
            kind: [
                {"name": name, "ref": f"{start}{name}", "targetCommit": sha}
                for name, sha in refs.items()
            ]
            for kind, (refs, start) in kinds.items()
        }
        return JSONResponse({**told, "pullRequests": []})

    def commits(self, request: Request, _: bytes) -> Response:
        repo = self.repo(request)
        line = repo.line(self.commit(repo, request.path_params["rev"]).sha)
        page, size = int(request.query_params.get("p", "0")), 3
        headers = {}
        if (page + 1) * size < len(line):
            headers["Link"] = f'<{request.url.include_query_params(p=page + 1)}>; rel="next"'
        told = [
            {"id": c.sha, "title": c.title, "message": "", "date": when(c), "authors": []}
            for c in line[page * size : (page + 1) * size]
        ]
        return JSONResponse(told, headers=headers)

    def resolve(self, request: Request, _: bytes) -> Response:
        repo = self.repo(request, content=True)
        commit = self.commit(repo, request.path_params["rev"])
        path = request.path_params["path"]
        named = {"X-Repo-Commit": commit.sha}
        entry = commit.files.get(path)
        if entry is None:
            told = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", **named}
            return JSONResponse({"error": "Entry not found"}, 404, headers=told)
        if entry.lfs:
            headers = {**named, "X-Linked-Etag": f'"{entry.lfs}"', "X-Linked-Size": f"{entry.size}"}
            headers["ETag"] = f'"{entry.oid}"'
            # On another host, as the Hub's: clients send no token there and do not follow a HEAD.
            host = self.url.replace("127.0.0.1", "localhost")
            place = f"{host}/cdn/{repo.name}/{entry.lfs}"
            return RedirectResponse(place, 302, headers=headers)
        return ranged(request, repo.blobs[entry.oid], entry.oid, named)

    def cdn(self, request: Request, _: bytes) -> Response:
        """A large file at its signed address: who has the address needs no token."""
        repo = self.repos[f"{request.path_params['org']}/{request.path_params['name']}"]
        oid = request.path_params["oid"]
        if oid not in repo.lfs:
            raise RefusedError(404, "EntryNotFound", "no such object")
        return ranged(request, repo.lfs[oid], oid, {})

    # Writing

    def validate_yaml(self, request: Request, body: bytes) -> Response:
        text = json.loads(body)["content"]
        head = text.split("---\n")[1] if text.startswith("---\n") else ""
        try:
            good = isinstance(yaml.safe_load(head), dict)
        except yaml.YAMLError:
            good = False
        errors = [] if good else [{"message": "invalid YAML"}]
        return JSONResponse({"errors": errors, "warnings": []}, 200 if good else 400)

    def preupload(self, request: Request, body: bytes) -> Response:
        repo = self.repo(request, write=True)
        files = self.commit(repo, request.path_params["rev"]).files
        told = []
        for item in json.loads(body)["files"]:
            path = item["path"]
            large = path.endswith(_LARGE) or item["size"] > 10 << 20
            row = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            if path in files:
                row["oid"] = files[path].lfs or files[path].oid
            told.append(row)
        return JSONResponse({"files": told})

    def lfs_batch(self, request: Request, body: bytes) -> Response:
        repo = self.repo(request, write=True)
        told = []
        for item in json.loads(body)["objects"]:
            oid, size = item["oid"], item["size"]
            row: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in repo.lfs:
                place = f"{self.url}/lfs/{repo.name}/{oid}"
                upload: dict[str, Any] = {"href": place}
                if size > self.multipart_over:
                    count = ceil(size / self.multipart_over)
                    parts = {str(n): f"{place}/part/{n}" for n in range(1, count + 1)}
                    chunk = {"chunk_size": str(self.multipart_over)}
                    upload = {"href": f"{place}/complete", "header": {**chunk, **parts}}
                row["actions"] = {"upload": upload, "verify": {"href": f"{place}/verify"}}
            told.append(row)
        return JSONResponse({"transfer": "basic", "objects": told})

    def lfs_put(self, request: Request, body: bytes) -> Response:
        repo, oid = self._stored(request)
        if self.gate:
            self.gate(oid)
        if hashlib.sha256(body).hexdigest() != oid:
            raise RefusedError(400, "", "the bytes are not those that were announced")
        with self.lock:
            self.stored[oid] += 1
            repo.lfs[oid] = body
        return Response(headers={"ETag": f'"{oid}"'})

    def lfs_part(self, request: Request, body: bytes) -> Response:
        repo, oid = self._stored(request)
        repo.parts[oid, int(request.path_params["part"])] = body
        return Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def lfs_complete(self, request: Request, body: bytes) -> Response:
        repo, oid = self._stored(request)
        numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
        whole = b"".join(repo.parts.pop((oid, number)) for number in sorted(numbers))
        if hashlib.sha256(whole).hexdigest() != oid:
            raise RefusedError(400, "", "the parts do not make the object")
        self.stored[oid] += 1
        repo.lfs[oid] = whole
        return JSONResponse({"success": True})

    def lfs_verify(self, request: Request, body: bytes) -> Response:
        repo, oid = self._stored(request)
        asked = json.loads(body)
        if asked["oid"] != oid or len(repo.lfs.get(oid, b"")) != asked["size"]:
            raise RefusedError(422, "", "the object is not whole")
        return JSONResponse({})

    def _stored(self, request: Request) -> tuple[Repo, str]:
        at = request.path_params
        return self.repos[f"{at['org']}/{at['name']}"], at["oid"]

    def write_commit(self, request: Request, body: bytes) -> Response:
        repo, branch = self.repo(request, write=True), request.path_params["rev"]
        lines = [json.loads(line) for line in body.decode().splitlines() if line]
        header, *rest = lines
        head = repo.branches.get(branch, "")
        if not head:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        parent = header["value"].get("parentCommit")
        if parent and parent != head:
            raise RefusedError(
                412, "", "A commit has happened since. Please refresh and try again."
            )
        files = dict(repo.commits[head].files)
        for line in rest:
            kind, value = line["key"], line["value"]
            path = value["path"]
            if kind == "file":
                data = base64.b64decode(value["content"])
                files[path] = Entry(git_oid(data), len(data))
                repo.blobs[git_oid(data)] = data
            elif kind == "lfsFile":
                if value["oid"] not in repo.lfs:
                    raise RefusedError(
                        400, "", f"LFS pointer pointed to a file that does not exist: {path}"
                    )
                pointer = f"version\noid sha256:{value['oid']}\nsize {value['size']}\n".encode()
                files[path] = Entry(git_oid(pointer), value["size"], value["oid"])
            elif kind == "deletedFile" and path in files:
                del files[path]
            else:
                raise RefusedError(400, "", f"cannot do {kind} {path}")
        with self.lock:
            commit = repo.add(files, head, header["value"]["summary"])
            repo.branches[branch] = commit.sha
        told = {"success": True, "commitOid": commit.sha, "pullRequestUrl": None}
        url = f"{self.url}/datasets/{repo.name}/commit/{commit.sha}"
        return JSONResponse({**told, "commitUrl": url})

    def tag(self, request: Request, body: bytes) -> Response:
        repo, rev = self.repo(request, write=True), request.path_params["rev"]
        if request.method == "DELETE":
            if repo.tags.pop(rev, None) is None:
                raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {rev}")
            return JSONResponse({})
        name = json.loads(body)["tag"]
        if name in repo.tags:
            raise RefusedError(409, "", f"Reference {name} already exists")
        repo.tags[name] = self.commit(repo, rev).sha
        return JSONResponse({})

    def squash(self, request: Request, body: bytes) -> Response:
        repo, branch = self.repo(request, write=True), request.path_params["rev"]
        if branch not in repo.branches:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        head = repo.commits[repo.branches[branch]]
        repo.branches[branch] = repo.add(head.files, "", json.loads(body)["message"]).sha
        return JSONResponse({})

    def lfs_files(self, request: Request, _: bytes) -> Response:
        repo = self.repo(request, write=True)
        told = {}
        for commit in sorted(repo.commits.values(), key=lambda c: c.number):
            for path, entry in commit.files.items():
                if entry.lfs in repo.lfs:
                    told[entry.lfs] = {
                        "fileOid": entry.lfs, "oid": entry.lfs, "filename": path, "ref": "main",
                        "pushedAt": when(commit), "size": entry.size,
                    }  # fmt: skip
        return JSONResponse(list(told.values()))

    def lfs_delete(self, request: Request, body: bytes) -> Response:
        repo, asked = self.repo(request, write=True), json.loads(body)["deletions"]
        for oid in asked["sha"]:
            repo.lfs.pop(oid, None)
            if asked["rewriteHistory"]:
                for commit in repo.commits.values():
                    for path in [p for p, e in commit.files.items() if e.lfs == oid]:
                        del commit.files[path]
        return JSONResponse({})

    def routes(self) -> list[Route]:
        one = "/api/datasets/{org}/{name}"
        large = "/lfs/{org}/{name}/{oid}"
        table: list[tuple[str, Callable[[Request, bytes], Response], str]] = [
            ("/api/whoami-v2", self.whoami, "GET"),
            ("/api/repos/create", self.create, "POST"),
            ("/api/validate-yaml", self.validate_yaml, "POST"),
            (one, self.info, "GET"),
            (f"{one}/revision/{{rev:path}}", self.info, "GET"),
            (f"{one}/auth-check", self.auth_check, "GET"),
            (f"{one}/settings", self.settings, "PUT"),
            (f"{one}/preupload/{{rev}}", self.preupload, "POST"),
            (f"{one}/commit/{{rev}}", self.write_commit, "POST"),
            (f"{one}/refs", self.refs, "GET"),
            (f"{one}/commits/{{rev:path}}", self.commits, "GET"),
            (f"{one}/tag/{{rev}}", self.tag, "POST DELETE"),
            (f"{one}/super-squash/{{rev}}", self.squash, "POST"),
            (f"{one}/lfs-files", self.lfs_files, "GET"),
            (f"{one}/lfs-files/batch", self.lfs_delete, "POST"),
            (f"{one}/paths-info/{{rev:rev}}", self.paths_info, "POST"),
            (f"{one}/tree/{{rev:rev}}", self.tree, "GET"),
            (f"{one}/tree/{{rev:rev}}/{{path:path}}", self.tree, "GET"),
            ("/datasets/{org}/{name}/resolve/{rev:rev}/{path:path}", self.resolve, "GET HEAD"),
            ("/datasets/{org}/{name}.git/info/lfs/objects/batch", self.lfs_batch, "POST"),
            (large, self.lfs_put, "PUT"),
            (f"{large}/part/{{part}}", self.lfs_part, "PUT"),
            (f"{large}/complete", self.lfs_complete, "POST"),
            (f"{large}/verify", self.lfs_verify, "POST"),
            ("/cdn/{org}/{name}/{oid}", self.cdn, "GET HEAD"),
        ]
        return [Route(p, self._handler(h), methods=m.split()) for p, h, m in table]

    def _handler(self, handle: Callable[[Request, bytes], Response]) -> Callable[..., Any]:
        async def answer(request: Request) -> Response:
            body = await request.body()
            self.asked.append((request.method, request.url.path))
            status = self.fault(request.method, request.url.path) if self.fault else None
            if status:
                return JSONResponse({"error": "made up"}, status)
            try:
                return await run_in_threadpool(handle, request, body)
            except RefusedError as refused:
                return refused.response

        return answer


def when(commit: Commit) -> str:
    return f"2026-01-01T00:{commit.number // 60 % 60:02}:{commit.number % 60:02}.000Z"


def ranged(request: Request, data: bytes, oid: str, headers: dict[str, str]) -> Response:
    """Answer with bytes, or with those of them that the Range header names."""
    told = {**headers, "ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
    asked = request.headers.get("range", "")
    if not asked:
        return Response(data, headers=told, media_type="application/octet-stream")
    first, _, last = asked.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last) if first and last else len(data) - 1, len(data) - 1)
    if start >= len(data):
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    told["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, headers=told, media_type="application/octet-stream")


def _revision_convertor() -> None:
    """Teach routes that a revision is one segment, or a "refs/convert/..." of three."""
    from starlette.convertors import Convertor, register_url_convertor

    class Revision(Convertor[str]):
        regex = "refs/convert/[^/]+|[^/]+"

        def convert(self, value: str) -> str:
            return value

        def to_string(self, value: str) -> str:
            return value

    register_url_convertor("rev", Revision())


_revision_convertor()


@contextmanager
def loopback_hub() -> Iterator[Hub]:
    """Run a Hub on a free loopback port while the block runs."""
    hub = Hub()
    with serving(Starlette(routes=hub.routes())) as address:
        hub.url = address
        yield hub
