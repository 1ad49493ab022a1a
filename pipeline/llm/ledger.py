"""The ledger: one append-only SQLite file that is both cache and provenance of model calls.

Every attempt is one row, written before its text is parsed. Only an attempt that ended "ok" is
ever served again. Rows are never changed or deleted (`total` alone is a running sum of others).

Money is reserved before a request is sent and settled from the usage that comes back. A killed
build leaves its reservations open, and they count as spent: what a provider may have charged is
never forgotten.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.artifacts import canonical_json
from pipeline.errors import BadInputError
from pipeline.llm.request import Request

MIGRATIONS = (
    """
    CREATE TABLE request (
        key TEXT PRIMARY KEY,
        components TEXT NOT NULL,
        item TEXT NOT NULL
    ) STRICT;
    CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL REFERENCES request(key),
        outcome TEXT NOT NULL,
        detail TEXT NOT NULL,
        text TEXT NOT NULL,
        finish_reason TEXT NOT NULL,
        model_returned TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        finished_utc TEXT NOT NULL
    ) STRICT;
    CREATE INDEX attempt_by_key ON attempt(key);
    """,
    """
    CREATE TABLE reservation (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        micro_usd INTEGER NOT NULL,
        opened_utc TEXT NOT NULL
    ) STRICT;
    CREATE TABLE settlement (
        reservation INTEGER PRIMARY KEY REFERENCES reservation(id),
        micro_usd INTEGER NOT NULL,
        kind TEXT NOT NULL
    ) STRICT;
    CREATE TABLE total (committed_micro_usd INTEGER NOT NULL) STRICT;
    INSERT INTO total VALUES (0);
    """,
)
"""Numbered from 1; a file's number stands in PRAGMA user_version."""


@dataclass(frozen=True)
class Reply:
    """What came back for one request.

    Attributes:
        key: The request's key.
        outcome: "ok", "truncated", "filtered", "refused", "empty", "invalid" or "error".
        detail: Why it is not ok, for people.
        text: The raw reply.
        finish_reason: As the endpoint gave it.
        model_returned: The model name that the endpoint says answered.
        prompt_tokens: Tokens of the prompt, from the endpoint's own count.
        completion_tokens: Tokens of the reply, likewise.
        replayed: True if it came from the ledger.
    """

    key: str
    outcome: str
    detail: str
    text: str
    finish_reason: str
    model_returned: str
    prompt_tokens: int
    completion_tokens: int
    replayed: bool = False


@dataclass(frozen=True)
class Charge:
    """What one sending cost.

    Attributes:
        micro_usd: Micro-dollars.
        kind: "measured" (from usage), "not_charged" (an error status) or "unknown" (no answer, or
            one without usage; the whole reservation counts).
    """

    micro_usd: int
    kind: str


@dataclass(frozen=True)
class Money:
    """What a ledger knows of its spending, in micro-dollars.

    Attributes:
        measured: Charged, from the usage that came back.
        unknown: Reserved where no answer or no usage came back; it may have been charged.
        open: Reserved by builds that were killed, or are running now.
        open_requests: Number of those reservations.
    """

    measured: int
    unknown: int
    open: int
    open_requests: int


class Ledger:
    """An open ledger file; use as a context manager. Safe for several processes (WAL)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            # WAL and NORMAL: a killed process loses nothing; a power cut may lose the last rows.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            if "full" in str(error) or "disk I/O" in str(error):
                raise
            raise BadInputError(
                f"{path}: not usable as a ledger ({error}); move it aside or name another file "
                "by build.ledger"
            ) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise BadInputError(f"{self.path}: written by a newer version of this program")
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # One transaction a migration: a killed one leaves the old version whole.
            self._db.executescript(f"BEGIN; {script}; PRAGMA user_version={number}; COMMIT;")

    def find(self, key: str) -> Reply | None:
        """Return the reply to serve for `key`: its latest "ok", else its latest spent attempt.

        Transport errors are not answers, so a key with nothing else gives None and is asked again.
        """
        row = self._db.execute(
            "SELECT key, outcome, detail, text, finish_reason, model_returned, prompt_tokens, "
            "completion_tokens, TRUE FROM attempt WHERE key = ? AND outcome <> 'error' "
            "ORDER BY outcome = 'ok' DESC, id DESC LIMIT 1",
            (key,),
        ).fetchone()
        return Reply(*row) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def reserve(self, key: str, micro_usd: int, cap_micro_usd: int) -> int | None:
        """Set aside the most that one sending can cost; None if the cap would be exceeded.

        Args:
            key: The request's key.
            micro_usd: The most it can cost.
            cap_micro_usd: The most that this ledger's settlements and open reservations may
                amount to together.

        Returns:
            The reservation's number.
        """
        with self._transaction():
            if self.committed() + micro_usd > cap_micro_usd:
                return None
            cursor = self._db.execute(
                "INSERT INTO reservation (key, micro_usd, opened_utc) VALUES (?, ?, ?)",
                (key, micro_usd, _now()),
            )
            self._db.execute(
                "UPDATE total SET committed_micro_usd = committed_micro_usd + ?", (micro_usd,)
            )
            return cursor.lastrowid

    def settle(self, reservation: int, charge: Charge) -> None:
        """Replace a reservation by what was charged, once."""
        with self._transaction():
            self._settle(reservation, charge)

    def _settle(self, reservation: int, charge: Charge) -> None:
        self._db.execute(
            "INSERT INTO settlement VALUES (?, ?, ?)", (reservation, charge.micro_usd, charge.kind)
        )
        self._db.execute(
            "UPDATE total SET committed_micro_usd = committed_micro_usd + ? "
            "- (SELECT micro_usd FROM reservation WHERE id = ?)",
            (charge.micro_usd, reservation),
        )

    def committed(self) -> int:
        """Return micro-dollars settled and reserved; the cap holds for this sum."""
        (micro,) = self._db.execute("SELECT committed_micro_usd FROM total").fetchone()
        return int(micro)

    def money(self) -> Money:
        """Return what was charged, may have been charged, and is still open."""
        kinds = dict(self._db.execute("SELECT kind, sum(micro_usd) FROM settlement GROUP BY kind"))
        number, left = self._db.execute(
            "SELECT count(*), coalesce(sum(micro_usd), 0) FROM reservation "
            "WHERE id NOT IN (SELECT reservation FROM settlement)"
        ).fetchone()
        return Money(kinds.get("measured", 0), kinds.get("unknown", 0), left, number)

    def record(
        self,
        request: Request,
        reply: Reply,
        reservation: int | None = None,
        charge: Charge | None = None,
    ) -> None:
        """Append one attempt and settle its reservation, in one transaction.

        Args:
            request: What was asked.
            reply: What came back.
            reservation: Number of its reservation, if money was reserved.
            charge: What it cost.
        """
        with self._transaction():
            if reservation is not None and charge is not None:
                self._settle(reservation, charge)
            self._db.execute(
                "INSERT OR IGNORE INTO request VALUES (?, ?, ?)",
                (reply.key, canonical_json(request.components()), request.item),
            )
            self._db.execute(
                "INSERT INTO attempt (key, outcome, detail, text, finish_reason, model_returned, "
                "prompt_tokens, completion_tokens, finished_utc) VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    reply.key,
                    reply.outcome,
                    reply.detail,
                    reply.text,
                    reply.finish_reason,
                    reply.model_returned,
                    reply.prompt_tokens,
                    reply.completion_tokens,
                    _now(),
                ),
            )

    def outcomes(self) -> Counter[str]:
        """Return how many attempts ended in each outcome."""
        return Counter(
            dict(self._db.execute("SELECT outcome, count(*) FROM attempt GROUP BY outcome"))
        )

    def components(self, key: str) -> str | None:
        """Return the canonical JSON of a request's components, or None."""
        row = self._db.execute("SELECT components FROM request WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
