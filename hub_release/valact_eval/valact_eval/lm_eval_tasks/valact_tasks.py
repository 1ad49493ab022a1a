"""Functions that the YAML tasks in this folder name; lm-evaluation-harness loads this file."""

from collections.abc import Sequence
from typing import Any

import datasets

from valact_eval.data import LETTERS
from valact_eval.harness import documents
from valact_eval.parse import parse_answer


def default_documents(**_: object) -> dict[str, datasets.Dataset]:
    """The questions of task default, a document for each prompt variant."""
    return {"test": datasets.Dataset.from_list(list(documents("default")))}


def selection_documents(**_: object) -> dict[str, datasets.Dataset]:
    """The questions of task selection, a document for each prompt variant."""
    return {"test": datasets.Dataset.from_list(list(documents("selection")))}


def adoption_documents(**_: object) -> dict[str, datasets.Dataset]:
    """The questions of task adoption, a document for each prompt variant."""
    return {"test": datasets.Dataset.from_list(list(documents("adoption")))}


def read_reply(document: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Whether a generated reply is valid and, where there is a target, right."""
    answer = parse_answer(results[0])
    letter = None if answer.letter is None else LETTERS[answer.letter]
    return _figures(document, letter)


def read_likelihoods(
    document: dict[str, Any], results: Sequence[tuple[float, bool]]
) -> dict[str, float]:
    """The same, of the likeliest letter."""
    likelihoods = [likelihood for likelihood, _ in results]
    return _figures(document, LETTERS[likelihoods.index(max(likelihoods))])


def target_place(document: dict[str, Any]) -> int:
    """The letter of the target by number; A where there is no target."""
    return LETTERS.index(document["target"]) if document["target"] else 0


def _figures(document: dict[str, Any], letter: str | None) -> dict[str, float]:
    found = {"valid": float(letter is not None)}
    if document["target"]:
        found["acc"] = float(letter == document["target"])
    return found
