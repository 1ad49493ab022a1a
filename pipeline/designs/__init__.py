"""Designs: which actions stand in which question at which letter, for each slot of a cycle.

`cycle12.json` deals a scenario's twenty actions into five questions, `one60.json` gives a scenario
one question. docs/questions.md says what they balance; `find_cycle` and `deal_one` make such files,
`measure` counts what one offers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.artifacts import write_text
from pipeline.errors import BadInputError, nearest
from pipeline.paths import DESIGNS

GENERATORS = ("g0", "g1")  # in files; a build's own two stand in for them, in their order
PER_SCENARIO = (1, 5)


@dataclass(frozen=True)
class DealtQuestion:
    """One question of a design.

    Attributes:
        options: (value id, index of the generator) of the four options, in letter order.
        target: Index of the option that a selection or adoption item asks for.
    """

    options: tuple[tuple[str, int], ...]
    target: int


@dataclass(frozen=True)
class Design:
    """A cycle of dealt scenarios.

    Attributes:
        cycle: The questions of each scenario of the cycle, equally many each.
        turns: With 5, the cycle starts one place further each time it comes round, five times; so
            domains that take slots in turn exchange their questions.
    """

    cycle: tuple[tuple[DealtQuestion, ...], ...]
    turns: int = 1

    @property
    def per_scenario(self) -> int:
        """Questions of a scenario."""
        return len(self.cycle[0])

    def dealt(self, slot: int) -> tuple[DealtQuestion, ...]:
        """Return the questions of a slot."""
        length = len(self.cycle)
        return self.cycle[(slot + slot // length % self.turns) % length]


@cache
def load_design(name: str) -> Design:
    """Return the design of that name in this folder.

    Raises:
        BadInputError: There is no such design, or its file is not one.
    """
    path = DESIGNS / f"{name}.json"
    if not path.is_file():
        known = nearest(name, [p.stem for p in DESIGNS.glob("*.json")])
        raise BadInputError(f"compose.design: no design '{name}'; {known}")
    return read_design(path)


def read_design(path: Path) -> Design:
    """Return the design that a file holds.

    Raises:
        BadInputError: The file is not a design.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        place = {generator: index for index, generator in enumerate(data["generators"])}
        cycle = tuple(
            tuple(
                DealtQuestion(tuple((value, place[g]) for value, g in q["options"]), q["target"])
                for q in questions
            )
            for questions in data["cycle"]
        )
        turns = int(data.get("turns", 1))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInputError(
            f"{path}: not a design ({error!r}); `python -m pipeline.designs.find_cycle` makes one"
        ) from None
    if turns < 1 or {len(questions) for questions in cycle} not in [{n} for n in PER_SCENARIO]:
        raise BadInputError(f"{path}: every slot must hold one question, or every slot five")
    return Design(cycle, turns)


def write_design(path: Path, design: Design, values: Sequence[str], source: str) -> None:
    """Write a design as `read_design` reads it.

    Args:
        path: The file; its name without `.json` is the design's.
        design: The design.
        values: Ids of the ten values, in the order of the circle.
        source: Where it comes from.
    """
    length = len(design.cycle)
    place = "slot" if design.turns == 1 else f"(slot + slot // {length} % {design.turns})"
    head = {
        "name": path.stem,
        "length": length,
        "turns": design.turns,
        "source": source,
        "slot_rule": "slot of the k-th scenario of domain d (0-based, of 5 domains) is 5*k + d; "
        f"its design is cycle[{place} % {length}]; a target is the index of one of the four "
        "options",
        "values": list(values),
        "generators": list(GENERATORS),
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    slots = [
        "  [\n" + ",\n".join(f"   {_line(question)}" for question in questions) + "\n  ]"
        for questions in design.cycle
    ]
    write_text("\n".join(["{", *lines, ' "cycle": [', ",\n".join(slots), " ]", "}\n"]), path)


def _line(question: DealtQuestion) -> str:
    options = [[value, GENERATORS[g]] for value, g in question.options]
    return json.dumps({"options": options, "target": question.target})
