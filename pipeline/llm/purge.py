"""Purging what a ledger holds about something that must not be kept: the one way to change a row.

Of a purged request its messages go, of its replies the texts. What stays is a tombstone: the key
(which is the hash of the whole request), the hash of each reply, model, settings, tokens and cost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import canonical_json, sha256_text
from pipeline.errors import BusyError
from pipeline.llm.ledger import Ledger, now
from pipeline.llm.reply import PURGED


@dataclass(frozen=True)
class Purged:
    """What was purged of a ledger.

    Attributes:
        requests: Requests whose messages went.
        attempts: Replies whose texts went.
        micro_usd: What they had cost or may have cost, which stays counted.
    """

    requests: int
    attempts: int
    micro_usd: int


def keys_about(path: Path, items: Iterable[str], holds: Callable[[str], bool]) -> list[str]:
    """Return the keys of the requests about these items, or whose messages hold certain words.

    Args:
        path: The ledger; none is one without requests.
        items: Ids of posts and scenarios.
        holds: Says so of a request's components.
    """
    wanted = set(items)
    return sorted(
        key
        for key, components, item in _requests(path)
        if item.partition(" by ")[0] in wanted or holds(components)
    )


def texts(path: Path, keys: Iterable[str], *, others: bool = False) -> Iterator[str]:
    """Yield replies, their details, and messages of other requests if `others`.

    Args:
        path: The ledger.
        keys: Whose replies.
        others: Those of all other keys instead, with their messages.
    """
    wanted = set(keys)
    if not path.is_file():
        return
    with Ledger(path) as ledger:
        for key, text, detail in ledger.db.execute("SELECT key, text, detail FROM attempt"):
            if (key in wanted) != others:
                yield text
                yield detail
    if others:
        yield from (components for key, components, _ in _requests(path) if key not in wanted)


def purge(path: Path, keys: Iterable[str]) -> Purged:
    """Remove the content of requests and of their replies, also from the file's free pages.

    May be run again over the same keys: what is purged stays so.

    Raises:
        BusyError: Another process holds the ledger open.
    """
    if not path.is_file():
        return Purged(0, 0, 0)
    done = [0, 0]
    micro = 0
    with Ledger(path) as ledger:
        db = ledger.db
        db.execute("PRAGMA secure_delete=ON")
        with ledger.transaction():
            for key in sorted(set(keys)):
                row = db.execute("SELECT components FROM request WHERE key = ?", (key,)).fetchone()
                if row is None:
                    continue
                micro += _cost(db, key)
                if db.execute("SELECT 1 FROM purged WHERE key = ?", (key,)).fetchone() is None:
                    _purge_request(db, key, row[0])
                    done[0] += 1
                done[1] += _purge_attempts(db, key)
        try:
            # The log and the free pages hold what was there before; a new file does not.
            _checkpoint(db)
            db.execute("VACUUM")
            _checkpoint(db)
        except sqlite3.OperationalError as error:
            raise BusyError(
                f"{path}: {error}; end whatever else reads or writes it and run the command again"
            ) from None
    return Purged(done[0], done[1], micro)


def _purge_request(db: sqlite3.Connection, key: str, components: str) -> None:
    left = canonical_json({**json.loads(components), "messages": []})
    db.execute("UPDATE request SET components = ?, item = '' WHERE key = ?", (left, key))
    db.execute("INSERT INTO purged VALUES (?, ?, ?)", (key, sha256_text(left), now()))


def _purge_attempts(db: sqlite3.Connection, key: str) -> int:
    rows = db.execute(
        "SELECT id, outcome, text FROM attempt WHERE key = ? AND outcome <> ?", (key, PURGED)
    ).fetchall()
    for number, outcome, text in rows:
        db.execute(
            "INSERT INTO purged_attempt VALUES (?, ?, ?)", (number, outcome, sha256_text(text))
        )
        db.execute(
            "UPDATE attempt SET outcome = ?, text = '', detail = '' WHERE id = ?", (PURGED, number)
        )
    return len(rows)


def _cost(db: sqlite3.Connection, key: str) -> int:
    (micro,) = db.execute(
        "SELECT coalesce(sum(coalesce(s.micro_usd, r.micro_usd)), 0) FROM reservation r "
        "LEFT JOIN settlement s ON s.reservation = r.id WHERE r.key = ?",
        (key,),
    ).fetchone()
    return int(micro)


def _checkpoint(db: sqlite3.Connection) -> None:
    busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("it is in use")


def _requests(path: Path) -> Iterator[tuple[str, str, str]]:
    if not path.is_file():
        return
    with Ledger(path) as ledger:
        yield from ledger.db.execute("SELECT key, components, item FROM request")
