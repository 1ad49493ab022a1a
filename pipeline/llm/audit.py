"""Looking into a ledger: do keys follow from requests, what came back, why was a request new."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import sha256_text, write_parquet
from pipeline.errors import BadInputError
from pipeline.llm.migrations import PURGED_SINCE
from pipeline.llm.reply import PURGED, Reply, outcome_of
from pipeline.llm.request import KEY_TAG
from pipeline.llm.served import served

_DERIVED = frozenset({"ok", "truncated", "empty", "invalid", "filtered"})
_AROUND = 40


@dataclass(frozen=True)
class Recorded:
    """A request that a ledger holds.

    Attributes:
        key: Its key.
        components: What makes the key; see Request.components.
        reply: What is served for it; None if nothing came back.
    """

    key: str
    components: Mapping[str, Any]
    reply: Reply | None


def recorded(path: Path, keys: Iterable[str]) -> dict[str, Recorded]:
    """Return what a ledger holds under these keys; keys that it does not know are left out.

    Raises:
        BadInputError: The file is missing or no ledger.
    """
    with opened(path) as db:
        found = {}
        for key in keys:
            row = db.execute("SELECT components FROM request WHERE key = ?", (key,)).fetchone()
            if row:
                found[key] = Recorded(key, json.loads(row[0]), served(db, key, errors=True))
        return found


def recorded_about(path: Path, item: str) -> list[Recorded]:
    """Return the requests about an item ("<id> by <model>"), the first one first.

    Raises:
        BadInputError: The file is missing or no ledger.
    """
    with opened(path) as db:
        rows = db.execute(
            "SELECT key, components FROM request WHERE item = ? ORDER BY rowid", (item,)
        ).fetchall()
        return [Recorded(key, json.loads(text), served(db, key, errors=True)) for key, text in rows]


def verify_ledger(path: Path) -> tuple[int, int, list[str]]:
    """Derive every key from its request again, and every outcome from its reply.

    What was purged has to be empty, and otherwise as it was left.

    Returns:
        (requests, attempts, problems); a sound ledger has no problems.

    Raises:
        BadInputError: The file is missing or no ledger.
    """
    problems = []
    with opened(path) as db:
        schemas = {}
        purged = _purged(db)
        for key, components in db.execute("SELECT key, components FROM request ORDER BY key"):
            if key in purged:
                if purged[key] != sha256_text(components):
                    problems.append(f"{key}: is not as its purging left it")
            elif f"{KEY_TAG}:{sha256_text(components)}" != key:
                problems.append(f"{key}: the request recorded under it has another key")
            schemas[key] = json.loads(components).get("schema", "")
        attempts = 0
        for number, key, outcome, text, finish in db.execute(
            "SELECT id, key, outcome, text, finish_reason FROM attempt ORDER BY id"
        ):
            attempts += 1
            if key not in schemas:
                problems.append(f"attempt {number}: no request with key {key}")
            elif key in purged or outcome == PURGED:
                if text or outcome != PURGED or key not in purged:
                    problems.append(f"attempt {number}: purged, and yet it holds a reply")
            elif outcome in _DERIVED:
                derived, _ = outcome_of(text, finish, "", schemas[key])
                if derived != outcome:
                    problems.append(f"attempt {number}: recorded as {outcome}, reads as {derived}")
    return len(schemas), attempts, problems


def purged_requests(path: Path) -> int:
    """Return how many requests of a ledger were purged (`pipeline.llm.purge`).

    Raises:
        BadInputError: The file is missing or no ledger.
    """
    with opened(path) as db:
        return len(_purged(db))


def _purged(db: sqlite3.Connection) -> dict[str, str]:
    """Return the hash of what was left of each purged request, by key."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version < PURGED_SINCE:
        return {}
    return dict(db.execute("SELECT key, components_sha256 FROM purged"))


def export_ledger(path: Path, out: Path) -> int:
    """Write one row an attempt, the request's fields beside it, to a Parquet file.

    Returns:
        Number of rows.

    Raises:
        BadInputError: The file is missing or no ledger.
    """
    with opened(path) as db:
        cursor = db.execute(
            "SELECT a.id, a.key, r.item, a.outcome, a.detail, a.text, a.finish_reason, "
            "a.model_returned, a.prompt_tokens, a.completion_tokens, a.finished_utc, r.components "
            "FROM attempt a JOIN request r USING (key) ORDER BY a.id"
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    table = pl.DataFrame(rows, infer_schema_length=None)
    write_parquet(table, out)
    return table.height


def why(path: Path, key: str) -> tuple[str, list[str]]:
    """Say how a request differs from the one in the ledger that is most like it.

    Args:
        path: The ledger.
        key: A key, or enough of its beginning.

    Returns:
        The nearest other key and one line a differing component.

    Raises:
        BadInputError: No such key, several, or nothing to compare with.
    """
    with opened(path) as db:
        found = db.execute(
            "SELECT key, item, components FROM request WHERE substr(key, 1, ?) = ?", (len(key), key)
        ).fetchall()
        if len(found) != 1:
            raise BadInputError(f"{path}: {len(found)} keys begin with '{key}'; give one whole key")
        ((whole, item, text),) = found
        mine = json.loads(text)
        best: tuple[int, bool, str] | None = None
        nearest: dict[str, Any] = {}
        for other, other_item, other_text in db.execute(
            "SELECT key, item, components FROM request WHERE key <> ? ORDER BY key", (whole,)
        ):
            theirs = json.loads(other_text)
            rank = (len(_changed(mine, theirs)), other_item != item, other)
            if best is None or rank < best:
                best, nearest = rank, theirs
    if best is None:
        raise BadInputError(f"{path}: holds no other request to compare {whole} with")
    lines = [
        _difference(name, nearest.get(name), mine.get(name)) for name in _changed(mine, nearest)
    ]
    return best[2], lines


def opened(path: Path) -> _ReadOnly:
    """Return a ledger that is only read, for a `with` block.

    Raises:
        BadInputError: There is no such file, or (on entering the block) it is no ledger.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such ledger; name one by --ledger")
    return _ReadOnly(path)


class _ReadOnly:
    """A connection that cannot write, closed at the end of its block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        self._db = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            self._db.execute("SELECT count(*) FROM request")
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise BadInputError(f"{self._path}: not a ledger ({error})") from None
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.close()


def _changed(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [n for n in sorted(one.keys() | other.keys()) if one.get(n) != other.get(n)]


def _difference(name: str, before: Any, after: Any) -> str:
    if name == "messages" and isinstance(before, list) and isinstance(after, list):
        return "; ".join(_message_differences(before, after))
    old, new = json.dumps(before, ensure_ascii=False), json.dumps(after, ensure_ascii=False)
    return f"{name}: {_around(old, new)}"


def _message_differences(before: list[Any], after: list[Any]) -> Iterator[str]:
    if len(before) != len(after):
        yield f"messages: {len(before)} -> {len(after)} of them"
    for number, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            yield f"messages[{number}] ({new[0]}): {_around(old[1], new[1])}"


def _around(old: str, new: str) -> str:
    """Return both texts from just before their first difference."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    start = max(0, (min(len(old), len(new)) if same is None else same) - 10)
    return f"{old[start : start + _AROUND]!r} -> {new[start : start + _AROUND]!r} at {start}"
