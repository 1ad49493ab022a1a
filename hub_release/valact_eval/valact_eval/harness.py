"""The questions as flat documents, for harnesses other than Inspect.

One document is one question with one prompt variant. It holds the prompt and all that a row of
the predictions table needs, so that ``valact-eval import`` can read a harness's own log of its
samples. The environment says which: ``VALACT_DATA`` (release folder or hub name), and perhaps
``VALACT_SPLIT``, ``VALACT_VARIANTS``, ``VALACT_ORDER``, ``VALACT_DOMAIN``, ``VALACT_DESCRIBE`` and
``VALACT_PVQ``.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from valact_eval.asks import VARIANTS, Setup, question_units
from valact_eval.data import DEFAULT_DATA, LETTERS, TEST, Question, load_release
from valact_eval.errors import ValactError
from valact_eval.rows import Row

DOCUMENT = "valact"
"""Key that marks a document as one of ours; its value is the prompts' identity."""


def setup_of_environment() -> Setup:
    """How to ask, from the environment.

    Raises:
        ValactError: the release cannot be read, or a variable holds an unknown choice.
    """
    pvq = os.environ.get("VALACT_PVQ")
    return Setup(
        load_release(
            os.environ.get("VALACT_DATA") or DEFAULT_DATA, os.environ.get("VALACT_SPLIT") or TEST
        ),
        os.environ.get("VALACT_ORDER", "shifted"),
        os.environ.get("VALACT_DESCRIBE", "definition"),
        pvq=Path(pvq) if pvq else None,
    )


def documents(task: str, setup: Setup | None = None) -> Iterator[dict[str, Any]]:
    """The documents of a task, question by question.

    Raises:
        ValactError: as ``setup_of_environment``, or an unknown domain or number of variants.
    """
    setup = setup or setup_of_environment()
    given = os.environ.get("VALACT_VARIANTS", str(VARIANTS))
    if not given.isdecimal():
        raise ValactError(f"VALACT_VARIANTS {given!r}: give a number")
    setup.check_variants([task], int(given))
    domains = [name for name in os.environ.get("VALACT_DOMAIN", "").split(",") if name]
    identity = setup.prompts(task).identity
    for unit in question_units(task, setup.questions.pick(domains), int(given)):
        if (question := unit.question) is None:
            continue
        for call in unit.calls(setup):
            target = None if task == "default" else question.target_index
            yield {
                DOCUMENT: identity,
                "task": task,
                "variant": call.variant,
                "order": list(call.shown),
                "prompt": call.prompt,
                "target": "" if target is None else LETTERS[call.shown.index(target)],
                **_fixed(question, target),
            }


def row_of(document: Mapping[str, Any], reply_row: Mapping[str, Any]) -> Row:
    """A row of the predictions table from a document and what was read from its reply."""
    names = ("task", "variant", "order", *_FIXED)
    return {**{name: document[name] for name in names}, **reply_row}


_FIXED = (
    *("question_id", "scenario_id", "domain", "target_index"),
    *("option_ids", "option_values", "option_generators", "option_words"),
)


def _fixed(question: Question, target: int | None) -> dict[str, Any]:
    found = {name: getattr(question, name) for name in _FIXED} | {"target_index": target}
    return {k: list(cell) if isinstance(cell, tuple) else cell for k, cell in found.items()}
