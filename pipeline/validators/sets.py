"""Validators of a scenario's set of actions: distinct, on the scenario, one a value."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.artifacts import unit_interval
from pipeline.embedding import Embedder
from pipeline.validators.rows import ActionRow, Thresholds, Violation, words
from pipeline.values import value_ids

EXACT_BELOW = 200
"""With fewer texts than this each vector is computed alone, in single precision."""


@dataclass(frozen=True)
class Vectors:
    """Unit vectors of texts.

    Attributes:
        place: Row of each text.
        matrix: The vectors; shape (n, dimensions).
    """

    place: Mapping[str, int]
    matrix: npt.NDArray[np.float32]

    def cosine(self, one: str, other: str) -> float:
        """Return the cosine of two texts."""
        return float(self.matrix[self.place[one]] @ self.matrix[self.place[other]])


def vectors_of(texts: Iterable[str], embedder: Embedder) -> Vectors:
    """Return the vectors of all texts, in one batch whose order is by content."""
    unique = sorted(set(texts))
    embed = embedder.exact if len(unique) < EXACT_BELOW else embedder.quick
    return Vectors({text: i for i, text in enumerate(unique)}, embed(unique))


def distinct(
    rows: Sequence[ActionRow], thresholds: Thresholds, vectors: Vectors | None
) -> list[Violation | None]:
    """Name the actions that say what another one of their set says.

    Of two, the one later on the circle is named, so that asking for that one anew is enough.
    Without vectors only the same words count.
    """
    order = {value: place for place, value in enumerate(value_ids())}
    found: list[Violation | None] = [None] * len(rows)
    for places in _sets(rows).values():
        kept: list[int] = []
        for i in sorted(places, key=lambda i: (order.get(rows[i].value, -1), _key(rows[i]))):
            alike = (_alike(rows[i], rows[j], thresholds, vectors) for j in kept)
            found[i] = next((violation for violation in alike if violation), None)
            if found[i] is None:
                kept.append(i)
    return found


def on_scenario(
    rows: Sequence[ActionRow], thresholds: Thresholds, vectors: Vectors
) -> list[Violation | None]:
    """Name the actions that are far from their scenario, and no nearer to it than to another one.

    The other one is drawn from the batch by a hash of the scenario's id. Rows without the text of
    their scenario pass, and so do all if there is but one scenario.
    """
    texts = sorted({row.scenario for row in rows if row.scenario.strip()})
    place = {text: i for i, text in enumerate(texts)}
    found: list[Violation | None] = []
    for row in rows:
        if row.scenario not in place or len(texts) < 2:
            found.append(None)
            continue
        step = 1 + int(unit_interval("on_scenario", row.scenario_id) * (len(texts) - 1))
        other = texts[(place[row.scenario] + step) % len(texts)]
        own, far = vectors.cosine(row.action, row.scenario), vectors.cosine(row.action, other)
        off = own < thresholds.on_scenario and own <= far
        detail = f"cosine {own:.2f} to its scenario, {far:.2f} to another one"
        found.append(Violation("on_scenario", detail) if off else None)
    return found


def ten_values(rows: Sequence[ActionRow]) -> list[Violation | None]:
    """Name the rows of sets that do not hold each of the ten values once."""
    found: list[Violation | None] = [None] * len(rows)
    for places in _sets(rows).values():
        counts = Counter(rows[i].value for i in places)
        wrong = [
            *(f"{value} is missing" for value in value_ids() if value not in counts),
            *(f"{value} is there {n} times" for value, n in sorted(counts.items()) if n > 1),
            *(f"{value} is no value" for value in sorted(counts.keys() - set(value_ids()))),
        ]
        for i in places if wrong else ():
            found[i] = Violation("ten_values", ", ".join(wrong))
    return found


def _sets(rows: Sequence[ActionRow]) -> dict[tuple[str, str], list[int]]:
    sets: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        sets[row.group].append(i)
    return sets


def _alike(
    row: ActionRow, other: ActionRow, thresholds: Thresholds, vectors: Vectors | None
) -> Violation | None:
    if _bare(row) == _bare(other):
        return Violation("distinct", f"the same text as for {other.value}")
    cosine = vectors.cosine(row.action, other.action) if vectors else 0.0
    if cosine < thresholds.distinct:
        return None
    return Violation("distinct", f"cosine {cosine:.2f} to the text for {other.value}")


def _key(row: ActionRow) -> tuple[str, str, str]:
    return _bare(row), row.action, row.scenario


def _bare(row: ActionRow) -> str:
    return " ".join(words(row.action.lower()))
