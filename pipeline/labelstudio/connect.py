"""Finds the server: one that the environment names, one that runs already, or our own, started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.labelstudio.accounts import open_accounts
from pipeline.labelstudio.server import PORT, Server, running
from pipeline.labelstudio.studio import Studio
from pipeline.progress import say

URL, KEY = "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"


@dataclass(frozen=True)
class Connection:
    """A server that answers.

    Attributes:
        studio: The way to it.
        emails: The experts' accounts by number; empty if we do not know them.
        server: The process, if it is ours to keep.
    """

    studio: Studio
    emails: dict[int, str]
    server: Server | None


@contextmanager
def connect(folder: Path, experts: Iterable[int] = (), port: int = PORT) -> Iterator[Connection]:
    """Connect to a server; start our own for as long as the block lasts if there is none.

    Args:
        folder: Of our own server.
        experts: Numbers that need an account on our own server.
        port: Of our own server, if it has to be started.

    Raises:
        BadInputError: The environment names a server without a key, or the key is refused.
        StageError: The server does not start or answer.
    """
    with ExitStack() as stack:
        if os.environ.get(URL):
            if not os.environ.get(KEY):
                raise BadInputError(f"{URL} names a server, but {KEY} is empty; set both")
            studio = stack.enter_context(Studio(os.environ[URL], os.environ[KEY]))
            studio.whoami()
            yield Connection(studio, {}, None)
            return
        url, server = running(folder), None
        if not url:
            say(f"    starting Label Studio on port {port} (the first time takes a minute)")
            server = stack.enter_context(Server(folder, port))
            url = server.url
        accounts = open_accounts(folder, experts)
        studio = stack.enter_context(Studio(url, accounts.token))
        if (email := _whoami(studio, folder)) != accounts.manager.email:
            raise BadInputError(
                f"{url}: the token of {folder} is that of '{email}'; the database belongs to "
                "another folder's server: give this one a database of its own"
            )
        if accounts.experts:
            there = set(studio.members().values())
            missing = [login for login in accounts.experts.values() if login.email not in there]
            if missing:
                studio.sign_up(missing)
        yield Connection(studio, accounts.emails, server)


def _whoami(studio: Studio, folder: Path) -> str:
    try:
        return studio.whoami()
    except BadInputError:
        raise BadInputError(
            f"{studio.url}: the server does not know the token of {folder}; its database was made "
            "with another folder's accounts: give this one a database of its own"
        ) from None
