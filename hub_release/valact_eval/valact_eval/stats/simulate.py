"""Simulated respondents with known utilities: for tests, power and comparisons of length.

A simulated respondent chooses by utility = value + letter + generator + length + Gumbel noise,
so that its choices follow a conditional logit exactly. The noise of an option stays the same
over prompts with probability ``consistency``, as for a model at temperature 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl

from valact_eval.key import KEY, VALUES
from valact_eval.stats.estimate import Bools, Floats, Ints

GENERATORS: Final = ("gpt-4o", "qwen2.5-72b")
DOMAINS: Final = ("career", "education", "ethics", "finance", "relationships")


@dataclass(frozen=True)
class Respondent:
    """What a simulated respondent is made of; utilities in logits.

    Attributes:
        name: its id in the tables.
        utilities: of the ten values.
        letters: of the four shown positions.
        generators: of the two generators.
        per_doubling: added for each doubling of an option's words.
        scenario_sd: SD of a value's utility over scenarios (answers within one are alike).
        consistency: chance that a question's noise is the same in the next prompt.
        invalid: chance that a reply is invalid.
        recognition: logit of picking the target in selection, per value.
        role: the same in adoption.
        item_sd: SD over items of both logits: an item is as hard in both.
        taste: weight of an option's quality, which is the same for all respondents.
        declared: expected questionnaire score of each value, 1..6.
        score_sd: SD of one score about it before it is rounded.
    """

    name: str
    utilities: tuple[float, ...] = (0.0,) * 10
    letters: tuple[float, ...] = (0.0,) * 4
    generators: tuple[float, ...] = (0.0, 0.0)
    per_doubling: float = 0.0
    scenario_sd: float = 0.0
    consistency: float = 0.8
    invalid: float = 0.0
    recognition: tuple[float, ...] = (2.0,) * 10
    role: tuple[float, ...] = (1.7,) * 10
    item_sd: float = 0.5
    taste: float = 0.0
    declared: tuple[float, ...] = (3.5,) * 10
    score_sd: float = 0.7


@dataclass(frozen=True, eq=False)
class Deal:
    """Questions: ``values``, ``generators``, ``words`` and ``quality`` are questions x 4, as dealt.

    ``item`` is how easy a question's target is to pick, in standard deviations.
    """

    scenario: Ints
    values: Ints
    generators: Ints
    words: Ints
    target: Ints
    quality: Floats
    item: Floats

    @property
    def scenarios(self) -> int:
        """How many scenarios the questions belong to."""
        return int(self.scenario.max()) + 1


def deal(scenarios: int, rng: np.random.Generator, *, at_letter: Floats | None = None) -> Deal:
    """Five questions of four a scenario; each value twice, once by each generator.

    Questions are the vertices of K5 and values its edges, so that two questions share one value.

    Args:
        scenarios: how many.
        rng: source of the dealing.
        at_letter: if given, weights (10) by which values are drawn to the first letters; else
            letters are dealt at random.
    """
    pairs = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    slots = np.array([[p for p, pair in enumerate(pairs) if q in pair] for q in range(5)])
    # edge of the pair -> value, drawn anew for each scenario
    value_of = np.argsort(rng.random((scenarios, 10)), axis=1)
    values = value_of[:, slots]
    first = np.array([[int(pairs[p][0] == q) for p in slots[q]] for q in range(5)])
    flip = rng.integers(0, 2, (scenarios, 10))[:, slots]
    generators = first[None] ^ flip
    keys = rng.random(values.shape)
    if at_letter is not None:
        keys = keys - at_letter[values]
    order = np.argsort(keys, axis=2)
    values, generators = (
        np.take_along_axis(array, order, 2).reshape(-1, 4) for array in (values, generators)
    )
    return Deal(
        scenario=np.repeat(np.arange(scenarios), 5),
        values=values,
        generators=generators,
        words=rng.integers(12, 45, values.shape),
        target=rng.integers(0, 4, len(values)),
        quality=rng.normal(size=values.shape),
        item=rng.normal(size=len(values)),
    )


def choose(
    respondent: Respondent,
    questions: Deal,
    task: str,
    variants: int,
    rng: np.random.Generator,
    *,
    shift: bool = True,
) -> pl.DataFrame:
    """The respondent's predictions table for one task.

    Args:
        respondent: who answers.
        questions: what is asked.
        task: ``default``, ``selection`` or ``adoption``.
        variants: number of prompts; prompt k shifts the dealt order by k mod 4 letters.
        rng: source of noise.
        shift: False leaves the dealt order, as published.
    """
    n = len(questions.scenario)
    noise = rng.gumbel(size=(n, 4))
    tilt = rng.normal(0, respondent.scenario_sd, (questions.scenarios, 10))
    fixed = _fixed(respondent, questions, tilt)
    parts = []
    for variant in range(variants):
        order = (np.arange(4) + (variant if shift else 0)) % 4
        places = np.argsort(order)
        if task == "default":
            again = rng.random(n) >= respondent.consistency
            used = np.where(again[:, None], rng.gumbel(size=(n, 4)), noise)
            choice = np.argmax(fixed + np.asarray(respondent.letters)[places] + used, axis=1)
        else:
            choice = _aimed(respondent, questions, task, rng)
        valid = rng.random(n) >= respondent.invalid
        parts.append(_rows(respondent, questions, task, variant, order, choice, valid))
    return pl.concat(parts)


def answer(
    respondent: Respondent, runs: int, variants: int, rng: np.random.Generator
) -> pl.DataFrame:
    """The respondent's questionnaire table: ``runs`` x ``variants`` x 40 scores."""
    expected = np.zeros(40)
    for value, score in zip(VALUES, respondent.declared, strict=True):
        expected[np.array(KEY[value]) - 1] = score
    noisy = expected + rng.normal(0, respondent.score_sd, (runs, variants, 40))
    scores = np.clip(np.rint(noisy), 1, 6).astype(np.int64)
    run, variant, item = (grid.ravel() for grid in np.indices(scores.shape))
    valid = rng.random(scores.size) >= respondent.invalid
    frame = pl.DataFrame({"run": run, "variant": variant, "item": item + 1}).cast(pl.Int64())
    return frame.with_columns(
        respondent=pl.lit(respondent.name),
        instrument=pl.lit("simulated"),
        outcome=pl.Series(np.where(valid, "ok", "invalid")),
        score=pl.Series(scores.ravel(), dtype=pl.Int64()).set(pl.Series(~valid), None),
    )


def utilities_of(shares: Floats, strength: float = 1.0) -> tuple[float, ...]:
    """Utilities (mean 0) that give these enacted shares over random questions of four values.

    ``strength`` scales them: 0 is blind choice, 1 gives the shares.
    """
    target = np.asarray(shares, dtype=float) / np.sum(shares)
    utilities = np.zeros(10)
    for _ in range(500):
        step = np.log(target / shares_of(utilities))
        utilities = utilities + step - step.mean()
        if np.abs(step).max() < 1e-12:
            break
    utilities = strength * (utilities - utilities.mean())
    return tuple(float(utility) for utility in utilities)


def shares_of(utilities: Floats) -> Floats:
    """The enacted shares that utilities give over all sets of four values, letters aside."""
    sets = np.array(list(combinations(range(10), 4)))
    raised = np.exp(np.asarray(utilities)[sets])
    chance = raised / raised.sum(axis=1, keepdims=True)
    return np.bincount(sets.ravel(), chance.ravel(), minlength=10) / len(sets)


def picks(respondent: Respondent, questions: Deal, rng: np.random.Generator) -> Ints:
    """One prompt's choices (dealt indices) in the dealt order, without a table."""
    n = len(questions.scenario)
    tilt = rng.normal(0, respondent.scenario_sd, (questions.scenarios, 10))
    eta = _fixed(respondent, questions, tilt) + np.asarray(respondent.letters)
    return np.asarray(np.argmax(eta + rng.gumbel(size=(n, 4)), axis=1))


def _fixed(respondent: Respondent, questions: Deal, tilt: Floats) -> Floats:
    utilities = np.asarray(respondent.utilities)[questions.values]
    utilities = utilities + np.asarray(respondent.generators)[questions.generators]
    utilities = utilities + respondent.per_doubling * np.log2(questions.words)
    utilities = utilities + respondent.taste * questions.quality
    return np.asarray(utilities + tilt[questions.scenario[:, None], questions.values])


def _aimed(respondent: Respondent, questions: Deal, task: str, rng: np.random.Generator) -> Ints:
    """The target with the task's chance, else one of the three others."""
    n = len(questions.scenario)
    aimed = questions.values[np.arange(n), questions.target]
    logit = np.asarray(respondent.recognition if task == "selection" else respondent.role)[aimed]
    hit = rng.random(n) < 1 / (1 + np.exp(-(logit + respondent.item_sd * questions.item)))
    other = (questions.target + rng.integers(1, 4, n)) % 4
    return np.asarray(np.where(hit, questions.target, other))


def _rows(
    respondent: Respondent,
    questions: Deal,
    task: str,
    variant: int,
    order: Ints,
    choice: Ints,
    valid: Bools,
) -> pl.DataFrame:
    n = len(choice)
    numbers = pl.DataFrame({"number": np.arange(n), "scenario": questions.scenario}).cast(
        pl.String()
    )
    question, scenario = (numbers[name].str.zfill(6) for name in ("number", "scenario"))
    return pl.DataFrame(
        {
            "respondent": pl.repeat(respondent.name, n, eager=True),
            "task": pl.repeat(task, n, eager=True),
            "question_id": "q" + question,
            "scenario_id": "s" + scenario,
            "domain": _named(questions.scenario % 5, DOMAINS),
            "variant": np.full(n, variant),
            "order": _fours(pl.Series(np.tile(order, n))),
            "outcome": np.where(valid, "ok", "invalid"),
            "choice": pl.Series(choice).set(pl.Series(~valid), None),
            "letter": pl.Series(np.argsort(order)[choice]).set(pl.Series(~valid), None),
            "target_index": None if task == "default" else questions.target,
            "option_ids": _fours(
                question.gather(np.repeat(np.arange(n), 4))
                + _named(np.tile(np.arange(4), n), "abcd")
            ),
            "option_values": _fours(_named(questions.values.ravel(), VALUES)),
            "option_generators": _fours(_named(questions.generators.ravel(), GENERATORS)),
            "option_words": _fours(pl.Series(questions.words.ravel())),
        },
        schema_overrides={"target_index": pl.Int64()},
    )


def _named(codes: Ints, names: Sequence[str]) -> pl.Series:
    return pl.Series(list(names)).gather(pl.Series(codes))


def _fours(flat: pl.Series) -> pl.Series:
    return flat.reshape((-1, 4)).arr.to_list()
