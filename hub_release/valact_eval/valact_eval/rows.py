"""Turns one reply into rows of the predictions tables; the same for every harness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valact_eval.data import Question
from valact_eval.parse import Answer, Rating, parse_answer, parse_ratings

Row = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What came back for one prompt.

    Attributes:
        raw: the whole text.
        stop: Inspect's stop reason ("stop", "max_tokens", "content_filter", ...).
        refused: whether the provider itself marked it as a refusal.
        seconds: time of the call, None where it is not known.
    """

    raw: str
    stop: str = "stop"
    refused: bool = False
    seconds: float | None = None


def choice_row(
    question: Question,
    respondent: str,
    task: str,
    variant: int,
    order: Sequence[int],
    reply: Reply,
    answer: Answer | None = None,
) -> Row:
    """A row of ``CHOICES``.

    Args:
        question: what was asked.
        respondent: who answered.
        task: "default", "selection" or "adoption".
        variant: the prompt variant.
        order: dealt index of the option shown at each letter.
        reply: what came back; it is parsed.
        answer: what the reply came to, where it was not read from its text.
    """
    answer = answer or parse_answer(reply.raw, reply.stop, reply.refused)
    return {
        "respondent": respondent,
        "task": task,
        "question_id": question.question_id,
        "scenario_id": question.scenario_id,
        "domain": question.domain,
        "variant": variant,
        "order": list(order),
        "outcome": answer.outcome,
        "choice": None if answer.letter is None else order[answer.letter],
        "letter": answer.letter,
        "target_index": None if task == "default" else question.target_index,
        "option_ids": list(question.option_ids),
        "option_values": list(question.option_values),
        "option_generators": list(question.option_generators),
        "option_words": list(question.option_words),
        "seconds": reply.seconds,
        "raw": reply.raw,
    }


def answer_rows(
    items: Sequence[int],
    respondent: str,
    instrument: str,
    run: int,
    variant: int,
    reply: Reply,
    ratings: Sequence[Rating] | None = None,
) -> list[Row]:
    """Rows of ``ANSWERS``, one an item; ``items`` in the order in which they were shown.

    ``ratings`` is what the reply came to, where it was not read from its text.
    """
    ratings = ratings or parse_ratings(reply.raw, len(items), reply.stop, reply.refused)
    return [
        {
            "respondent": respondent,
            "instrument": instrument,
            "run": run,
            "variant": variant,
            "item": item,
            "outcome": rating.outcome,
            "score": rating.score,
        }
        for item, rating in zip(items, ratings, strict=True)
    ]


def pack(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows with what all of them share said once."""
    common = {
        name: cell for name, cell in rows[0].items() if all(row[name] == cell for row in rows)
    }
    own = [{name: cell for name, cell in row.items() if name not in common} for row in rows]
    return {"common": common, "rows": own}


def unpack(packed: Mapping[str, Any]) -> list[Row]:
    """The rows that ``pack`` was given."""
    return [{**packed["common"], **row} for row in packed["rows"]]
