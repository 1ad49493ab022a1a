"""Predictions on disk, and the figures and table computed from them alone."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

import polars as pl

from valact_eval.data import LETTERS, Question, Release
from valact_eval.errors import ValactError
from valact_eval.parse import OUTCOMES, VALID, Answer

TASKS = ("default", "selection", "adoption")
CHANCE = 1 / len(LETTERS)


@dataclass(frozen=True)
class Prediction:
    """One model reply to one question; also one line of ``predictions.jsonl``.

    ``order[i]`` is the option (0..3) that stood at letter i. ``choice`` is the chosen option
    (0..3, in the release's own order) and ``chosen_value`` its value id; both are None unless
    ``outcome`` is ``strict`` or ``lenient``.
    """

    question_id: str
    task: str
    variant: str
    order: tuple[int, ...]
    raw: str
    outcome: str
    choice: int | None
    chosen_value: str | None
    target_index: int


@dataclass(frozen=True)
class ValueFigure:
    """Figures of one value, shares in 0..1 and None where they would divide by nothing.

    ``count`` of ``valid`` and ``share`` are, in the task ``default``, the valid choices that
    fell on this value of all valid choices; ``offered`` is the share that picking letters
    blindly would give it over those same questions. In ``selection`` and ``adoption`` they
    are the right answers of the valid answers with this target, and ``offered`` says nothing.
    """

    value: str
    count: int
    valid: int
    share: float | None
    offered: float | None


@dataclass(frozen=True)
class Figures:
    """What a set of predictions comes to; all rates and shares in 0..1, None for 0/0.

    ``rates`` are over all n predictions, ``letters`` and ``accuracy`` over the valid ones,
    ``accuracy_all`` over all n; the last two are None in the task ``default``.
    """

    task: str
    n: int
    valid: int
    rates: Mapping[str, float | None]
    accuracy: float | None
    accuracy_all: float | None
    correct: int
    values: tuple[ValueFigure, ...]
    letters: Mapping[str, float | None]


def predict(question: Question, task: str, raw: str, answer: Answer) -> Prediction:
    """Joins a question and the answer read from ``raw``; options shown in their own order."""
    order = tuple(range(len(LETTERS)))
    choice = None if answer.letter is None else order[answer.letter]
    return Prediction(
        question_id=question.question_id,
        task=task,
        variant="base",
        order=order,
        raw=raw,
        outcome=answer.outcome,
        choice=choice,
        chosen_value=None if choice is None else question.option_values[choice],
        target_index=question.target_index,
    )


def summarise(
    task: str,
    predictions: Iterable[Prediction],
    option_values: Mapping[str, Sequence[str]],
    values: Sequence[str],
) -> Figures:
    """Computes the figures; the only place where any is computed.

    Args:
        task: the predictions' task, one of ``TASKS``.
        predictions: in any order.
        option_values: per question id, the value ids of its four options.
        values: all value ids, in the order to report them.
    """
    rows = [
        (
            p.outcome,
            None if p.choice is None else LETTERS[p.order.index(p.choice)],
            p.chosen_value,
            option_values[p.question_id][p.target_index],
            p.choice == p.target_index,
            list(option_values[p.question_id]),
        )
        for p in predictions
    ]
    schema = ["outcome", "letter", "chosen", "target", "right", "offered"]
    frame = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
    valid = frame.filter(pl.col("outcome").is_in(VALID))
    outcomes, letters = _counts(frame["outcome"]), _counts(valid["letter"])
    offers: dict[str, int] = {}
    if task == "default":
        parts, wholes = _counts(valid["chosen"]), dict.fromkeys(values, valid.height)
        offers = _counts(valid["offered"].explode())
    else:
        parts, wholes = _counts(valid.filter("right")["target"]), _counts(valid["target"])
    per_value = tuple(
        ValueFigure(
            value=value,
            count=parts.get(value, 0),
            valid=wholes.get(value, 0),
            share=_share(parts.get(value, 0), wholes.get(value, 0)),
            offered=_share(offers.get(value, 0), valid.height * len(LETTERS)),
        )
        for value in values
    )
    correct = 0 if task == "default" else valid.filter("right").height
    return Figures(
        task=task,
        n=frame.height,
        valid=valid.height,
        rates={outcome: _share(outcomes.get(outcome, 0), frame.height) for outcome in OUTCOMES},
        accuracy=None if task == "default" else _share(correct, valid.height),
        accuracy_all=None if task == "default" else _share(correct, frame.height),
        correct=correct,
        values=per_value,
        letters={letter: _share(letters.get(letter, 0), valid.height) for letter in LETTERS},
    )


def table(predictions: Sequence[Prediction], release: Release) -> str:
    """The printed report of a non-empty set of predictions of one task; no final newline."""
    options = {q.question_id: q.option_values for q in release.questions.values()}
    figures = summarise(predictions[0].task, predictions, options, list(release.values))
    lines = [
        f"task          {figures.task}",
        f"questions     {figures.n} of {len(release.questions)}",
        f"valid         {_show(_share(figures.valid, figures.n))}  {figures.valid}/{figures.n}",
        *(f"  {name:<12}{_show(rate)}" for name, rate in figures.rates.items()),
    ]
    if figures.task == "default":
        lines.append(f"{'enacted value':<18}{'share':>6}  {'of valid':>9}  {'if blind':>8}")
    else:
        lines += [
            f"accuracy      {_show(figures.accuracy)}  {figures.correct}/{figures.valid} valid"
            f" (chance {_show(CHANCE)})",
            f"  over all n  {_show(figures.accuracy_all)}  {figures.correct}/{figures.n}",
            f"{'target value':<18}{'right':>6}  {'of valid':>9}",
        ]
    for row in figures.values:
        line = f"  {row.value:<16}{_show(row.share):>6}  {f'{row.count}/{row.valid}':>9}"
        lines.append(line + (f"  {_show(row.offered):>8}" if figures.task == "default" else ""))
    shares = "  ".join(f"{letter} {_show(share)}" for letter, share in figures.letters.items())
    return "\n".join([*lines, f"letters       {shares}"])


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Writes one JSON object a line (ASCII), whole or not at all.

    Raises:
        ValactError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(json.dumps(asdict(prediction)) + "\n" for prediction in predictions)
        os.replace(part, path)
    except OSError as error:
        raise ValactError(f"{path}: {error.strerror}; make room or give another --out") from error


def read_predictions(path: Path, release: Release) -> list[Prediction]:
    """Reads a predictions file and checks every line against the release.

    Raises:
        ValactError: an unreadable or empty file, a broken line, or one that contradicts the
            release, an earlier line or itself.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ValactError(f"{path}: {error.strerror}; give a predictions.jsonl file") from error
    if lines[-1] == b"":
        lines.pop()
    if not lines:
        raise ValactError(f"{path}: no predictions; run `valact-eval run` first")
    predictions: list[Prediction] = []
    seen: set[tuple[str, str, tuple[int, ...]]] = set()
    for number, line in enumerate(lines, start=1):
        try:
            prediction = _prediction(json.loads(line))
            _check(prediction, release)
            if predictions and prediction.task != predictions[0].task:
                raise ValueError(f"task {prediction.task!r} in a file of {predictions[0].task!r}")
            key = (prediction.question_id, prediction.variant, prediction.order)
            if key in seen:
                raise ValueError(f"question {prediction.question_id!r} occurs twice")
        except (ValueError, RecursionError) as error:
            raise ValactError(
                f"{path}: line {number}: {error}; remove the line or run again"
            ) from error
        seen.add(key)
        predictions.append(prediction)
    return predictions


def _prediction(record: Any) -> Prediction:  # noqa: ANN401 - parsed JSON may be anything
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    hints = get_type_hints(Prediction)
    if missing := sorted(set(hints) ^ set(record)):
        raise ValueError(f"missing or unknown fields {missing}")
    kinds = {str: "a text", int: "a whole number", str | None: "a text or null"}
    for name, hint in hints.items():
        if name == "order":
            order = record[name]
            if not isinstance(order, list) or sorted(map(repr, order)) != list("0123"):
                raise ValueError("order must be a permutation of 0..3")
        elif not isinstance(record[name], hint) or isinstance(record[name], bool):
            raise ValueError(f"{name} must be {kinds.get(hint, 'a whole number or null')}")
    return Prediction(**(record | {"order": tuple(record["order"])}))


def _check(prediction: Prediction, release: Release) -> None:
    question = release.questions.get(prediction.question_id)
    if question is None:
        raise ValueError(f"question {prediction.question_id!r} is not in {release.source}")
    if prediction.task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}")
    if prediction.outcome not in OUTCOMES:
        raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}")
    if (prediction.choice is not None) != (prediction.outcome in VALID):
        raise ValueError(f"choice {prediction.choice} under outcome {prediction.outcome!r}")
    if prediction.choice is not None and not 0 <= prediction.choice < len(LETTERS):
        raise ValueError("choice must be 0..3")
    chosen = None if prediction.choice is None else question.option_values[prediction.choice]
    if prediction.chosen_value != chosen:
        raise ValueError(f"chosen_value is not that of the choice in {release.source}")
    if prediction.target_index != question.target_index:
        raise ValueError(f"target_index is not that of the question in {release.source}")


def _counts(series: pl.Series) -> dict[str, int]:
    return dict(series.value_counts().iter_rows())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _show(share: float | None) -> str:
    return "n/a" if share is None else f"{share:.3f}"
