"""What validators take and give: an action, the thresholds, what is wrong with the action."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.config_actions import ValidateConfig

_WORD = re.compile(r"[^\W_]+(?:['\u2019\-][^\W_]+)*")


@dataclass(frozen=True)
class ActionRow:
    """One action; rows of one scenario and one generator are a set of ten.

    Attributes:
        scenario_id: Id of the scenario.
        value: Id of the value that it was written for.
        action: Its text.
        scenario: Text of the scenario, or "" where it is not at hand.
        generator: Who wrote it, or "".
    """

    scenario_id: str
    value: str
    action: str
    scenario: str = ""
    generator: str = ""

    @property
    def group(self) -> tuple[str, str]:
        """The set that it belongs to."""
        return self.scenario_id, self.generator


@dataclass(frozen=True)
class Violation:
    """What is wrong with an action.

    Attributes:
        code: One of CODES.
        detail: What was found, in words that a generator could be told.
    """

    code: str
    detail: str


Alone = Callable[[ActionRow, ValidateConfig], Violation | None]
"""A validator of one action by itself."""


def plain(text: str) -> str:
    """Return `text` on one line, with straight quotes and apostrophes."""
    for curly, straight in (("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"')):
        text = text.replace(curly, straight)
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """Return the words of a text; "don't" and "self-made" are one each."""
    return _WORD.findall(text)
