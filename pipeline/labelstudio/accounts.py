"""Accounts of our own server: made once for a folder, in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError

FILE = "accounts.json"
# No such mail exists; the server wants an address as a name to log in with.
_DOMAIN = "valact.local"


@dataclass(frozen=True)
class Login:
    """What one needs to log in."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Accounts:
    """Everybody who has an account.

    Attributes:
        manager: The account that makes projects and reads annotations.
        token: The manager's API token.
        secret_key: The server signs sessions and tokens with it.
        experts: By number.
    """

    manager: Login
    token: str = field(repr=False)
    secret_key: str = field(repr=False)
    experts: dict[int, Login]

    @property
    def emails(self) -> dict[int, str]:
        """Return the experts' names on the server, by number."""
        return {number: login.email for number, login in self.experts.items()}


def open_accounts(folder: Path, experts: Iterable[int] = ()) -> Accounts:
    """Return the folder's accounts; make those that are not there yet.

    Args:
        folder: Of the server.
        experts: Numbers that must have an account.

    Raises:
        BadInputError: The file is not one that this function wrote.
    """
    path = folder / FILE
    if path.exists():
        kept = _read(path)
    else:
        # Letters and digits only: a key that begins with a dollar sign is taken for the name of
        # a variable at the next start, and every session and token ends.
        kept = Accounts(_login("manager"), secrets.token_hex(20), secrets.token_hex(32), {})
    logins = dict(kept.experts)
    for number in sorted(set(experts) - logins.keys()):
        logins[number] = _login(f"expert-{number}")
    accounts = Accounts(kept.manager, kept.token, kept.secret_key, logins)
    if accounts != kept or not path.exists():
        _write(path, accounts)
    path.chmod(0o600)
    return accounts


def _login(name: str) -> Login:
    return Login(f"{name}@{_DOMAIN}", secrets.token_urlsafe(12))


def _read(path: Path) -> Accounts:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        experts = {int(number): Login(**login) for number, login in data["experts"].items()}
        return Accounts(Login(**data["manager"]), data["token"], data["secret_key"], experts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInputError(
            f"{path}: not a file of accounts; restore it from a copy (without it, the passwords "
            "and the server's key are lost)"
        ) from None


def _write(path: Path, accounts: Accounts) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(accounts), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
