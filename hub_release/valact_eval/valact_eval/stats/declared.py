"""Declared values: scores of a 40-item questionnaire by its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from valact_eval.key import KEY, VALUES
from valact_eval.stats.estimate import (
    RUNS,
    Estimate,
    Floats,
    interval,
    mean_over,
    number,
)
from valact_eval.stats.resample import Bootstrap, Profile, bootstrap, rates
from valact_eval.stats.table import Answers

Key = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class DeclaredValue:
    """One value's score: the mean of its items (1-6), and less the respondent's mean of all 40.

    ``run_sd`` is the SD of the score over runs of one prompt; it is no internal consistency.
    """

    value: str
    raw: Estimate
    centred: Estimate
    run_sd: float | None


@dataclass(frozen=True)
class Declared:
    """A respondent's declared values in circle order; scores are means of prompts.

    ``mrat`` is the mean of all items (mean rating). ``outcomes`` counts answers to items,
    ``flat_runs`` the runs that gave every item one score and so say nothing.
    """

    instrument: str
    runs: int
    variants: tuple[int, ...]
    values: tuple[DeclaredValue, ...]
    mrat: Estimate
    outcomes: Mapping[str, int]
    flat_runs: int


@dataclass(frozen=True)
class Alpha:
    """Cronbach's alpha of a value's items across respondents, with Feldt's (1965) interval."""

    value: str
    items: int
    respondents: int
    alpha: float | None
    low: float | None
    high: float | None
    over: str = "respondents; items fixed"


def value_scores(answers: Answers, key: Key = KEY) -> Floats:
    """Mean of each value's items: runs x prompts x 10; items without a score are left out."""
    columns = [answers.scores[:, :, np.asarray(key[value]) - 1] for value in VALUES]
    return np.stack([mean_over(column, 2) for column in columns], axis=2)


def run_bootstrap(answers: Answers, draws: int, seed: int) -> Bootstrap:
    """Weights over the questionnaire's runs (an item order, in all prompts)."""
    ids = [f"{answers.respondent}\0{run}" for run in answers.runs]
    return bootstrap(ids, draws, seed, "runs")


def profile(answers: Answers, boot: Bootstrap, key: Key = KEY) -> Profile:
    """Raw declared scores; with one run the draws do not vary."""
    return _profile(value_scores(answers, key), boot)


def centred_profile(answers: Answers, boot: Bootstrap, key: Key = KEY) -> Profile:
    """Declared scores less the mean of all items of the same run."""
    mean = mean_over(answers.scores, 2)[:, :, None]
    return _profile(value_scores(answers, key) - mean, boot)


def declared(answers: Answers, boot: Bootstrap, key: Key = KEY, level: float = 0.95) -> Declared:
    """Declared values with intervals from resampling runs (none for a single run)."""
    scores = value_scores(answers, key)
    mean = mean_over(answers.scores, 2)[:, :, None]
    raw, centred, mrat = (_profile(s, boot) for s in (scores, scores - mean, mean))
    n, runs = int(np.isfinite(answers.scores).sum()), len(answers.runs)

    def estimate(found: Profile, v: int) -> Estimate:
        return interval(
            float(found.figures[v]),
            found.draws[:, v],
            n=n,
            clusters=runs,
            over=RUNS,
            level=level,
        )

    highest = np.where(np.isnan(answers.scores), -np.inf, answers.scores).max(axis=2)
    lowest = np.where(np.isnan(answers.scores), np.inf, answers.scores).min(axis=2)
    flat = highest == lowest
    return Declared(
        instrument=answers.instrument,
        runs=runs,
        variants=answers.variants,
        values=tuple(
            DeclaredValue(value, estimate(raw, v), estimate(centred, v), _run_sd(scores[:, :, v]))
            for v, value in enumerate(VALUES)
        ),
        mrat=estimate(mrat, 0),
        outcomes=dict(answers.outcomes),
        flat_runs=int(flat.sum()),
    )


def alphas(people: Sequence[Answers], key: Key = KEY, level: float = 0.95) -> tuple[Alpha, ...]:
    """Alpha of each value across respondents (three or more), each with its mean of runs.

    Across the runs of one respondent alpha would measure the noise of its answers, not how
    far the items agree about whom they describe. Respondents without a score for an item of
    the value are left out of it.
    """
    if len(people) < 3:
        return ()
    items = np.stack([mean_over(mean_over(p.scores, 0), 0) for p in people])
    found = []
    for value in VALUES:
        x = items[:, np.asarray(key[value]) - 1]
        x = x[np.isfinite(x).all(axis=1)]
        n, k = x.shape
        total = x.sum(axis=1).var(ddof=1) if n > 2 else 0.0
        if not total:
            found.append(Alpha(value, k, n, None, None, None))
            continue
        alpha = k / (k - 1) * (1 - x.var(axis=0, ddof=1).sum() / total)
        edges = stats.f.ppf([(1 + level) / 2, (1 - level) / 2], n - 1, (n - 1) * (k - 1))
        low, high = 1 - (1 - alpha) * edges
        found.append(Alpha(value, k, n, float(alpha), float(low), float(high)))
    return tuple(found)


def _profile(scores: Floats, boot: Bootstrap) -> Profile:
    """Mean of runs per prompt, then of prompts."""
    return rates(np.nan_to_num(scores), np.isfinite(scores).astype(float), boot)


def _run_sd(scores: Floats) -> float | None:
    """Root of the mean over prompts of the variance over runs."""
    enough = np.isfinite(scores).sum(axis=0) > 1
    if not enough.any():
        return None
    return number(float(np.sqrt(np.nanvar(scores[:, enough], axis=0, ddof=1).mean())))
