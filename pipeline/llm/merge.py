"""One ledger from those of shards: builds that share out a dataset's requests between them.

Shards may have begun as copies of one ledger: what is the same in several of them, times included,
is one row. The order of the shards does not matter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.artifacts import sha256_text
from pipeline.errors import BadInputError
from pipeline.llm.audit import verify_ledger
from pipeline.llm.ledger import Ledger, Money
from pipeline.llm.merge_attempts import Attempt, Place, chosen
from pipeline.llm.merge_books import merge_batches, merge_reservations
from pipeline.llm.reply import PURGED


@dataclass(frozen=True)
class Merged:
    """What came of merging.

    Attributes:
        requests: Requests in the merged ledger.
        attempts: Its attempts.
        repeated: Attempts of the shards that stood in another one too.
        money: What it knows of its spending.
    """

    requests: int
    attempts: int
    repeated: int
    money: Money


def merge_ledgers(shards: Sequence[Path], into: Path) -> Merged:
    """Write one ledger with everything that the ledgers of shards hold.

    An answer that several shards have for one key is kept once. What was purged in one of them
    stays purged. Reservations that are still open stay so, and count as spent.

    Args:
        shards: Ledgers; they are only read.
        into: File to write, whole or not at all.

    Raises:
        BadInputError: A shard is missing, damaged or has a batch that is still open, two of them
            have different replies that count under one key, or `into` is there already.
    """
    _check_paths(shards, into)
    with TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as name, ExitStack() as stack:
        folder = Path(name)
        copies = []
        for number, path in enumerate(shards):
            copy = folder / f"{number}.sqlite"
            _copy(path, copy)
            copies.append(stack.enter_context(closing(sqlite3.connect(copy))))
        fresh = folder / "merged.sqlite"
        with Ledger(fresh) as ledger:
            repeated = _fill(ledger, shards, copies)
            money = ledger.money()
        requests, attempts, problems = verify_ledger(fresh)
        if problems:  # the shards were sound
            raise BadInputError(f"{into}: was not written: {problems[0]}; please report it")
        fresh.replace(into)
    return Merged(requests, attempts, repeated, money)


def _check_paths(shards: Sequence[Path], into: Path) -> None:
    if not into.parent.is_dir():
        raise BadInputError(f"{into}: there is no folder {into.parent}; make it first")
    if into.exists():
        raise BadInputError(
            f"{into}: is there already; name a new file, and this one too if it is to be merged"
        )
    seen: set[Path] = set()
    for path in shards:
        if path.resolve() in seen:
            raise BadInputError(f"{path}: is named twice; name each ledger once")
        seen.add(path.resolve())


def _copy(path: Path, copy: Path) -> None:
    """Copy a ledger as it is at one moment, to the newest version; check it."""
    if not path.is_file():
        raise BadInputError(f"{path}: no such ledger")
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(uri, uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("SELECT count(*) FROM request")
            source.backup(target)
        Ledger(copy).db.close()
    except sqlite3.DatabaseError as error:
        raise BadInputError(f"{path}: not a ledger ({error})") from None
    except BadInputError as error:  # it names the copy
        raise BadInputError(str(error).replace(str(copy), str(path))) from None
    _, _, problems = verify_ledger(copy)
    if problems:
        raise BadInputError(
            f"{path}: {len(problems)} problems, the first: {problems[0]}; `ledger verify` names all"
        )


def _fill(ledger: Ledger, shards: Sequence[Path], copies: Sequence[sqlite3.Connection]) -> int:
    """Fill an empty ledger; return how many attempts stood in several shards."""
    purged = _purged(copies)
    with ledger.transaction():
        # Batches refer to requests; keys are checked when all is there.
        ledger.db.execute("PRAGMA defer_foreign_keys=ON")
        reservations = merge_reservations(ledger, copies)
        batches = merge_batches(ledger, shards, copies, reservations)
        kept, read = chosen(shards, copies, purged, batches)
        for key in _in_order(kept, copies):
            _write_request(ledger, copies, key, purged)
        order = sorted(
            (attempt, key, place) for key, rows in kept.items() for attempt, place in rows
        )
        for attempt, key, place in order:
            _write_attempt(ledger, copies, key, attempt, place)
    return read - len(order)


def _purged(copies: Sequence[sqlite3.Connection]) -> dict[str, str]:
    """Return when each key was purged first."""
    found: dict[str, str] = {}
    for db in copies:
        for key, when in db.execute("SELECT key, purged_utc FROM purged"):
            found[key] = min(when, found.get(key, when))
    return found


def _in_order(
    kept: dict[str, list[tuple[Attempt, Place]]], copies: Sequence[sqlite3.Connection]
) -> list[str]:
    """Return all keys, those that were answered first coming first."""
    keys = {key for db in copies for (key,) in db.execute("SELECT key FROM request")}
    first = {key: min(rows)[0].finished_utc for key, rows in kept.items()}
    return sorted(keys, key=lambda key: (key not in first, first.get(key, ""), key))


def _write_request(
    ledger: Ledger, copies: Sequence[sqlite3.Connection], key: str, purged: dict[str, str]
) -> None:
    found = []
    for db in copies:
        found += db.execute(
            "SELECT r.components, r.item, p.components_sha256 FROM request r "
            "LEFT JOIN purged p USING (key) WHERE r.key = ? ",
            (key,),
        ).fetchall()
    if key in purged:
        components = min(text for text, _, digest in found if digest)
        ledger.db.execute("INSERT INTO request VALUES (?, ?, '')", (key, components))
        row = (key, sha256_text(components), purged[key])
        ledger.db.execute("INSERT INTO purged VALUES (?, ?, ?)", row)
        return
    # Its components follow from its key; what it was about does not.
    components, item = min((text, item) for text, item, _ in found)
    ledger.db.execute("INSERT INTO request VALUES (?, ?, ?)", (key, components, item))


def _write_attempt(
    ledger: Ledger,
    copies: Sequence[sqlite3.Connection],
    key: str,
    attempt: Attempt,
    place: Place,
) -> None:
    shard, number = place
    text = ""
    if attempt.outcome != PURGED:
        (text,) = (
            copies[shard].execute("SELECT text FROM attempt WHERE id = ?", (number,)).fetchone()
        )
    cursor = ledger.db.execute(
        "INSERT INTO attempt (key, outcome, detail, text, finish_reason, model_returned, "
        "prompt_tokens, completion_tokens, finished_utc, batch) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            key,
            attempt.outcome,
            attempt.detail,
            text,
            attempt.finish_reason,
            attempt.model_returned,
            attempt.prompt_tokens,
            attempt.completion_tokens,
            attempt.finished_utc,
            attempt.batch or None,
        ),
    )
    if attempt.was:
        ledger.db.execute(
            "INSERT INTO purged_attempt VALUES (?, ?, ?)",
            (cursor.lastrowid, attempt.was, attempt.text_sha256),
        )
