"""Asking one model about many items: what cannot be used is asked again with its problem named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts import sha256_text
from pipeline.llm.call import Caller
from pipeline.llm.reply import Reply, read_json
from pipeline.llm.request import Request
from pipeline.prompts import load_prompt

Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """What one model is asked about one item.

    Attributes:
        model: Its name in [models].
        item: The item's id.
        messages: The messages of the first asking.
        schema: JSON schema that the reply must meet, as JSON text.
        turn: Askings about this item that went before; equal messages are then asked anew.
    """

    model: str
    item: str
    messages: Messages
    schema: str
    turn: int = 0


@dataclass(frozen=True)
class Answer:
    """A usable answer, or why there is none.

    Attributes:
        data: What the reply holds; None if no reply could be used.
        problem: What was wrong with the last reply, or "".
        key: Ledger key of the last reply.
    """

    data: Mapping[str, Any] | None
    problem: str
    key: str


def ask(
    caller: Caller,
    questions: Sequence[Question],
    check: Callable[[Question, Mapping[str, Any]], str],
    *,
    attempts: int,
    seed: str,
    label: str,
) -> list[Answer]:
    """Ask until each question has a usable answer, at most `attempts` times.

    Questions of several models are asked in the same round, so that two providers, or two
    providers' batches, work side by side.

    Args:
        caller: The call layer.
        questions: What to ask.
        check: Returns what is wrong with an answer that meets its schema, or "".
        attempts: Most askings of one question.
        seed: Salt of the sampling seeds.
        label: What the progress is called.

    Returns:
        One answer a question, in their order.
    """
    answers = [Answer(None, "", "")] * len(questions)
    left = list(range(len(questions)))
    for attempt in range(attempts):
        requests = (
            request_of(caller, questions[i], attempt, answers[i].problem, seed) for i in left
        )
        told = label if attempt == 0 else f"{label}, asked again ({attempt})"
        again = []
        for i, reply in zip(left, caller.ask(requests, told, len(left)), strict=True):
            answers[i] = _read(reply, questions[i], check)
            if answers[i].data is None:
                again.append(i)
        left = again
        if not left:
            break
    return answers


def request_of(
    caller: Caller, question: Question, attempt: int, problem: str, seed: str
) -> Request:
    """Return the request of one asking; its sampling seed comes from the item, model and turn."""
    messages = question.messages
    if problem:
        messages += load_prompt("ask_again").render(problem=problem)
    turn = question.turn + attempt
    salted = sha256_text(f"{seed}/{question.item}/{question.model}/{turn}")
    return caller.request(
        question.model,
        messages,
        item=f"{question.item} by {question.model}",
        schema=question.schema,
        replicate=turn,
        seed=int(salted[:7], 16),
    )


def _read(
    reply: Reply, question: Question, check: Callable[[Question, Mapping[str, Any]], str]
) -> Answer:
    if reply.outcome != "ok":
        return Answer(None, f"{reply.outcome}: {reply.detail}", reply.key)
    data, problem = read_json(reply.text, question.schema)
    if data is not None:  # None: a stored reply that the schema of today refuses
        problem = check(question, data)
    return Answer(None if problem else data, problem, reply.key)
