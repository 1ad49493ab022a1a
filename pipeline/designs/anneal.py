"""Simulated annealing over counts that are to be even."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import TypeVar

Cell = TypeVar("Cell", bound=Hashable)
Move = tuple[Iterable[tuple[Cell, float]], Callable[[], None]]
"""What a move adds to which counts (each cell once), and what to do if it is accepted."""


@dataclass(frozen=True)
class Schedule:
    """How an annealing cools down.

    Attributes:
        start: Temperature at first.
        factor: What it is multiplied with after each move.
        least: Temperature at which it stays.
        moves: Moves tried before giving up.
    """

    start: float
    factor: float
    least: float
    moves: int


def anneal(
    excess: MutableMapping[Cell, float],
    propose: Callable[[], Move[Cell]],
    rng: random.Random,
    schedule: Schedule,
) -> bool:
    """Try moves until no count is off; return False if none was found that does it.

    A move that makes the sum of the squares of `excess` smaller is accepted, another one by
    Metropolis' rule.

    Args:
        excess: How much each count is more than it should be; kept up to date.
        propose: Returns a random move.
        rng: Decides what is random.
        schedule: How it cools down.
    """
    off = sum(n * n for n in excess.values())
    heat = schedule.start
    for _ in range(schedule.moves):
        if off < 1e-6:
            return True
        changes, accept = propose()
        rise = sum(n * (n + 2 * excess[cell]) for cell, n in changes)
        if rise <= 0 or rng.random() < math.exp(-rise / heat):
            for cell, n in changes:
                excess[cell] += n
            accept()
            off += rise
        heat = max(schedule.least, heat * schedule.factor)
    return off < 1e-6
