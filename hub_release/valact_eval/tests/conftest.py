import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="valact-hf-")  # read once, at import
os.environ["HF_HUB_OFFLINE"] = "1"
# read once, at import: small products are slower on several threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from eval_helpers import question_rows, write_release
from hypothesis import HealthCheck, settings

# A busy machine is no failure: nothing here is judged by how long it takes.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


@pytest.fixture
def release_dir(tmp_path: Path) -> Path:
    return write_release(tmp_path / "dist", question_rows())


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    from valact_eval.cli import main

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["valact-eval", *map(str, args)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return call


class ModelServer(ThreadingHTTPServer):
    """An OpenAI-compatible server whose reply to a request is `answer(prompt)`."""

    def __init__(self, answer: Callable[[str], dict[str, object]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        self.answer = answer
        self.requests: list[dict] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        reply = {"content": "", "finish": "stop"} | self.server.answer(
            request["messages"][-1]["content"]
        )
        message = {"role": "assistant", "content": reply["content"]}
        if "refusal" in reply:
            message["refusal"] = reply["refusal"]
        choice = {"index": 0, "message": message, "finish_reason": reply["finish"]}
        if "logprobs" in reply:
            choice["logprobs"] = {"content": reply["logprobs"]}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        body = json.dumps(
            {"id": "r", "object": "chat.completion", "created": 0, "model": request["model"]}
            | {"choices": [choice], "usage": usage}
        ).encode()
        self.send_response(int(reply.get("status", 200)))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModelServer]]:
    servers = []

    def start(answer: Callable[[str], dict[str, object]]) -> ModelServer:
        server = ModelServer(answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("LOCAL_BASE_URL", server.url)
        monkeypatch.setenv("LOCAL_API_KEY", "x")
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
