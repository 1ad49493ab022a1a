"""Prompt templates: versioned Markdown files, filled in one pass with data as data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from valact_eval.data import LETTERS, Question, Value

_HEADER = re.compile(r"---\nversion: (\d+)\ntask: (\w+)\n---\n(.*)", re.DOTALL)
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_TICKS = re.compile(r"`+")


@dataclass(frozen=True)
class Template:
    """A prompt file already cut up: ``parts`` alternates literal text and slot names."""

    task: str
    version: int
    parts: tuple[str, ...]


def load_template(task: str) -> Template:
    """Reads ``prompts/<task>.md`` from the package.

    Raises:
        ValueError: the file's header is broken or names another task (a packaging fault).
    """
    text = (files("valact_eval") / "prompts" / f"{task}.md").read_text("utf-8")
    header = _HEADER.fullmatch(text)
    if header is None or header[2] != task:
        raise ValueError(f"prompts/{task}.md: broken header")
    return Template(task, int(header[1]), tuple(_SLOT.split(header[3].strip())))


def render(template: Template, question: Question, values: Mapping[str, Value]) -> str:
    """Fills a template for one question, in one pass: no text put in is read again.

    The fence is a run of backticks longer than any run in what it encloses, and each option
    is put on a single line, so no text can close its block or pass for another option.
    """
    value = values[question.target_value]
    options = "\n".join(
        f"{letter}. {' '.join(text.split())}"
        for letter, text in zip(LETTERS, question.options, strict=True)
    )
    slots = {
        "scenario": question.scenario.strip(),
        "options": options,
        "value_name": value.name,
        "value_definition": value.definition,
    }
    runs = [len(run) for text in slots.values() for run in _TICKS.findall(text)]
    slots["fence"] = "`" * max([3, *(run + 1 for run in runs)])
    return "".join(slots[part] if index % 2 else part for index, part in enumerate(template.parts))
