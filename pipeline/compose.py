"""Stage compose: deal each scenario's twenty actions into balanced questions of four options.

A design (pipeline/designs/) says for each slot which actions stand in which question at which
letter, and which one a selection or adoption item asks for: "cycle12" makes five questions of all
twenty actions, "one60" one question of four. docs/questions.md says what they balance.
"""

from __future__ import annotations

from typing import Any

from pipeline import funnel, schema
from pipeline.artifacts import content_id
from pipeline.designs import DealtQuestion, load_design
from pipeline.errors import StageError
from pipeline.stage import Context, Result


def run(context: Context) -> Result:
    """Write `questions`: for each slot those that the design deals it."""
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
        for index, dealt in enumerate(design.dealt(slot["slot"])):
            row = _question(slot, index, dealt, generators, actions)
            rows.append(row | {"scenario": texts[slot["scenario_id"]]})
    canary = config.release.canary
    questions = schema.frame((row | {"canary": canary} for row in rows), schema.QUESTIONS)
    nothing = schema.frame([], schema.DROPPED)
    return Result(
        tables={"questions": questions.sort("slot", "question_index")},
        dropped=nothing,
        funnel=funnel.count("compose", "scenario", slots.height, slots, nothing),
        notes={
            "design": config.compose.design,
            "questions_per_scenario": design.per_scenario,
            "even_after_slots": len(design.cycle),
        },
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
