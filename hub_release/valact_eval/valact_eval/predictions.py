"""Files of predictions: what respondents chose and declared, read and written without a model.

Either table (see ``valact_eval.schema``) as JSONL, one row a line, or as Parquet. Every harness
can write them; ``valact-eval score`` reads them.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from valact_eval.errors import ValactError
from valact_eval.rules import fault_between, fault_of_a_row
from valact_eval.schema import ANSWERS, CHOICES, schema_of

_FILES = ("predictions", "answers")
_SUFFIXES = (".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class Predictions:
    """Both tables; a table without rows still has its schema."""

    choices: pl.DataFrame
    answers: pl.DataFrame


def read_predictions(paths: Iterable[Path]) -> Predictions:
    """Reads and checks any number of files, each of either table, or folders of ``run``.

    Args:
        paths: JSONL or Parquet files, told apart by their columns; a folder stands for its
            ``predictions`` and ``answers`` files. Columns outside the schema are left out.

    Raises:
        ValactError: names file and row, where a file cannot be read, a row breaks the schema
            or contradicts itself, a row comes twice, or two rows of one question show
            different options (files of two releases).
    """
    frames: dict[str, list[pl.DataFrame]] = {"choice": [pl.DataFrame(schema=CHOICES)]}
    frames["answer"] = [pl.DataFrame(schema=ANSWERS)]
    places: dict[str, list[tuple[Path, int]]] = {"choice": [], "answer": []}
    for path in _files(paths):
        kind, frame = _read(path)
        frames[kind].append(frame)
        places[kind].append((path, frame.height))
    tables = {kind: pl.concat(parts) for kind, parts in frames.items()}
    for kind, table in tables.items():
        _check_between(table, kind, places[kind])
    return Predictions(tables["choice"], tables["answer"])


def check_predictions(tables: Predictions) -> None:
    """Raises ValactError where rows break the schema or contradict each other."""
    for kind, table in (("choice", tables.choices), ("answer", tables.answers)):
        if found := fault_of_a_row(table, kind):
            raise ValactError(f"{kind} {found[0]}: {found[1]}")
        _check_between(table, kind, [(Path("the files imported"), table.height)])


def write_predictions(path: Path, frame: pl.DataFrame) -> None:
    """Writes one table, whole or not at all; the suffix chooses JSONL or Parquet.

    Raises:
        ValactError: a row that breaks the schema, another suffix, or no room.
    """
    kind = _kind(frame.columns, path)
    frame = frame.select(*schema_of(kind))
    if frame.schema != schema_of(kind):
        raise ValactError(f"{path}: columns must have the types {dict(schema_of(kind))}")
    if found := fault_of_a_row(frame, kind):
        raise ValactError(f"{path}: row {found[0]}: {found[1]}; nothing was written")
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _suffix(path) == ".parquet":
            frame.write_parquet(part, compression="zstd")
        else:
            frame.write_ndjson(part)
        os.replace(part, path)
    except OSError as error:
        raise ValactError(f"{path}: {error.strerror or error}; give another --out") from error


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [path / (name + suffix) for name in _FILES for suffix in _SUFFIXES]
        inside = [file for file in inside if file.exists()]
        if not inside:
            raise ValactError(f"{path}: holds no predictions; run `valact-eval run` first")
        found += inside
    return found


def _suffix(path: Path) -> str:
    if path.suffix not in _SUFFIXES:
        raise ValactError(f"{path}: must be a file in {', '.join(_SUFFIXES)}")
    return path.suffix


def _kind(columns: Sequence[str], path: Path) -> str:
    kind = "answer" if "item" in columns else "choice"
    if missing := [name for name in schema_of(kind) if name not in columns]:
        raise ValactError(f"{path}: columns {', '.join(missing)} are missing from the {kind}s")
    return kind


def _read(path: Path) -> tuple[str, pl.DataFrame]:
    suffix = _suffix(path)
    try:
        if suffix == ".parquet":
            frame = pl.read_parquet(path)
            kind = _kind(frame.columns, path)
        else:
            with path.open("rb") as file:
                if not (first := next((line for line in file if line.strip()), b"")):
                    raise ValactError(f"{path}: no predictions; run `valact-eval run` first")
            record = _record(first, 1, path)
            kind = "answer" if "item" in record else "choice"
            frame = _read_lines(path, kind)
    except OSError as error:
        raise ValactError(f"{path}: {error.strerror or error}; give a predictions file") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValactError(f"{path}: cannot be read: {error}; write it again") from error
    schema = schema_of(kind)
    try:
        frame = frame.select(pl.col(name).cast(kind_) for name, kind_ in schema.items())
    except pl.exceptions.PolarsError as error:
        raise ValactError(f"{path}: {error}; its columns must be {dict(schema)}") from error
    if not frame.height:
        raise ValactError(f"{path}: no predictions; run `valact-eval run` first")
    if found := fault_of_a_row(frame, kind):
        row, said = found
        raise ValactError(f"{path}: {_place(path, row)}: {said}; remove the row or run again")
    return kind, frame


def _read_lines(path: Path, kind: str) -> pl.DataFrame:
    try:
        return pl.read_ndjson(path, schema=schema_of(kind))
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        # polars does not say which line; find it
        names = schema_of(kind)
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                record = _record(line, number, path)
                try:
                    pl.read_ndjson(line, schema=names)
                except pl.exceptions.PolarsError as fault:
                    wrong = next(
                        (name for name in names if name in record and not _fits(record, name)), ""
                    )
                    said = f"{wrong}: {record[wrong]!r:.60}" if wrong else str(fault)
                    raise ValactError(
                        f"{path}: line {number}: {said} is not {names.get(wrong, 'readable')}; "
                        "remove the line or run again"
                    ) from error
        raise ValactError(f"{path}: cannot be read: {error}; write it again") from error


def _fits(record: dict[str, Any], name: str) -> bool:
    try:
        schema = pl.Schema({name: (CHOICES | ANSWERS)[name]})
        pl.read_ndjson(json.dumps({name: record[name]}).encode(), schema=schema)
    except pl.exceptions.PolarsError:
        return False
    return True


def _record(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValactError(
            f"{path}: line {number}: {error}; remove the line or run again"
        ) from error
    return record


def _place(path: Path, row: int) -> str:
    """Where the row with this number (from 0) stands: blank lines count as lines."""
    if path.suffix == ".parquet":
        return f"row {row}"
    if not path.exists():
        return f"row {row}"
    with path.open("rb") as file:
        rows = -1
        for number, line in enumerate(file, start=1):
            rows += bool(line.strip())
            if rows == row:
                return f"line {number}"
    return f"row {row}"


def _check_between(table: pl.DataFrame, kind: str, places: list[tuple[Path, int]]) -> None:
    """Checks rows against each other, over all files."""
    if found := fault_between(table, kind):
        raise ValactError(f"{_where(found[0], places)}: {found[1]}")


def _where(row: int, places: list[tuple[Path, int]]) -> str:
    for path, height in places:
        if row < height:
            return f"{path}: {_place(path, row)}"
        row -= height
    raise IndexError(row)
