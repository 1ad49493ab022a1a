"""Files of a release folder: where its tables lie and how they are named."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.artifacts import sha256_file, write_parquet
from pipeline.errors import StageError

TABLES = {"questions": "question_id", "scenarios": "scenario_id", "actions": "action_id"}
"""Each config of the release and the column that names its rows."""
SLOTS = Path("provenance") / "slots.parquet"
"""Where a release keeps the table of its slots."""


def write_table(dist: Path, name: str, table: pl.DataFrame) -> str:
    """Write a table; return its path below `dist`.

    The file's name carries its hash: `datasets` caches a local folder by file names alone and
    would go on serving the rows of an earlier build.
    """
    folder = dist / "data" / name
    folder.mkdir(parents=True)
    fresh = folder / "test.parquet"
    write_parquet(table, fresh)
    final = folder / f"test-{sha256_file(fresh)[:12]}.parquet"
    fresh.rename(final)
    return final.relative_to(dist).as_posix()


def table_path(dist: Path, name: str) -> Path:
    """Return the path of a release's table.

    Raises:
        StageError: The folder holds no such table, or more than one.
    """
    found = sorted((dist / "data" / name).glob("test-*.parquet"))
    if len(found) != 1:
        raise StageError(
            f"{dist}: holds {len(found)} files of the table '{name}' instead of one; "
            "build it with `make build-dataset`"
        )
    return found[0]
