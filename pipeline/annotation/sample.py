"""Which actions experts see: a random sample of equal chances, and items of actions that are named.

The random sample is drawn in units. The slots of a domain stand in blocks of five, in their order.
A hash puts the twenty cells (value, generator) of a block in order and cuts this into five parts of
four; one turn of a block gives each of its five scenarios another part. So a turn of a block makes
five items, each of four actions of one scenario, and holds every cell once: every stratum (value,
domain, generator) gets the same number of actions. An item's four are a simple random sample of its
scenario's twenty: values may repeat in it. Blocks are drawn by a hash of their number; only when
all had one turn do second turns begin. docs/annotate-statistics.md derives the probabilities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from pipeline.artifacts import unit_interval
from pipeline.errors import BadInputError, StageError
from pipeline.values import value_ids

PER_ITEM = 4
PARTS = 5
"""Parts of a scenario's actions, scenarios of a block, and turns until all is drawn."""

Cell = tuple[str, str]
"""Value and generator."""


@dataclass(frozen=True)
class Draft:
    """An item before it is given to experts.

    Attributes:
        kind: As in schema.ITEMS.
        scenario_id: Its scenario.
        domain: The scenario's domain.
        action_ids: Four, in the order in which the item holds them.
        targeted: Those that the item is for.
        probability: Of each of its actions to be drawn; None if it was no matter of chance.
    """

    kind: str
    scenario_id: str
    domain: str
    action_ids: tuple[str, ...]
    targeted: frozenset[str]
    probability: float | None = None


@dataclass(frozen=True)
class Population:
    """The dataset that is reviewed.

    Attributes:
        domains: Scenario ids of each domain in the order of their slots.
        actions: For each scenario id {(value, generator): action id}.
        texts: {action id: text}.
        scenarios: {scenario id: text}.
    """

    domains: Mapping[str, tuple[str, ...]]
    actions: Mapping[str, Mapping[Cell, str]]
    texts: Mapping[str, str]
    scenarios: Mapping[str, str]
    cells: Mapping[str, tuple[str, Cell]] = field(init=False)

    def __post_init__(self) -> None:
        cells = {
            action: (scenario, cell)
            for scenario, by_cell in self.actions.items()
            for cell, action in by_cell.items()
        }
        object.__setattr__(self, "cells", cells)

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """Every (value, generator), sorted."""
        return tuple(sorted({cell for by_cell in self.actions.values() for cell in by_cell}))

    @property
    def domain_of(self) -> dict[str, str]:
        """{scenario id: domain}."""
        return {scenario: domain for domain, ids in self.domains.items() for scenario in ids}


def population(slots: pl.DataFrame, actions: pl.DataFrame, scenarios: pl.DataFrame) -> Population:
    """Return the population of a build.

    Args:
        slots: Rows of schema.SLOTS.
        actions: Rows of schema.ACTIONS.
        scenarios: Columns scenario_id and scenario.

    Raises:
        StageError: A scenario lacks an action or its text, or has two actions for one cell.
    """
    domains: dict[str, list[str]] = defaultdict(list)
    for domain, scenario in slots.sort("slot").select("domain", "scenario_id").iter_rows():
        domains[domain].append(scenario)
    by_scenario: dict[str, dict[Cell, str]] = {s: {} for ids in domains.values() for s in ids}
    texts: dict[str, str] = {}
    columns = ("action_id", "scenario_id", "value", "generator", "action")
    for action_id, scenario, value, generator, text in actions.select(columns).iter_rows():
        if scenario not in by_scenario:
            continue  # its scenario holds no slot
        if (value, generator) in by_scenario[scenario]:
            raise StageError(f"scenario {scenario}: two actions for {value} by {generator}")
        by_scenario[scenario][(value, generator)] = action_id
        texts[action_id] = text
    told = dict(scenarios.select("scenario_id", "scenario").iter_rows())
    found = Population(
        domains={domain: tuple(ids) for domain, ids in sorted(domains.items())},
        actions=by_scenario,
        texts=texts,
        scenarios={scenario: told.get(scenario, "") for scenario in by_scenario},
    )
    cells = found.all_cells
    if len(cells) % PARTS or len(cells) != PER_ITEM * PARTS:
        raise StageError(f"{len(cells)} kinds of actions (value, generator); items need 20")
    for scenario, by_cell in by_scenario.items():
        if lacking := set(cells) - by_cell.keys():
            raise StageError(f"scenario {scenario}: no action for {', '.join(min(lacking))}")
        if not found.scenarios[scenario]:
            raise StageError(f"scenario {scenario}: its text is missing")
    return found


def planned_population(
    domains: Sequence[str], scenarios: int, generators: Sequence[str]
) -> Population:
    """Return a population of so many scenarios that do not exist yet, to plan with."""
    ids = {
        domain: tuple(f"{domain} {rank}" for rank in range(scenarios // len(domains)))
        for domain in domains
    }
    cells = [(value, generator) for value in value_ids() for generator in generators]
    return Population(
        domains=ids,
        actions={
            s: {cell: f"{s} {cell[0]} {cell[1]}" for cell in cells}
            for each in ids.values()
            for s in each
        },
        texts={},
        scenarios={},
    )


def blocks_of(scenarios: int) -> int:
    """Return the blocks of a domain; the last one may be short."""
    return -(-scenarios // PARTS)


def units_for(reviews_per_value: int, overlap: int, domains: int, generators: int = 2) -> int:
    """Return the units a domain that give at least so many reviews of each value."""
    return -(-reviews_per_value // (overlap * domains * generators))


def draw(people: Population, seed: str, start: int, count: int) -> list[Draft]:
    """Return the items of the random sample.

    Args:
        people: The population.
        seed: Salt.
        start: Units a domain that earlier rounds took.
        count: Units a domain; fewer if the domain has no more.

    Returns:
        Items by domain and then in the order in which they were drawn.
    """
    drafts = []
    cells = people.all_cells
    for domain, scenarios in people.domains.items():
        blocks = blocks_of(len(scenarios))
        order = sorted(range(blocks), key=lambda b: unit_interval(seed, "block", domain, b))
        units = [(turn, block) for turn in range(PARTS) for block in order][start : start + count]
        for turn, block in units:
            dealt = sorted(cells, key=lambda c: unit_interval(seed, "deal", domain, block, *c))
            for place, scenario in enumerate(scenarios[PARTS * block : PARTS * (block + 1)]):
                part = (place + turn) % PARTS
                ids = tuple(
                    people.actions[scenario][cell]
                    for cell in dealt[PER_ITEM * part : PER_ITEM * (part + 1)]
                )
                chance = len(units) / (PARTS * blocks)
                drafts.append(Draft("sample", scenario, domain, ids, frozenset(ids), chance))
    return drafts


def named(
    people: Population, seed: str, wanted: Sequence[str], seen: Collection[str], most: int
) -> list[Draft]:
    """Return items of actions that are named, in the order in which their scenarios are.

    Where fewer than four of a scenario's actions are named, others fill the item up.

    Args:
        people: The population.
        seed: Salt.
        wanted: Action ids, the most wanted first.
        seen: Action ids that experts are given anyway; these are left out.
        most: Items at most.

    Raises:
        BadInputError: One is no action of the build.
    """
    by_scenario: dict[str, list[str]] = defaultdict(list)
    for action in dict.fromkeys(wanted):
        if action not in people.cells:
            raise BadInputError(
                f"active sampling: {action} is no action of this build; leave it out"
            )
        if action not in seen:
            by_scenario[people.cells[action][0]].append(action)
    domains = people.domain_of
    drafts: list[Draft] = []
    for scenario, ids in by_scenario.items():
        for first in range(0, len(ids), PER_ITEM):
            targeted = ids[first : first + PER_ITEM]
            others = set(people.actions[scenario].values()) - set(targeted)
            filling = _shuffled(others, seed, "fill", targeted[0])[: PER_ITEM - len(targeted)]
            shown = _shuffled([*targeted, *filling], seed, "order", targeted[0])
            drafts.append(
                Draft("active", scenario, domains[scenario], tuple(shown), frozenset(targeted))
            )
    return drafts[:most]


def _shuffled(ids: Iterable[str], *salt: str) -> list[str]:
    return sorted(ids, key=lambda action: (unit_interval(*salt, action), action))
