"""Column mappings of exports: a named entry of configs/mappings.toml becomes a Mapping."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.config_file import read_toml
from pipeline.errors import BadInputError, nearest
from pipeline.paths import MAPPINGS

_STRICT = ConfigDict(extra="forbid", strict=True)
_UNKNOWN = frozenset({"unexpected_keyword_argument", "extra_forbidden"})


@dataclass(frozen=True, config=_STRICT)
class Columns:
    """Which column of a file gives which field of a post.

    Attributes:
        id: Holds an id, a name (`t3_...`) or a link to the post.
        title: The title.
        body: The text; `[removed]` and `[deleted]` are understood.
        created_utc: Epoch seconds, or a time in ISO 8601 (UTC unless it says otherwise).
        subreddit: Holds a name, `r/name` or a link.
        score: A number.
        num_comments: A number.
        over_18: A flag: true/false, 1/0, yes/no.
        flair: The post's flair.
        removed: A flag: removed by somebody else than the author.
        deleted: A flag: deleted by the author.
        removed_by: Reddit's `removed_by_category`: empty, or who took the post away.
        author: The author's name; only its hash is kept.
        author_hash: A hash that was made with the same key.
    """

    id: str
    title: str
    body: str
    created_utc: str | None = None
    subreddit: str | None = None
    score: str | None = None
    num_comments: str | None = None
    over_18: str | None = None
    flair: str | None = None
    removed: str | None = None
    deleted: str | None = None
    removed_by: str | None = None
    author: str | None = None
    author_hash: str | None = None


@dataclass(frozen=True, config=_STRICT)
class Mapping:
    """How the posts of an export are read.

    Attributes:
        about: Which exports it fits, for people.
        html_escaped: True if `&`, `<`, `>` are escaped once in the file (PRAW's are not).
        columns: Which column gives which field.
        subreddit: The subreddit of every row, where no column says it.
        subreddit_from_file: The subreddit is the file's name up to its first dot.
        optional: Fields of `columns` that a file may lack.
    """

    about: str
    html_escaped: bool
    columns: Columns
    subreddit: str = ""
    subreddit_from_file: bool = False
    optional: tuple[str, ...] = ()

    def named(self) -> dict[str, str]:
        """Return {field: column} of the columns that are named."""
        return {k: v for k, v in dataclasses.asdict(self.columns).items() if v is not None}

    def content(self) -> dict[str, Any]:
        """Return what decides how a file is read, as plain data, for a stage's key."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k != "about"}


def load_mapping(name: str, path: Path = MAPPINGS) -> Mapping:
    """Return the mapping of this name.

    Raises:
        BadInputError: The file or the mapping is missing or wrong.
    """
    mappings = load_mappings(path)
    if name not in mappings:
        raise BadInputError(f"{path}: no mapping '{name}'; {nearest(name, mappings)}")
    return mappings[name]


@cache
def load_mappings(path: Path = MAPPINGS) -> dict[str, Mapping]:
    """Return every mapping of a file, by name.

    Raises:
        BadInputError: The file is missing or broken, or a mapping in it is wrong.
    """
    data = read_toml(path, "file of column mappings", "configs/mappings.toml is one that works")
    try:
        text = json.dumps(data, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise BadInputError(f"{path}: not valid TOML: {error}") from None
    try:
        # Validated as JSON: strict about types, yet TOML arrays may become tuples.
        found = TypeAdapter(dict[str, Mapping]).validate_json(text)
    except ValidationError as error:
        problems = error.errors()  # a key that is misspelt is unknown, and another is missing
        problem = next((p for p in problems if p["type"] in _UNKNOWN), problems[0])
        place = ".".join(map(str, problem["loc"]))
        raise BadInputError(
            f"{path}: {place}: {_explained(problem['type'], problem['msg'], place)}"
        ) from None
    for name, mapping in found.items():
        _check(f"{path}: {name}", mapping)
    return found


def _explained(kind: str, message: str, place: str) -> str:
    if kind in _UNKNOWN:
        parts = place.split(".")
        owner = Columns if "columns" in parts[:-1] else Mapping
        return f"unknown key; {nearest(parts[-1], [f.name for f in dataclasses.fields(owner)])}"
    if kind in {"missing", "missing_argument"}:
        return "missing; add it (its meaning is in pipeline/sources/mapping.py)"
    return message


def _check(place: str, mapping: Mapping) -> None:
    ways = (bool(mapping.subreddit), mapping.subreddit_from_file, "subreddit" in mapping.named())
    if sum(ways) != 1:
        raise BadInputError(
            f"{place}: say in one way what the subreddit is: columns.subreddit, subreddit or "
            "subreddit_from_file"
        )
    for field in mapping.optional:
        if field not in mapping.named():
            raise BadInputError(
                f"{place}.optional: '{field}' has no column; {nearest(field, mapping.named())}"
            )
