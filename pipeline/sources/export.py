"""Exports: CSV, TSV, a JSON array or a JSON object a line, with a mapping of their columns.

One pass, in bounded memory. A row is what the file's format calls one: row 1 is the first after
the header, or the first element or line of JSON.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError, nearest
from pipeline.escape import on_one_line
from pipeline.sources.mapping import Mapping
from pipeline.sources.post import BadLine, Number, Submission, Wanted, row
from pipeline.sources.rows import Cells, csv_rows, json_rows

_DELIMITER = {".csv": ",", ".tsv": "\t"}
_JSON = frozenset({".json", ".ndjson", ".jsonl"})
_PACKED = frozenset({".gz", ".zst"})
_POST_LINK = re.compile(r"(?:/comments/|\bredd\.it/)([0-9A-Za-z]+)")
_POST_ID = re.compile(r"(?:t3_)?([0-9A-Za-z]{1,20})")
_SUBREDDIT = re.compile(r"(?:^|/)r/([A-Za-z0-9_]+)")
_TRUE = frozenset({"true", "1", "1.0", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "0.0", "no", "f", "n", ""})


def read_export(
    path: Path, mapping: Mapping, wanted: Wanted, limit: int = 0
) -> Iterator[dict[str, Any] | BadLine]:
    """Yield one row of schema.POSTS, or one BadLine, for every row of an export.

    Args:
        path: `.csv`, `.tsv`, `.json`, `.ndjson` or `.jsonl`, plain or further `.gz` or `.zst`.
        mapping: Which column gives which field, and whether HTML is escaped.
        wanted: What is wanted; whether HTML is escaped is the mapping's to say.
        limit: Stop after this many rows; 0 reads all.

    Raises:
        BadInputError: The file is missing or of no known kind, is not what its name says from the
            first byte, or lacks a column that the mapping names.
    """
    kind, check = kind_of(path), partial(_check_columns, path, mapping)
    if kind in _DELIMITER:
        found = csv_rows(path, _DELIMITER[kind], check)
    elif kind in _JSON:
        found = json_rows(path, check)
    else:
        known = ", ".join(sorted({*_DELIMITER, *_JSON}))
        raise BadInputError(f"{path}: what kind of file is it? name it one of {known}")
    wanted = dataclasses.replace(wanted, html_escaped=mapping.html_escaped)
    number = 0
    for number, cells in enumerate(found, start=1):
        if isinstance(cells, BadLine):
            yield BadLine(number, cells.reason, cells.detail)
        else:
            yield _post(cells, path, number, mapping, wanted)
        if number == limit:
            return
    if number == 0:
        raise BadInputError(f"{path}: holds no row")


def kind_of(path: Path) -> str:
    """Return the suffix that tells what a file holds, whatever it is packed in."""
    bare = path.with_suffix("") if path.suffix in _PACKED else path
    return bare.suffix.lower()


def _post(
    cells: Cells, path: Path, number: int, mapping: Mapping, wanted: Wanted
) -> dict[str, Any] | BadLine:
    named = mapping.columns
    try:
        post_id = _text("id", cells, named.id).strip()
        link = _POST_LINK.search(post_id)
        plain = link or _POST_ID.fullmatch(post_id)
        if not plain:
            reason = "comment" if post_id.startswith("t1_") else "no_id"
            return BadLine(number, reason, f"'{named.id}' holds no id of a post")
        post = Submission(
            id=plain[1],
            subreddit=_subreddit(cells, path, mapping),
            title=_text("title", cells, named.title),
            selftext=_text("body", cells, named.body),
            created_utc=_number("created_utc", cells, named.created_utc),
            score=_number("score", cells, named.score),
            num_comments=_number("num_comments", cells, named.num_comments),
            over_18=_flag("over_18", cells, named.over_18),
            link_flair_text=_text("flair", cells, named.flair),
            removed_by_category=_removed_by(cells, mapping),
            author=_text("author", cells, named.author),
            author_hash=_text("author_hash", cells, named.author_hash),
        )
    except ValueError as error:
        return BadLine(number, "bad_field", str(error))
    return row(post, path.name, number, wanted)


def _subreddit(cells: Cells, path: Path, mapping: Mapping) -> str:
    if mapping.subreddit:
        return mapping.subreddit
    if mapping.subreddit_from_file:
        return path.name.partition(".")[0]
    name = _text("subreddit", cells, mapping.columns.subreddit).strip()
    found = _SUBREDDIT.search(name)
    return found[1] if found else ("" if "/" in name else name)


def _removed_by(cells: Cells, mapping: Mapping) -> str:
    if _flag("deleted", cells, mapping.columns.deleted):
        return "deleted"
    if _flag("removed", cells, mapping.columns.removed):
        return "moderator"
    return _text("removed_by", cells, mapping.columns.removed_by)


def _text(field: str, cells: Cells, column: str | None) -> str:
    value = cells.get(column) if column is not None else None
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{field}: '{column}' holds no text")
    return str(value)


def _number(field: str, cells: Cells, column: str | None) -> Number:
    value = cells.get(column) if column is not None else None
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise ValueError(f"{field}: '{column}' holds no number")
    return value.strip() if isinstance(value, str) else value


def _flag(field: str, cells: Cells, column: str | None) -> bool:
    value = cells.get(column) if column is not None else None
    word = ("" if value is None else str(value)).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{field}: '{column}' is neither true nor false")
    return word in _TRUE


def _check_columns(path: Path, mapping: Mapping, columns: list[str]) -> None:
    counts = Counter(columns)
    for field, column in mapping.named().items():
        if counts[column] == 1 or (counts[column] == 0 and field in mapping.optional):
            continue
        shown = [on_one_line(name) for name in columns]
        listed = ", ".join(f"'{name}'" for name in shown)
        if counts[column]:
            raise BadInputError(
                f"{path}: has {counts[column]} columns '{column}'; rename all but one"
            )
        raise BadInputError(
            f"{path}: has no column '{column}' (the mapping's {field}); "
            f"{nearest(column, shown)} its columns: {listed}"
        )
