"""A choice model: what a respondent prefers, freed of letter, generator and length.

Conditional logit (McFadden 1974), which for one choice of four is also Plackett-Luce: the chance
of option j is softmax(utility[value] + letter[place] + generator + length * log2(words)). Raw
shares mix value and letter even if letters are balanced, since a letter that is often picked
hides the value; here the two are told apart.

Own Newton steps rather than a library: choix fits no terms beside the items, and statsmodels'
ConditionalLogit walks over the questions one by one (compared in tests/test_eval_logit.py).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from valact_eval.key import VALUES
from valact_eval.stats.estimate import (
    SCENARIOS,
    Bools,
    Estimate,
    Floats,
    from_se,
    interval,
    sum_by,
)
from valact_eval.stats.resample import Bootstrap
from valact_eval.stats.table import Choices

PRIOR_SD = 5.0
"""SD of the Gaussian prior of each term: keeps a value that was never chosen finite."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model: ``theta`` holds 10 values, 4 letters, the generators and the length.

    Terms of one kind sum to 0. ``used`` marks the terms that the questions can tell.
    ``influence`` (scenarios x terms) is what each scenario adds to theta, to first order.
    """

    theta: Floats
    used: Bools
    influence: Floats
    log_likelihood: float
    n: int
    clusters: int

    @property
    def se(self) -> Floats:
        """Standard errors, clustered by scenario (sandwich, CR1)."""
        factor = self.clusters / max(self.clusters - 1, 1)
        return np.asarray(np.sqrt(factor * (self.influence**2).sum(axis=0)))

    def draws(self, boot: Bootstrap) -> Floats:
        """Bootstrap draws of theta (draws x terms) by one linear step each."""
        return np.asarray(self.theta + boot.sums(self.influence) - self.influence.sum(axis=0))


@dataclass(frozen=True)
class ValueUtility:
    """Utility of a value in logits (they sum to 0), and the share without letter bias.

    ``share_without_letters`` is what the model expects the value's share of the same questions
    to be if no letter were preferred.
    """

    value: str
    utility: Estimate
    share_without_letters: Estimate


@dataclass(frozen=True)
class GeneratorUtility:
    """Utility of a generator's options in logits (they sum to 0)."""

    generator: str
    utility: Estimate


@dataclass(frozen=True)
class ChoiceModel:
    """The choice model of a respondent; terms in logits, intervals over scenarios.

    ``letters`` are the utilities of letters A-D, ``letter_p`` a Wald test that all are 0.
    ``per_doubling`` is what twice the words add. ``generators`` and ``per_doubling`` are empty
    if all options are alike in them. ``null`` is the log likelihood of blind choice.
    """

    values: tuple[ValueUtility, ...]
    letters: tuple[Estimate, ...]
    letter_p: float | None
    generators: tuple[GeneratorUtility, ...]
    per_doubling: Estimate | None
    log_likelihood: float
    null: float
    n: int


def fit(table: Choices) -> Fit:
    """Fits the model to the valid answers by Newton's method.

    Raises:
        ValueError: there is no valid answer.
    """
    rows = table.where(table.ok)
    if not rows.n:
        raise ValueError("no valid answer to fit")
    x = design(rows)
    used = (x != x[:, :1]).any(axis=(0, 1))
    penalty = np.full(x.shape[2], PRIOR_SD**-2)
    theta: Floats = np.zeros(x.shape[2])
    picked = np.take_along_axis(x, rows.choice[:, None, None], 1)[:, 0]
    for _ in range(50):
        p = chances(x, theta)
        mean = _mean(x, p)
        gradient = (picked - mean).sum(axis=0) - penalty * theta
        weighted = (x * p[:, :, None]).reshape(-1, x.shape[2])
        hessian = weighted.T @ x.reshape(-1, x.shape[2]) - mean.T @ mean + np.diag(penalty)
        move = np.linalg.solve(hessian, gradient)
        theta = theta + move * min(1.0, 5.0 / max(float(np.abs(move).max()), 1e-12))
        if np.abs(move).max() < 1e-9:
            break
    p = chances(x, theta)
    # scenarios that only others were asked stay out of the algebra, so that they change no digit
    present, code = np.unique(rows.scenario, return_inverse=True)
    scores = sum_by(code, len(present), picked - _mean(x, p))
    influence = np.zeros((len(rows.scenarios), x.shape[2]))
    influence[present] = np.linalg.solve(hessian, scores.T).T
    chosen = np.take_along_axis(p, rows.choice[:, None], 1)
    return Fit(
        theta=theta,
        used=used,
        influence=influence,
        log_likelihood=float(np.log(chosen).sum()),
        n=rows.n,
        clusters=rows.clusters,
    )


def design(rows: Choices) -> Floats:
    """Terms of each option: n x 4 x (10 values, 4 letters, generators, length)."""
    generators = len(rows.generator_names)
    x = np.zeros((rows.n, 4, 15 + generators))
    n, j = np.ogrid[: rows.n, :4]
    x[n, j, rows.values] = 1
    x[n, j, 10 + rows.places] = 1
    x[n, j, 14 + rows.generators] = 1
    # only differences within a question count
    length = np.log2(rows.words)
    x[:, :, -1] = length - length.mean(axis=1, keepdims=True)
    return x


def chances(x: Floats, theta: Floats) -> Floats:
    """The chance of each option (n x 4)."""
    return _softmax(x @ theta)


def value_chances(rows: Choices, fitted: Fit) -> Floats:
    """The chance of each option (n x 4) by the respondent's value utilities alone."""
    return _softmax(fitted.theta[rows.values])


def choice_model(
    table: Choices, boot: Bootstrap, fitted: Fit | None = None, level: float = 0.95
) -> ChoiceModel:
    """The choice model of the answers in ``table`` with intervals over scenarios."""
    found = fitted or fit(table)
    generators = len(table.generator_names)
    shares, drawn = unbiased_shares(table, found, boot)

    def term(k: int) -> Estimate:
        estimate = found.theta[k] if found.used[k] else np.nan
        return from_se(
            float(estimate),
            float(found.se[k]),
            n=found.n,
            clusters=found.clusters,
            over=SCENARIOS,
            level=level,
        )

    def share(v: int) -> Estimate:
        return interval(
            float(shares[v]) if found.used[v] else np.nan,
            drawn[:, v],
            n=found.n,
            clusters=found.clusters,
            over=SCENARIOS,
            scale="proportion",
            level=level,
        )

    return ChoiceModel(
        values=tuple(ValueUtility(v, term(k), share(k)) for k, v in enumerate(VALUES)),
        letters=tuple(term(k) for k in range(10, 14)),
        letter_p=_letter_p(found),
        generators=tuple(
            GeneratorUtility(name, term(14 + g))
            for g, name in enumerate(table.generator_names)
            if generators > 1 and found.used[14 + g]
        ),
        per_doubling=term(14 + generators) if found.used[-1] else None,
        log_likelihood=found.log_likelihood,
        null=-found.n * float(np.log(4)),
        n=found.n,
    )


def unbiased_shares(table: Choices, fitted: Fit, boot: Bootstrap) -> tuple[Floats, Floats]:
    """Expected shares (10) without letter terms, and their bootstrap draws (draws x 10).

    A draw resamples the questions and moves the terms by one linear step.
    """
    rows = table.where(table.ok)
    x = design(rows)
    x[:, :, 10:14] = 0
    p = chances(x, fitted.theta)
    terms = x.shape[2]
    flat = (rows.scenario[:, None] * 10 + rows.values).ravel()
    share = sum_by(flat, len(rows.scenarios) * 10, p.reshape(-1, 1)).reshape(-1, 10)
    size = np.bincount(rows.scenario, minlength=len(rows.scenarios))[:, None].astype(float)
    expected = share.sum(axis=0) / size.sum()
    slope = p[:, :, None] * (x - _mean(x, p)[:, None, :])
    by_value = sum_by(rows.values.ravel(), 10, slope.reshape(-1, terms))
    resampled = boot.sums(share) / np.maximum(boot.sums(size), 1e-12)
    moved = (fitted.draws(boot) - fitted.theta) @ (by_value / rows.n).T
    return expected, resampled + moved


def _softmax(eta: Floats) -> Floats:
    raised = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _mean(x: Floats, p: Floats) -> Floats:
    """The expected terms of the chosen option (n x terms)."""
    return np.asarray((p[:, None, :] @ x)[:, 0])


def _letter_p(fitted: Fit) -> float | None:
    if fitted.clusters < 5:
        return None
    part = fitted.influence[:, 10:13] - fitted.influence[:, 13:14]
    effect = fitted.theta[10:13] - fitted.theta[13]
    part = part[part.any(axis=1)]
    cover = part.T @ part * fitted.clusters / (fitted.clusters - 1)
    wald = float(effect @ np.linalg.solve(cover, effect))
    # F rather than chi-square: the clusters are finite
    return float(stats.f.sf(wald / 3, 3, fitted.clusters - 1))
