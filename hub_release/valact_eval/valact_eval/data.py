"""Reads a VALACT-15K release: its questions and its ten values."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valact_eval.errors import ValactError
from valact_eval.key import KEY

LETTERS = ("A", "B", "C", "D")
DEFAULT_DATA = "hub_release/dist"
TEST = "test"
"""The split that is evaluated on unless another is named."""
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


@dataclass(frozen=True)
class Value:
    """One human value: its id (as in ``option_values``), name and one-sentence definition."""

    id: str
    name: str
    definition: str


@dataclass(frozen=True)
class Question:
    """One question: a scenario and four options in the order in which they were dealt.

    What is said of options has length 4; ``target_index`` is 0..3 and
    ``option_values[target_index] == target_value``. ``place`` orders scenarios as dealt.
    """

    question_id: str
    scenario_id: str
    domain: str
    scenario: str
    options: tuple[str, ...]
    option_ids: tuple[str, ...]
    option_values: tuple[str, ...]
    option_generators: tuple[str, ...]
    target_value: str
    target_index: int
    place: int

    @property
    def option_words(self) -> tuple[int, ...]:
        """Words of each option."""
        return tuple(len(text.split()) for text in self.options)


@dataclass(frozen=True)
class Release:
    """A whole release: questions by id in file order, values by id in circle order."""

    source: str
    questions: Mapping[str, Question]
    values: Mapping[str, Value]

    @property
    def digest(self) -> str:
        """First half of the SHA-256 of all questions and values: the same data, the same digest."""
        rows = sorted(self.questions.items()), list(self.values.items())
        return hashlib.sha256(repr(rows).encode("utf-8", "replace")).hexdigest()[:32]

    def pick(
        self,
        domains: Sequence[str] = (),
        limit: int | None = None,
        scenarios: int | None = None,
    ) -> tuple[Question, ...]:
        """Part of the questions, in file order.

        Args:
            domains: only these; all if there are none.
            limit: only the first so many questions.
            scenarios: only the questions of the first so many scenarios, as they were dealt.

        Raises:
            ValactError: a domain that no question has.
        """
        known = sorted({question.domain for question in self.questions.values()})
        if unknown := [name for name in domains if name not in known]:
            raise ValactError(f"--domain {unknown[0]}: no such domain; give {', '.join(known)}")
        found = [q for q in self.questions.values() if not domains or q.domain in domains]
        if scenarios is not None:
            dealt = sorted(found, key=lambda question: question.place)
            first = set(list(dict.fromkeys(q.scenario_id for q in dealt))[:scenarios])
            found = [question for question in found if question.scenario_id in first]
        return tuple(found[:limit])


def load_release(source: str, split: str = TEST) -> Release:
    """Reads the questions of a split and the values of a release.

    Args:
        source: a release folder, or the ``owner/name`` of a dataset on the hub, perhaps with
            ``@`` and a tag or commit.
        split: ``test``, or ``dev``, which is there for work on prompts.

    Raises:
        ValactError: no such folder or dataset, no ``questions`` config or no such split,
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
    rows = _rows(source, split)
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


def load_canary(source: str) -> str:
    """Reads the canary that every row of a release's questions carries.

    Args:
        source: as for ``load_release``.

    Raises:
        ValactError: as ``load_release``; or rows carry none, or different ones.
    """
    if not Path(source).is_dir() and not _HUB_NAME.fullmatch(source):
        raise ValactError(f"{source}: no such data folder; give a release folder or owner/name")
    found = {str(row.get("canary") or "") for row in _rows(source, TEST)}
    if len(found) != 1 or not next(iter(found)).strip():
        raise ValactError(
            f"{source}: its questions carry {len(found - {''})} canaries instead of one; "
            "is it a built VALACT-15K release?"
        )
    return next(iter(found))


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


def _hub(source: str) -> tuple[str, str | None]:
    match = None if Path(source).is_dir() else _HUB_NAME.fullmatch(source)
    return (match[1], match[2]) if match else (source, None)


def _rows(source: str, split: str) -> list[dict[str, Any]]:
    import datasets

    with _quiet():
        try:
            # streamed, since the cache of `datasets` 5.2 gives a rebuilt folder's old rows again
            name, revision = _hub(source)
            found = datasets.load_dataset(
                name, "questions", split=split, streaming=True, revision=revision
            )
            return list(found)
        # anything goes wrong inside `datasets` in its own way, and all of it is about `source`
        except Exception as error:
            raise ValactError(
                f'{source}: cannot load config "questions", split "{split}": {error}; '
                "check that this is a built VALACT-15K release"
            ) from error


def _values(source: str, local: bool) -> dict[str, Value]:
    path = Path(source) / "values.json"
    remedy = "it must be a list of {id, name, definition}; rebuild the release"
    if not local:
        from huggingface_hub import hf_hub_download

        try:
            with _quiet():
                name, revision = _hub(source)
                path = Path(
                    hf_hub_download(name, "values.json", repo_type="dataset", revision=revision)
                )
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
            if value.id not in KEY:
                raise ValueError(f"{value.id!r} is none of {', '.join(KEY)}")
            values[value.id] = value
    except FileNotFoundError as error:
        raise ValactError(f"{path}: missing; is {source} a built VALACT-15K release?") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValactError(f"{path}: {type(error).__name__}: {error}; {remedy}") from error
    return values


def _question(row: Mapping[str, Any], values: Mapping[str, Value], where: str) -> Question:
    def bad(what: str) -> ValactError:
        return ValactError(f"{where}: {what}; rebuild the release")

    for column in ("question_id", "scenario_id", "domain", "scenario", "target_value"):
        if not isinstance(row.get(column), str) or not row[column].strip():
            raise bad(f"column {column} must be a text")
    for column in ("options", "option_ids", "option_values", "option_generators"):
        cell = row.get(column)
        if (
            not isinstance(cell, list)
            or len(cell) != 4
            or not all(isinstance(x, str) for x in cell)
        ):
            raise bad(f"column {column} must hold four texts")
    if len(set(row["option_ids"])) != 4:
        raise bad("option_ids must differ")
    if unknown := set(row["option_values"]) - set(values):
        raise bad(f"option_values {sorted(unknown)} are not in values.json")
    target = row.get("target_index")
    if type(target) is not int or not 0 <= target <= 3:
        raise bad("column target_index must be 0, 1, 2 or 3")
    if row["option_values"][target] != row["target_value"]:
        raise bad("target_value is not the value of the option at target_index")
    place = row.get("slot", 0)
    if type(place) is not int:
        raise bad("column slot must be a whole number")
    return Question(
        question_id=row["question_id"],
        scenario_id=row["scenario_id"],
        domain=row["domain"],
        scenario=row["scenario"],
        options=tuple(row["options"]),
        option_ids=tuple(row["option_ids"]),
        option_values=tuple(row["option_values"]),
        option_generators=tuple(row["option_generators"]),
        target_value=row["target_value"],
        target_index=target,
        place=place,
    )
