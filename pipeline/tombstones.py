"""Posts that must not be used any more: their ids, why, and since when, one JSON object a line.

The file is a released input of later builds: whoever deleted a post does not meet it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
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
        scenario_id: Scenario that was made of it; "" if none was, or it is not known.
        body_sha256: Hash of its cleaned body, to know it again; "" if it is not known.
    """

    post_id: str
    reason: str
    noted: str
    scenario_id: str = ""
    body_sha256: str = ""


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
    """Write the file with these added; the first note about a post stays, but for what it lacks.

    Returns:
        Number of posts that are new in it.
    """
    known = load(path)
    before = len(known)
    for stone in stones:
        first = known.setdefault(stone.post_id, stone)
        known[stone.post_id] = replace(
            first,
            scenario_id=first.scenario_id or stone.scenario_id,
            body_sha256=first.body_sha256 or stone.body_sha256,
        )
    lines = [json.dumps(_fields(known[post]), sort_keys=True) for post in sorted(known)]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    write_text("".join(f"{line}\n" for line in lines), fresh)
    fresh.replace(path)
    return len(known) - before


def _fields(stone: Tombstone) -> dict[str, str]:
    return {name: value for name, value in asdict(stone).items() if value}
