"""Reading reviews by CSV, from those who annotate elsewhere; csv_forms.py writes the forms.

One row is one expert's word on one action. A row without an answer is not a review yet.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation import answers
from pipeline.annotation.plan import Plan
from pipeline.errors import BadInputError, nearest
from pipeline.text import clean

REQUIRED = ("item_id", "action_number", "annotator", "first_value", "second_value", "naturalness")
OPTIONAL = ("flags", "notes", "state", "lead_seconds", "updated_utc")
SHOWN = ("scenario", "action", "opinions")
"""Columns that a form shows and an import does not read."""

_ANSWER = ("first_value", "second_value", "naturalness", "flags", "notes", "state", "lead_seconds")


@dataclass(frozen=True)
class Imported:
    """What a file of reviews held.

    Attributes:
        reviews: Rows of schema.REVIEWS, by review_id.
        empty: Rows that nobody filled in.
        replaced: Reviews that a newer row of the same file replaced.
    """

    reviews: pl.DataFrame
    empty: int
    replaced: int


def read_reviews(
    path: Path, items: pl.DataFrame, plan: Plan, updated: datetime | None = None
) -> Imported:
    """Read a filled-in form, or any CSV of these columns.

    Args:
        path: The file: UTF-8; comma, semicolon or tab.
        items: Rows of schema.ITEMS of all rounds.
        plan: The annotation's plan.
        updated: When rows were written that do not say so themselves.

    Raises:
        BadInputError: A column is missing or unknown, or a row is wrong; names the row, counted as
            a spreadsheet does.
    """
    given = answers.Given(items, plan)
    rows: list[dict[str, Any]] = []
    empty = 0
    for number, cells in _rows(path):
        if not any(cells.get(column) for column in _ANSWER):
            empty += 1
            continue
        try:
            rows.append(_review(cells, given, updated))
        except ValueError as error:
            raise BadInputError(f"{path}: row {number}: {error}") from None
    table = schema.frame(_with_items(path, rows), schema.REVIEWS)
    kept, replaced = answers.merge(answers.no_reviews(), table)
    return Imported(kept, empty, replaced)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's number and its cells, without spaces at the edges."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}; name a CSV file of reviews") from None
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise BadInputError(f"{path}: line {row}: not UTF-8; save it as CSV UTF-8") from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        columns = [name.strip() for name in next(reader, [])]
        _check_columns(path, columns)
        for number, cells in enumerate(reader, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise BadInputError(
                    f"{path}: row {number}: {len(cells)} cells, and {len(columns)} columns; put "
                    "cells that hold a comma or a quote into quotes"
                )
            yield number, {c: cell.strip() for c, cell in zip(columns, cells, strict=True)}
    except csv.Error as error:
        raise BadInputError(
            f"{path}: row {number + 1}: {error}; close every quote, and double those inside"
        ) from None


def _check_columns(path: Path, columns: list[str]) -> None:
    known = (*REQUIRED, *OPTIONAL, *SHOWN)
    for place, name in enumerate(columns, start=1):
        if name not in known:
            raise BadInputError(
                f"{path}: row 1: unknown column {place} {name[:40]!r}; {nearest(name, known)}"
            )
        if columns.count(name) > 1:
            raise BadInputError(f"{path}: row 1: column {name} stands there twice; cut one")
    if lacking := [name for name in REQUIRED if name not in columns]:
        raise BadInputError(f"{path}: row 1: no column {', '.join(lacking)}; add it")


def _review(
    cells: dict[str, str], given: answers.Given, updated: datetime | None
) -> dict[str, Any]:
    """Return a row of schema.REVIEWS; raises ValueError with one line."""
    item_id, annotator, number = (cells[c] for c in ("item_id", "annotator", "action_number"))
    if problem := given.problem_of(item_id, annotator):
        raise ValueError(problem)
    item = given.items[item_id]
    place = _whole("action_number", number, len(item["action_ids"]))
    if place is None:
        raise ValueError("action_number: missing; take it from the form")
    action_id = item["action_ids"][place - 1]
    row = {
        "review_id": answers.review_id(item_id, annotator, action_id),
        "round": item["round"],
        "item_id": item_id,
        "kind": item["kind"],
        "scenario_id": item["scenario_id"],
        "action_id": action_id,
        "annotator": annotator,
        "state": cells.get("state", "").lower() or "submitted",
        "first_value": _value(cells["first_value"]),
        "second_value": _value(cells["second_value"]),
        "naturalness": _whole("naturalness", cells["naturalness"], 5),
        "flags": sorted({_value(f) for f in _parts(cells.get("flags", ""))}),
        "notes": clean(cells.get("notes", ""))[: answers.MOST_NOTES],
        "lead_seconds": _seconds(cells.get("lead_seconds", "")),
        "updated_utc": _when(cells.get("updated_utc", ""), updated),
        "source": "csv",
    }
    if problem := answers.problem_of(row):
        raise ValueError(problem)
    return row


def _parts(text: str) -> list[str]:
    return [
        part.strip() for part in text.replace(",", ";").replace("|", ";").split(";") if part.strip()
    ]


def _value(text: str) -> str:
    """Return a value's or flag's id; its name with spaces, hyphens or capitals is taken, too."""
    return text.strip().lower().replace(" ", "_").replace("-", "_")


def _whole(column: str, text: str, most: int) -> int | None:
    """Return a whole number from 1 to `most`; None for an empty cell."""
    if not text:
        return None
    try:
        number = float(text)  # spreadsheets write 4.0
    except ValueError:
        number = -1.0
    if not (number.is_integer() and 1 <= number <= most):
        raise ValueError(f"{column}: {answers.shown(text)!r}; give 1 to {most}")
    return int(number)


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e7:
        raise ValueError(
            f"lead_seconds: '{answers.shown(text)}'; give seconds with a point, or nothing"
        )
    return number


def _when(text: str, updated: datetime | None) -> datetime:
    if not text:
        if updated is None:
            raise ValueError(
                "updated_utc: empty; fill it in, or give --updated for all rows without it"
            )
        return updated
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError(
            f"updated_utc: '{answers.shown(text)}'; write 2026-01-31T12:00:00Z"
        ) from None


def parse_time(text: str) -> datetime:
    """Return an ISO 8601 time; without a zone it is taken as UTC.

    Raises:
        ValueError: It is no such time.
    """
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _with_items(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spread what is said of an item (flags, notes, time) over its rows of one annotator."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["item_id"], row["annotator"]), []).append(row)
    for (item_id, annotator), group in groups.items():
        newest: dict[str, dict[str, Any]] = {}
        for row in sorted(group, key=lambda row: row["updated_utc"]):
            newest[row["action_id"]] = row
        counted = list(newest.values())
        flags = sorted({flag for row in counted for flag in row["flags"]})
        notes = "\n".join(dict.fromkeys(row["notes"] for row in counted if row["notes"]))
        times = {row["lead_seconds"] for row in counted} - {None}
        if len(times) > 1:
            raise BadInputError(
                f"{path}: {item_id} of {annotator}: its rows name different lead_seconds "
                f"({min(times):g} and {max(times):g}); give the time on the whole item once"
            )
        for row in group:
            row |= {"flags": flags, "notes": notes, "lead_seconds": next(iter(times), None)}
    return rows
