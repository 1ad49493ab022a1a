"""Stage generate: two generators each write one action a value for every scenario.

A scenario holds a slot from the start; if a generator cannot give ten usable actions in
`generate.attempts` askings, the next scenario of the domain's reserve takes over the slot, and
no other scenario moves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import asking, funnel, schema
from pipeline.artifacts import content_id
from pipeline.asking import Question
from pipeline.config import Config
from pipeline.errors import StageError
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.prompts import Prompt, load_prompt
from pipeline.stage import Context, Result
from pipeline.text import clean, mask
from pipeline.values import load_values, value_ids

Row = Mapping[str, Any]
Actions = dict[str, str]


@dataclass
class Slot:
    """A place in the dataset and the scenario that holds it now."""

    number: int
    scenario: Row
    replaced: list[str] = field(default_factory=list)
    written: dict[str, tuple[Actions, str]] = field(default_factory=dict)  # by generator


def run(context: Context) -> Result:
    """Ask both generators about every slot; replace scenarios that fail from the reserve.

    Raises:
        StageError: A domain's reserve is used up, or a model stays out of reach.
        BadInputError: A key is missing or refused.
    """
    config = context.config
    candidates = context.tables["rewrite.scenarios"]
    slots, reserve = slots_of(config, candidates)

    dropped: list[dict[str, str | None]] = []
    with Caller(
        Path(config.build.ledger), config.models, config.budget, replay_only=context.replay_only
    ) as caller:
        pending = slots
        while pending:
            pending = _fill(config, caller, pending, reserve, dropped)
        notes = caller.notes()
    for domain, rows in reserve.items():
        dropped += [
            schema.dropped_row(row["scenario_id"], domain, "reserve_unused", "") for row in rows
        ]

    kept = schema.frame((_slot_row(slot) for slot in slots), schema.SLOTS)
    actions = schema.frame((row for slot in slots for row in _action_rows(slot)), schema.ACTIONS)
    gone = schema.frame(dropped, schema.DROPPED).sort("id")
    return Result(
        tables={"slots": kept.sort("slot"), "actions": actions.sort("action_id")},
        dropped=gone,
        funnel=funnel.count("generate", "scenario", candidates.height, kept, gone),
        notes=notes,
    )


def slots_of(config: Config, candidates: pl.DataFrame) -> tuple[list[Slot], dict[str, list[Row]]]:
    """Return the slots with their first scenarios, and what is left of each domain's reserve.

    The scenario of rank k holds the k-th slot of its domain. Where an earlier stage dropped it, the
    first of the reserve takes its place, and no other scenario moves.

    Raises:
        StageError: A domain has too few scenarios.
    """
    quota = config.select.scenarios // len(config.domains)
    slots: list[Slot] = []
    reserves: dict[str, list[Row]] = {}
    for place, domain in enumerate(config.domains):
        rows: list[Row] = list(candidates.filter(domain=domain).sort("rank").iter_rows(named=True))
        reserve = [row for row in rows if row["rank"] >= quota]
        first = {row["rank"]: row for row in rows if row["rank"] < quota}
        for rank in range(quota):
            if rank not in first and not reserve:
                raise StageError(
                    f"{domain}: {len(rows)} scenarios are left for {quota} slots; raise "
                    "select.reserve, or give more posts"
                )
            row = first[rank] if rank in first else reserve.pop(0)
            slots.append(Slot(slot_number(rank, place, len(config.domains)), row))
        reserves[domain] = reserve
    return sorted(slots, key=lambda slot: slot.number), reserves


def slot_number(rank: int, domain: int, domains: int) -> int:
    """Return the slot of the `rank`-th scenario of the `domain`-th domain (both from 0)."""
    return domains * rank + domain


def reply_schema(prompt: Prompt, *, limits: bool) -> str:
    """Return the JSON schema of a generator's reply: one text a value, in the circle's order."""
    text: dict[str, Any] = {"type": "string"}
    if limits:
        text["pattern"] = prompt.output["pattern"]
    ids = list(value_ids())
    # Not sorted: endpoints make the model write the fields in the order of the schema.
    return json.dumps(
        {
            "type": "object",
            "properties": dict.fromkeys(ids, text),
            "required": ids,
            "additionalProperties": False,
        }
    )


def problem_of(actions: Actions) -> str:
    """Return what is wrong with ten actions that met the schema, or ""."""
    seen: dict[str, str] = {}
    for value, action in actions.items():
        bare = " ".join(action.lower().split()).rstrip(".!")
        if not bare:
            return f"the text for {value} is empty"
        if bare in seen:
            return f"the texts for {seen[bare]} and {value} are the same"
        seen[bare] = value
    return ""


def _fill(
    config: Config,
    caller: Caller,
    slots: list[Slot],
    reserve: dict[str, list[Row]],
    dropped: list[dict[str, str | None]],
) -> list[Slot]:
    """Ask both generators; return the slots that hold a new scenario and must be asked again."""
    failed = _ask(config, caller, slots)
    again = []
    for slot in slots:
        if slot.number not in failed:
            continue
        domain, old = slot.scenario["domain"], slot.scenario["scenario_id"]
        dropped.append(schema.dropped_row(old, domain, "no_usable_actions", failed[slot.number]))
        if not reserve[domain]:
            raise StageError(
                f"{domain}: scenario {old} got no usable actions ({failed[slot.number]}) and the "
                "reserve is used up; raise select.reserve or generate.attempts"
            )
        slot.replaced.append(old)
        slot.scenario, slot.written = reserve[domain].pop(0), {}
        again.append(slot)
    return again


def _ask(config: Config, caller: Caller, slots: list[Slot]) -> dict[int, str]:
    """Let both generators write for these slots; return {slot: why} where one could not."""
    pairs = [(slot, generator) for slot in slots for generator in config.generate.generators]
    answers = asking.ask(
        caller,
        [_question(config, generator, slot.scenario) for slot, generator in pairs],
        lambda _, data: problem_of(_tidy(data)),
        attempts=config.generate.attempts,
        seed=config.build.seed,
        label="actions",
    )
    failed = {}
    for (slot, generator), answer in zip(pairs, answers, strict=True):
        if answer.data is None:
            failed[slot.number] = f"{generator}: {answer.problem}"
        else:
            slot.written[generator] = (_tidy(answer.data), answer.key)
    return failed


def _tidy(data: Mapping[str, Any]) -> Actions:
    return {value: mask(" ".join(clean(data[value]).split()))[0] for value in value_ids()}


def first_request(config: Config, caller: Caller, generator: str, scenario: Row) -> Request:
    """Return the request that asks a generator about a scenario for the first time."""
    question = _question(config, generator, scenario)
    return asking.request_of(caller, question, 0, "", config.build.seed)


def _question(config: Config, generator: str, scenario: Row) -> Question:
    prompt = load_prompt(config.generate.prompt)
    values = [{"id": v.id, "definition": v.definition} for v in load_values()]
    return Question(
        model=generator,
        item=scenario["scenario_id"],
        messages=prompt.render(scenario=scenario["scenario"], values=values),
        schema=reply_schema(prompt, limits=config.models[generator].limits_in_schema),
    )


def _slot_row(slot: Slot) -> dict[str, Any]:
    return {
        "slot": slot.number,
        "scenario_id": slot.scenario["scenario_id"],
        "domain": slot.scenario["domain"],
        "replaced": slot.replaced,
    }


def _action_rows(slot: Slot) -> Iterable[dict[str, Any]]:
    scenario_id = slot.scenario["scenario_id"]
    for generator, (actions, key) in slot.written.items():
        for value, action in actions.items():
            yield {
                "action_id": content_id("a", scenario_id, generator, value, action),
                "scenario_id": scenario_id,
                "value": value,
                "generator": generator,
                "action": action,
                "ledger_key": key,
            }
