"""How far a sweep has come: one small JSON file beside the posts, replaced whole at every page."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.artifacts import write_json
from pipeline.errors import BadInputError
from pipeline.sources.authors import fingerprint

REDDITS_END = 1000
"""Listings end near this many items, whatever a subreddit holds."""

End = Literal["", "complete", "near_1000", "max_per_listing", "unavailable"]


@dataclass(frozen=True)
class Progress:
    """How far one listing of one subreddit has been read.

    Attributes:
        subreddit: Its name as configured.
        listing: The listing's name, its time filter included.
        after: Where the next page begins; "" for the first.
        items: Items read, known ones included.
        oldest: When the oldest of them was posted, in seconds of Unix time.
        newest: Likewise the newest.
        end: Why it is finished, or "": Reddit had no more ("complete"), nor shows more
            ("near_1000"), or the configuration wants no more, or Reddit shows none.
        reason: Why Reddit does not show it.
    """

    subreddit: str
    listing: str
    after: str = ""
    items: int = 0
    oldest: float | None = None
    newest: float | None = None
    end: End = ""
    reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Subreddits are the same in upper and lower case."""
        return self.subreddit.lower(), self.listing


@dataclass(frozen=True)
class _File:
    format: Literal[1]
    author_key: str
    listings: list[Progress]


class Book:
    """The progress of all listings; `put` returns when it is on disk.

    Attributes:
        path: The file.
        author_key: Fingerprint of the key that authors are hashed with.
    """

    def __init__(self, path: Path, author_key: bytes) -> None:
        self.path = path
        self.author_key = fingerprint(author_key)
        self._rows: dict[tuple[str, str], Progress] = {}
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_File)
        except FileNotFoundError:
            return
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadInputError(
                f"{path}: no sweep's progress ({error}); remove it to ask all listings again, "
                "what is in the posts' file stays"
            ) from None
        if found.author_key != self.author_key:
            raise BadInputError(
                f"{path}: this sweep began with another key for authors' names, or with none; "
                "set the same one, or start anew with --fresh"
            )
        self._rows = {row.key: row for row in found.listings}

    @property
    def items(self) -> int:
        """Items read of all listings together."""
        return sum(row.items for row in self._rows.values())

    def get(self, subreddit: str, listing: str) -> Progress:
        """Return a listing's progress, which may be none yet."""
        fresh = Progress(subreddit, listing)
        known = self._rows.get(fresh.key, fresh)
        return dataclasses.replace(known, subreddit=subreddit)

    def put(self, *rows: Progress) -> None:
        """Write the progress of these listings down, all or none."""
        self._rows |= {row.key: row for row in rows}
        fresh = self.path.with_name(f".{self.path.name}.new")
        listings = [dataclasses.asdict(row) for row in self._rows.values()]
        write_json({"format": 1, "author_key": self.author_key, "listings": listings}, fresh)
        fresh.replace(self.path)
