"""The ten values, read from prompts/values.toml: ids, names, definitions, circle order."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from pipeline.paths import PROMPTS


@dataclass(frozen=True)
class Value:
    """One of Schwartz's ten values.

    Attributes:
        id: Name in data ("self_direction").
        name: Name for people ("Self-direction").
        definition: One sentence, our own wording.
        higher_order: Higher-order values it belongs to (hedonism belongs to two).
    """

    id: str
    name: str
    definition: str
    higher_order: tuple[str, ...]


@cache
def load_values() -> tuple[Value, ...]:
    """Return the ten values in the order of the circle."""
    data = tomllib.loads((PROMPTS / "values.toml").read_text(encoding="utf-8"))
    return tuple(
        Value(v["id"], v["name"], v["definition"], tuple(v["higher_order"])) for v in data["value"]
    )


def value_ids() -> tuple[str, ...]:
    """Return the ids of the ten values in the order of the circle."""
    return tuple(value.id for value in load_values())
