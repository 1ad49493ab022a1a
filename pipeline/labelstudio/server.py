"""A Label Studio server of our own: on this machine alone, with accounts that were made before."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx
from filelock import FileLock, Timeout

from pipeline.artifacts import read_json, write_json
from pipeline.errors import BadInputError, BusyError, StageError
from pipeline.labelstudio.accounts import Accounts, open_accounts
from pipeline.paths import ROOT

VERSION = "1.23.2"
PORT = 8080
HOME = ROOT / ".venv-labelstudio"
_KEEPER = Path(__file__).with_name("keeper.py")
_STATE = "server.json"
_LOG = "server.log"
_COMMAND = ("start", "--no-browser", "--internal-host", "127.0.0.1")
_START_SECONDS = 300.0
# What of our environment the server gets: the variables of its database, its own, and what any
# program needs. No key of a model's provider.
_PLAIN = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DJANGO_DB")
_PREFIXES = ("POSTGRE_", "LABEL_STUDIO_")
_NOT_PASSED = ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY")


class Server:
    """Starts the server on `__enter__`, ends it on `__exit__`.

    Args:
        folder: Holds the database (unless the environment names PostgreSQL), accounts and log.
        port: On 127.0.0.1.
        home: Virtual environment that has Label Studio.

    Attributes:
        url: Where it answers.
        accounts: The folder's accounts.
    """

    def __init__(self, folder: Path, port: int = PORT, home: Path = HOME) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._python = home / "bin" / "python"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = FileLock(folder / "server.lock")
        self.accounts: Accounts

    def __enter__(self) -> Server:
        if not self._python.exists():
            raise BadInputError(
                f"{self._python}: Label Studio is not installed; run `make labelstudio`, or name "
                "a server of your own by LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(
                f"{self.folder}: another command keeps this server; end it, or use it as it is"
            ) from None
        try:
            self.accounts = open_accounts(self.folder)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        (self.folder / _STATE).unlink(missing_ok=True)
        self._stop()
        self._lock.release()

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process else None

    @property
    def exit_status(self) -> int | None:
        """None while the server lives, else its exit status."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process (again) and wait until it answers.

        Raises:
            BadInputError: The port is taken.
            StageError: It does not start; its log says why.
        """
        self._stop()
        _check_free(self.port)
        if "POSTGRE_HOST" not in os.environ and "DJANGO_DB" not in os.environ:
            _prepare(self.folder / "label_studio.sqlite3")
        log = self.folder / _LOG
        log.touch(mode=0o600)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                # -P: the folder of keeper.py has modules whose names would hide the server's own.
                [self._python, "-P", _KEEPER, *_COMMAND, "--port", str(self.port)],
                env=environment(self.folder, self.url, self.accounts, os.environ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us, and we end the server
            )
        self._wait()
        write_json({"url": self.url, "pid": self._process.pid}, self.folder / _STATE)

    def _wait(self) -> None:
        ends = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends:
            if self.exit_status is not None:
                break
            if _answers(self.url):
                return
            time.sleep(0.2)
        status = self.exit_status
        what = "gives no answer" if status is None else f"ended with status {status}"
        raise StageError(f"Label Studio {what}; {self.folder / _LOG} says why")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError):  # it may be dead already
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def running(folder: Path) -> str:
    """Return the address of the server that another command keeps for this folder, or ""."""
    try:
        url = str(read_json(folder / _STATE)["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url if _answers(url) else ""


def environment(
    folder: Path, url: str, accounts: Accounts, ours: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that the server is started with.

    Args:
        folder: Of its data.
        url: Where it answers; LABEL_STUDIO_HOST in `ours` comes before it (a proxy's address).
        accounts: The folder's.
        ours: This process's environment.
    """
    passed = {
        name: value
        for name, value in ours.items()
        if (name in _PLAIN or name.startswith(_PREFIXES)) and name not in _NOT_PASSED
    }
    database = "postgresql" if "POSTGRE_HOST" in ours else "sqlite"
    return (
        {"DJANGO_DB": database, "LABEL_STUDIO_HOST": url}
        | passed
        | {
            "LABEL_STUDIO_BASE_DATA_DIR": str(folder.resolve()),
            "SECRET_KEY": accounts.secret_key,
            "LABEL_STUDIO_USERNAME": accounts.manager.email,
            "LABEL_STUDIO_PASSWORD": accounts.manager.password,
            "LABEL_STUDIO_USER_TOKEN": accounts.token,
            # Counts at the first start alone.
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
            "LATEST_VERSION_CHECK": "0",
            "COLLECT_ANALYTICS": "0",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
        }
    )


def _check_free(port: int) -> None:
    # The server itself would silently take the next port, and every expert's address be wrong.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise BadInputError(f"port {port} is taken; name another by --port") from None


def _prepare(database: Path) -> None:
    # With a write-ahead log, experts can read while a task or an answer is written.
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
    database.chmod(0o600)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
