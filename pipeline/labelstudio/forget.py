"""Deleting what experts were shown: tasks on a server, answers that were kept, free pages."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import zstandard

from pipeline.artifacts import write_text
from pipeline.errors import BusyError
from pipeline.labelstudio.raw import EARLIER
from pipeline.labelstudio.studio import Studio

DATABASE = "label_studio.sqlite3"
_BUSY_MS = 20_000


def forget_tasks(studio: Studio, items: Collection[str]) -> int:
    """Delete every task of these items, with its annotations; return how many there were.

    Raises:
        PipelineError: The server refuses, or goes away; run it again.
    """
    gone = list(_tasks_of(studio, items))
    for task in gone:
        studio.delete_task(task)
    return len(gone)


def still_shown(studio: Studio, items: Collection[str]) -> int:
    """Return how many tasks of these items a server still has."""
    return sum(1 for _ in _tasks_of(studio, items))


def forget_files(folder: Path, items: Collection[str]) -> Iterator[str]:
    """Take items out of the answers that were kept, and remove the server's own exports.

    Args:
        folder: Of our own server (`annotation.server`).
        items: Ids.

    Yields:
        What was changed, a line each.
    """
    kept = (folder / "raw").rglob("*.json")
    for path in sorted([*kept, *(folder / "raw").rglob(f"{EARLIER}/*.json.zst")]):
        packed = path.suffix == ".zst"
        data = path.read_bytes()
        tasks = json.loads(zstandard.decompress(data) if packed else data)
        left = [task for task in tasks if _item(task) not in items]
        if len(left) == len(tasks):
            continue
        text = json.dumps(left, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
        fresh = path.with_name(f".{path.name}.new")
        if packed:
            fresh.write_bytes(zstandard.compress(text.encode()))
        else:
            write_text(text, fresh)
        fresh.chmod(0o600)
        fresh.replace(path)
        yield f"{path}: {len(tasks) - len(left):,} of {len(tasks):,} tasks removed"
    for path in sorted((folder / "export").glob("*")):
        if path.is_file():  # a collection makes it again
            path.unlink()
            yield f"{path}: removed"


def compact(folder: Path) -> bool:
    """Write our own server's database anew, so that no free page or log holds what was deleted.

    Returns:
        False if there is no such database (none was made, or it is PostgreSQL).

    Raises:
        BusyError: The server does not let go of it.
    """
    path = folder / DATABASE
    if not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_MS / 1000)) as database:
            database.execute("VACUUM")
            busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        raise BusyError(
            f"{path}: {error}; end its server, and run the same command again"
        ) from None
    if busy:
        raise BusyError(f"{path}: is being read; end its server, and run the same command again")
    return True


def _tasks_of(studio: Studio, items: Collection[str]) -> Iterator[int]:
    for project in studio.projects():
        for task in studio.tasks(project.id):
            if task.data.get("item") in items:
                yield task.id


def _item(task: Any) -> str:
    data = task.get("data") if isinstance(task, dict) else None
    return str(data.get("item", "")) if isinstance(data, dict) else ""
