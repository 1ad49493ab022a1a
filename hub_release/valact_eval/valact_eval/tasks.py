"""The Inspect tasks ``default``, ``selection`` and ``adoption``."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.scorer import Value as ScoreValue
from inspect_ai.solver import TaskState, generate

from valact_eval.data import DEFAULT_DATA, LETTERS, Question, Release, load_release
from valact_eval.figures import Prediction, predict, summarise
from valact_eval.parse import parse_answer
from valact_eval.render import load_template, render

MAX_TOKENS = 256


@task
def default(data: str | None = None, max_tokens: int = MAX_TOKENS) -> Task:
    """Which action is the most appropriate? Figures: each value's share of the valid choices.

    Args:
        data: release folder or hub name; else ``$VALACT_DATA``, else ``hub_release/dist``.
        max_tokens: limit of one reply; a reply that reaches it is ``truncated``.

    Raises:
        ValactError: the release cannot be read.
    """
    return _task("default", data, max_tokens)


@task
def selection(data: str | None = None, max_tokens: int = MAX_TOKENS) -> Task:
    """Which action best expresses the target value? Figure: accuracy.

    Takes and raises what ``default`` does.
    """
    return _task("selection", data, max_tokens)


@task
def adoption(data: str | None = None, max_tokens: int = MAX_TOKENS) -> Task:
    """As a person to whom the target value matters greatly, which action? Figure: accuracy.

    Takes and raises what ``default`` does.
    """
    return _task("adoption", data, max_tokens)


def build_task(name: str, release: Release, max_tokens: int = MAX_TOKENS) -> Task:
    """The Inspect task ``name`` over all questions of a release; temperature 0."""
    template = load_template(name)
    samples = [
        Sample(
            id=question.question_id,
            input=render(template, question, release.values),
            target="" if name == "default" else LETTERS[question.target_index],
            metadata={"question": asdict(question)},
        )
        for question in release.questions.values()
    ]
    return Task(
        name=name,
        dataset=MemoryDataset(samples, name="valact-15k"),
        solver=generate(),
        scorer=letter_choice(name),
        config=GenerateConfig(temperature=0, max_tokens=max_tokens),
        metadata={"prompt_version": template.version, "variant": "base"},
        version=template.version,
    )


def _task(name: str, data: str | None, max_tokens: int) -> Task:
    source = data or os.environ.get("VALACT_DATA") or DEFAULT_DATA
    return build_task(name, load_release(source), max_tokens)


@metric(scores="unreduced")
def figures() -> Metric:
    """The figures of ``summarise`` as one metric each; a figure that is 0/0 is left out."""

    def compute(scores: list[SampleScore]) -> ScoreValue:
        predictions = [prediction_of(item.score.metadata) for item in scores]
        options = {
            prediction.question_id: tuple((item.sample_metadata or {})["question"]["option_values"])
            for prediction, item in zip(predictions, scores, strict=True)
        }
        values = sorted({value for row in options.values() for value in row})
        found = summarise(predictions[0].task, predictions, options, values)
        named: dict[str, float | None] = {"n": found.n, "valid": found.valid / found.n}
        named |= {f"rate_{outcome}": rate for outcome, rate in found.rates.items()}
        named |= {"accuracy": found.accuracy, "accuracy_all": found.accuracy_all}
        prefix = "enacted" if found.task == "default" else "accuracy"
        named |= {f"{prefix}_{row.value}": row.share for row in found.values}
        named |= {f"letter_{letter}": share for letter, share in found.letters.items()}
        return {name: value for name, value in named.items() if value is not None}

    return compute


@scorer(metrics=[figures()])
def letter_choice(task_name: str) -> Scorer:
    """Reads the reply's letter; the prediction is the score's metadata.

    The score's value is "N" where there is no valid answer; else the chosen value's id in the
    task ``default``, and "C" or "I" in the others.
    """

    async def score(state: TaskState, target: Target) -> Score:
        entry = state.metadata["question"]
        question = Question(
            **(entry | {key: tuple(entry[key]) for key in ("options", "option_values")})
        )
        raw, details = state.output.completion, None
        stop = "unknown"
        if state.output.choices:
            stop, details = state.output.stop_reason, state.output.choices[0].stop_details
        declined = details is not None and details.type in ("refusal", "content_filter")
        prediction = predict(question, task_name, raw, parse_answer(raw, stop, declined))
        value = prediction.chosen_value or "N"
        if prediction.choice is not None and task_name != "default":
            value = "C" if prediction.choice == prediction.target_index else "I"
        return Score(
            value=value,
            answer=None if prediction.choice is None else LETTERS[prediction.choice],
            metadata=asdict(prediction),
        )

    return score


def prediction_of(metadata: Mapping[str, Any] | None) -> Prediction:
    """The prediction that ``letter_choice`` laid in a score's metadata."""
    fields = dict(metadata or {})
    return Prediction(**(fields | {"order": tuple(fields["order"])}))
