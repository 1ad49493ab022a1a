"""Stage compose: deal each scenario's twenty actions into five balanced questions of four.

The design (pipeline/designs/) is a cycle of 12: within a scenario each value stands in two
questions, once by each generator, and each question holds two actions of each generator; over 12
slots value x generator x letter, pairs of values and targets are exactly balanced.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline import funnel, schema
from pipeline.artifacts import content_id
from pipeline.errors import BadInputError, StageError, nearest
from pipeline.paths import DESIGNS
from pipeline.stage import Context, Result


@dataclass(frozen=True)
class DealtQuestion:
    """One question of a design.

    Attributes:
        options: (value id, index of the generator) of the four options, in letter order.
        target: Index of the option that a selection or adoption item asks for.
    """

    options: tuple[tuple[str, int], ...]
    target: int


@cache
def load_design(name: str) -> tuple[tuple[DealtQuestion, ...], ...]:
    """Return a design: for each slot of its cycle, the five questions of a scenario.

    Raises:
        BadInputError: There is no such design.
    """
    path = DESIGNS / f"{name}.json"
    if not path.is_file():
        known = nearest(name, [p.stem for p in DESIGNS.glob("*.json")])
        raise BadInputError(f"compose.design: no design '{name}'; {known}")
    data = json.loads(path.read_text(encoding="utf-8"))
    place = {generator: index for index, generator in enumerate(data["generators"])}
    return tuple(
        tuple(
            DealtQuestion(tuple((value, place[g]) for value, g in q["options"]), q["target"])
            for q in questions
        )
        for questions in data["cycle"]
    )


def run(context: Context) -> Result:
    """Write `questions`: five a slot."""
    config = context.config
    design = load_design(config.compose.design)
    slots = context.tables["generate.slots"]
    texts = dict(context.tables["rewrite.scenarios"].select("scenario_id", "scenario").iter_rows())
    actions: dict[tuple[str, str, str], tuple[str, str]] = {
        (scenario, value, generator): (action_id, action)
        for action_id, scenario, value, generator, action in context.tables["generate.actions"]
        .select("action_id", "scenario_id", "value", "generator", "action")
        .iter_rows()
    }
    generators = config.generate.generators
    rows: list[dict[str, Any]] = []
    for slot in slots.sort("slot").iter_rows(named=True):
        for index, dealt in enumerate(design[slot["slot"] % len(design)]):
            row = _question(slot, index, dealt, generators, actions)
            rows.append(row | {"scenario": texts[slot["scenario_id"]]})
    canary = config.release.canary
    questions = schema.frame((row | {"canary": canary} for row in rows), schema.QUESTIONS)
    nothing = schema.frame([], schema.DROPPED)
    return Result(
        tables={"questions": questions.sort("slot", "question_index")},
        dropped=nothing,
        funnel=funnel.count("compose", "scenario", slots.height, slots, nothing),
    )


def _question(
    slot: dict[str, Any],
    index: int,
    dealt: DealtQuestion,
    generators: tuple[str, str],
    actions: dict[tuple[str, str, str], tuple[str, str]],
) -> dict[str, Any]:
    scenario = slot["scenario_id"]
    named = [(value, generators[g]) for value, g in dealt.options]
    try:
        chosen = [actions[(scenario, value, generator)] for value, generator in named]
    except KeyError as error:
        raise StageError(f"scenario {scenario}: no action for {error.args[0][1:]}") from None
    ids = [action_id for action_id, _ in chosen]
    return {
        "question_id": content_id("q", scenario, ids, dealt.target),
        "scenario_id": scenario,
        "domain": slot["domain"],
        "slot": slot["slot"],
        "question_index": index,
        "options": [text for _, text in chosen],
        "option_ids": ids,
        "option_values": [value for value, _ in named],
        "option_generators": [generator for _, generator in named],
        "target_value": named[dealt.target][0],
        "target_index": dealt.target,
    }
