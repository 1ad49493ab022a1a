"""How far two respondents agree: in their profiles, and question by question.

Two respondents with one profile (r near 1) can still disagree on most questions, since a profile
adds up what was chosen without asking where. So agreement is also counted on the chosen options,
against what chance and what the two profiles alone predict.
"""

from dataclasses import dataclass

import numpy as np

from valact_eval.stats.enacted import correlate, ranks
from valact_eval.stats.estimate import SCENARIOS, Estimate, Floats, Ints, interval, number
from valact_eval.stats.logit import Fit, chances, design, value_chances
from valact_eval.stats.resample import Bootstrap, Profile, rate
from valact_eval.stats.table import Choices


@dataclass(frozen=True)
class Agreement:
    """Agreement of two respondents in the task ``default``.

    ``enacted_pearson`` and ``enacted_spearman`` compare the profiles (all answers of each;
    both are resampled by the same scenarios): r of profiles of this length, which noise lowers.
    ``enacted_pearson_corrected`` takes out the noise that the resampling shows (it can exceed
    1). ``declared_pearson`` compares the declared profiles.
    ``declared_distance`` is the Euclidean distance of the MRAT-centred declared scores.
    ``same_option`` is the share of questions (same prompt, both valid) answered with one
    option; chance is 25 %. ``by_profiles`` is what it would be if each respondent knew nothing
    but its ten value utilities, ``by_model`` if it also had its letter, generator and length
    terms; ``beyond_profiles`` is the difference from the former.
    """

    one: str
    two: str
    enacted_pearson: Estimate
    enacted_spearman: Estimate
    enacted_pearson_corrected: float | None
    declared_pearson: float | None
    declared_distance: float | None
    questions: int
    same_option: Estimate
    by_profiles: float | None
    by_model: float | None
    beyond_profiles: Estimate


def agreement(
    one: Choices,
    two: Choices,
    fits: tuple[Fit, Fit],
    shares: tuple[Profile, Profile],
    boot: Bootstrap,
    declared: tuple[Profile, Profile] | None = None,
    level: float = 0.95,
) -> Agreement:
    """Compares two respondents read together.

    Args:
        one: answers of the first in the task ``default``.
        two: of the second.
        fits: the choice models of both.
        shares: the enacted profiles of both, resampled by ``boot``.
        boot: weights over their common ``scenarios``.
        declared: MRAT-centred declared profiles of both, if both have one.
        level: of the intervals.
    """
    a, b = shares
    rows, others = matched(one, two)
    same = (rows.chosen(rows.options) == others.chosen(others.options)).astype(float)
    alone = _together(rows, value_chances(rows, fits[0]), others, value_chances(others, fits[1]))
    full = _together(
        rows,
        chances(design(rows), fits[0].theta),
        others,
        chances(design(others), fits[1].theta),
    )
    asked = _summed(rows, np.ones(rows.n))
    clusters = min(one.clusters, two.clusters)
    pearson, spearman = (
        interval(
            float(correlate(of(a.figures), of(b.figures))),
            correlate(of(a.draws), of(b.draws)),
            n=int(one.ok.sum() + two.ok.sum()),
            clusters=clusters,
            over=SCENARIOS,
            scale="correlation",
            level=level,
        )
        for of in (np.asarray, ranks)
    )
    r = distance = None
    if declared:
        x, y = (profile.figures for profile in declared)
        r = number(float(correlate(x, y)))
        distance = number(float(np.linalg.norm(x - y)))
    return Agreement(
        one=one.respondent,
        two=two.respondent,
        enacted_pearson=pearson,
        enacted_spearman=spearman,
        enacted_pearson_corrected=number(without_noise(a, b)),
        declared_pearson=r,
        declared_distance=distance,
        questions=rows.n,
        same_option=rate(_summed(rows, same), asked, boot, level=level),
        by_profiles=float(alone.mean()) if rows.n else None,
        by_model=float(full.mean()) if rows.n else None,
        beyond_profiles=rate(_summed(rows, same - alone), asked, boot, scale="linear", level=level),
    )


def without_noise(one: Profile, two: Profile) -> float:
    """Pearson's r of two profiles less the (co)variances of their errors, nan if none is left.

    The errors of both are alike where both were asked the same, so that reliabilities, which
    take errors for independent, would correct too much.
    """
    a, b = (x.figures - x.figures.mean() for x in (one, two))
    drawn = [x.draws - x.draws.mean(axis=1, keepdims=True) for x in (one, two)]
    e, f = (x - np.nanmean(x, axis=0) for x in drawn)
    variance_a, variance_b, covariance = (
        float((x * y).mean() - np.nanmean(u * v))
        for x, y, u, v in ((a, a, e, e), (b, b, f, f), (a, b, e, f))
    )
    if min(variance_a, variance_b) <= 0:
        return float("nan")
    return covariance / float(np.sqrt(variance_a * variance_b))


def matched(one: Choices, two: Choices) -> tuple[Choices, Choices]:
    """The valid answers of both to the same question under the same prompt, in one order."""
    labels = sorted(set(one.variants) | set(two.variants))
    keys: list[Ints] = []
    parts = [table.where(table.ok) for table in (one, two)]
    for part in parts:
        code = np.searchsorted(labels, np.asarray(part.variants, dtype=np.int64))
        keys.append(part.question * len(labels) + code[part.variant])
    _, first, second = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    return parts[0].where(first), parts[1].where(second)


def _together(one: Choices, p: Floats, two: Choices, q: Floats) -> Floats:
    """The chance that two independent respondents choose one option; options matched by id."""
    left, right = np.argsort(one.options, axis=1), np.argsort(two.options, axis=1)
    same = np.take_along_axis(one.options, left, 1) == np.take_along_axis(two.options, right, 1)
    both = np.take_along_axis(p, left, 1) * np.take_along_axis(q, right, 1)
    return np.asarray((both * same).sum(axis=1))


def _summed(table: Choices, figure: Floats) -> Floats:
    """Sums a figure: scenarios x prompts."""
    size = len(table.variants)
    flat = table.scenario * size + table.variant
    found = np.bincount(flat, figure, minlength=len(table.scenarios) * size)
    return np.asarray(found.reshape(-1, size))
