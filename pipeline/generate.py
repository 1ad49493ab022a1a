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

from pipeline import funnel, schema
from pipeline.artifacts import content_id, sha256_text
from pipeline.config import Config
from pipeline.errors import StageError
from pipeline.llm.call import Caller
from pipeline.llm.reply import Reply, read_json
from pipeline.llm.request import Request
from pipeline.prompts import Prompt, load_prompt
from pipeline.stage import Context, Result
from pipeline.text import clean, mask
from pipeline.values import load_values, value_ids

Row = Mapping[str, Any]
Actions = dict[str, str]


@dataclass
class _Slot:
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
    candidates = context.tables["select.candidates"]
    quota = config.select.scenarios // len(config.domains)
    ranked = candidates.sort("domain", "rank")
    reserve: dict[str, list[Row]] = {domain: [] for domain in config.domains}
    slots: list[_Slot] = []
    position = {domain: place for place, domain in enumerate(config.domains)}
    for row in ranked.iter_rows(named=True):
        if row["rank"] < quota:
            number = slot_number(row["rank"], position[row["domain"]], len(config.domains))
            slots.append(_Slot(number, row))
        else:
            reserve[row["domain"]].append(row)
    slots.sort(key=lambda slot: slot.number)

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
    slots: list[_Slot],
    reserve: dict[str, list[Row]],
    dropped: list[dict[str, str | None]],
) -> list[_Slot]:
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


def _ask(config: Config, caller: Caller, slots: list[_Slot]) -> dict[int, str]:
    """Let both generators write for these slots; return {slot: why} where one could not.

    Both are asked in the same round, so that two providers, or two providers' batches, work side
    by side.
    """
    forms = _reply_forms(config)
    problems: dict[tuple[int, str], str] = {}
    pairs = [(slot, generator) for slot in slots for generator in config.generate.generators]
    for attempt in range(config.generate.attempts):
        requests = (
            _request(
                config,
                caller,
                generator,
                (slot.scenario["scenario_id"], slot.scenario["scenario"]),
                attempt,
                problems.get((slot.number, generator), ""),
                forms[generator],
            )
            for slot, generator in pairs
        )
        label = "actions" if attempt == 0 else f"actions, asked again ({attempt})"
        left = []
        for pair, reply in zip(pairs, caller.ask(requests, label, len(pairs)), strict=True):
            slot, generator = pair
            actions, problem = _read(reply, forms[generator])
            if actions is None:
                problems[slot.number, generator] = problem
                left.append(pair)
            else:
                slot.written[generator] = (actions, reply.key)
        pairs = left
        if not pairs:
            break
    return {
        slot.number: f"{generator}: {problems[slot.number, generator]}" for slot, generator in pairs
    }


def _reply_forms(config: Config) -> dict[str, str]:
    prompt = load_prompt(config.generate.prompt)
    return {
        name: reply_schema(prompt, limits=config.models[name].limits_in_schema)
        for name in config.generate.generators
    }


def first_request(
    config: Config, caller: Caller, generator: str, scenario_id: str, scenario: str
) -> Request:
    """Return the request that asks a generator about a scenario for the first time."""
    form = _reply_forms(config)[generator]
    return _request(config, caller, generator, (scenario_id, scenario), 0, "", form)


def _request(
    config: Config,
    caller: Caller,
    generator: str,
    scenario: tuple[str, str],
    attempt: int,
    problem: str,
    reply_form: str,
) -> Request:
    scenario_id, text = scenario
    values = [{"id": v.id, "definition": v.definition} for v in load_values()]
    messages = load_prompt(config.generate.prompt).render(scenario=text, values=values)
    if problem:
        messages += load_prompt("ask_again").render(problem=problem)
    seed = int(sha256_text(f"{config.build.seed}/{scenario_id}/{generator}/{attempt}")[:7], 16)
    return caller.request(
        generator,
        messages,
        item=f"{scenario_id} by {generator}",
        schema=reply_form,
        replicate=attempt,
        seed=seed,
    )


def _read(reply: Reply, reply_form: str) -> tuple[Actions | None, str]:
    if reply.outcome != "ok":
        return None, f"{reply.outcome}: {reply.detail}"
    data, problem = read_json(reply.text, reply_form)
    if data is None:  # a stored reply that the schema of today refuses
        return None, problem
    actions = {value: mask(" ".join(clean(data[value]).split()))[0] for value in value_ids()}
    problem = problem_of(actions)
    return (None, problem) if problem else (actions, "")


def _slot_row(slot: _Slot) -> dict[str, Any]:
    return {
        "slot": slot.number,
        "scenario_id": slot.scenario["scenario_id"],
        "domain": slot.scenario["domain"],
        "replaced": slot.replaced,
    }


def _action_rows(slot: _Slot) -> Iterable[dict[str, Any]]:
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
