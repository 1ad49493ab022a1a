"""Draws a round once, from a build's tables; afterwards it is read as it was drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.annotation import store
from pipeline.annotation.gold import KnownItem
from pipeline.annotation.plan import Plan
from pipeline.annotation.rounds import Round, draw_round
from pipeline.annotation.sample import Population
from pipeline.errors import BadInputError


def open_drawn(
    folder: Path,
    plan: Plan,
    number: int,
    known: tuple[KnownItem, ...],
    population: Callable[[], Population],
    named: Callable[[], Sequence[str]] = tuple,
) -> Round:
    """Return a round as it was drawn; draw it if the rounds before it are there.

    Args:
        folder: Of rounds and reviews.
        plan: The annotation's plan.
        number: Which round, from 1.
        known: Gold items and attention checks.
        population: Gives the actions as they are now; called if the round has to be drawn.
        named: Gives action ids for active sampling, the most wanted first; called likewise.

    Raises:
        BadInputError: An earlier round is not drawn, or a file is not as it was written.
        WaitingError: Reviews that an adjudication needs are missing.
    """
    earlier = [each for each in store.load_rounds(folder, plan) if each.number < number]
    if len(earlier) < number - 1:
        raise BadInputError(f"round {number}: draw round {len(earlier) + 1} first")
    return store.open_round(
        folder,
        plan,
        number,
        lambda: draw_round(
            plan,
            number,
            population(),
            known,
            earlier=earlier,
            reviews=store.load_reviews(folder),
            named=named(),
        ),
    )
