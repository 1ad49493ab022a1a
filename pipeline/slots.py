"""Slots: the numbered places of a dataset, each held by one scenario.

The design of a scenario's questions follows from its slot. A scenario that cannot be used gives its
slot to one of its domain's reserve, and no other scenario moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.config import Config
from pipeline.dist import SLOTS
from pipeline.errors import BadInputError, StageError

Row = Mapping[str, Any]


@dataclass
class Slot:
    """A place in the dataset and the scenario that holds it now.

    Attributes:
        number: From 0, over all domains.
        scenario: Row of schema.CANDIDATES.
        replaced: Ids of scenarios that held it in this build and could not be used.
    """

    number: int
    scenario: Row
    replaced: list[str] = field(default_factory=list)


def slot_number(rank: int, domain: int, domains: int) -> int:
    """Return the `rank`-th slot of the `domain`-th domain (both from 0)."""
    return domains * rank + domain


def slots_of(
    config: Config, candidates: pl.DataFrame, earlier: Mapping[int, str]
) -> tuple[list[Slot], dict[str, list[Row]]]:
    """Return the slots with their first scenarios, and what is left of each domain's reserve.

    A slot is held by the scenario that held it in an earlier release, if it is still there; else by
    the scenario whose rank it is, if that holds no other slot; else by the first of the reserve.

    Args:
        config: The build.
        candidates: Rows of schema.CANDIDATES.
        earlier: Scenario ids by slot, as an earlier release had them.

    Raises:
        StageError: A domain has too few scenarios.
    """
    quota = config.select.scenarios // len(config.domains)
    slots: list[Slot] = []
    reserves: dict[str, list[Row]] = {}
    for place, domain in enumerate(config.domains):
        rows: list[Row] = list(candidates.filter(domain=domain).sort("rank").iter_rows(named=True))
        if len(rows) < quota:
            raise StageError(
                f"{domain}: {len(rows)} scenarios are left for {quota} slots; raise "
                "select.reserve, or give more posts"
            )
        numbers = [slot_number(rank, place, len(config.domains)) for rank in range(quota)]
        held, reserves[domain] = _held(rows, numbers, earlier)
        slots += [Slot(number, held[number]) for number in numbers]
    return sorted(slots, key=lambda slot: slot.number), reserves


def _held(
    rows: Sequence[Row], numbers: Sequence[int], earlier: Mapping[int, str]
) -> tuple[dict[int, Row], list[Row]]:
    """Return the row that holds each slot of a domain, and the rows that hold none, by rank."""
    by_id = {row["scenario_id"]: row for row in rows}
    by_rank = {row["rank"]: row for row in rows}
    held = {n: by_id[earlier[n]] for n in numbers if earlier.get(n) in by_id}
    used = {row["scenario_id"] for row in held.values()}
    for rank, number in enumerate(numbers):
        own = by_rank.get(rank)
        if number not in held and own is not None and own["scenario_id"] not in used:
            held[number] = own
            used.add(own["scenario_id"])
    reserve = [row for row in rows if row["scenario_id"] not in used]
    for number in numbers:
        if number not in held:
            held[number] = reserve.pop(0)
    return held, reserve


@dataclass(frozen=True)
class Earlier:
    """The slots of an earlier release.

    Attributes:
        scenarios: Scenario id of each slot.
        posts: Post id of each slot, where the table has it (a build's own table does; a release's
            only if it publishes the ids).
    """

    scenarios: Mapping[int, str]
    posts: Mapping[int, str]


def slots_before(place: str) -> Earlier:
    """Return the slots that are to be kept; none if `place` is "".

    Args:
        place: Release folder, or the Parquet file of the slots of a release or build.

    Raises:
        BadInputError: There is no table of slots.
    """
    if not place:
        return Earlier({}, {})
    path = slots_file(place)
    try:
        table = pl.read_parquet(path)
        held = table.select("slot", "scenario_id").rows()
        known = table.select("slot", "post_id").rows() if "post_id" in table.columns else []
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"select.slots: {path}: holds no slots ({what}); name the folder of a release, or "
            'leave it ""'
        ) from None
    # A slot whose scenario was taken back is empty: it holds nothing that could be kept.
    return Earlier(
        {slot: scenario for slot, scenario in held if scenario},
        {slot: post for slot, post in known if post},
    )


def slots_file(place: str) -> Path:
    """Return the Parquet file of the slots of a release, which may name it itself."""
    path = Path(place)
    return path / SLOTS if path.is_dir() else path
