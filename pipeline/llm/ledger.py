"""The ledger: one append-only SQLite file that is both cache and provenance of model calls.

Every sending is one row, written with its raw text. An attempt that ended "ok" is served again;
any other answer counts as a spent asking. Rows are never changed or deleted (`total` alone is a
running sum of others), but for what must not be kept any more: see purge.py.

Money is reserved before a request is sent and settled from the usage that comes back. A killed
build leaves its reservations open, and they count as spent: what a provider may have charged is
never forgotten.
"""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.artifacts import canonical_json
from pipeline.errors import BadInputError
from pipeline.llm.migrations import MIGRATIONS
from pipeline.llm.prices import Charge
from pipeline.llm.reply import ERROR, FAILED, PURGED, Reply
from pipeline.llm.request import Request
from pipeline.llm.served import served

IN_MEMORY = Path(":memory:")
"""In place of a file: an empty ledger that leaves no trace."""


@dataclass(frozen=True)
class Usage:
    """What the replies of one model used so far.

    Attributes:
        replies: Answers, usable or not.
        unusable: Those that were not "ok".
        prompt_tokens: Tokens of their prompts, by the endpoint's count.
        completion_tokens: Tokens of the answers, likewise.
    """

    replies: int
    unusable: int
    prompt_tokens: int
    completion_tokens: int


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
            self.db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self.db.execute("PRAGMA journal_mode=WAL")
            # WAL and NORMAL: a killed process loses nothing; a power cut may lose the last rows.
            self.db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # even its message may be
            if "full" in str(error) or "disk I/O" in str(error):
                raise
            raise BadInputError(
                f"{path}: not usable as a ledger ({error}); move it aside or name another file "
                "by build.ledger"
            ) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def _migrate(self) -> None:
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise BadInputError(f"{self.path}: written by a newer version of this program")
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # One transaction a migration: a killed one leaves the old version whole.
            self.db.executescript(f"BEGIN; {script}; PRAGMA user_version={number}; COMMIT;")

    def find(self, key: str, *, errors: bool = False) -> Reply | None:
        """Return the reply to serve for `key`: its latest "ok", else its latest answer.

        Args:
            key: The request's key.
            errors: Serve a request that ended without an answer too, if there is nothing else.
        """
        return served(self.db, key, errors=errors)

    def has(self, key: str, *, errors: bool = False) -> bool:
        """Return True if `find` would find a reply."""
        row = self.db.execute(
            "SELECT 1 FROM attempt WHERE key = ? AND outcome NOT IN (?, ?, ?) LIMIT 1",
            (key, FAILED, PURGED, FAILED if errors else ERROR),
        ).fetchone()
        return row is not None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do what is in the block whole or not at all; no other process writes meanwhile."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

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
        with self.transaction():
            return self.reserve_within(key, micro_usd, cap_micro_usd)

    def reserve_within(self, key: str, micro_usd: int, cap_micro_usd: int) -> int | None:
        """Do the same as `reserve`, within a transaction that is open already."""
        if self.committed() + micro_usd > cap_micro_usd:
            return None
        cursor = self.db.execute(
            "INSERT INTO reservation (key, micro_usd, opened_utc) VALUES (?, ?, ?)",
            (key, micro_usd, now()),
        )
        self.db.execute(
            "UPDATE total SET committed_micro_usd = committed_micro_usd + ?", (micro_usd,)
        )
        return cursor.lastrowid

    def _settle(self, reservation: int, charge: Charge) -> None:
        self.db.execute(
            "INSERT INTO settlement VALUES (?, ?, ?)", (reservation, charge.micro_usd, charge.kind)
        )
        self.db.execute(
            "UPDATE total SET committed_micro_usd = committed_micro_usd + ? "
            "- (SELECT micro_usd FROM reservation WHERE id = ?)",
            (charge.micro_usd, reservation),
        )

    def committed(self) -> int:
        """Return micro-dollars settled and reserved; the cap holds for this sum."""
        (micro,) = self.db.execute("SELECT committed_micro_usd FROM total").fetchone()
        return int(micro)

    def money(self) -> Money:
        """Return what was charged, may have been charged, and is still open."""
        kinds = dict(self.db.execute("SELECT kind, sum(micro_usd) FROM settlement GROUP BY kind"))
        number, left = self.db.execute(
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
        with self.transaction():
            self.note(request)
            self.record_within(reply, reservation, charge)

    def note(self, request: Request) -> None:
        """Keep what a key stands for, within an open transaction."""
        self.db.execute(
            "INSERT OR IGNORE INTO request VALUES (?, ?, ?)",
            (request.key, canonical_json(request.components()), request.item),
        )

    def record_within(
        self,
        reply: Reply,
        reservation: int | None,
        charge: Charge | None,
        batch: int | None = None,
    ) -> None:
        """Append one attempt of a noted request, within an open transaction; see `record`."""
        if reservation is not None and charge is not None:
            self._settle(reservation, charge)
        self.db.execute(
            "INSERT INTO attempt (key, outcome, detail, text, finish_reason, model_returned, "
            "prompt_tokens, completion_tokens, finished_utc, batch) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (*dataclasses.astuple(reply), now(), batch),
        )

    def usage(self, model: str, max_tokens: int, temperature: float) -> Usage:
        """Return what the answers of a model (by the endpoint's name) under two settings used."""
        row = self.db.execute(
            "SELECT count(*), coalesce(sum(outcome NOT IN ('ok', ?)), 0), "
            "coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
            "FROM attempt a JOIN request r USING (key) "
            "WHERE json_extract(r.components, '$.model') = ? "
            "AND json_extract(r.components, '$.max_tokens') = ? "
            "AND json_extract(r.components, '$.temperature') = ? "
            "AND a.outcome NOT IN (?, ?) AND a.prompt_tokens > 0",
            (PURGED, model, max_tokens, temperature, FAILED, ERROR),
        ).fetchone()
        return Usage(*row)

    def outcomes(self) -> Counter[str]:
        """Return how many attempts ended in each outcome."""
        return Counter(
            dict(self.db.execute("SELECT outcome, count(*) FROM attempt GROUP BY outcome"))
        )

    def components(self, key: str) -> str | None:
        """Return the canonical JSON of a request's components, or None."""
        row = self.db.execute("SELECT components FROM request WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None


def now() -> str:
    """Return the time, as the ledger writes it: that of SOURCE_DATE_EPOCH if it is set.

    Days of calls stand in manifests and on the card, so that two builds with ledgers of their own
    give the same bytes on one day, and with that variable on any.
    """
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(fixed), UTC) if fixed.isdecimal() else datetime.now(UTC)
    return moment.isoformat(timespec="milliseconds")
