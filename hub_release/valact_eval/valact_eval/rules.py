"""Rules that rows of predictions keep, each alone and between each other."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from valact_eval.key import ITEMS, SCALE, VALUES
from valact_eval.schema import KEYS, NULLABLE, OPTIONS, OUTCOMES, TASKS, schema_of


def fault_of_a_row(frame: pl.DataFrame, kind: str) -> tuple[int, str] | None:
    """The first row (from 0) that breaks a rule, and the rule; None if every row is good.

    Columns that ``frame`` has not got are not looked at.
    """
    faults = [
        (pl.col(name).is_null(), f"{name} is missing")
        for name in frame.columns
        if name not in NULLABLE
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
    keys = KEYS[kind]
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
    return frame.sort(KEYS[kind])


def table_of(rows: Sequence[dict[str, Any]], kind: str) -> pl.DataFrame:
    """Rows as a table of ``kind`` "choice" or "answer"; a lone surrogate becomes U+FFFD."""
    clean = [{name: _encodable(cell) for name, cell in row.items()} for row in rows]
    return pl.DataFrame(clean, schema=schema_of(kind), orient="row")


def _encodable(cell: Any) -> Any:  # noqa: ANN401 - any cell
    if isinstance(cell, str):
        return cell.encode("utf-8", "replace").decode()
    return [_encodable(part) for part in cell] if isinstance(cell, list) else cell


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
