"""Tables of answers, checked and turned into arrays.

``read_choices`` takes the predictions table (one row an answer to a question), ``read_answers``
the questionnaire table (one row an answer to an item). Both refuse what contradicts itself and
name the row. Neither the order of rows nor of columns matters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from valact_eval.errors import ValactError
from valact_eval.stats.circle import PVQ40_KEY, VALUES
from valact_eval.stats.estimate import Bools, Floats, Ints

TASKS: Final = ("default", "selection", "adoption")
OUTCOMES: Final = ("ok", "invalid", "refused", "truncated")
ITEMS: Final = 40

CHOICE_COLUMNS: Final[Mapping[str, Any]] = {
    "respondent": pl.String(),
    "task": pl.String(),
    "question_id": pl.String(),
    "scenario_id": pl.String(),
    "domain": pl.String(),
    "variant": pl.Int64(),
    "order": pl.List(pl.Int64()),
    "outcome": pl.String(),
    "choice": pl.Int64(),
    "target_index": pl.Int64(),
    "option_ids": pl.List(pl.String()),
    "option_values": pl.List(pl.String()),
    "option_generators": pl.List(pl.String()),
    "option_words": pl.List(pl.Int64()),
}
"""Columns read from a predictions table; others are left alone."""

ANSWER_COLUMNS: Final[Mapping[str, Any]] = {
    "respondent": pl.String(),
    "instrument": pl.String(),
    "run": pl.Int64(),
    "variant": pl.Int64(),
    "item": pl.Int64(),
    "outcome": pl.String(),
    "score": pl.Int64(),
}
"""Columns read from a questionnaire table."""


@dataclass(frozen=True, eq=False)
class Choices:
    """The answers of one respondent in one task; arrays over n answers.

    Options stand in dealt order: ``values``, ``places`` (the letter, 0-3, at which each option
    was shown), ``generators``, ``words`` and ``options`` (a code of its id) are n x 4.
    ``choice`` and ``target`` are dealt indices, -1 for none. ``scenario`` indexes ``scenarios``,
    which is common to all tables read together; the other names are indexed likewise.
    """

    respondent: str
    task: str
    scenarios: tuple[str, ...]
    questions: tuple[str, ...]
    domains: tuple[str, ...]
    variants: tuple[int, ...]
    generator_names: tuple[str, ...]
    scenario: Ints
    question: Ints
    domain: Ints
    variant: Ints
    values: Ints
    places: Ints
    generators: Ints
    words: Ints
    options: Ints
    outcome: Ints
    choice: Ints
    target: Ints

    @property
    def ok(self) -> Bools:
        """Which answers are valid."""
        return self.choice >= 0

    @property
    def n(self) -> int:
        """How many answers there are, valid or not."""
        return int(self.choice.size)

    @property
    def clusters(self) -> int:
        """How many scenarios have a valid answer."""
        return int(np.unique(self.scenario[self.ok]).size)

    def chosen(self, field: Ints) -> Ints:
        """``field`` (n x 4) at the chosen option; only meaningful where ``ok``."""
        return np.take_along_axis(field, np.maximum(self.choice, 0)[:, None], 1)[:, 0]

    def at_target(self, field: Ints) -> Ints:
        """``field`` (n x 4) at the target; only meaningful where there is one."""
        return np.take_along_axis(field, np.maximum(self.target, 0)[:, None], 1)[:, 0]

    def where(self, mask: Bools | Ints) -> "Choices":
        """The same table with only some answers, by mask or by index (which may repeat)."""
        names = (
            *("scenario", "question", "domain", "variant", "values", "places", "generators"),
            *("words", "options", "outcome", "choice", "target"),
        )
        return replace(self, **{name: getattr(self, name)[mask] for name in names})


@dataclass(frozen=True, eq=False)
class Answers:
    """One respondent's questionnaire: ``scores`` is runs x variants x 40, nan for no score.

    ``asked`` marks what was asked, so that a missing score and a missing run differ.
    """

    respondent: str
    instrument: str
    runs: tuple[int, ...]
    variants: tuple[int, ...]
    scores: Floats
    asked: Bools
    outcomes: Mapping[str, int]


def read_choices(frame: pl.DataFrame) -> tuple[Choices, ...]:
    """One table for each respondent and task, in their order.

    Raises:
        ValactError: a column is missing or of another type, or a row contradicts itself.
    """
    rows = _columns(frame, CHOICE_COLUMNS, "predictions", optional={"choice", "target_index"})
    _check_choices(rows)
    rows = rows.sort("respondent", "task", "question_id", "target_index", "variant", "row")
    _check_options(rows)
    names = {
        column: sorted(rows[column].unique()) for column in ("scenario_id", "question_id", "domain")
    }
    generators = sorted(rows["option_generators"].explode().unique())
    arrays = {
        "scenario": _codes(rows["scenario_id"], names["scenario_id"]),
        "question": _codes(rows["question_id"], names["question_id"]),
        "domain": _codes(rows["domain"], names["domain"]),
        "values": _four(_codes(rows["option_values"].explode(), VALUES)),
        "places": np.argsort(_four(_ints(rows["order"].explode())), axis=1),
        "generators": _four(_codes(rows["option_generators"].explode(), generators)),
        "words": _four(_ints(rows["option_words"].explode())),
        "options": _option_codes(rows),
        "outcome": _codes(rows["outcome"], OUTCOMES),
        "choice": _ints(rows["choice"].fill_null(-1)),
        "target": _ints(rows["target_index"].fill_null(-1)),
    }
    variant = _ints(rows["variant"])
    sizes = rows.group_by("respondent", "task", maintain_order=True).len()
    found, end = [], 0
    for respondent, task, size in sizes.iter_rows():
        at = np.s_[end : end + size]
        end += size
        variants, coded = np.unique(variant[at], return_inverse=True)
        found.append(
            Choices(
                respondent=respondent,
                task=task,
                scenarios=tuple(names["scenario_id"]),
                questions=tuple(names["question_id"]),
                domains=tuple(names["domain"]),
                variants=tuple(int(value) for value in variants),
                generator_names=tuple(generators),
                variant=coded.astype(np.int64),
                **{name: array[at] for name, array in arrays.items()},
            )
        )
    return tuple(found)


def read_answers(
    frame: pl.DataFrame, key: Mapping[str, Sequence[int]] = PVQ40_KEY
) -> tuple[Answers, ...]:
    """One table for each respondent, in their order.

    Raises:
        ValactError: a column is missing or of another type, a row contradicts itself, a
            respondent answered two instruments, or ``key`` does not name items 1-40 once each.
    """
    if set(key) != set(VALUES) or sorted(i for v in key.values() for i in v) != [*range(1, 41)]:
        raise ValactError("scoring key: it must give each of items 1-40 to one of the ten values")
    rows = _columns(frame, ANSWER_COLUMNS, "questionnaire", optional={"score"})
    _refuse(
        rows,
        "questionnaire",
        {
            f"outcome must be one of {', '.join(OUTCOMES)}": ~pl.col("outcome").is_in(OUTCOMES),
            "item must be 1-40": ~pl.col("item").is_between(1, ITEMS),
            "score must be 1-6": ~pl.col("score").is_between(1, 6),
            "there must be a score exactly if the outcome is ok": pl.col("score").is_not_null()
            != (pl.col("outcome") == "ok"),
            "the item is answered twice in one run": pl.struct(
                "respondent", "run", "variant", "item"
            ).is_duplicated(),
            "a respondent has two instruments; score them apart": pl.col("instrument")
            != pl.col("instrument").first().over("respondent"),
        },
    )
    found = []
    for (respondent,), part in rows.group_by("respondent"):
        runs, variants = (sorted(part[name].unique()) for name in ("run", "variant"))
        scores = np.full((len(runs), len(variants), ITEMS), np.nan)
        at = (
            _codes(part["run"], runs),
            _codes(part["variant"], variants),
            _ints(part["item"]) - 1,
        )
        scores[at] = part["score"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        asked = np.zeros(scores.shape, dtype=np.bool_)
        asked[at] = True
        counts = dict(part["outcome"].value_counts().iter_rows())
        found.append(
            Answers(
                respondent=str(respondent),
                instrument=part["instrument"][0],
                runs=tuple(runs),
                variants=tuple(variants),
                scores=scores,
                asked=asked,
                outcomes={name: counts.get(name, 0) for name in OUTCOMES},
            )
        )
    return tuple(sorted(found, key=lambda answers: answers.respondent))


def _columns(
    frame: pl.DataFrame, columns: Mapping[str, Any], what: str, optional: set[str]
) -> pl.DataFrame:
    if missing := [name for name in columns if name not in frame.columns]:
        raise ValactError(f"{what}: no column {missing[0]}; write the file with valact-eval run")
    if not frame.height:
        raise ValactError(f"{what}: no rows; run valact-eval run first")
    try:
        rows = frame.select(pl.col(name).cast(kind) for name, kind in columns.items())
        rows = rows.with_row_index("row", offset=1)
    except pl.exceptions.PolarsError as error:
        raise ValactError(f"{what}: a column has a wrong type: {error}") from error
    _refuse(
        rows,
        what,
        {f"{name} is missing": pl.col(name).is_null() for name in columns if name not in optional},
    )
    return rows


def _check_choices(rows: pl.DataFrame) -> None:
    task, choice, target = pl.col("task"), pl.col("choice"), pl.col("target_index")
    _refuse(
        rows,
        "predictions",
        {
            f"task must be one of {', '.join(TASKS)}": ~task.is_in(TASKS),
            f"outcome must be one of {', '.join(OUTCOMES)}": ~pl.col("outcome").is_in(OUTCOMES),
            **{
                f"{name} must have four entries": pl.col(name).list.len() != 4
                for name in ("option_ids", "option_values", "option_generators", "option_words")
            },
            "order must have four entries": pl.col("order").list.len() != 4,
            "there must be a choice exactly if the outcome is ok": choice.is_not_null()
            != (pl.col("outcome") == "ok"),
            "choice must be 0-3": ~choice.is_between(0, 3),
            "there must be a target_index except in the task default": target.is_not_null()
            == (task == "default"),
            "target_index must be 0-3": ~target.is_between(0, 3),
        },
    )


def _check_options(rows: pl.DataFrame) -> None:
    """Checks the lists, flat since that is faster; the rows must be sorted by their key."""

    def fours(name: str, fault: pl.Expr) -> Bools:
        flat = rows.select(pl.col(name).explode()).select(fault.fill_null(value=True))
        return np.asarray(_four(flat.to_series().to_numpy()).any(axis=1))

    for name in ("option_ids", "option_generators"):
        _refuse_rows(rows, fours(name, pl.col(name).is_null()), f"{name} has an empty entry")
    unknown = fours("option_values", ~pl.col("option_values").is_in(VALUES))
    _refuse_rows(rows, unknown, "option_values must be values of the release")
    words = fours("option_words", pl.col("option_words") < 1)
    _refuse_rows(rows, words, "option_words must be 1 or more")
    outside = fours("order", ~pl.col("order").is_between(0, 3))
    _refuse_rows(rows, outside, "order must be a permutation of 0-3")
    order = np.sort(_four(_ints(rows["order"].explode())), axis=1)
    _refuse_rows(rows, (order != np.arange(4)).any(axis=1), "order must be a permutation of 0-3")
    options = np.sort(_option_codes(rows), axis=1)
    same = (options[:, 1:] == options[:, :-1]).any(axis=1)
    _refuse_rows(rows, same, "option_ids must differ")
    keys = ("respondent", "task", "question_id", "target_index", "variant")
    again = rows.select(pl.all_horizontal(pl.col(k).eq_missing(pl.col(k).shift()) for k in keys))
    _refuse_rows(rows, again.to_series().to_numpy(), "the question is answered twice")
    scenario = rows.group_by("question_id").agg(pl.col("scenario_id").n_unique())
    if (torn := scenario.filter(pl.col("scenario_id") > 1)).height:
        names = rows["question_id"].is_in(torn["question_id"].implode()).to_numpy()
        _refuse_rows(rows, names, "the question has another scenario_id elsewhere")


def _refuse(rows: pl.DataFrame, what: str, faults: Mapping[str, pl.Expr]) -> None:
    """Raises for the first row with the first of the faults that there is."""
    marked = rows.select(fault.fill_null(value=False).alias(name) for name, fault in faults.items())
    for name in faults:
        _refuse_rows(rows, marked[name].to_numpy(), name, what)


def _refuse_rows(rows: pl.DataFrame, bad: Bools, fault: str, what: str = "predictions") -> None:
    if bad.any():
        row = rows.row(int(np.argmax(bad)), named=True)
        about = row.get("question_id") or f"item {row.get('item')}"
        raise ValactError(
            f"{what}: row {row['row']} ({row['respondent']}, {about}): {fault}; "
            "remove the row or run again"
        )


def _option_codes(rows: pl.DataFrame) -> Ints:
    """A number for each option id, the same wherever it stands; only ever compared."""
    codes: Ints = rows["option_ids"].explode().hash(0).to_numpy().view(np.int64)
    return codes.reshape(-1, 4)


def _codes(series: pl.Series, names: Sequence[Any]) -> Ints:
    table = {name: code for code, name in enumerate(names)}
    return _ints(series.replace_strict(table, return_dtype=pl.Int64()))


def _ints(series: pl.Series) -> Ints:
    return series.to_numpy().astype(np.int64)


def _four(flat: Any) -> Any:  # noqa: ANN401 - an array of any kind
    return flat.reshape(-1, 4)
