"""The server's own JSON, kept privately: what is changed or deleted there stays readable here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from pipeline.artifacts import sha256_text, write_text

EARLIER = "earlier"
"""Folder of the states before the last one, compressed, named after their content."""


def keep_raw(tasks: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Write a project's tasks with their annotations; return False if nothing changed.

    The state before is put into `earlier/`, so that no answer that was ever collected is lost.

    Args:
        tasks: The export.
        path: A JSON file.
    """
    ordered = sorted((_sorted(task) for task in tasks), key=lambda task: int(task.get("id", 0)))
    text = json.dumps(ordered, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        before = path.read_text(encoding="utf-8")
        if before == text:
            return False
        _put_aside(before, path)
    fresh = path.with_name(f".{path.name}.new")
    write_text(text, fresh)
    fresh.chmod(0o600)
    fresh.replace(path)
    return True


def _sorted(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task with its annotations by id: an export has them in any order."""
    annotations = task.get("annotations")
    if not isinstance(annotations, list):
        return dict(task)
    by_id = sorted(annotations, key=lambda each: int((each or {}).get("id") or 0))
    return dict(task) | {"annotations": by_id}


def _put_aside(text: str, path: Path) -> None:
    place = path.parent / EARLIER / f"{path.stem}-{sha256_text(text)[:12]}.json.zst"
    place.parent.mkdir(exist_ok=True, mode=0o700)
    if not place.exists():
        fresh = place.with_name(f".{place.name}.new")
        fresh.write_bytes(zstandard.compress(text.encode()))
        fresh.chmod(0o600)
        fresh.replace(place)
