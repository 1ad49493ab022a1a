"""Invented reviews by experts of known skill, which statistics are tried on."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation.findings import Findings, judge
from pipeline.annotation.gold import load_gold
from pipeline.annotation.plan import Plan, PlannedRound
from pipeline.annotation.rounds import Round, draw_round
from pipeline.annotation.sample import population
from tests.simulated import plan_of, simulate, tables

GOLD = load_gold(Path("annotations/gold.toml"))
SKILL = {1: 0.95, 2: 0.85, 3: 0.9}
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class World:
    plan: Plan
    drawn: Round
    actions: pl.DataFrame
    reviews: pl.DataFrame

    def judge(self, reviews: pl.DataFrame | None = None, **changes: Any) -> Findings:
        plan = dataclasses.replace(self.plan, **changes.pop("plan", {}))
        actions = changes.pop("actions", self.actions)
        told = self.reviews if reviews is None else reviews
        return judge(plan, [self.drawn], told, actions, **changes)

    def changed(self, change: Any) -> pl.DataFrame:
        """Return the reviews with `change` applied to each row."""
        rows = self.reviews.to_dicts()
        for row in rows:
            change(row)
        return schema.frame(rows, schema.REVIEWS)


def reviewed() -> World:
    """Sixty items with overlap two, and three experts of known skill."""
    slots, actions, scenarios = tables(15)
    plan = plan_of(rounds=(PlannedRound(48), PlannedRound(0, 5)))
    drawn = draw_round(plan, 1, population(slots, actions, scenarios), GOLD)
    assert drawn.items.filter(kind="sample").height == 75
    return World(plan, drawn, actions, simulate([drawn], SKILL, faulty=0.05))


def joined(world: World, reviews: pl.DataFrame | None = None) -> list[Row]:
    """Return the sample's reviews with their claims, by plain dictionaries."""
    claims = {
        (row["item_id"], row["action_id"]): row
        for row in world.drawn.sealed.iter_rows(named=True)
        if row["kind"] == "sample"
    }
    told = world.reviews if reviews is None else reviews
    return [
        {**claims[(row["item_id"], row["action_id"])], **row}
        for row in told.to_dicts()
        if (row["item_id"], row["action_id"]) in claims and row["state"] == "submitted"
    ]


def only(table: pl.DataFrame, **where: Any) -> Row:
    (row,) = table.filter(**where).to_dicts()
    return row


def wilson(k: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half
