"""Stage generate: two generators each write one action a value for every scenario.

A scenario holds a slot from the start. An action that breaks a rule is asked for anew, alone, at
most `generate.repairs` times; if one is left that must not stay, the next scenario of the domain's
reserve takes over the slot, and no other scenario moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline import asking, funnel, quality, schema
from pipeline.artifacts import content_id
from pipeline.config import Config
from pipeline.embedding import embedder_of
from pipeline.errors import StageError
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.slots import Row, Slot, slots_before, slots_of
from pipeline.stage import Context, Result
from pipeline.values import value_ids
from pipeline.writing import Sheet, Writer, first_questions, single_question


def run(context: Context) -> Result:
    """Ask both generators about every slot; replace scenarios that fail from the reserve.

    Raises:
        StageError: A domain's reserve is used up, or a model stays out of reach.
        BadInputError: A key is missing or refused.
    """
    config = context.config
    candidates = context.tables["rewrite.scenarios"]
    before = slots_before(config.select.slots)
    slots, reserve = slots_of(config, candidates, before.scenarios)
    sheets: dict[str, Sheet] = {}
    dropped: list[dict[str, str | None]] = []
    with Caller(
        Path(config.build.ledger), config.models, config.budget, replay_only=context.replay_only
    ) as caller:
        writer = Writer(config, caller, embedder_of(config, config.validate.embedding_model))
        pending = slots
        while pending:
            written = writer.write([slot.scenario for slot in pending])
            sheets |= {sheet.id: sheet for sheet in written}
            failed = [slot for slot, sheet in zip(pending, written, strict=True) if sheet.failure]
            for slot in failed:
                dropped.append(_replace(slot, sheets[slot.scenario["scenario_id"]], reserve))
            pending = failed
        notes = caller.notes()
    for domain, rows in reserve.items():
        dropped += [
            schema.dropped_row(row["scenario_id"], domain, "reserve_unused", "") for row in rows
        ]

    kept = schema.frame((_slot_row(slot) for slot in slots), schema.SLOTS)
    final = [sheets[slot.scenario["scenario_id"]] for slot in slots]
    actions = schema.frame((row for sheet in final for row in _action_rows(sheet)), schema.ACTIONS)
    violations = schema.frame(
        (row for sheet in sheets.values() for row in _violation_rows(config, sheet)),
        schema.VIOLATIONS,
    ).sort("scenario_id", "generator", "value", "asking", "code")
    gone = schema.frame(dropped, schema.DROPPED).sort("id")
    return Result(
        tables={
            "slots": kept.sort("slot"),
            "actions": actions.sort("action_id"),
            "violations": violations,
        },
        dropped=gone,
        funnel=funnel.count("generate", "scenario", candidates.height, kept, gone),
        notes={**notes, **quality.notes(config, sheets.values(), actions, candidates, kept)},
    )


def first_requests(config: Config, caller: Caller, generator: str, scenario: Row) -> list[Request]:
    """Return the requests that ask a generator about a scenario for the first time."""
    return [
        asking.request_of(caller, question, 0, "", config.build.seed)
        for _, question in first_questions(config, generator, scenario)
    ]


def single_request(config: Config, caller: Caller, generator: str, scenario: Row) -> Request:
    """Return a request as it is sent for one action that broke a rule."""
    place = (generator, value_ids()[0])
    question = single_question(config, scenario, place, turn=1)
    return asking.request_of(caller, question, 0, "", config.build.seed)


def _replace(slot: Slot, sheet: Sheet, reserve: dict[str, list[Row]]) -> dict[str, str | None]:
    """Give a slot to the next scenario of the reserve; return the row of the one that goes."""
    reason, detail = sheet.failure or ("", "")
    domain = slot.scenario["domain"]
    if not reserve[domain]:
        raise StageError(
            f"{domain}: scenario {sheet.id} got no usable actions ({reason}: {detail[:300]}) and "
            "the reserve is used up; raise select.reserve, generate.attempts or generate.repairs"
        )
    slot.replaced.append(sheet.id)
    slot.scenario = reserve[domain].pop(0)
    return schema.dropped_row(sheet.id, domain, reason, detail)


def _slot_row(slot: Slot) -> dict[str, Any]:
    return {
        "slot": slot.number,
        "scenario_id": slot.scenario["scenario_id"],
        "post_id": slot.scenario["post_id"],
        "domain": slot.scenario["domain"],
        "replaced": slot.replaced,
    }


def _action_rows(sheet: Sheet) -> Iterable[dict[str, Any]]:
    for (generator, value), draft in sheet.drafts.items():
        yield {
            "action_id": content_id("a", sheet.id, generator, value, draft.text),
            "scenario_id": sheet.id,
            "value": value,
            "generator": generator,
            "action": draft.text,
            "flags": [violation.code for violation in sheet.wrong[generator, value]],
            "askings": draft.asking,
            "prompt": draft.prompt,
            "ledger_key": draft.key,
        }


def _violation_rows(config: Config, sheet: Sheet) -> Iterable[dict[str, Any]]:
    for noted in sheet.noted:
        generator, value = noted.place
        yield {
            "scenario_id": sheet.id,
            "domain": sheet.scenario["domain"],
            "generator": generator,
            "value": value,
            "asking": noted.draft.asking,
            "code": noted.violation.code,
            "rejects": noted.violation.code in config.validate.reject,
            "detail": noted.violation.detail,
            "action": noted.draft.text,
            "ledger_key": noted.draft.key,
        }
