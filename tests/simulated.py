"""A small invented dataset, and experts who know the true value with a known probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation import answers
from pipeline.annotation.plan import Plan, load_plan, pseudonym
from pipeline.annotation.rounds import Round, all_items, all_sealed
from pipeline.annotation.sample import Population, population
from pipeline.artifacts import content_id, unit_interval
from pipeline.values import value_ids

DOMAINS = ("career", "finance", "education", "relationships", "ethics")
GENERATORS = ("g-one", "g-two")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

Tables = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def tables(a_domain: int, domains: Sequence[str] = DOMAINS) -> Tables:
    """Return slots, actions and scenarios of a dataset with so many scenarios a domain."""
    slots, actions, scenarios = [], [], []
    for place, domain in enumerate(domains):
        for rank in range(a_domain):
            scenario = content_id("s", domain, rank)
            slot = len(domains) * rank + place
            slots.append({"slot": slot, "scenario_id": scenario, "domain": domain, "replaced": []})
            scenarios.append({"scenario_id": scenario, "scenario": f"Dilemma {rank} of {domain}."})
            actions += [action_row(scenario, v, g) for v in value_ids() for g in GENERATORS]
    told = pl.DataFrame(scenarios)
    return schema.frame(slots, schema.SLOTS), schema.frame(actions, schema.ACTIONS), told


def action_row(scenario: str, value: str, generator: str, text: str = "") -> dict[str, Any]:
    shown = text or f"I do what {content_id('x', scenario, value, generator)} does."
    return {
        "action_id": content_id("a", scenario, generator, value, shown),
        "scenario_id": scenario,
        "value": value,
        "generator": generator,
        "action": shown,
        "flags": [],
        "askings": 1,
        "prompt": "",
        "ledger_key": "",
    }


def people(a_domain: int) -> Population:
    return population(*tables(a_domain))


def plan_of(**changes: Any) -> Plan:
    """Return the plan of the checkout with keys changed; few resamples."""
    plan = load_plan()
    quick = dataclasses.replace(plan.intervals, resamples=400)
    return dataclasses.replace(plan, **({"intervals": quick} | changes))


def review(
    item: Mapping[str, Any], action: str, annotator: str, first: str, **others: Any
) -> dict[str, Any]:
    """Return a row of schema.REVIEWS."""
    row = {
        "review_id": answers.review_id(item["item_id"], annotator, action),
        "round": item["round"],
        "item_id": item["item_id"],
        "kind": item["kind"],
        "scenario_id": item["scenario_id"],
        "action_id": action,
        "annotator": annotator,
        "state": "submitted",
        "first_value": first,
        "second_value": "",
        "naturalness": 4,
        "flags": [],
        "notes": "",
        "lead_seconds": 90.0,
        "updated_utc": NOON,
        "source": "label_studio",
    }
    return row | others


def simulate(
    rounds: Sequence[Round],
    accuracy: Mapping[int, float],
    *,
    faulty: float = 0.0,
    seed: str = "one",
) -> pl.DataFrame:
    """Return the reviews of experts who answer every item that they were given.

    Args:
        rounds: What they were given.
        accuracy: Of each expert, by number: chance to name an action's true value.
        faulty: Share of drawn actions whose true value is not the claim.
        seed: Salt.
    """
    claims = {
        (item, action): (kind, value)
        for item, action, kind, value in all_sealed(rounds)
        .select("item_id", "action_id", "kind", "value")
        .iter_rows()
    }
    rows = []
    for item in all_items(rounds).iter_rows(named=True):
        for number in item["experts"]:
            seconds = 40 + 160 * unit_interval(seed, "time", item["item_id"], number)
            for action in item["action_ids"]:
                kind, true = claims[(item["item_id"], action)]
                own = kind in {"sample", "active", "adjudication"}
                if own and unit_interval(seed, "faulty", action) < faulty:
                    true = _other(true, seed, "true", action)
                said = true or "power"
                if (
                    unit_interval(seed, "right", number, item["item_id"], action)
                    >= accuracy[number]
                ):
                    said = _other(said, seed, "wrong", number, action)
                second = unit_interval(seed, "second", number, action)
                rows.append(
                    review(
                        item,
                        action,
                        pseudonym(number),
                        said,
                        second_value=_other(said, seed, "s", action) if second < 0.2 else "",
                        naturalness=2 + int(4 * unit_interval(seed, "natural", number, action)) % 4,
                        lead_seconds=round(seconds, 1),
                        updated_utc=NOON + timedelta(seconds=len(rows)),
                    )
                )
    return schema.frame(rows, schema.REVIEWS).sort("review_id")


def _other(value: str, *salt: Any) -> str:
    rest = [each for each in value_ids() if each != value]
    return rest[int(len(rest) * unit_interval(*salt))]
