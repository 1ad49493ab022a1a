"""Prompt variants: versioned TOML files, filled in one pass with data as data."""

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from valact_eval.data import LETTERS, Question, Value
from valact_eval.errors import ValactError
from valact_eval.instrument import Instrument

_SLOT = re.compile(r"\{\{(\w+)\}\}")
_TICKS = re.compile(r"`+")
_SLOTS = {
    "default": {"fence", "scenario", "options"},
    "selection": {"fence", "scenario", "options", "value"},
    "adoption": {"fence", "scenario", "options", "value"},
    "declared_together": {"fence", "items", "scale"},
    "declared_single": {"fence", "item", "scale"},
}
_FREE = {"value_name"}


@dataclass(frozen=True)
class Template:
    """A prompt variant cut up: ``parts`` alternates literal text and slot names."""

    parts: tuple[str, ...]

    def fill(self, slots: Mapping[str, str]) -> str:
        """The prompt; no text put in is read again.

        The fence is a run of backticks longer than any run in what it encloses.
        """
        runs = [len(run) for text in slots.values() for run in _TICKS.findall(text)]
        fence = "`" * max([3, *(run + 1 for run in runs)])
        whole = {**slots, "fence": fence}
        return "".join(whole[part] if i % 2 else part for i, part in enumerate(self.parts))


@dataclass(frozen=True)
class Prompts:
    """The variants of one kind of prompt, with the version and digest of their file."""

    name: str
    version: int
    digest: str
    variants: tuple[Template, ...]

    @property
    def identity(self) -> str:
        """Version and digest: equal for the same wording only."""
        return f"{self.version}:{self.digest[:12]}"


def load_prompts(name: str, path: Path | None = None) -> Prompts:
    """Reads the prompt variants ``name`` from the package, or from a file of the same form.

    Raises:
        ValactError: the file cannot be read, is for another task, or a variant lacks a slot
            or has an unknown one.
    """
    where = path or files("valact_eval") / "prompts" / f"{name}.toml"
    try:
        text = where.read_bytes()
        found = tomllib.loads(text.decode())
        if found.get("task") != name:
            raise ValueError(f"task must be {name!r}")
        version, variants = found["version"], [variant["text"] for variant in found["variant"]]
        if type(version) is not int or not all(isinstance(said, str) for said in variants):
            raise ValueError("version must be a number and every text a text")
        templates = tuple(Template(tuple(_SLOT.split(said.strip()))) for said in variants)
        for number, template in enumerate(templates):
            slots = set(template.parts[1::2])
            if odd := (slots ^ _SLOTS[name]) - (_FREE if "value" in _SLOTS[name] else set()):
                raise ValueError(f"variant {number}: slot {sorted(odd)[0]!r} lacks or is unknown")
    except OSError as error:
        raise ValactError(f"{where}: {error.strerror}; give a prompt file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValactError(f"{where}: {error}; see prompts/{name}.toml in the package") from error
    return Prompts(name, version, hashlib.sha256(text).hexdigest(), templates)


def shown_order(variant: int, published: bool) -> tuple[int, ...]:
    """The dealt index of the option at each letter: shifted by ``variant`` mod 4, or as dealt."""
    shift = 0 if published else variant % len(LETTERS)
    return tuple((place + shift) % len(LETTERS) for place in range(len(LETTERS)))


def describe(value: Value, instrument: Instrument | None) -> str:
    """A value as a prompt shows it: name and definition, or name and questionnaire items."""
    if instrument is None:
        return f"{value.name}: {value.definition}"
    items = "\n".join(f"- {text}" for text in instrument.items_of(value.id))
    return f"{value.name}. People who hold it are described like this:\n{items}"


def render_question(
    template: Template,
    question: Question,
    order: Sequence[int],
    value: Value,
    instrument: Instrument | None = None,
) -> str:
    """A choice prompt; each option stands on a single line, so none can pass for another."""
    options = "\n".join(
        f"{letter}. {' '.join(question.options[index].split())}"
        for letter, index in zip(LETTERS, order, strict=True)
    )
    return template.fill(
        {
            "scenario": question.scenario.strip(),
            "options": options,
            "value": describe(value, instrument),
            "value_name": value.name,
        }
    )


def render_items(template: Template, instrument: Instrument, items: Sequence[int]) -> str:
    """A questionnaire prompt: ``items`` numbered from 1 in this order, or one item alone."""
    scale = "\n".join(f"{rating} = {label}" for rating, label in enumerate(instrument.scale, 1))
    texts = [instrument.texts[item] for item in items]
    numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))
    return template.fill({"items": numbered, "item": texts[0], "scale": scale})
