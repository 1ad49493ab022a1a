"""The ten values, read from prompts/values.toml: ids, names, definitions, circle, word families."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError, nearest
from pipeline.paths import PROMPTS

FILE = PROMPTS / "values.toml"
COUNT = 10
_ID = re.compile(r"[a-z]+(?:_[a-z]+)*")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


@dataclass(frozen=True)
class Value:
    """One of Schwartz's ten values.

    Attributes:
        id: Name in data ("self_direction").
        name: Name for people ("Self-direction").
        definition: One sentence, our own wording.
        goal: Motivational goal in one line, our own wording.
        higher_order: Higher-order values it belongs to (hedonism belongs to two).
        position: Place on the circle, 0 to 9; 9 is next to 0.
        opposites: Ids of the values that conflict with it; the relation is symmetric.
        words: Words that give the value away: its own word and that word's family, in lower case.
    """

    id: str
    name: str
    definition: str
    goal: str
    higher_order: tuple[str, ...]
    position: int
    opposites: tuple[str, ...]
    words: tuple[str, ...]


@cache
def load_values(path: Path = FILE) -> tuple[Value, ...]:
    """Return the ten values in the order of the circle.

    Raises:
        BadInputError: The file cannot be read, or a field is missing, unknown or wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"{path}: {error}; restore the file") from None
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise _wrong(path, "version", "give a whole number from 1")
    tables = data.get("value")
    if not isinstance(tables, list) or len(tables) != COUNT:
        raise _wrong(path, "value", f"give {COUNT} tables [[value]]")
    values = tuple(_value(path, i, table) for i, table in enumerate(tables))
    _check_circle(path, values)
    return values


def value_ids() -> tuple[str, ...]:
    """Return the ids of the ten values in the order of the circle."""
    return tuple(value.id for value in load_values())


def _value(path: Path, index: int, table: Any) -> Value:
    """Return one [[value]] table as a Value; what it says of others is checked later."""
    if not isinstance(table, Mapping):
        raise _wrong(path, f"value[{index}]", "write it as a table [[value]]")
    place = f"value '{table.get('id', index)}'"
    names = [f.name for f in fields(Value)]
    for unknown in table.keys() - set(names):
        raise _wrong(path, f"{place}.{unknown}", f"unknown field; {nearest(unknown, names)}")
    for missing in (name for name in names if name not in table):
        raise _wrong(path, f"{place}.{missing}", "missing; add the field")
    texts = {name: table[name] for name in ("id", "name", "definition", "goal")}
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            raise _wrong(path, f"{place}.{name}", "give one line of text")
    if not _ID.fullmatch(texts["id"]):
        raise _wrong(path, f"{place}.id", "use small letters with _ between words")
    lists = {name: table[name] for name in ("higher_order", "opposites", "words")}
    for name, items in lists.items():
        if not isinstance(items, list) or not items:
            raise _wrong(path, f"{place}.{name}", "give a list of texts that is not empty")
        shape = _WORD if name == "words" else _ID
        for item in items:
            if not isinstance(item, str) or not shape.fullmatch(item):
                raise _wrong(path, f"{place}.{name}", f"{item!r} is not in small letters a to z")
        if len(set(items)) < len(items):
            raise _wrong(path, f"{place}.{name}", "something is listed twice")
    position = table["position"]
    if type(position) is not int or position != index:
        raise _wrong(
            path, f"{place}.position", f"{position!r}, and in the order of the file it is {index}"
        )
    return Value(
        id=texts["id"],
        name=texts["name"],
        definition=texts["definition"],
        goal=texts["goal"],
        higher_order=tuple(lists["higher_order"]),
        position=position,
        opposites=tuple(lists["opposites"]),
        words=tuple(lists["words"]),
    )


def _check_circle(path: Path, values: tuple[Value, ...]) -> None:
    """Check what the values say of each other: ids, opposites, words."""
    by_id = {value.id: value for value in values}
    if len(by_id) < len(values):
        raise _wrong(path, "value.id", "two values have the same id")
    owner: dict[str, str] = {}
    for value in values:
        place = f"value '{value.id}'"
        for other in value.opposites:
            if other not in by_id:
                raise _wrong(path, f"{place}.opposites", f"'{other}': {nearest(other, by_id)}")
            if other == value.id:
                raise _wrong(path, f"{place}.opposites", "a value is not its own opposite")
            if value.id not in by_id[other].opposites:
                raise _wrong(
                    path, f"value '{other}'.opposites", f"'{value.id}' names it; name it back"
                )
        if value.name.lower() not in value.words:
            raise _wrong(path, f"{place}.words", f"'{value.name.lower()}' itself is missing")
        for word in value.words:
            if word in owner:
                raise _wrong(path, f"{place}.words", f"'{word}' is a word of {owner[word]} too")
            owner[word] = value.id


def _wrong(path: Path, field: str, problem: str) -> BadInputError:
    return BadInputError(f"{path}: {field}: {problem}")
