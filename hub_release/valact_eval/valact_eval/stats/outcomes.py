"""What became of the answers: outcomes, and accuracy where there is a target."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from valact_eval.key import VALUES
from valact_eval.schema import OUTCOMES
from valact_eval.stats.enacted import by_scenario
from valact_eval.stats.estimate import Estimate, Floats, ratio
from valact_eval.stats.resample import Bootstrap, rate, rate_each
from valact_eval.stats.table import Choices


@dataclass(frozen=True)
class TaskSummary:
    """One task of a respondent.

    ``outcomes`` are shares of all answers, for each outcome. ``accuracy`` is right / valid
    answers, ``accuracy_all`` right / all answers, ``by_value`` right / valid for each target
    value; all per prompt and then the mean of prompts. The last three are None or empty in the
    task ``default``. Chance is 25 %.
    """

    task: str
    n: int
    questions: int
    scenarios: int
    variants: tuple[int, ...]
    outcomes: Mapping[str, Estimate]
    outcomes_by_prompt: Mapping[str, tuple[float, ...]]
    accuracy: Estimate | None
    accuracy_all: Estimate | None
    by_value: Mapping[str, Estimate]


def summary(table: Choices, boot: Bootstrap, level: float = 0.95) -> TaskSummary:
    """Outcomes and accuracy with intervals from resampling scenarios."""
    became = by_scenario(table, table.outcome, len(OUTCOMES))
    asked = became.sum(axis=2)
    shares = ratio(became.sum(axis=0), asked.sum(axis=0)[:, None])
    accuracy = accuracy_all = None
    by_value = {}
    if table.task != "default":
        right, valid = right_answers(table)
        accuracy = rate(right.sum(axis=2), valid.sum(axis=2), boot, level=level)
        accuracy_all = rate(right.sum(axis=2), asked, boot, level=level)
        by_value = dict(zip(VALUES, rate_each(right, valid, boot, level=level), strict=True))
    return TaskSummary(
        task=table.task,
        n=table.n,
        questions=int(np.unique(table.question).size),
        scenarios=int(np.unique(table.scenario).size),
        variants=table.variants,
        outcomes=dict(
            zip(OUTCOMES, rate_each(became, asked[:, :, None], boot, level=level), strict=True)
        ),
        outcomes_by_prompt={
            name: tuple(float(share) for share in shares[:, o]) for o, name in enumerate(OUTCOMES)
        },
        accuracy=accuracy,
        accuracy_all=accuracy_all,
        by_value=by_value,
    )


def right_answers(table: Choices) -> tuple[Floats, Floats]:
    """Right and valid answers by target value: scenarios x prompts x 10."""
    aimed = table.at_target(table.values)
    right = by_scenario(table, np.where(table.choice == table.target, aimed, -1), 10)
    return right, by_scenario(table, np.where(table.ok, aimed, -1), 10)
