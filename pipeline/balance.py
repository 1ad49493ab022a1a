"""How evenly a set of questions offers values, generators, letters and targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Balance:
    """How evenly a set of questions offers what it offers.

    Attributes:
        questions: Number of questions.
        offers: Times each value is offered, least and most.
        letters: Times a (value, generator, letter) occurs, least and most.
        targets: Times a value is the target, least and most.
        two_by_two: Questions that hold exactly two actions of each generator.
    """

    questions: int
    offers: tuple[int, int]
    letters: tuple[int, int]
    targets: tuple[int, int]
    two_by_two: int


def balance(questions: pl.DataFrame) -> Balance:
    """Return the balance of a table of schema.QUESTIONS, counted from its rows."""
    options = questions.select(
        "question_id", value="option_values", generator="option_generators"
    ).explode("value", "generator")
    letters = options.with_columns(letter=pl.int_range(pl.len()).over("question_id"))
    per_question = options.group_by("question_id", "generator").len()
    values = sorted(options["value"].unique())
    generators = sorted(options["generator"].unique())
    grid = {(v, g, n): 0 for v in values for g in generators for n in range(4)}
    grid |= {
        (v, g, n): count
        for v, g, n, count in letters.group_by("value", "generator", "letter").len().iter_rows()
    }
    targets = dict.fromkeys(values, 0) | dict(questions.group_by("target_value").len().iter_rows())
    uneven = per_question.filter(pl.col("len") != 2)["question_id"].n_unique()
    return Balance(
        questions=questions.height,
        offers=_span(n for _, n in options.group_by("value").len().iter_rows()),
        letters=_span(grid.values()),
        targets=_span(targets.values()),
        two_by_two=questions.height - uneven,
    )


def _span(counts: Iterable[int]) -> tuple[int, int]:
    found = list(counts)
    return (min(found), max(found)) if found else (0, 0)
