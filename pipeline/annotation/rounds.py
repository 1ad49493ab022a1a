"""A round: the items that experts are given, and the claims that they are not told."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation import answers, gold, sample
from pipeline.annotation.assign import Loads
from pipeline.annotation.plan import Plan
from pipeline.annotation.sample import Draft, Population
from pipeline.annotation.tables import OPINIONS, SEALED
from pipeline.artifacts import content_id, sha256_text, unit_interval
from pipeline.errors import BadInputError, WaitingError


@dataclass(frozen=True)
class Round:
    """One round as it was drawn.

    Attributes:
        number: From 1.
        items: Rows of schema.ITEMS, by item_id (which is a random order).
        sealed: Rows of tables.SEALED: four an item.
        opinions: Rows of tables.OPINIONS, of the adjudication items.
        notes: What was not as planned, one line each.
    """

    number: int
    items: pl.DataFrame
    sealed: pl.DataFrame
    opinions: pl.DataFrame
    notes: tuple[str, ...]


def all_items(rounds: Iterable[Round]) -> pl.DataFrame:
    """Return the items of all rounds."""
    return pl.concat([schema.frame([], schema.ITEMS), *(each.items for each in rounds)])


def all_sealed(rounds: Iterable[Round]) -> pl.DataFrame:
    """Return the claims of all rounds."""
    return pl.concat([schema.frame([], SEALED), *(each.sealed for each in rounds)])


def draw_round(
    plan: Plan,
    number: int,
    people: Population,
    known: tuple[gold.KnownItem, ...],
    *,
    earlier: Sequence[Round] = (),
    reviews: pl.DataFrame | None = None,
    named: Sequence[str] = (),
) -> Round:
    """Draw a round. The same arguments give the same round, in whatever order their rows are.

    Args:
        plan: The annotation's plan.
        number: Which round, from 1.
        people: The actions as they are now.
        known: Gold items and attention checks.
        earlier: The rounds before this one.
        reviews: Rows of schema.REVIEWS of these rounds; only an adjudication needs them.
        named: Action ids for active sampling, the most wanted first.

    Raises:
        BadInputError: The plan has no such round, or a named action is unknown.
        WaitingError: Reviews that an adjudication needs are missing.
    """
    if not 1 <= number <= len(plan.rounds):
        raise BadInputError(f"{plan.file}: there is no round {number}; add a [[rounds]]")
    planned = plan.rounds[number - 1]
    notes: list[str] = []
    drafts = _random(plan, number, people, notes)
    before = all_sealed(earlier)
    seen = set(before.filter(pl.col("kind").is_in(["sample", "active"]))["action_id"])
    seen |= {action for draft in drafts for action in draft.action_ids}
    active = sample.named(people, plan.seed, named, seen, planned.active_items)
    if len(active) < planned.active_items:
        notes.append(f"active: {planned.active_items} items planned, {len(active)} can be made of "
                     f"{len(set(named)):,} named actions")  # fmt: skip

    experts = set(range(1, plan.experts + 1)) - set(plan.exclude_experts)
    loads = Loads(experts, f"{plan.seed} {number}")
    table = _Table(number, people, known)
    for draft in [*drafts, *active]:
        table.add(draft, loads.give(table.id_of(draft), plan.overlap))
    if planned.adjudicate:
        told = answers.no_reviews() if reviews is None else reviews
        table.add_split(_split(plan, earlier, told, people), loads, notes)
    for kind, wanted in (
        ("gold", math.ceil(plan.checks.gold_share * max(loads.items.values()))),
        ("attention", plan.checks.attention),
    ):
        used = set(before.filter(kind=kind)["scenario_id"])
        fresh = sorted(
            (item for item in known if item.kind == kind and item.scenario_id not in used),
            key=lambda item: unit_interval(plan.seed, "known", item.scenario_id),
        )[:wanted]
        if len(fresh) < wanted and table.rows:
            notes.append(f"{kind}: {wanted} items planned, {len(fresh)} are left in the file")
        if table.rows:
            for item in fresh:
                table.add(item.draft(), loads.give_all())
    return table.round(notes)


def sample_units(plan: Plan, number: int, people: Population) -> tuple[int, int]:
    """Return the units a domain that earlier rounds take, and those that this round takes."""
    generators = len({generator for _, generator in people.all_cells})
    units = [
        sample.units_for(planned.reviews_per_value, plan.overlap, len(people.domains), generators)
        for planned in plan.rounds[:number]
    ]
    return sum(units[:-1]), units[-1]


def _random(plan: Plan, number: int, people: Population, notes: list[str]) -> list[Draft]:
    """Return the drafts of the random sample; it goes on where earlier rounds stopped."""
    start, count = sample_units(plan, number, people)
    for domain, scenarios in people.domains.items():
        left = max(0, sample.PARTS * sample.blocks_of(len(scenarios)) - start)
        if left < count:
            notes.append(f"sample: {domain} has {left} units for {count}: all of it is reviewed")
    return sample.draw(people, plan.seed, start, count)


@dataclass(frozen=True)
class _Split:
    """An item whose first choices differ in some action."""

    item: dict[str, Any]
    sealed: list[dict[str, Any]]
    disputed: frozenset[str]
    first: dict[str, list[str]]
    second: dict[str, list[str]]


def _split(
    plan: Plan, earlier: Sequence[Round], reviews: pl.DataFrame, people: Population
) -> list[_Split]:
    items = all_items(earlier).filter(pl.col("kind").is_in(["sample", "active"]))
    state = answers.progress(items, reviews, plan.excluded)
    if state.left:
        raise WaitingError(f"the adjudication needs all earlier reviews; {state.line}")
    done = set(all_sealed(earlier).filter(kind="adjudication")["action_id"])
    sealed = all_sealed(earlier).partition_by("item_id", as_dict=True)
    counted = (
        reviews.filter(~pl.col("annotator").is_in(list(plan.excluded)), state="submitted")
        .sort("item_id", "action_id", "first_value", "second_value")  # not in the experts' order
        .partition_by("item_id", as_dict=True)
    )
    found = []
    for item in items.sort("item_id").iter_rows(named=True):
        told = counted.get((item["item_id"],))
        if told is None or not item["scenario"]:  # nobody reviewed it, or its text is forgotten
            continue
        first: dict[str, list[str]] = {action: [] for action in item["action_ids"]}
        second: dict[str, list[str]] = {action: [] for action in item["action_ids"]}
        for row in told.iter_rows(named=True):
            first[row["action_id"]].append(row["first_value"])
            second[row["action_id"]].append(row["second_value"])
        disputed = {action for action, values in first.items() if len(set(values)) > 1}
        # What was written again meanwhile, or settled, needs no third word.
        if disputed & people.cells.keys() - done:
            rows = sealed[(item["item_id"],)].to_dicts()
            found.append(_Split(item, rows, frozenset(disputed), first, second))
    return found


class _Table:
    """Collects the rows of a round."""

    def __init__(self, number: int, people: Population, known: tuple[gold.KnownItem, ...]) -> None:
        self.number = number
        self.rows: list[dict[str, Any]] = []
        self._sealed: list[dict[str, Any]] = []
        self._opinions: list[dict[str, Any]] = []
        scenarios, actions = gold.texts_of(known)
        self._scenarios = {**scenarios, **people.scenarios}
        self._actions = {**actions, **people.texts}
        self._claims: dict[str, tuple[str, str]] = {
            action: (value, "") for action, value in gold.values_of(known).items()
        } | {action: cell for action, (_, cell) in people.cells.items()}

    def id_of(self, draft: Draft) -> str:
        """Return the id of an item.

        It is made of what experts see anyway: a hash of action ids, which are hashes of claims,
        could be found by trying the few claims that there are.
        """
        return self._id(self._scenarios[draft.scenario_id], self._texts(draft))

    def _id(self, scenario: str, texts: Iterable[str]) -> str:
        return content_id("i", self.number, scenario, sorted(texts))

    def _texts(self, draft: Draft) -> list[str]:
        return [self._actions[action] for action in draft.action_ids]

    def add(self, draft: Draft, experts: Collection[int]) -> None:
        """Add an item."""
        item_id = self.id_of(draft)
        # In an order that says nothing of the claims, either.
        places = sorted(draft.action_ids, key=lambda action: sha256_text(self._actions[action]))
        draft = dataclasses.replace(draft, action_ids=tuple(places))
        scenario = self._scenarios[draft.scenario_id]
        self._add_item(item_id, draft, scenario, self._texts(draft), experts)
        for action in draft.action_ids:
            value, generator = self._claims[action]
            self._add_sealed(item_id, draft, action, value, generator)

    def add_split(self, splits: list[_Split], loads: Loads, notes: list[str]) -> None:
        """Add the adjudication items, each to an expert who has not seen it."""
        nobody = 0
        for split in splits:
            old = split.item
            draft = Draft(
                kind="adjudication",
                scenario_id=old["scenario_id"],
                domain=old["domain"],
                action_ids=tuple(old["action_ids"]),
                targeted=split.disputed,
            )
            item_id = self._id(old["scenario"], old["actions"])
            experts = loads.give(item_id, 1, barred=old["experts"])
            if not experts:
                nobody += 1
                continue
            self._add_item(item_id, draft, old["scenario"], old["actions"], experts)
            for row in split.sealed:
                action = row["action_id"]
                self._add_sealed(item_id, draft, action, row["value"], row["generator"])
                told = {"first_values": split.first[action], "second_values": split.second[action]}
                self._opinions.append({"item_id": item_id, "action_id": action} | told)
        if nobody:
            notes.append(f"adjudication: {nobody} items were seen by every expert who counts")

    def _add_item(
        self,
        item_id: str,
        draft: Draft,
        scenario: str,
        actions: Sequence[str],
        experts: Collection[int],
    ) -> None:
        self.rows.append(
            {
                "item_id": item_id,
                "round": self.number,
                "kind": draft.kind,
                "scenario_id": draft.scenario_id,
                "domain": draft.domain,
                "scenario": scenario,
                "action_ids": list(draft.action_ids),
                "actions": list(actions),
                "experts": sorted(experts),
            }
        )

    def _add_sealed(
        self, item_id: str, draft: Draft, action: str, value: str, generator: str
    ) -> None:
        self._sealed.append(
            {
                "item_id": item_id,
                "round": self.number,
                "kind": draft.kind,
                "scenario_id": draft.scenario_id,
                "domain": draft.domain,
                "action_id": action,
                "value": value,
                "generator": generator,
                "targeted": action in draft.targeted,
                "probability": draft.probability,
            }
        )

    def round(self, notes: Sequence[str]) -> Round:
        """Return the round."""
        return Round(
            number=self.number,
            items=schema.frame(self.rows, schema.ITEMS).sort("item_id"),
            sealed=schema.frame(self._sealed, SEALED).sort("item_id", "action_id"),
            opinions=schema.frame(self._opinions, OPINIONS).sort("item_id", "action_id"),
            notes=tuple(notes),
        )
