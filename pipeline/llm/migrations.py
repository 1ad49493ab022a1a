"""The ledger's tables, one numbered step each; a file's number stands in PRAGMA user_version."""

from __future__ import annotations

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
    """
    ALTER TABLE attempt ADD COLUMN batch INTEGER;
    CREATE TABLE batch (
        id INTEGER PRIMARY KEY,
        model TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        opened_utc TEXT NOT NULL
    ) STRICT;
    CREATE TABLE batch_item (
        batch INTEGER NOT NULL REFERENCES batch(id),
        key TEXT NOT NULL REFERENCES request(key),
        reservation INTEGER REFERENCES reservation(id),
        PRIMARY KEY (batch, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX batch_item_by_key ON batch_item(key);
    CREATE TABLE batch_event (
        id INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL REFERENCES batch(id),
        kind TEXT NOT NULL,
        handle TEXT NOT NULL,
        at_utc TEXT NOT NULL
    ) STRICT;
    CREATE INDEX batch_event_by_batch ON batch_event(batch);
    """,
    """
    CREATE TABLE purged (
        key TEXT PRIMARY KEY REFERENCES request(key),
        components_sha256 TEXT NOT NULL,
        purged_utc TEXT NOT NULL
    ) STRICT;
    CREATE TABLE purged_attempt (
        attempt INTEGER PRIMARY KEY REFERENCES attempt(id),
        outcome TEXT NOT NULL,
        text_sha256 TEXT NOT NULL
    ) STRICT;
    """,
    "CREATE INDEX reservation_by_key ON reservation(key)",
)

PURGED_SINCE = 4
"""The first number with tables of what was purged; a ledger that is only read may be older."""
