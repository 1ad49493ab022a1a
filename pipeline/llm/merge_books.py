"""Money and batches of the ledgers of shards, in one ledger: see merge.py."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.artifacts import canonical_json, sha256_text
from pipeline.errors import BadInputError
from pipeline.llm.ledger import Ledger

Numbers = Mapping[tuple[int, int], int]
"""Number in the merged ledger, by the shard and the number in it."""

_What = tuple[str, str, int]
"""When a reservation was made, for which key, of how many micro-dollars."""
_End = tuple[str, int]
"""How a reservation was settled, and with how many micro-dollars."""


@dataclass
class _Reservations:
    """A shard's reservations of one time, key and amount: settled ones by how, and open ones."""

    settled: dict[_End, list[int]] = field(default_factory=lambda: defaultdict(list))
    open: list[int] = field(default_factory=list)

    def ends(self) -> Counter[_End]:
        return Counter({end: len(numbers) for end, numbers in self.settled.items()})

    def size(self) -> int:
        return len(self.open) + self.ends().total()


def merge_reservations(ledger: Ledger, copies: Sequence[sqlite3.Connection]) -> Numbers:
    """Keep what every shard reserved and settled; a copied reservation counts once.

    One that is open in a shard and settled in another, of the same time and key, is settled.
    """
    found: dict[_What, dict[int, _Reservations]] = defaultdict(lambda: defaultdict(_Reservations))
    for shard, db in enumerate(copies):
        for number, *what, kind, settled in db.execute(
            "SELECT r.id, r.opened_utc, r.key, r.micro_usd, s.kind, s.micro_usd "
            "FROM reservation r LEFT JOIN settlement s ON s.reservation = r.id ORDER BY r.id"
        ):
            here = found[what[0], what[1], what[2]][shard]
            (here.settled[kind, settled] if kind is not None else here.open).append(number)
    numbers: dict[tuple[int, int], int] = {}
    committed = 0
    for (opened, key, micro), shards in sorted(found.items()):
        most: Counter[_End] = Counter()
        for one in shards.values():
            most |= one.ends()
        still_open = max(one.size() for one in shards.values()) - most.total()
        for (kind, settled), count in sorted(most.items()):
            for nth in range(count):
                number = _reserve(ledger, opened, key, micro)
                ledger.db.execute(
                    "INSERT INTO settlement VALUES (?, ?, ?)", (number, settled, kind)
                )
                committed += settled
                for shard, one in shards.items():
                    numbers |= {
                        (shard, n): number for n in one.settled[kind, settled][nth : nth + 1]
                    }
        for nth in range(still_open):
            number = _reserve(ledger, opened, key, micro)
            committed += micro
            for shard, one in shards.items():
                numbers |= {(shard, n): number for n in one.open[nth : nth + 1]}
    ledger.db.execute("UPDATE total SET committed_micro_usd = ?", (committed,))
    return numbers


def _reserve(ledger: Ledger, opened: str, key: str, micro: int) -> int:
    cursor = ledger.db.execute(
        "INSERT INTO reservation (key, micro_usd, opened_utc) VALUES (?, ?, ?)",
        (key, micro, opened),
    )
    return int(cursor.lastrowid or 0)


@dataclass
class _Batch:
    """A batch as all shards that know it do."""

    items: dict[str, int | None] = field(default_factory=dict)
    events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    places: list[tuple[int, int]] = field(default_factory=list)


def merge_batches(
    ledger: Ledger,
    shards: Sequence[Path],
    copies: Sequence[sqlite3.Connection],
    reservations: Numbers,
) -> Numbers:
    """Keep every batch; a copied one counts once.

    Raises:
        BadInputError: One is not closed in any shard: only the build that sent it, with its key,
            can fetch what comes of it.
    """
    found: dict[tuple[str, str, str, str], _Batch] = defaultdict(_Batch)
    for shard, db in enumerate(copies):
        for number, model, endpoint, opened in db.execute("SELECT * FROM batch ORDER BY id"):
            items = db.execute(
                "SELECT key, reservation FROM batch_item WHERE batch = ? ORDER BY key", (number,)
            ).fetchall()
            digest = sha256_text(canonical_json([key for key, _ in items]))
            batch = found[opened, model, endpoint, digest]
            batch.places.append((shard, number))
            for key, reservation in items:
                known = reservations.get((shard, reservation)) if reservation is not None else None
                batch.items[key] = batch.items.get(key) or known
            events = db.execute(
                "SELECT at_utc, kind, handle FROM batch_event WHERE batch = ?", (number,)
            )
            batch.events |= Counter(events.fetchall())
    numbers: dict[tuple[int, int], int] = {}
    for place, ((opened, model, endpoint, _), batch) in enumerate(sorted(found.items()), start=1):
        if not any(kind == "closed" for _, kind, _ in batch.events):
            shard, number = batch.places[0]
            raise BadInputError(
                f"{shards[shard]}: batch {number} of {model} is still open; end it first: run its "
                f"build again, or give it up by `python -m pipeline batches --abandon {number}`"
            )
        ledger.db.execute("INSERT INTO batch VALUES (?, ?, ?, ?)", (place, model, endpoint, opened))
        ledger.db.executemany(
            "INSERT INTO batch_item VALUES (?, ?, ?)",
            [(place, key, reservation) for key, reservation in sorted(batch.items.items())],
        )
        ledger.db.executemany(
            "INSERT INTO batch_event (batch, kind, handle, at_utc) VALUES (?, ?, ?, ?)",
            [(place, kind, handle, when) for when, kind, handle in sorted(batch.events.elements())],
        )
        numbers |= dict.fromkeys(batch.places, place)
    return numbers
