"""What an expert is given in a round: the tasks of one project, blind, in an order of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.artifacts import content_id, unit_interval
from pipeline.errors import BadInputError
from pipeline.labelstudio.page import PLACES
from pipeline.values import load_values

Item = Mapping[str, Any]
Opinions = Mapping[tuple[str, str], str]
"""(item id, action id) -> earlier experts' opinions, in words."""


@dataclass(frozen=True)
class Desk:
    """One expert's work of one round: one project.

    Attributes:
        round: From 1.
        expert: Number, from 1.
        items: Rows of schema.ITEMS, in the order in which this expert gets them.
        opinions: What an adjudicator is shown besides; empty in other rounds.
    """

    round: int
    expert: int
    items: tuple[Item, ...]
    opinions: Opinions

    @cached_property
    def adjudicates(self) -> bool:
        """Whether the page has room for opinions."""
        return any(item["kind"] == "adjudication" for item in self.items)

    def key(self, title: str) -> str:
        """Return what marks this desk's project on a server."""
        return content_id("desk", title, self.round, self.expert)

    def name(self) -> str:
        """Return how messages call it."""
        return f"round {self.round}, expert {self.expert}"

    def tasks(self) -> list[dict[str, Any]]:
        """Return the data of its tasks, in order."""
        return [
            task_data(item, self.expert, self.opinions, with_opinions=self.adjudicates)
            for item in self.items
        ]


def desks(items: pl.DataFrame, opinions: pl.DataFrame | None = None) -> list[Desk]:
    """Return the desks that items are given to, by round and expert; forgotten items to nobody.

    Args:
        items: Rows of schema.ITEMS, of any rounds.
        opinions: For items of kind "adjudication", columns item_id, action_id, first_values and
            second_values (lists of value ids): what earlier experts chose.

    Raises:
        BadInputError: An item is not one that can be shown.
    """
    schema.check(items, schema.ITEMS, "items")
    said = _opinions(opinions)
    found: dict[tuple[int, int], list[Item]] = {}
    seen: set[str] = set()
    for item in items.sort("item_id").iter_rows(named=True):
        if forgotten(item):
            continue
        _check(item, seen)
        for expert in item["experts"]:
            found.setdefault((item["round"], expert), []).append(item)
    return [
        Desk(number, expert, tuple(sorted(rows, key=lambda row: _turn(row, expert))), said)
        for (number, expert), rows in sorted(found.items())
    ]


def forgotten(item: Item) -> bool:
    """Return whether an item's texts were blanked, as store.forget_texts does."""
    return not item["scenario"] and not any(item["actions"] or [""])


def shown_order(item_id: str, expert: int) -> tuple[int, ...]:
    """Return, for each place from the top, the number (from 1) of the action in the item's order.

    Every expert sees a shuffle of their own, which depends on the two ids alone.
    """
    return tuple(sorted(PLACES, key=lambda n: (unit_interval("place", item_id, expert, n), n)))


def task_data(
    item: Item, expert: int, opinions: Opinions, *, with_opinions: bool = False
) -> dict[str, Any]:
    """Return a task's data: what the page shows, and what leads back to the item.

    `order` holds numbers and no action ids: an id is a hash of, among others, value and generator,
    and could be found by trying the twenty that are possible.
    """
    order = shown_order(item["item_id"], expert)
    data = {
        "item": item["item_id"],
        "order": "".join(map(str, order)),
        "scenario": item["scenario"],
    }
    for place, number in zip(PLACES, order, strict=True):
        data[f"action_{place}"] = item["actions"][number - 1]
        if with_opinions:
            key = (item["item_id"], item["action_ids"][number - 1])
            data[f"opinions_{place}"] = opinions.get(key, "No earlier opinions.")
    return data


def _turn(item: Item, expert: int) -> tuple[float, str]:
    # Gold items and checks lie scattered among the others, for each expert elsewhere.
    return unit_interval("turn", item["item_id"], expert), item["item_id"]


def _opinions(table: pl.DataFrame | None) -> Opinions:
    if table is None:
        return {}
    names = {value.id: value.name for value in load_values()}

    def words(values: Sequence[str]) -> str:
        return ", ".join(names.get(value, value) for value in values if value)

    found = {}
    for row in table.iter_rows(named=True):
        first, second = words(row["first_values"]), words(row["second_values"])
        more = f"; as a second value {second}" if second else ""
        found[row["item_id"], row["action_id"]] = f"Earlier experts chose {first}{more}."
    return found


def _check(item: Item, seen: set[str]) -> None:
    name = f"items: {item['item_id']}"
    if item["item_id"] in seen:
        raise BadInputError(f"{name}: twice; give every item an id of its own")
    seen.add(item["item_id"])
    ids, texts = item["action_ids"] or [], item["actions"] or []
    if len(set(ids)) != len(PLACES) or len(ids) != len(texts):
        raise BadInputError(
            f"{name}: has {len(set(ids))} actions; give {len(PLACES)}, all different"
        )
    if not (item["scenario"] or "").strip() or not all((text or "").strip() for text in texts):
        raise BadInputError(f"{name}: a text is empty; leave the item out")
    experts = item["experts"] or []
    if len(set(experts)) != len(experts) or any(number < 1 for number in experts):
        raise BadInputError(f"{name}: experts {experts}; give each once, numbered from 1")
