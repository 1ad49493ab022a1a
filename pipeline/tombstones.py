"""Posts that must not be used any more: their ids, why, and since when, one JSON object a line.

The file is a released input of later builds: whoever deleted a post does not meet it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.artifacts import write_text
from pipeline.errors import BadInputError

REASONS = ("gone", "deleted", "removed", "asked_for")


@dataclass(frozen=True)
class Tombstone:
    """One post that is not to be used.

    Attributes:
        post_id: Its id on Reddit.
        reason: One of REASONS.
        noted: Day on which it was noted (UTC, ISO 8601).
    """

    post_id: str
    reason: str
    noted: str


def load(path: Path) -> dict[str, Tombstone]:
    """Return the tombstones of a file by post id; none if there is no file.

    Raises:
        BadInputError: A line is not a tombstone.
    """
    found: dict[str, Tombstone] = {}
    if not path.is_file():
        return found
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            stone = Tombstone(**json.loads(line))
            bad = stone.reason not in REASONS or not stone.post_id
        except (ValueError, TypeError, RecursionError):
            bad = True
        if bad:
            raise BadInputError(
                f"{path}: line {number}: not a tombstone; it needs post_id, reason "
                f"({', '.join(REASONS)}) and noted"
            )
        found[stone.post_id] = stone
    return found


def add(path: Path, stones: Iterable[Tombstone]) -> int:
    """Write the file with these added; the first note about a post stays.

    Returns:
        Number of posts that are new in it.
    """
    known = load(path)
    before = len(known)
    for stone in stones:
        known.setdefault(stone.post_id, stone)
    lines = [json.dumps(asdict(known[post]), sort_keys=True) for post in sorted(known)]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    write_text("".join(f"{line}\n" for line in lines), fresh)
    fresh.replace(path)
    return len(known) - before
