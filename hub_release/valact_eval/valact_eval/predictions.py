"""The predictions tables: what respondents chose and declared, as files that need no model.

Two tables, each as JSONL (one row a line) or Parquet. ``CHOICES`` has a row for every question
put to a respondent with one prompt variant; ``ANSWERS`` one for every questionnaire item in one
run with one prompt variant. Every harness can write them; ``valact-eval score`` reads them.

Options are told apart by their *dealt index* 0..3, their place in the release's own order, and
by the *letter* 0..3 (A..D) at which they were shown: ``order[letter]`` is the dealt index.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from valact_eval.errors import ValactError
from valact_eval.key import ITEMS, SCALE, VALUES

OUTCOMES = ("ok", "invalid", "refused", "truncated")
TASKS = ("default", "selection", "adoption")
OPTIONS = 4

CHOICES = pl.Schema(
    {
        "respondent": pl.String(),  # model or person, as it is to be named in a report
        "task": pl.String(),  # one of TASKS
        "question_id": pl.String(),
        "scenario_id": pl.String(),  # the cluster of the question
        "domain": pl.String(),
        "variant": pl.Int64(),  # prompt variant, from 0
        "order": pl.List(pl.Int64()),  # dealt index of the option shown at A, B, C, D
        "outcome": pl.String(),  # one of OUTCOMES
        "choice": pl.Int64(),  # dealt index 0..3 of the chosen option; null unless ok
        "letter": pl.Int64(),  # shown position 0..3 of the chosen option; null unless ok
        "target_index": pl.Int64(),  # dealt index of the right option; null in task default
        "option_ids": pl.List(pl.String()),  # this and the next three in dealt order
        "option_values": pl.List(pl.String()),  # one of VALUES each
        "option_generators": pl.List(pl.String()),  # model that wrote each option
        "option_words": pl.List(pl.Int64()),  # words of each option
        "seconds": pl.Float64(),  # time of the call; null where it is not known
        "raw": pl.String(),  # the whole reply; null where it was not kept
    }
)
ANSWERS = pl.Schema(
    {
        "respondent": pl.String(),
        "instrument": pl.String(),  # name of the questionnaire
        "run": pl.Int64(),  # number of the shuffled item order, from 0
        "variant": pl.Int64(),  # prompt variant, from 0
        "item": pl.Int64(),  # number of the item in the key, 1..40
        "outcome": pl.String(),  # one of OUTCOMES
        "score": pl.Int64(),  # 1 (not like me at all) .. 6 (very much like me); null unless ok
    }
)
_KEYS = {
    "choice": ("respondent", "task", "question_id", "target_index", "variant"),
    "answer": ("respondent", "instrument", "run", "variant", "item"),
}
_NULLABLE = ("choice", "letter", "target_index", "seconds", "raw", "score")
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
    frame = frame.select(*_schema(kind))
    if frame.schema != _schema(kind):
        raise ValactError(f"{path}: columns must have the types {dict(_schema(kind))}")
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


def fault_of_a_row(frame: pl.DataFrame, kind: str) -> tuple[int, str] | None:
    """The first row (from 0) that breaks a rule, and the rule; None if every row is good.

    Columns that ``frame`` has not got are not looked at.
    """
    faults = [
        (pl.col(name).is_null(), f"{name} is missing")
        for name in frame.columns
        if name not in _NULLABLE
    ]
    faults += [
        (~pl.col("outcome").is_in(OUTCOMES), f"outcome must be one of {', '.join(OUTCOMES)}"),
        (pl.col("variant") < 0, "variant must be 0 or more"),
        *(_choice_faults() if kind == "choice" else _answer_faults()),
    ]
    faults = [
        (fault, said) for fault, said in faults if {*fault.meta.root_names()} <= {*frame.columns}
    ]
    # an expression over a missing cell is null, and the missing cell is already a fault
    found = frame.select(
        pl.coalesce(
            [
                pl.when(fault.fill_null(False)).then(number)
                for number, (fault, _) in enumerate(faults)
            ]
        ).alias("fault")
    )["fault"]
    row = found.is_not_null().arg_max()
    if row is None or found[row] is None:
        return None
    return row, faults[found[row]][1]


def fault_between(table: pl.DataFrame, kind: str) -> tuple[int, str] | None:
    """The first row (from 0) that contradicts another, and how; None if there is none."""
    keys = _KEYS[kind]
    again = (~table.select(pl.struct(keys).is_first_distinct()).to_series()).arg_true()
    if again.len():
        what = ", ".join(f"{name} {table[name][again[0]]!r}" for name in keys)
        return again[0], (
            f"{what} comes twice; score the files one at a time, or name one run's respondent "
            "otherwise"
        )
    if kind == "choice":
        shown = pl.struct("scenario_id", "option_ids", "option_values")
        first = shown.first().over("question_id")
        other = table.select(shown != first).to_series().arg_true()
        if other.len():
            return other[0], (
                f"question {table['question_id'][other[0]]!r} has other options or another "
                "scenario_id than in an earlier row; score files of one release together"
            )
    return None


def in_order(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The rows in their lasting order: by respondent, then by what was asked."""
    return frame.sort(_KEYS[kind])


def table_of(rows: Sequence[dict[str, Any]], kind: str) -> pl.DataFrame:
    """Rows as a table of ``kind`` "choice" or "answer"; a lone surrogate becomes U+FFFD."""
    clean = [
        {
            name: cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
            for name, cell in row.items()
        }
        for row in rows
    ]
    return pl.DataFrame(clean, schema=_schema(kind), orient="row")


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


def _schema(kind: str) -> pl.Schema:
    return CHOICES if kind == "choice" else ANSWERS


def _suffix(path: Path) -> str:
    if path.suffix not in _SUFFIXES:
        raise ValactError(f"{path}: must be a file in {', '.join(_SUFFIXES)}")
    return path.suffix


def _kind(columns: Sequence[str], path: Path) -> str:
    kind = "answer" if "item" in columns else "choice"
    if missing := [name for name in _schema(kind) if name not in columns]:
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
    except pl.exceptions.PolarsError as error:
        raise ValactError(f"{path}: cannot be read: {error}; write it again") from error
    schema = _schema(kind)
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
        return pl.read_ndjson(path, schema=_schema(kind))
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        # polars does not say which line; find it
        names = _schema(kind)
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


def _choice_faults() -> list[tuple[pl.Expr, str]]:
    ok, places = pl.col("outcome") == "ok", list(range(OPTIONS))
    faults = [
        (~pl.col("task").is_in(TASKS), f"task must be one of {', '.join(TASKS)}"),
        (pl.col("order").list.sort() != pl.lit(places), "order must be a permutation of 0..3"),
        (pl.col("seconds") < 0, "seconds must be 0 or more"),
        (pl.col("seconds").is_nan() | pl.col("seconds").is_infinite(), "seconds must be finite"),
    ]
    for name in ("option_ids", "option_values", "option_generators", "option_words"):
        cells = pl.col(name).list
        faults += [
            (cells.len() != OPTIONS, f"{name} must have four entries"),
            (cells.eval(pl.element().is_null()).list.any(), f"{name} must have four entries"),
        ]
    unknown = pl.col("option_values").list.set_difference(pl.lit(list(VALUES)))
    faults += [
        (unknown.list.len() > 0, f"option_values must be among {', '.join(VALUES)}"),
        (pl.col("option_ids").list.n_unique() != OPTIONS, "option_ids must differ"),
        (pl.col("option_words").list.min() < 1, "option_words must be 1 or more"),
    ]
    for name in ("choice", "letter"):
        faults += [
            (ok & pl.col(name).is_null(), f"{name} is missing under outcome ok"),
            (~ok & pl.col(name).is_not_null(), f"{name} must be null unless outcome is ok"),
            (~pl.col(name).is_between(0, OPTIONS - 1), f"{name} must be 0..3"),
        ]
    target, default = pl.col("target_index"), pl.col("task") == "default"
    shown = pl.col("order").list.get(pl.col("letter"), null_on_oob=True)
    return [
        *faults,
        (shown != pl.col("choice"), "choice is not the option that order shows at letter"),
        (default & target.is_not_null(), "target_index must be null in task default"),
        (~default & target.is_null(), "target_index is missing"),
        (~target.is_between(0, OPTIONS - 1), "target_index must be 0..3"),
    ]


def _answer_faults() -> list[tuple[pl.Expr, str]]:
    ok, score = pl.col("outcome") == "ok", pl.col("score")
    return [
        (pl.col("run") < 0, "run must be 0 or more"),
        (~pl.col("item").is_between(1, ITEMS), f"item must be 1..{ITEMS}"),
        (ok & score.is_null(), "score is missing under outcome ok"),
        (~ok & score.is_not_null(), "score must be null unless outcome is ok"),
        (~score.is_between(*SCALE), f"score must be {SCALE[0]}..{SCALE[1]}"),
    ]


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
