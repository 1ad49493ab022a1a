"""Profiles of one length: a short test is noisier, and noise alone lowers and spreads r.

A person answers some 80 questions, a model 15,000. Their profiles cannot be compared before the
model's is cut to the person's length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from valact_eval.errors import ValactError
from valact_eval.key import KEY
from valact_eval.stats.declared import Key, value_scores
from valact_eval.stats.enacted import correlate
from valact_eval.stats.estimate import Floats, Ints
from valact_eval.stats.resample import uniforms
from valact_eval.stats.table import Answers, Choices

TIMES: Final = 500


@dataclass(frozen=True)
class Spread:
    """The mean, and the range that holds 95 % of what was drawn (no interval of a figure)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class MatchedLength:
    """A model cut to ``items`` questions of one prompt and one questionnaire run, many times.

    ``per_scenario`` questions are drawn from a scenario, as for the people it stands beside:
    whole scenarios offer each value equally often, and so are less noisy than questions drawn
    at random (None).
    ``pearson`` is its declared-enacted r at this length; ``with_itself`` the r of two such
    enacted profiles of the same model, drawn apart (they share questions where ``items`` is a
    large part of the test): what two people who are alike would show.
    """

    respondent: str
    items: int
    per_scenario: int | None
    times: int
    pearson: Spread | None
    with_itself: Spread


@dataclass(frozen=True)
class HumanContrast:
    """People against a model at one length.

    ``people_r`` is the spread of the people's declared-enacted r, ``model_r`` that of the model
    cut to the same length; ``people_outside`` the share of people outside the latter (about
    0.05 if they were as this model is). ``difference`` is mean people_r - mean model_r.
    ``between_people`` is the spread of r between the enacted profiles of two people, beside
    ``model_with_itself``.
    """

    model: str
    people: int
    items: int
    per_scenario: int
    people_r: Spread | None
    model_r: Spread | None
    difference: float | None
    people_outside: float | None
    between_people: Spread | None
    model_with_itself: Spread


def short_profiles(
    table: Choices,
    answers: Answers | None,
    items: int,
    times: int = TIMES,
    seed: int = 0,
    key: Key = KEY,
    per_scenario: int | None = None,
) -> tuple[Floats, Floats | None]:
    """Enacted shares (times x 10) from ``items`` answers each, and declared scores of one run.

    Each draw takes valid answers of one prompt (the prompts in turn) without replacement, at
    most ``per_scenario`` of a scenario while there are enough, and one questionnaire run of one
    prompt.

    Raises:
        ValactError: a prompt has fewer valid answers than ``items``.
    """
    ok = table.where(table.ok)
    value = ok.chosen(ok.values)
    enacted: Floats = np.zeros((times, 10))
    for variant in range(len(table.variants)):
        turns = np.arange(variant, times, len(table.variants))
        rows = np.flatnonzero(ok.variant == variant)
        if len(rows) < items:
            raise ValactError(
                f"--match-length {items}: {table.respondent} has only {len(rows)} valid answers "
                f"under prompt {table.variants[variant]}; give {len(rows)} or less"
            )
        ids = [table.questions[question] for question in ok.question[rows]]
        keys = uniforms(ids, len(turns), f"{seed}/length/{variant}")
        if per_scenario is not None:
            keys = _by_scenario(keys, ok.scenario[rows], table, per_scenario, f"{seed}/{variant}")
        if len(turns):
            taken = np.argpartition(keys, items - 1, axis=1)[:, :items]
            chosen = value[rows][taken] + 10 * np.arange(len(turns))[:, None]
            counted = np.bincount(chosen.ravel(), minlength=10 * len(turns))
            enacted[turns] = counted.reshape(-1, 10) / items
    if answers is None:
        return enacted, None
    scores: Floats = value_scores(answers, key).reshape(-1, 10)
    scores = scores[np.isfinite(scores).all(axis=1)]
    if not len(scores):
        return enacted, None
    order = uniforms([str(run) for run in range(len(scores))], times, f"{seed}/length/declared")
    return enacted, np.asarray(scores[np.argmin(order, axis=1)])


def matched_length(
    table: Choices,
    answers: Answers | None,
    items: int,
    times: int = TIMES,
    seed: int = 0,
    key: Key = KEY,
    per_scenario: int | None = None,
) -> MatchedLength:
    """A model as if it had answered only ``items`` questions and one questionnaire."""
    enacted, declared = short_profiles(table, answers, items, times, seed, key, per_scenario)
    # a draw and the one after the next round of prompts have one prompt and other questions
    step = len(table.variants)
    r = None if declared is None else _spread(correlate(enacted, declared))
    with_itself = _spread(correlate(enacted[:-step], enacted[step:]))
    if with_itself is None:
        with_itself = Spread(np.nan, np.nan, np.nan)
    return MatchedLength(table.respondent, items, per_scenario, times, r, with_itself)


def contrast(
    people: Sequence[tuple[Choices, Answers | None]],
    model: tuple[Choices, Answers | None],
    items: int | None,
    times: int = TIMES,
    seed: int = 0,
    key: Key = KEY,
) -> HumanContrast:
    """Compares people with a model at a length of ``items`` questions.

    Raises:
        ValactError: no length is given, or somebody answered fewer questions.
    """
    fewest = min((int(choices.ok.sum()) for choices, _ in people), default=0)
    if not fewest:
        raise ValactError("comparison with people: no person has a valid answer in task default")
    if items is None:
        raise ValactError(
            f"comparison of {model[0].respondent} ({int(model[0].ok.sum())} answers) with people "
            f"(as few as {fewest}): profiles of unequal length differ by noise alone; "
            f"give --match-length {fewest}"
        )
    if items > fewest:
        raise ValactError(
            f"--match-length {items}: a person has only {fewest} valid answers; "
            f"give {fewest} or less"
        )
    block = questions_a_scenario([choices for choices, _ in people])
    found = matched_length(*model, items, times, seed, key, block)
    shares, rs = [], []
    for choices, answers in people:
        # a person sees a question once, under whatever wording
        one = replace(choices, variants=(0,), variant=np.zeros_like(choices.variant))
        acted, told = short_profiles(one, answers, items, 1, seed, key, block)
        shares.append(acted[0])
        if told is not None:
            rs.append(float(correlate(acted[0], told[0])))
    r = np.array(rs)
    people_r, model_r = _spread(r), found.pearson
    difference = outside = None
    if people_r is not None and model_r is not None:
        difference = people_r.mean - model_r.mean
        known = r[np.isfinite(r)]
        outside = float(np.mean((known < model_r.low) | (known > model_r.high)))
    return HumanContrast(
        model=model[0].respondent,
        people=len(people),
        items=items,
        per_scenario=block,
        people_r=people_r,
        model_r=model_r,
        difference=difference,
        people_outside=outside,
        between_people=_spread(between_profiles(np.array(shares))),
        model_with_itself=found.with_itself,
    )


def questions_a_scenario(people: Sequence[Choices]) -> int:
    """How many questions of a scenario a person was asked: the median over both."""
    counted = []
    for choices in people:
        asked = np.unique(np.stack([choices.scenario, choices.question]), axis=1)
        counted += np.unique(asked[0], return_counts=True)[1].tolist()
    return max(1, round(float(np.median(counted))))


def _by_scenario(
    keys: Floats, scenario: Ints, table: Choices, per_scenario: int, purpose: str
) -> Floats:
    """Keys (draws x answers) that put answers in the order of randomly ordered scenarios.

    Answers beyond the first ``per_scenario`` of a scenario come after all others.
    """
    present, code = np.unique(scenario, return_inverse=True)
    ids = [table.scenarios[s] for s in present]
    turn = uniforms(ids, len(keys), f"length/{purpose}")[:, code]
    found = np.empty_like(keys)
    for draw, (own, among) in enumerate(zip(keys, turn, strict=True)):
        order = np.lexsort((own, among))
        first = np.flatnonzero(np.diff(code[order], prepend=-1))
        place = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        # the last term only breaks ties
        found[draw, order] = among[order] + (place >= per_scenario) + 1e-9 * place
    return found


def between_profiles(profiles: Floats) -> Floats:
    """R of every two of several profiles."""
    one, two = np.triu_indices(len(profiles), 1)
    return correlate(profiles[one], profiles[two])


def _spread(r: Floats) -> Spread | None:
    known = r[np.isfinite(r)]
    if not known.size:
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return Spread(float(known.mean()), float(low), float(high))
