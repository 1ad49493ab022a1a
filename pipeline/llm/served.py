"""What a ledger serves for a key: one rule for replays, for the card and for provenance."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from pipeline.llm.reply import ERROR, FAILED, PURGED, Reply


@dataclass(frozen=True)
class Receipt:
    """What a served reply rests on.

    Attributes:
        reply: The reply.
        date: Day on which it came, UTC.
        micro_usd: Its measured cost. Money that was lost on the way (a killed build's
            reservations, replies that never came) is not in it: it hangs on how a build went, not
            on what it made.
    """

    reply: Reply
    date: str
    micro_usd: int


def served(db: sqlite3.Connection, key: str, *, errors: bool = False) -> Reply | None:
    """Return the reply to serve for a key: its latest "ok", else its latest answer.

    Args:
        db: An open ledger file.
        key: The request's key.
        errors: Serve a request that ended without an answer too, if there is nothing else.
    """
    row = _row(db, key, errors)
    return Reply(*row[:-1]) if row else None


def receipt(db: sqlite3.Connection, key: str, *, errors: bool = False) -> Receipt | None:
    """Return the same reply with its day and cost; the arguments are those of `served`."""
    row = _row(db, key, errors)
    if row is None:
        return None
    (micro,) = db.execute(
        "SELECT coalesce(max(s.micro_usd), 0) FROM reservation r "
        "JOIN settlement s ON s.reservation = r.id WHERE r.key = ? AND s.kind = 'measured'",
        (key,),
    ).fetchone()
    return Receipt(Reply(*row[:-1]), row[-1], micro)


def _row(db: sqlite3.Connection, key: str, errors: bool) -> tuple[Any, ...] | None:
    """Return the columns of Reply, and the day."""
    found: tuple[Any, ...] | None = db.execute(
        "SELECT key, outcome, detail, text, finish_reason, model_returned, prompt_tokens, "
        "completion_tokens, substr(finished_utc, 1, 10) FROM attempt "
        "WHERE key = ? AND outcome NOT IN (?, ?, ?) "
        "ORDER BY outcome = 'ok' DESC, outcome <> ? DESC, id DESC LIMIT 1",
        (key, FAILED, PURGED, FAILED if errors else ERROR, ERROR),
    ).fetchone()
    return found
