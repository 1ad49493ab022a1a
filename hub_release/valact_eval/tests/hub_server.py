"""A read-only hub on loopback: one dataset from a folder, as the hub's clients ask for it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0" * 39 + "1"


@contextmanager
def hub(folder: Path, name: str) -> Iterator[str]:
    """Serves ``folder`` as the dataset ``name`` and gives the hub's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            api, files = f"/api/datasets/{name}", f"/datasets/{name}/resolve/"
            if path.startswith(files):
                self._file(path.removeprefix(files).split("/", 1)[1])
            elif path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
                siblings = [{"rfilename": file} for file in self._names()]
                whole = {"id": name, "sha": COMMIT, "siblings": siblings, "private": False}
                self._json(whole | {"tags": [], "downloads": 0, "likes": 0, "gated": False})
            elif path.startswith(f"{api}/tree/"):
                self._json(self._entries(path.removeprefix(f"{api}/tree/").partition("/")[2]))
            else:
                self._error()

        do_HEAD = do_GET

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length).decode()
            asked = json.loads(body).get("paths", []) if body.startswith("{") else []
            found = [entry for entry in self._entries("", True) if entry["path"] in asked]
            self._json(found)

        def _names(self) -> list[str]:
            found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
            return sorted(file.as_posix() for file in found)

        def _entries(self, under: str, whole: bool = False) -> list[dict]:
            entries: dict[str, dict] = {}
            for file in self._names():
                if under and not file.startswith(under + "/"):
                    continue
                rest = file.removeprefix(under + "/" if under else "")
                if "/" in rest:
                    place = (under + "/" if under else "") + rest.split("/")[0]
                    entries[place] = {"type": "directory", "path": place, "oid": "d", "size": 0}
                if whole or "/" not in rest:
                    data = (folder / file).read_bytes()
                    oid = hashlib.sha1(data).hexdigest()
                    entries[file] = {"type": "file", "path": file, "oid": oid, "size": len(data)}
            return list(entries.values())

        def _file(self, file: str) -> None:
            path = folder / file
            if not path.is_file():
                self._error("EntryNotFound")
                return
            data = path.read_bytes()
            tag = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if wanted := self.headers.get("Range"):
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
                span = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
                self._send(206, data[start : end + 1], tag | span)
            else:
                self._send(200, data, tag)

        def _json(self, found: object) -> None:
            headers = {"Content-Type": "application/json", "X-Repo-Commit": COMMIT}
            self._send(200, json.dumps(found).encode(), headers)

        def _error(self, code: str = "RepoNotFound") -> None:
            self._send(404, b"", {"X-Error-Code": code})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
