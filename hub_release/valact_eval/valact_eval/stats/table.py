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
from valact_eval.key import ITEMS, KEY, VALUES
from valact_eval.rules import fault_between, fault_of_a_row
from valact_eval.schema import ANSWERS, CHOICES, OUTCOMES
from valact_eval.stats.estimate import Bools, Floats, Ints

_NAMES: Final = {"choice": "predictions", "answer": "questionnaire"}
_CHOICE_COLUMNS: Final = (
    *("respondent", "task", "question_id", "scenario_id", "domain", "variant", "order"),
    *("outcome", "choice", "target_index"),
    *("option_ids", "option_values", "option_generators", "option_words"),
)


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
    rows = _checked(frame, "choice", {name: CHOICES[name] for name in _CHOICE_COLUMNS})
    rows = rows.sort("respondent", "task", "question_id", "target_index", "variant", "row")
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
    frame: pl.DataFrame, key: Mapping[str, Sequence[int]] = KEY
) -> tuple[Answers, ...]:
    """One table for each respondent, in their order.

    Raises:
        ValactError: a column is missing or of another type, a row contradicts itself, a
            respondent answered two instruments, or ``key`` does not name items 1-40 once each.
    """
    if set(key) != set(VALUES) or sorted(i for v in key.values() for i in v) != [*range(1, 41)]:
        raise ValactError("scoring key: it must give each of items 1-40 to one of the ten values")
    rows = _checked(frame, "answer", ANSWERS)
    two = rows.select(
        pl.col("instrument") != pl.col("instrument").first().over("respondent")
    ).to_series()
    if two.any():
        raise _fault(
            rows, "answer", two.arg_true()[0], "a respondent has two instruments; score them apart"
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


def _checked(frame: pl.DataFrame, kind: str, columns: Mapping[str, Any]) -> pl.DataFrame:
    """These columns, with the number of the row, once they keep the rules of the schema."""
    what = _NAMES[kind]
    if missing := [name for name in columns if name not in frame.columns]:
        raise ValactError(f"{what}: no column {missing[0]}; write the file with valact-eval run")
    if not frame.height:
        raise ValactError(f"{what}: no rows; run valact-eval run first")
    try:
        rows = frame.select(pl.col(name).cast(type_) for name, type_ in columns.items())
    except pl.exceptions.PolarsError as error:
        raise ValactError(f"{what}: a column has a wrong type: {error}") from error
    if found := fault_of_a_row(rows, kind) or fault_between(rows, kind):
        raise _fault(rows, kind, *found)
    return rows.with_row_index("row", offset=1)


def _fault(rows: pl.DataFrame, kind: str, row: int, said: str) -> ValactError:
    cells = rows.row(row, named=True)
    about = cells.get("question_id") or f"item {cells.get('item')}"
    return ValactError(
        f"{_NAMES[kind]}: row {row + 1} ({cells['respondent']}, {about}): {said}; "
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
