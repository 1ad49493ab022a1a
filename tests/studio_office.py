"""A small built workspace with a plan of its own, and simulated experts who answer Label Studio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from pipeline.annotation.plan import Plan, load_plan
from pipeline.annotation.rounds import Round, all_items
from pipeline.annotation.store import load_rounds
from pipeline.artifacts import write_parquet
from tests.conftest import command
from tests.simulated import simulate, tables
from tests.studio_world import choice

SKILL = {1: 0.97, 2: 0.95, 3: 0.93}


@dataclass
class TestOffice:
    """Folders of one annotation.

    Attributes:
        place: Holds work/, rounds/, private/ and plan.toml.
        skill: Chance of each expert to name the true value.
        faulty: Share of drawn actions whose true value is not the claim.
        server: Folder of the server; None for private/.
    """

    __test__ = False

    place: Path
    skill: Mapping[int, float] = field(default_factory=lambda: SKILL)
    faulty: float = 0.0
    server: Path | None = None
    _meant: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    _items: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return load_plan(self.place / "plan.toml")

    def rounds(self) -> list[Round]:
        return load_rounds(self.place / "rounds", self.plan)

    def arguments(self, name: str) -> list[str]:
        """Return a command with its places; also for a process that a test starts itself."""
        places = {"--workspace": "work", "--rounds": "rounds", "--plan": "plan.toml"}
        given = [f"{key}={self.place / value}" for key, value in places.items()]
        if name in {"annotate", "collect"}:
            given.append(f"--server={self.server or self.place / 'private'}")
        return [name, *given]

    def run(self, name: str, *arguments: str, **options: Any) -> CompletedProcess[str]:
        return command(*self.arguments(name), *arguments, **options)

    def item(self, item_id: str) -> dict[str, Any]:
        """Return a drawn item."""
        if item_id not in self._items:
            self._items = {row["item_id"]: row for row in all_items(self.rounds()).to_dicts()}
        return self._items[item_id]

    def meant(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Return each expert's review by item, action and annotator; tests may change them."""
        if not self._meant:
            self._meant = {
                (row["item_id"], row["action_id"], row["annotator"]): row
                for row in simulate(self.rounds(), self.skill, faulty=self.faulty).to_dicts()
            }
        return self._meant


def desk_office(
    place: Path, a_domain: int = 6, reviews_per_value: int = 40, **fields: Any
) -> TestOffice:
    """Make an office whose build has so many scenarios a domain."""
    slots, actions, scenarios = tables(a_domain)
    for name, table in (
        ("generate/slots", slots),
        ("generate/actions", actions),
        ("rewrite/scenarios", scenarios),
    ):
        path = place / "work" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(table, path)
    (place / "plan.toml").write_text(plan_text(reviews_per_value), encoding="utf-8")
    return TestOffice(place, **fields)


def plan_text(reviews_per_value: int) -> str:
    """Return the plan of the checkout with a smaller sample and fewer resamples."""
    text = Path(load_plan().file).read_text(encoding="utf-8")
    text = text.replace("reviews_per_value = 200", f"reviews_per_value = {reviews_per_value}")
    return text.replace("resamples = 4000", "resamples = 300")


def answer_of(office: TestOffice, data: Mapping[str, Any], expert: int) -> list[dict[str, Any]]:
    """Return what an expert says on a page, by what stands at each place of it."""
    item = office.item(data["item"])
    results = []
    for place in (1, 2, 3, 4):
        number = item["actions"].index(data[f"action_{place}"])
        row = office.meant()[data["item"], item["action_ids"][number], f"expert-{expert}"]
        results.append(choice(f"first_{place}", row["first_value"]))
        if row["second_value"]:
            results.append(choice(f"second_{place}", row["second_value"]))
        results.append(choice(f"natural_{place}", str(row["naturalness"])))
    return results
