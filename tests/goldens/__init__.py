"""Every shipped prompt as a model reads it, with invented variables: one text file a prompt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pipeline.paths import PROMPTS
from pipeline.prompts import load_prompt
from pipeline.values import load_values

FOLDER = Path(__file__).parent
COMMAND = "python -m tests.goldens"
_VALUES = [dataclasses.asdict(value) for value in load_values()]
_STORY = (
    "My sister asked me to look after her bakery for a month while she travels.\n\n"
    "The same week I was offered a place in a course that I have waited for since spring. "
    "Should I take the course, or keep my word?"
)
FULL: dict[str, Any] = {
    "post": _STORY,
    "scenario": _STORY,
    "min_words": 40,
    "max_words": 250,
    "problem": "the text for power is empty",
    "values": _VALUES,
    "value": _VALUES[7],
    "actions": [
        "I run the bakery and ask for a place in the next course.",
        "I take the course and find my sister somebody for the counter.",
        "I ask my sister to leave two weeks later.",
    ],
    "others": ["I run the bakery and ask for a place in the next course."],
    "failed": "I keep my word because that is our family's tradition.",
    "violations": ["it says why", 'it holds the word "tradition"'],
}
"""What a variable of this name is in every golden; add one that a new prompt declares."""
BARE: dict[str, Any] = {"others": [], "failed": "", "violations": []}
"""The same for a second rendering: what may be left empty is."""


def names() -> list[str]:
    """Return the names of the shipped prompts."""
    return sorted(path.stem for path in PROMPTS.glob("*.md") if path.stem != "README")


def golden(name: str) -> Path:
    """Return the path of a prompt's golden."""
    return FOLDER / f"{name}.txt"


def rendered(name: str) -> str:
    """Return a prompt as its golden holds it.

    Raises:
        KeyError: It declares a variable that FULL does not know.
    """
    prompt = load_prompt(name)
    unknown = sorted(set(prompt.variables) - FULL.keys())
    if unknown:
        raise KeyError(f"tests/goldens/__init__.py: add {', '.join(unknown)} to FULL, for {name}")
    texts = []
    for pool in (FULL, FULL | BARE):
        messages = prompt.render(**{variable: pool[variable] for variable in prompt.variables})
        texts.append("".join(f"--- {role}\n{text}\n" for role, text in messages))
    first, second = texts
    again = f"=== with {', '.join(sorted(BARE))} empty\n{second}" if second != first else ""
    return f"=== {name}, version {prompt.version}\n{first}{again}"
