"""Which attempts of several ledgers stand in the merged one: each once, and no two that differ."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import sha256_text
from pipeline.errors import BadInputError
from pipeline.llm.merge_books import Numbers
from pipeline.llm.reply import PURGED

OK = "ok"


@dataclass(frozen=True, order=True)
class Attempt:
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


Place = tuple[int, int]
"""A shard, and the number of an attempt in it."""


def chosen(
    shards: Sequence[Path],
    copies: Sequence[sqlite3.Connection],
    purged: dict[str, str],
    batches: Numbers,
) -> tuple[dict[str, list[tuple[Attempt, Place]]], int]:
    """Return the attempts to keep by key, and how many were read."""
    by_key: dict[str, list[tuple[Attempt, Place]]] = defaultdict(list)
    last_ok: dict[str, dict[int, str]] = defaultdict(dict)
    read = 0
    for shard, db in enumerate(copies):
        for number, key, attempt in _attempts(shard, db, purged, batches):
            by_key[key].append((attempt, (shard, number)))
            read += 1
            if attempt.outcome == OK:
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
) -> Iterator[tuple[int, str, Attempt]]:
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
        attempt = Attempt(
            when, outcome, detail, digest, why, model, read, written, merged, was or ""
        )
        if key in purged and not was:
            attempt = dataclasses.replace(attempt, outcome=PURGED, detail="", was=outcome)
        yield number, key, attempt


def _two_that_differ(replies: dict[int, str]) -> tuple[int, int]:
    first = min(replies)
    return first, next(shard for shard, text in replies.items() if text != replies[first])


def _once(rows: list[tuple[Attempt, Place]]) -> list[tuple[Attempt, Place]]:
    """Return the attempts of a key without repetitions.

    Of replies that count, one a text; of the others as many as the shard with most of them has.
    """
    place_of = dict(reversed(rows))
    latest: dict[str, Attempt] = {}
    others: dict[int, Counter[Attempt]] = defaultdict(Counter)
    for attempt, (shard, _) in rows:
        if attempt.outcome == OK:
            known = latest.get(attempt.text_sha256, attempt)
            latest[attempt.text_sha256] = max(known, attempt)
        else:
            others[shard][attempt] += 1
    most: Counter[Attempt] = Counter()
    for counted in others.values():
        most |= counted
    return [(attempt, place_of[attempt]) for attempt in (*latest.values(), *most.elements())]
