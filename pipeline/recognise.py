"""Stage recognise: a model that does not know the claims names the value of each action.

One call a scenario: its actions in an order drawn by their ids, without value and generator. What
it says decides nothing and is never ground truth: it is reported, and what it misses is what
annotators look at first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import asking, confusion, funnel, schema
from pipeline.annotation.intervals import cluster_interval
from pipeline.artifacts import unit_interval
from pipeline.asking import Answer, Question
from pipeline.config import Config
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.prompts import load_prompt
from pipeline.stage import Context, Result
from pipeline.text import clean
from pipeline.values import load_values, value_ids

Row = Mapping[str, Any]
_CONFIDENCE = 0.95
_RESAMPLES = 2000


def run(context: Context) -> Result:
    """Ask the recogniser about every scenario that has a slot; keep them all.

    Raises:
        PipelineError: As Caller.ask.
    """
    config = context.config
    slots = context.tables["generate.slots"]
    table, notes = schema.frame([], schema.RECOGNISED), dict[str, object]()
    if config.recognise.model:
        with Caller(
            Path(config.build.ledger), config.models, config.budget, replay_only=context.replay_only
        ) as caller:
            table = _recognise(config, caller, context.tables)
            notes = caller.notes() | _notes(config, table)
    nothing = schema.frame([], schema.DROPPED)
    return Result(
        tables={"actions": table},
        dropped=nothing,
        funnel=funnel.count("recognise", "scenario", slots.height, slots, nothing),
        notes=notes,
    )


def _recognise(config: Config, caller: Caller, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    texts = dict(tables["rewrite.scenarios"].select("scenario_id", "scenario").iter_rows())
    shown = order(tables["generate.actions"].to_dicts(), config.build.seed)
    answers = asking.ask(
        caller,
        [question(config, scenario, texts[scenario], rows) for scenario, rows in shown.items()],
        lambda _, data: "",
        attempts=config.recognise.attempts,
        seed=config.build.seed,
        label="recognitions",
    )
    pairs = zip(shown.values(), answers, strict=True)
    found = (row for rows, answer in pairs for row in _rows(rows, answer))
    return schema.frame(found, schema.RECOGNISED).sort("action_id")


def _rows(rows: Sequence[Row], answer: Answer) -> list[Row]:
    kept = ("action_id", "scenario_id", "value", "generator")
    return [
        {name: row[name] for name in kept}
        | {"recognised": answer.data[str(number)] if answer.data else "", "ledger_key": answer.key}
        for number, row in enumerate(rows, start=1)
    ]


def order(actions: Sequence[Row], seed: str) -> dict[str, list[Row]]:
    """Return each scenario's actions in the order in which they are shown.

    The order is that of a hash of the action's id and `seed`: it is the same for every order of
    the rows, and says nothing of value or generator.
    """
    drawn = sorted(
        actions,
        key=lambda row: (
            row["scenario_id"],
            unit_interval(seed, "recognise", row["action_id"]),
            row["action_id"],
        ),
    )
    found: dict[str, list[Row]] = {}
    for row in drawn:
        found.setdefault(row["scenario_id"], []).append(row)
    return found


def question(config: Config, scenario_id: str, scenario: str, actions: Sequence[Row]) -> Question:
    """Return what the recogniser is asked about a scenario's actions, in this order."""
    messages = load_prompt(config.recognise.prompt).render(
        scenario=scenario,
        # One line each, so that no action can look like two.
        actions=[" ".join(clean(row["action"]).split()) for row in actions],
        values=[{"id": v.id, "definition": v.definition} for v in load_values()],
    )
    return Question(config.recognise.model, scenario_id, messages, reply_schema(len(actions)))


@cache
def reply_schema(actions: int) -> str:
    """Return the JSON schema of a reply: a value id for each of "1" to str(actions)."""
    numbers = [str(number) for number in range(1, actions + 1)]
    value = {"type": "string", "enum": list(value_ids())}
    return json.dumps(
        {
            "type": "object",
            "properties": dict.fromkeys(numbers, value),
            "required": numbers,
            "additionalProperties": False,
        }
    )


def first_request(
    config: Config, caller: Caller, scenario_id: str, scenario: str, actions: Sequence[Row]
) -> Request:
    """Return the request that asks about a scenario's actions, in this order, the first time."""
    asked = question(config, scenario_id, scenario, actions)
    return asking.request_of(caller, asked, 0, "", config.build.seed)


def _notes(config: Config, table: pl.DataFrame) -> dict[str, object]:
    name = config.recognise.model
    asked = config.models[name].model
    writers = [g for g in config.generate.generators if config.models[g].model == asked]
    counts = confusion.count(table)
    return {
        "recogniser": name,
        "model": asked,
        "also_writer": writers,
        "confusion": counts,
        "accuracy": {who: confusion.accuracy(part) for who, part in counts.items()},
        "overall": confusion.accuracy(confusion.together(counts)),
        "intervals": {
            who: _interval(table if who == "all" else table.filter(generator=who))
            for who in (*counts, "all")
        },
        "lines": confusion.lines(name, counts, independent=not writers),
    }


def _interval(table: pl.DataFrame) -> list[float]:
    """Return both ends of the 95 % interval of accuracy over scenarios; none without answers.

    The method is that of experts' accuracy; see annotation/intervals.py.
    """
    clusters = (
        table.filter(pl.col("recognised") != "")
        .group_by("scenario_id")
        .agg(total=pl.len(), right=(pl.col("recognised") == pl.col("value")).sum())
        .sort("scenario_id")
    )
    right, total = (clusters[name].cast(pl.Float64).to_numpy() for name in ("right", "total"))
    found = cluster_interval(right, total, _CONFIDENCE, _RESAMPLES, "recognise")
    return [] if found.method == "none" else [round(found.low, 4), round(found.high, 4)]
