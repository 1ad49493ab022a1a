"""Gold items and attention checks (annotations/gold.toml): items whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.annotation.sample import PER_ITEM, Draft
from pipeline.artifacts import content_id
from pipeline.config_file import read_toml, validated
from pipeline.config_model import STRICT
from pipeline.errors import BadInputError, nearest
from pipeline.paths import ROOT
from pipeline.values import value_ids

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]


@dataclass(frozen=True, config=STRICT)
class KnownAction:
    """An action and its value; "" if the action is not counted (attention checks only)."""

    value: str
    text: Line


@dataclass(frozen=True, config=STRICT)
class KnownItem:
    """An item of our own.

    Attributes:
        kind: "gold" or "attention".
        domain: As the build's domains are named.
        scenario: Its text.
        actions: Four; in a gold item each with the value that it plainly expresses.
    """

    kind: Literal["gold", "attention"]
    domain: str
    scenario: Line
    actions: tuple[KnownAction, ...]

    @property
    def scenario_id(self) -> str:
        """Id of the scenario, formed like those of the build."""
        return content_id("s", self.scenario)

    @property
    def action_ids(self) -> tuple[str, ...]:
        """Ids of the actions."""
        return tuple(content_id("a", self.scenario_id, a.value, a.text) for a in self.actions)

    def draft(self) -> Draft:
        """Return the item as one that can be given to experts."""
        counted = zip(self.action_ids, self.actions, strict=True)
        return Draft(
            kind=self.kind,
            scenario_id=self.scenario_id,
            domain=self.domain,
            action_ids=self.action_ids,
            targeted=frozenset(action for action, known in counted if known.value),
        )


@dataclass(frozen=True, config=STRICT)
class _File:
    version: Literal[1]
    item: tuple[KnownItem, ...]


def load_gold(path: Path) -> tuple[KnownItem, ...]:
    """Read gold items; a relative path is looked for in the working folder, then in the checkout.

    Raises:
        BadInputError: The file is missing or broken, or an item is not as described.
    """
    if not path.exists() and (ROOT / path).exists():
        path = ROOT / path
    data = read_toml(path, "file of gold items", "annotations/gold.toml is one that works")
    found = validated(path, _File, data)
    for number, item in enumerate(found.item):
        if problem := _problem_of(item):
            raise BadInputError(f"{path}: item.{number}: {problem}")
    scenarios = [item.scenario for item in found.item]
    for number, scenario in enumerate(scenarios):
        if scenario in scenarios[:number]:
            raise BadInputError(f"{path}: item.{number}.scenario: stands there twice; change one")
    return found.item


def _problem_of(item: KnownItem) -> str:
    if len(item.actions) != PER_ITEM:
        return f"actions: give {PER_ITEM}, not {len(item.actions)}"
    if len({action.text for action in item.actions}) < PER_ITEM:
        return "actions: two have the same text; change one"
    for number, action in enumerate(item.actions):
        place = f"actions.{number}.value"
        if action.value and action.value not in value_ids():
            return f"{place}: '{action.value}' is no value; {nearest(action.value, value_ids())}"
        if not action.value and item.kind == "gold":
            return f"{place}: empty; every action of a gold item has a value"
    if not any(action.value for action in item.actions):
        return "actions: none has a value, so that nothing is checked; give one"
    return ""


def texts_of(items: tuple[KnownItem, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Return {scenario id: text} and {action id: text}."""
    scenarios = {item.scenario_id: item.scenario for item in items}
    actions = {
        action_id: action.text
        for item in items
        for action_id, action in zip(item.action_ids, item.actions, strict=True)
    }
    return scenarios, actions


def values_of(items: tuple[KnownItem, ...]) -> dict[str, str]:
    """Return {action id: known value, or ""}."""
    return {
        action_id: action.value
        for item in items
        for action_id, action in zip(item.action_ids, item.actions, strict=True)
    }
