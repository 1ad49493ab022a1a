"""One ledger from those of shards: builds that share out a dataset's requests between them.

Shards may have begun as copies of one ledger: what is the same in several of them, times included,
is one row. The order of the shards does not matter.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.artifacts import sha256_text
from pipeline.errors import BadInputError
from pipeline.llm.audit import verify_ledger
from pipeline.llm.ledger import Ledger, Money
from pipeline.llm.merge_books import Numbers, merge_batches, merge_reservations
from pipeline.llm.reply import PURGED

_OK = "ok"


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


@dataclass(frozen=True, order=True)
class _Attempt:
    """One sending, and where it is read from."""

    finished_utc: str
    outcome: str
    detail: str
    text_sha256: str
    finish_reason: str
    model_returned: str
    prompt_tokens: int
    completion_tokens: int
    batch: int  # in the merged ledger; 0 for none
    was: str  # its outcome before it was purged; "" if it was not


_Place = tuple[int, int]
"""A shard, and the number of an attempt in it."""


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
        kept, read = _chosen(shards, copies, purged, batches)
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


def _chosen(
    shards: Sequence[Path],
    copies: Sequence[sqlite3.Connection],
    purged: dict[str, str],
    batches: Numbers,
) -> tuple[dict[str, list[tuple[_Attempt, _Place]]], int]:
    """Return the attempts to keep by key, and how many were read."""
    by_key: dict[str, list[tuple[_Attempt, _Place]]] = defaultdict(list)
    last_ok: dict[str, dict[int, str]] = defaultdict(dict)
    read = 0
    for shard, db in enumerate(copies):
        for number, key, attempt in _attempts(shard, db, purged, batches):
            by_key[key].append((attempt, (shard, number)))
            read += 1
            if attempt.outcome == _OK:
                last_ok[key][shard] = attempt.text_sha256
    for key in sorted(last_ok):
        replies = last_ok[key]
        if len(set(replies.values())) > 1:
            first, other = _two_that_differ(replies)
            raise BadInputError(
                f"{shards[first]} and {shards[other]}: have different replies to {key}; these are "
                "no shards of one build: leave one of them out"
            )
    return {key: _once(rows) for key, rows in by_key.items()}, read


def _attempts(
    shard: int, db: sqlite3.Connection, purged: dict[str, str], batches: Numbers
) -> Iterator[tuple[int, str, _Attempt]]:
    rows = db.execute(
        "SELECT a.id, a.key, a.finished_utc, a.outcome, a.detail, a.text, a.finish_reason, "
        "a.model_returned, a.prompt_tokens, a.completion_tokens, a.batch, p.outcome, p.text_sha256 "
        "FROM attempt a LEFT JOIN purged_attempt p ON p.attempt = a.id ORDER BY a.id"
    )
    for (
        number,
        key,
        when,
        outcome,
        detail,
        text,
        why,
        model,
        read,
        written,
        batch,
        was,
        digest,
    ) in rows:
        merged = batches[shard, batch] if batch is not None else 0
        digest = digest or sha256_text(text)
        attempt = _Attempt(
            when, outcome, detail, digest, why, model, read, written, merged, was or ""
        )
        if key in purged and not was:
            attempt = dataclasses.replace(attempt, outcome=PURGED, detail="", was=outcome)
        yield number, key, attempt


def _two_that_differ(replies: dict[int, str]) -> tuple[int, int]:
    first = min(replies)
    return first, next(shard for shard, text in replies.items() if text != replies[first])


def _once(rows: list[tuple[_Attempt, _Place]]) -> list[tuple[_Attempt, _Place]]:
    """Return the attempts of a key without repetitions.

    Of replies that count, one a text; of the others as many as the shard with most of them has.
    """
    place_of = dict(reversed(rows))
    latest: dict[str, _Attempt] = {}
    others: dict[int, Counter[_Attempt]] = defaultdict(Counter)
    for attempt, (shard, _) in rows:
        if attempt.outcome == _OK:
            known = latest.get(attempt.text_sha256, attempt)
            latest[attempt.text_sha256] = max(known, attempt)
        else:
            others[shard][attempt] += 1
    most: Counter[_Attempt] = Counter()
    for counted in others.values():
        most |= counted
    return [(attempt, place_of[attempt]) for attempt in (*latest.values(), *most.elements())]


def _in_order(
    kept: dict[str, list[tuple[_Attempt, _Place]]], copies: Sequence[sqlite3.Connection]
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
    attempt: _Attempt,
    place: _Place,
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
