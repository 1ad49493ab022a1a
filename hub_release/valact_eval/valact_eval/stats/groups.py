"""Groups of respondents: exact permutation tests, and how small their p can get."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from math import comb, factorial, prod
from typing import Final

import numpy as np

from valact_eval.errors import ValactError
from valact_eval.stats.estimate import Floats, Ints, holm
from valact_eval.stats.resample import uniforms

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
    p: float
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
    sizes = tuple(len(sample) for sample in samples)
    total = groupings(sizes)
    exact = total <= MOST
    means = [float(sample.mean()) for sample in samples]
    return GroupTest(
        figure=name,
        means=dict(zip(labels, means, strict=True)),
        sizes=dict(zip(labels, sizes, strict=True)),
        difference=means[0] - means[1] if len(means) == 2 else None,
        p=_p(np.concatenate(samples), sizes, exact),
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


def _p(figures: Floats, sizes: tuple[int, ...], exact: bool) -> float:
    dealt = _dealings(sizes) if exact else _random_dealings(sizes)
    ends = np.cumsum(sizes)
    # between-group sum of squares, less what no dealing changes
    centred = figures - figures.mean()
    apart, observed = np.zeros(len(dealt)), 0.0
    for size, end in zip(sizes, ends, strict=True):
        places = np.arange(end - size, end)
        apart += centred[dealt[:, places]].sum(axis=1) ** 2 / size
        observed += float(centred[places].sum()) ** 2 / size
    as_far = np.count_nonzero(apart >= observed * (1 - 1e-9) - 1e-15)
    return as_far / len(dealt) if exact else (1 + as_far) / (1 + len(dealt))


@lru_cache(maxsize=8)
def _dealings(sizes: tuple[int, ...]) -> Ints:
    """Every way to deal respondents to named groups: groupings x respondents, in group order."""

    def deal(rest: tuple[int, ...], left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(left) == 1:
            yield rest
            return
        for taken in combinations(rest, left[0]):
            others = tuple(place for place in rest if place not in taken)
            for more in deal(others, left[1:]):
                yield taken + more

    return np.array(list(deal(tuple(range(sum(sizes))), sizes)), dtype=np.int64)


@lru_cache(maxsize=8)
def _random_dealings(sizes: tuple[int, ...]) -> Ints:
    ids = [str(place) for place in range(sum(sizes))]
    return np.argsort(uniforms(ids, MOST, "groups"), axis=1)
