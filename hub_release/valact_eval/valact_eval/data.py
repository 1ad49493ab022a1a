"""Reads a VALACT-15K release: its questions and its ten values."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valact_eval.errors import ValactError

LETTERS = ("A", "B", "C", "D")
DEFAULT_DATA = "hub_release/dist"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Value:
    """One human value: its id (as in ``option_values``), name and one-sentence definition."""

    id: str
    name: str
    definition: str


@dataclass(frozen=True)
class Question:
    """One question: a scenario and four options in letter order A-D.

    ``options`` and ``option_values`` have length 4; ``target_index`` is 0..3 and
    ``option_values[target_index] == target_value``.
    """

    question_id: str
    scenario: str
    options: tuple[str, ...]
    option_values: tuple[str, ...]
    target_value: str
    target_index: int


@dataclass(frozen=True)
class Release:
    """A whole release: questions by id in file order, values by id in circle order."""

    source: str
    questions: Mapping[str, Question]
    values: Mapping[str, Value]


def load_release(source: str) -> Release:
    """Reads the test questions and the values of a release.

    Args:
        source: a release folder, or the ``owner/name`` of a dataset on the hub.

    Raises:
        ValactError: no such folder or dataset, no ``questions`` config or ``test`` split,
            or a row or value that breaks the release's own rules.
    """
    local = Path(source).is_dir()
    if not local and (
        source == DEFAULT_DATA
        or not _HUB_NAME.fullmatch(source)
        or source.startswith(".")
        or Path(source).parent.exists()
    ):
        raise ValactError(f"{source}: no such data folder; give a release folder or owner/name")
    values = _values(source, local)
    rows = _rows(source)
    questions: dict[str, Question] = {}
    for number, row in enumerate(rows):
        where = f"{source}: questions row {number} ({row.get('question_id')!r})"
        question = _question(row, values, where)
        if question.question_id in questions:
            raise ValactError(f"{where}: question_id occurs twice; rebuild the release")
        questions[question.question_id] = question
    if not questions:
        raise ValactError(f"{source}: the questions config has no rows; rebuild the release")
    return Release(source, questions, values)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the loaders' own log lines and progress bars off the terminal."""
    import datasets  # type: ignore[import-untyped, unused-ignore]

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            datasets.enable_progress_bars()


def _rows(source: str) -> list[dict[str, Any]]:
    import datasets

    with _quiet():
        try:
            # streamed, since the cache of `datasets` 5.2 gives a rebuilt folder's old rows again
            return list(datasets.load_dataset(source, "questions", split="test", streaming=True))
        # anything goes wrong inside `datasets` in its own way, and all of it is about `source`
        except Exception as error:
            raise ValactError(
                f'{source}: cannot load config "questions", split "test": {error}; '
                "check that this is a built VALACT-15K release"
            ) from error


def _values(source: str, local: bool) -> dict[str, Value]:
    path = Path(source) / "values.json"
    remedy = "it must be a list of {id, name, definition}; rebuild the release"
    if not local:
        from huggingface_hub import hf_hub_download

        try:
            with _quiet():
                path = Path(hf_hub_download(source, "values.json", repo_type="dataset"))
        # like `datasets`, it fails in many ways, and all of them are about `source`
        except Exception as error:
            raise ValactError(
                f"{source}: no such folder, and no values.json from the hub "
                f"({type(error).__name__}); give a release folder or owner/name"
            ) from error
    try:
        entries = json.loads(path.read_text("utf-8"))
        if not isinstance(entries, list) or not entries:
            raise ValueError("not a list with entries")
        values: dict[str, Value] = {}
        for entry in entries:
            value = Value(entry["id"], entry["name"], entry["definition"])
            if not all(isinstance(x, str) and x for x in (value.id, value.name, value.definition)):
                raise ValueError(f"not three texts: {entry!r}")
            values[value.id] = value
    except FileNotFoundError as error:
        raise ValactError(f"{path}: missing; is {source} a built VALACT-15K release?") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValactError(f"{path}: {type(error).__name__}: {error}; {remedy}") from error
    return values


def _question(row: Mapping[str, Any], values: Mapping[str, Value], where: str) -> Question:
    def bad(what: str) -> ValactError:
        return ValactError(f"{where}: {what}; rebuild the release")

    for column in ("question_id", "scenario", "target_value"):
        if not isinstance(row.get(column), str) or not row[column].strip():
            raise bad(f"column {column} must be a text")
    for column in ("options", "option_values"):
        cell = row.get(column)
        if (
            not isinstance(cell, list)
            or len(cell) != 4
            or not all(isinstance(x, str) for x in cell)
        ):
            raise bad(f"column {column} must hold four texts")
    if unknown := set(row["option_values"]) - set(values):
        raise bad(f"option_values {sorted(unknown)} are not in values.json")
    target = row.get("target_index")
    if type(target) is not int or not 0 <= target <= 3:
        raise bad("column target_index must be 0, 1, 2 or 3")
    if row["option_values"][target] != row["target_value"]:
        raise bad("target_value is not the value of the option at target_index")
    return Question(
        question_id=row["question_id"],
        scenario=row["scenario"],
        options=tuple(row["options"]),
        option_values=tuple(row["option_values"]),
        target_value=row["target_value"],
        target_index=target,
    )
