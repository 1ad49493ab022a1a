"""A build's folder: what finished stages left there, and the lock that one build holds.

Each stage has a folder of its name: its tables, a manifest (what decided them, their hashes, the
funnel and notes) and run.json (clock and memory, which decide nothing).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from pipeline.artifacts import read_json
from pipeline.errors import BusyError, StageError
from pipeline.funnel import Funnel

MANIFEST = "manifest.json"
RUN = "run.json"


def load_funnel(workspace: Path, stage: str) -> Funnel:
    """Return the funnel of a finished stage."""
    return Funnel.from_json(read_json(workspace / stage / MANIFEST)["funnel"])


def load_notes(workspace: Path, stage: str, name: str) -> list[str]:
    """Return the lines of one kind ("lines", "warnings") that a finished stage notes."""
    notes = (load_manifest(workspace, stage) or {}).get("notes", {})
    return [str(line) for line in notes.get(name, [])]


def load_manifest(workspace: Path, stage: str) -> dict[str, Any] | None:
    """Return a stage's manifest, or None if the stage has not finished."""
    try:
        manifest = read_json(workspace / stage / MANIFEST)
    except (OSError, ValueError):
        return None
    whole = (
        isinstance(manifest, dict) and {"components", "files", "funnel", "notes"} <= manifest.keys()
    )
    return manifest if whole else None


def load_table(workspace: Path, name: str) -> pl.DataFrame:
    """Return the table "stage.table" of a build.

    Raises:
        StageError: The stage has not finished.
    """
    return pl.read_parquet(table_file(workspace, name))


def table_file(workspace: Path, name: str) -> Path:
    """Return where the table "stage.table" of a build lies.

    Raises:
        StageError: The stage has not finished.
    """
    stage, table = name.split(".")
    path = workspace / stage / f"{table}.parquet"
    if not path.is_file():
        raise StageError(f"{path}: not there; run `python -m pipeline build` first")
    return path


@contextmanager
def locked(workspace: Path, dist: Path) -> Iterator[None]:
    """Hold the build's folders, so that two builds cannot write into one."""
    with ExitStack() as stack:
        for folder, lock in (
            (workspace, workspace / ".lock"),
            (dist, dist.with_name(f".{dist.name}.lock")),
        ):
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(FileLock(lock, timeout=0))
            except Timeout:
                raise BusyError(
                    f"{folder}: another build is at work here; wait for it, or build elsewhere "
                    "with --workspace and --dist"
                ) from None
        yield
