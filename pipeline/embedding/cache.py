"""Vectors that were computed before: one SQLite file, keyed by model, way of computing and text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import BadInputError

_KEYS_A_QUERY = 500
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"

Vector = npt.NDArray[np.float32]


class VectorCache:
    """A file of vectors; written in whole transactions, so that a kill loses only the last.

    Losing the file costs time and nothing else. Several processes may use it at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return the vectors that are known, by key.

        Raises:
            BadInputError: The file is no cache.
        """
        if not self._path.exists():
            return {}
        found: dict[bytes, Vector] = {}
        with self._open() as connection:
            for start in range(0, len(keys), _KEYS_A_QUERY):
                some = keys[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608
                for key, blob in connection.execute(query, list(some)):
                    found[key] = np.frombuffer(blob, dtype="<f4")
        return found

    def write(self, vectors: Mapping[bytes, Vector]) -> None:
        """Keep `vectors`; a key that is known already stays as it is.

        Raises:
            BadInputError: The file is no cache.
        """
        rows: Iterable[tuple[bytes, bytes]] = (
            (key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()
        )
        with self._open() as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=60)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(_TABLE)
                yield connection
        except sqlite3.DatabaseError as error:
            raise BadInputError(
                f"{self._path}: cannot be used as a cache of vectors ({error}); delete it, or "
                "name another folder by build.cache"
            ) from None
