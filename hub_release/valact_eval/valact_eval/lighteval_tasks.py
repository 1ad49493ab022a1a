"""Tasks for lighteval: ``--custom-tasks`` with the path of this file.

One task for each of default, selection and adoption, each prompt variant and each way of
answering: ``valact_selection_0`` (in text) to ``valact_selection_4_letters`` (by the likelihoods
of the four letters). ``$VALACT_DATA`` names the release.
"""

import json
import os
from typing import Any

import numpy as np
from lighteval.metrics.metrics import Metrics
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import SampleLevelMetric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc, SamplingMethod

from valact_eval.asks import VARIANTS
from valact_eval.data import DEFAULT_DATA, LETTERS
from valact_eval.harness import DOCUMENT, documents, setup_of_environment
from valact_eval.parse import parse_answer
from valact_eval.schema import TASKS

_SETUP = setup_of_environment()
_DOCUMENTS = {
    (document["task"], document["variant"], document["question_id"]): document
    for task in TASKS
    for document in documents(task, _SETUP)
}


class _Read(SampleLevelComputation):  # type: ignore[misc, unused-ignore]
    """Whether a reply is valid, or right."""

    def __init__(self, right: bool) -> None:
        self.right = right

    def compute(self, model_response: ModelResponse, doc: Doc, **_: object) -> float:
        """1 or 0."""
        answer = parse_answer(model_response.text[0])
        if answer.letter is None or not self.right:
            return float(answer.letter is not None)
        return float(LETTERS[answer.letter] == json.loads(doc.specific[DOCUMENT])["target"])


def _metric(name: str, right: bool) -> SampleLevelMetric:
    return SampleLevelMetric(
        metric_name=name,
        higher_is_better=True,
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=_Read(right),
        corpus_level_fn=np.mean,
    )


_VALID, _RIGHT = _metric("valact_valid", False), _metric("valact_acc", True)


def _config(task: str, variant: int, letters: bool) -> LightevalTaskConfig:
    def prompt(row: dict[str, Any], task_name: str) -> Doc | None:
        document = _DOCUMENTS.get((task, variant, row["question_id"]))
        if document is None:  # of a domain that was not asked for
            return None
        return Doc(
            query=document["prompt"],
            choices=list(LETTERS),
            gold_index=LETTERS.index(document["target"]) if document["target"] else 0,
            task_name=task_name,
            specific={DOCUMENT: json.dumps(document)},
        )

    if letters:
        metrics = [Metrics.loglikelihood_acc]
    else:
        metrics = [_VALID] if task == "default" else [_VALID, _RIGHT]
    return LightevalTaskConfig(
        name=f"valact_{task}_{variant}" + ("_letters" if letters else ""),
        prompt_function=prompt,
        hf_repo=os.environ.get("VALACT_DATA") or DEFAULT_DATA,
        hf_subset="questions",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        metrics=metrics,
        generation_size=None if letters else 256,
        stop_sequence=[],
        version=1,
    )


TASKS_TABLE = [
    _config(task, variant, letters)
    for task in TASKS
    for variant in range(VARIANTS)
    for letters in (False, True)
]
