"""The flat tables `selection` and `adoption`: whole prompts with their right letter.

The wording is the evaluator's own, and stands in its package alone: the first variant of the task,
which shows the options as they were dealt. So a harness that asks these prompts asks what
`valact-eval` asks with one variant.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.dist import LETTERS
from pipeline.errors import StageError
from pipeline.paths import EVALUATOR

TASKS = ("selection", "adoption")
COLUMNS = (
    "question_id",
    "scenario_id",
    "domain",
    "prompt",
    "options",
    "answer",
    "target_value",
    "canary",
)
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_TICKS = re.compile(r"`+")


def wording(task: str) -> str:
    """Return the evaluator's prompt file of a task."""
    return (EVALUATOR / "valact_eval" / "prompts" / f"{task}.toml").read_text(encoding="utf-8")


def flat(
    questions: pl.DataFrame, file: str, values: Sequence[Mapping[str, Any]], *, empty: bool = False
) -> pl.DataFrame:
    """Return one row a question, in their order.

    Args:
        questions: Rows of schema.QUESTIONS.
        file: The prompt file; see `wording`.
        values: Id, name and definition of each value.
        empty: Leave the prompts empty, where a release holds no texts of situations.

    Raises:
        StageError: The prompt file is none.
    """
    parts = _template(file)
    told = {value["id"]: value for value in values}
    prompts = [
        "" if empty else _prompt(parts, row, told[row["target_value"]])
        for row in questions.select("scenario", "options", "target_value").iter_rows(named=True)
    ]
    return questions.with_columns(
        prompt=pl.Series(prompts, dtype=pl.String), answer="target_index"
    ).select(COLUMNS)


def _template(file: str) -> list[str]:
    """Return the first variant, cut up: texts, and between them names of slots."""
    try:
        return _SLOT.split(str(tomllib.loads(file)["variant"][0]["text"]).strip())
    except (tomllib.TOMLDecodeError, KeyError, IndexError, TypeError) as error:
        raise StageError(f"the evaluator's prompt file cannot be read: {error!r}") from None


def _prompt(parts: Sequence[str], row: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    """Fill in a question; no text that is put in is read again.

    Texts stand between runs of backticks that are longer than any in them.
    """
    lines = zip(LETTERS, row["options"], strict=True)
    slots = {
        "scenario": row["scenario"].strip(),
        "options": "\n".join(f"{letter}. {' '.join(text.split())}" for letter, text in lines),
        "value": f"{value['name']}: {value['definition']}",
        "value_name": value["name"],
    }
    longest = max(len(run) for text in ("``", *slots.values()) for run in _TICKS.findall(text))
    slots["fence"] = "`" * (longest + 1)
    try:
        return "".join(slots[part] if i % 2 else part for i, part in enumerate(parts))
    except KeyError as error:
        raise StageError(f"the evaluator's prompt file has an unknown slot {error}") from None
