"""Groups of respondents: exact permutation tests, and how small their p can get."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, factorial, prod
from typing import Any, Final

import numpy as np
from scipy import stats

from valact_eval.errors import ValactError
from valact_eval.stats.estimate import Floats, holm

MOST: Final = 200_000
"""Above so many groupings a random sample of them is taken."""


@dataclass(frozen=True)
class GroupTest:
    """One figure compared between groups of respondents.

    ``p`` is the share of ways to deal the respondents into groups of these sizes that set the
    group means at least as far apart; ``least_p`` the smallest it can be (two groups of three:
    0.1, so that no difference however large is below 0.05). The respondents are the sample: the
    test says whether a label goes with the figure among them. ``exact`` is False where the
    groupings were too many to go through. ``p_holm`` is over all figures tested together.
    """

    figure: str
    means: Mapping[str, float]
    sizes: Mapping[str, int]
    difference: float | None
    p: float | None
    p_holm: float | None
    least_p: float
    groupings: int
    exact: bool


def group_tests(
    figures: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]
) -> tuple[GroupTest, ...]:
    """Tests each figure (name to respondent to number), with Holm's p over all of them.

    ``difference`` is first - second group (by name) where there are two.

    Raises:
        ValactError: fewer than two groups have respondents with figures.
    """
    found = [group_test(name, of, groups) for name, of in figures.items()]
    adjusted = holm([test.p for test in found])
    return tuple(replace(test, p_holm=p) for test, p in zip(found, adjusted, strict=True))


def group_test(name: str, figure: Mapping[str, float], groups: Mapping[str, str]) -> GroupTest:
    """Tests one figure; respondents without a group or a figure are left out."""
    by_group: dict[str, list[float]] = {}
    for respondent in sorted(figure):
        if respondent in groups and np.isfinite(figure[respondent]):
            by_group.setdefault(groups[respondent], []).append(float(figure[respondent]))
    labels = sorted(by_group)
    if len(labels) < 2:
        raise ValactError(
            f"groups: {name} needs two groups with respondents, found {labels}; "
            "name a group for each respondent"
        )
    samples = [np.array(by_group[label]) for label in labels]
    sizes = [len(sample) for sample in samples]
    total = groupings(sizes)
    exact = total <= MOST
    tested = None
    if sum(sizes) > len(sizes):
        tested = stats.permutation_test(
            samples,
            _apart,
            vectorized=True,
            n_resamples=np.inf if exact else MOST,
            alternative="greater",
            rng=np.random.default_rng(0),
        )
    means = [float(sample.mean()) for sample in samples]
    return GroupTest(
        figure=name,
        means=dict(zip(labels, means, strict=True)),
        sizes=dict(zip(labels, sizes, strict=True)),
        difference=means[0] - means[1] if len(means) == 2 else None,
        p=None if tested is None else float(tested.pvalue),
        p_holm=None,
        least_p=least_p(sizes),
        groupings=total,
        exact=exact,
    )


def groupings(sizes: Sequence[int]) -> int:
    """In how many ways respondents can be dealt into named groups of these sizes."""
    return prod(comb(sum(sizes[: k + 1]), size) for k, size in enumerate(sizes))


def least_p(sizes: Sequence[int]) -> float:
    """The smallest p: groups of one size can swap names, which sets them as far apart."""
    swaps = prod(factorial(times) for times in Counter(sizes).values())
    return swaps / groupings(sizes)


def _apart(*samples: Floats, axis: int = -1) -> Any:  # noqa: ANN401 - scipy's own shapes
    """Between-group sum of squares; for two groups the same order as the absolute difference."""
    n = sum(sample.shape[axis] for sample in samples)
    grand = sum(sample.sum(axis=axis) for sample in samples) / n
    return sum(sample.shape[axis] * (sample.mean(axis=axis) - grand) ** 2 for sample in samples)
