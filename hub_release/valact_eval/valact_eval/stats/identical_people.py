"""Simulated people who are all the same: the spread of r that a short test makes by itself."""

from dataclasses import dataclass

import numpy as np

from valact_eval.stats.enacted import correlate
from valact_eval.stats.estimate import number
from valact_eval.stats.reference import mean_profile
from valact_eval.stats.same_length import between_profiles
from valact_eval.stats.simulate import Respondent, deal, picks, shares_of, utilities_of


@dataclass(frozen=True)
class IdenticalPeople:
    """Simulated people who are all the same: what spread of r the length of the test makes.

    ``between_low`` and ``between_high`` are the least and the largest r between two people's
    enacted profiles, ``declared_low`` and ``declared_high`` those of one person's enacted
    profile with the same declared one: means over ``studies`` simulated studies.
    ``declared_true`` is the r that no noise would leave.
    """

    people: int
    questions: int
    strength: float
    studies: int
    between_low: float
    between_mean: float
    between_high: float
    declared_low: float
    declared_mean: float
    declared_high: float
    declared_true: float | None


def identical_people(
    people: int = 55,
    questions: int = 80,
    strength: float = 0.33,
    studies: int = 20,
    seed: int = 0,
) -> IdenticalPeople:
    """Simulates studies of people who all choose by the same utilities.

    Args:
        people: in each study.
        questions: each answers, each person other ones.
        strength: of the utilities; 1 has the published models' mean enacted shares, 0 chooses
            blindly. The people's own shares were not published; the default is a third.
        studies: simulated.
        seed: of the simulation.
    """
    shares, declared = mean_profile("enacted_share"), mean_profile("declared_mean")
    person = Respondent("person", utilities=utilities_of(shares, strength))
    scenarios = -(-questions // 5)
    rng = np.random.default_rng(seed)
    between, with_declared = [], []
    for _ in range(studies):
        dealt = deal(scenarios * people, rng)
        chosen = dealt.values[np.arange(len(dealt.values)), picks(person, dealt, rng)]
        chosen = chosen.reshape(people, -1)[:, :questions]
        counted = np.stack([np.bincount(row, minlength=10) for row in chosen]).astype(float)
        between.append(between_profiles(counted))
        with_declared.append(correlate(counted, declared))
    true = float(correlate(shares_of(np.asarray(person.utilities)), declared))
    return IdenticalPeople(
        people=people,
        questions=questions,
        strength=strength,
        studies=studies,
        between_low=float(np.mean([r.min() for r in between])),
        between_mean=float(np.mean(between)),
        between_high=float(np.mean([r.max() for r in between])),
        declared_low=float(np.mean([r.min() for r in with_declared])),
        declared_mean=float(np.mean(with_declared)),
        declared_high=float(np.mean([r.max() for r in with_declared])),
        declared_true=number(true),
    )
