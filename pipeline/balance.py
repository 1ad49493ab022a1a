"""How evenly a set of questions offers values, generators, letters, pairs and targets."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

Option = tuple[str, Hashable]  # value, generator
Cell = tuple[Hashable, ...]

COUNTED = {
    "value": "times a value is offered",
    "letter": "times a value is written by one generator and stands at one letter",
    "pair": "times two values stand in one question",
    "order": "times one of two values stands before the other",
    "mixture": "times two values stand in one question, each by a certain generator",
    "target": "times a value is the target",
    "target_generator": "times a value, written by one generator, is the target",
    "target_letter": "times the target stands at one letter",
}
"""What is counted, in words for people."""


class Span(NamedTuple):
    """Counts of one kind: the least, the most, and what each would be if they were equal."""

    least: int
    most: int
    even: float


@dataclass(frozen=True)
class Balance:
    """How evenly a set of questions offers what it offers.

    Attributes:
        questions: Number of questions.
        counts: For each key of COUNTED, how far the counts are from equal.
        two_by_two: Questions that hold exactly two actions of each generator.
    """

    questions: int
    counts: Mapping[str, Span]
    two_by_two: int


def balance(questions: pl.DataFrame, values: Sequence[str]) -> Balance:
    """Return the balance of a table of schema.QUESTIONS, counted from its rows.

    Args:
        questions: The table.
        values: All values; one that is never offered counts as 0.
    """
    columns = questions.select("option_values", "option_generators", "target_index")
    rows = [
        (list(zip(offered, generators, strict=True)), target)
        for offered, generators, target in columns.iter_rows()
    ]
    generators = sorted({generator for options, _ in rows for _, generator in options})
    found = Counter(cell for options, target in rows for cell in cells(options, target))
    return Balance(
        questions=len(rows),
        counts={
            name: _span([found[cell] for cell in every])
            for name, every in _grid(values, generators)
        },
        two_by_two=sum(
            sorted(Counter(generator for _, generator in options).values()) == [2, 2]
            for options, _ in rows
        ),
    )


def cells(options: Sequence[Option], target: int) -> Iterator[Cell]:
    """Yield what one question adds 1 to: a key of COUNTED, and which of its counts."""
    for letter, (value, generator) in enumerate(options):
        yield "value", value
        yield "letter", value, generator, letter
    for (a, g), (b, h) in itertools.combinations(options, 2):
        if a != b:
            yield "pair", *sorted((a, b))
            yield "order", a, b
            yield "mixture", *((a, g, b, h) if a < b else (b, h, a, g))
    yield "target", options[target][0]
    yield "target_generator", *options[target]
    yield "target_letter", target


def _grid(
    values: Sequence[str], generators: Sequence[Hashable]
) -> Iterator[tuple[str, list[Cell]]]:
    """Yield every count of every kind, so that what never occurs counts as 0."""
    pairs = list(itertools.combinations(sorted(values), 2))
    every: dict[str, Iterable[Cell]] = {
        "value": ((value,) for value in values),
        "letter": itertools.product(values, generators, range(4)),
        "pair": pairs,
        "order": itertools.permutations(values, 2),
        "mixture": ((a, g, b, h) for a, b in pairs for g in generators for h in generators),
        "target": ((value,) for value in values),
        "target_generator": itertools.product(values, generators),
        "target_letter": ((letter,) for letter in range(4)),
    }
    for name, found in every.items():
        yield name, [(name, *cell) for cell in found]


def _span(counts: list[int]) -> Span:
    return Span(min(counts), max(counts), sum(counts) / len(counts)) if counts else Span(0, 0, 0.0)
