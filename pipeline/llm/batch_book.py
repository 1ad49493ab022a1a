"""What the ledger knows of batches: their items and reservations, and the provider's handles.

A batch is written down whole, its money reserved, before anything is uploaded. Its events then
follow: "uploaded" (the file's id), "submitted" (the batch's id), "closed" (how it ended).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.llm.ledger import Ledger, now
from pipeline.llm.prices import Charge
from pipeline.llm.reply import Reply
from pipeline.llm.request import Request

FAILED_WHOLE = "failed"
"""How a batch ended that the provider did not begin; it does not count as an asking."""


@dataclass(frozen=True)
class Batch:
    """One batch as the ledger knows it.

    Attributes:
        id: Its number in the ledger.
        model: The model's name in [models].
        endpoint: The address that it was, or will be, sent to.
        items: Number of its requests.
        file_handle: Id of the uploaded file, or "".
        handle: Id of the provider's batch, or "".
        closed: How it ended, or "".
    """

    id: int
    model: str
    endpoint: str
    items: int
    file_handle: str
    handle: str
    closed: str


@dataclass(frozen=True)
class Settled:
    """How one item of a batch ended: what to keep and what it cost."""

    reply: Reply
    charge: Charge


class BatchBook:
    """Batches of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def write_down(
        self,
        model: str,
        endpoint: str,
        requests: Sequence[Request],
        reserve: Callable[[Request], int | None],
    ) -> Batch:
        """Keep a batch that is about to be sent, and reserve its money, whole or not at all.

        Args:
            model: Name in [models].
            endpoint: Where it will be sent.
            requests: Its items, each key once.
            reserve: Called for each item within the transaction; gives its reservation.

        Raises:
            BudgetError: `reserve` found the cap too low; nothing was kept.
        """
        db = self._ledger.db
        with self._ledger.transaction():
            cursor = db.execute(
                "INSERT INTO batch (model, endpoint, opened_utc) VALUES (?, ?, ?)",
                (model, endpoint, now()),
            )
            number = int(cursor.lastrowid or 0)
            for request in requests:
                self._ledger.note(request)
                db.execute(
                    "INSERT INTO batch_item VALUES (?, ?, ?)",
                    (number, request.key, reserve(request)),
                )
        return Batch(number, model, endpoint, len(requests), "", "", "")

    def event(self, batch: Batch, kind: str, handle: str) -> None:
        """Append what happened to a batch."""
        with self._ledger.transaction():
            self._event_within(batch, kind, handle)

    def _event_within(self, batch: Batch, kind: str, handle: str) -> None:
        self._ledger.db.execute(
            "INSERT INTO batch_event (batch, kind, handle, at_utc) VALUES (?, ?, ?, ?)",
            (batch.id, kind, handle, now()),
        )

    def all(self, model: str = "") -> list[Batch]:
        """Return every batch in order, of one model or of all."""
        rows = self._ledger.db.execute(
            "SELECT b.id, b.model, b.endpoint, "
            "(SELECT count(*) FROM batch_item i WHERE i.batch = b.id), "
            "coalesce(max(CASE e.kind WHEN 'uploaded' THEN e.handle END), ''), "
            "coalesce(max(CASE e.kind WHEN 'submitted' THEN e.handle END), ''), "
            "coalesce(max(CASE e.kind WHEN 'closed' THEN e.handle END), '') "
            "FROM batch b LEFT JOIN batch_event e ON e.batch = b.id "
            "WHERE ? IN ('', b.model) GROUP BY b.id ORDER BY b.id",
            (model,),
        )
        return [Batch(*row) for row in rows]

    def requests(self, batch: Batch) -> Iterator[Request]:
        """Yield a batch's items, as they were recorded."""
        rows = self._ledger.db.execute(
            "SELECT r.components, r.item FROM batch_item i JOIN request r USING (key) "
            "WHERE i.batch = ? ORDER BY i.key",
            (batch.id,),
        )
        for components, item in rows:
            yield Request.from_components(components, item, batch.model)

    def waits_for(self, key: str) -> bool:
        """Return True if a batch that is not closed holds this key."""
        row = self._ledger.db.execute(
            "SELECT 1 FROM batch_item i WHERE i.key = ? AND NOT EXISTS "
            "(SELECT 1 FROM batch_event e WHERE e.batch = i.batch AND e.kind = 'closed')",
            (key,),
        ).fetchone()
        return row is not None

    def holding(self, key: str) -> list[int]:
        """Return the numbers of the batches that hold, or held, this key."""
        rows = self._ledger.db.execute("SELECT batch FROM batch_item WHERE key = ?", (key,))
        return [number for (number,) in rows]

    def askings(self, key: str) -> int:
        """Return how many batches held this key and ended, those that never began left out."""
        (count,) = self._ledger.db.execute(
            "SELECT count(*) FROM batch_item i JOIN batch_event e ON e.batch = i.batch "
            "WHERE i.key = ? AND e.kind = 'closed' AND e.handle <> ?",
            (key, FAILED_WHOLE),
        ).fetchone()
        return int(count)

    def close(self, batch: Batch, how: str, settled: Iterable[Settled], rest: Settling) -> int:
        """Keep and settle every item of a batch that ended, whole or not at all.

        Args:
            batch: The batch.
            how: How it ended, as the provider says.
            settled: Items that the provider says something about; of several with one key the
                first counts, unknown keys are left out.
            rest: What to keep and charge for an item that it says nothing about.

        Returns:
            Micro-dollars charged; 0 if another process closed it first.
        """
        db = self._ledger.db
        charged = 0
        with self._ledger.transaction():
            done = "SELECT 1 FROM batch_event WHERE batch = ? AND kind = 'closed'"
            if db.execute(done, (batch.id,)).fetchone():
                return 0
            left: dict[str, int | None] = dict(
                db.execute("SELECT key, reservation FROM batch_item WHERE batch = ?", (batch.id,))
            )
            for item in settled:
                if item.reply.key in left:
                    reservation = left.pop(item.reply.key)
                    self._ledger.record_within(item.reply, reservation, item.charge, batch.id)
                    charged += item.charge.micro_usd
            for key, reservation in sorted(left.items()):
                item = rest(key)
                self._ledger.record_within(item.reply, reservation, item.charge, batch.id)
                charged += item.charge.micro_usd
            self._event_within(batch, "closed", how)
        return charged


Settling = Callable[[str], Settled]
