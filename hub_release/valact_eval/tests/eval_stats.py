"""Simulated tables and what is made of them, for the tests of the statistics."""

import numpy as np
import polars as pl

from valact_eval.instrument import STAND_IN
from valact_eval.predictions import write_predictions
from valact_eval.schema import CHOICES, TASKS
from valact_eval.stats.resample import Bootstrap, bootstrap
from valact_eval.stats.simulate import Deal, Respondent, answer, choose, deal
from valact_eval.stats.table import Answers, Choices, read_answers, read_choices

SLOPE = tuple(np.linspace(-1, 1, 10).tolist())


def default_of(
    who: Respondent, scenarios: int = 60, variants: int = 3, seed: int = 0, **dealt
) -> Choices:
    """One respondent's table of the task ``default``."""
    rng = np.random.default_rng(seed)
    shift = dealt.pop("shift", True)
    frame = choose(who, deal(scenarios, rng, **dealt), "default", variants, rng, shift=shift)
    return read_choices(frame)[0]


def both_of(who: Respondent, scenarios: int = 60, variants: int = 5, seed: int = 0):
    """One respondent's tables of ``selection`` and ``adoption``."""
    rng = np.random.default_rng(seed)
    questions: Deal = deal(scenarios, rng)
    frames = [choose(who, questions, task, variants, rng) for task in ("selection", "adoption")]
    adoption, selection = read_choices(pl.concat(frames))
    return selection, adoption


def answers_of(who: Respondent, runs: int = 6, variants: int = 2, seed: int = 0) -> Answers:
    return read_answers(answer(who, runs, variants, np.random.default_rng(seed)))[0]


def boot_of(table: Choices, draws: int = 400, seed: int = 0) -> Bootstrap:
    return bootstrap(table.scenarios, draws, seed, "scenarios")


def write_runs(folder, names, scenarios=15, tasks=TASKS, instrument=STAND_IN, mark="s", seed=0):
    """A folder as `run` leaves it, of simulated respondents; `mark` begins its ids."""
    rng = np.random.default_rng(seed)
    questions, choices, answers = deal(scenarios, rng), [], []
    for name in names:
        who = Respondent(name, utilities=SLOPE, declared=(2, 2, 3, 3, 4, 4, 4, 5, 5, 5))
        choices += [choose(who, questions, task, 2, rng) for task in tasks]
        answers.append(answer(who, 3, 2, rng))
    extra = {"seconds": pl.lit(None, pl.Float64()), "raw": pl.lit("x")}
    own = pl.col("question_id", "scenario_id").str.replace("0", mark, literal=True)
    rows = pl.concat(choices).with_columns(own, **extra).select(*CHOICES)
    write_predictions(folder / "predictions.parquet", rows)
    told = pl.concat(answers).with_columns(instrument=pl.lit(instrument))
    write_predictions(folder / "answers.jsonl", told)
    return folder
