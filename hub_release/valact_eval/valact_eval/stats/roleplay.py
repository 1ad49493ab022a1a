"""Role-play: what adopting a value costs against recognising it, on the same items."""

import warnings
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from valact_eval.key import VALUES
from valact_eval.stats.estimate import (
    Bools,
    Estimate,
    Floats,
    Ints,
    holm,
    mean_over,
    number,
    p_value,
    ratio,
)
from valact_eval.stats.resample import Bootstrap, rate_each
from valact_eval.stats.table import Choices


@dataclass(frozen=True)
class RoleFigure:
    """One target value (or ``all``), over items with a valid answer in both tasks.

    ``difference`` is adoption - selection, per prompt and then the mean of prompts; below 0 is a
    drop. ``p`` tests it (cluster bootstrap over scenarios), ``p_holm`` is adjusted over the
    whole family of respondents and values. ``welch_p`` takes the prompts for the sample, as was
    published: five fixed prompts are no sample, so it is given for reproduction only.
    ``given_recognised`` is the difference on items that were recognised on *other* prompts;
    ``recognised_same_prompts`` recognises and measures on the same ones, as was published, which
    makes a drop out of nothing: selection is picked for its luck and adoption is not.
    """

    value: str
    n: int
    selection: float | None
    adoption: float | None
    difference: Estimate
    by_prompt: tuple[float | None, ...]
    p: float | None
    p_holm: float | None
    welch_p: float | None
    given_recognised: Estimate | None
    recognised_same_prompts: float | None


@dataclass(frozen=True)
class RolePlay:
    """The role-play comparison of a respondent."""

    respondent: str
    variants: tuple[int, ...]
    overall: RoleFigure
    values: tuple[RoleFigure, ...]


@dataclass(frozen=True, eq=False)
class Items:
    """Both tasks' answers to each item: items x prompts, 1 right, 0 wrong, nan not valid."""

    scenario: Ints
    value: Ints
    variants: tuple[int, ...]
    selection: Floats
    adoption: Floats


def pair(selection: Choices, adoption: Choices) -> Items:
    """Joins two tasks of one respondent by question, target and prompt."""
    variants = tuple(sorted(set(selection.variants) & set(adoption.variants)))
    one, two = (table.question * 4 + table.target for table in (selection, adoption))
    items = np.intersect1d(one, two)
    order = np.argsort(one, kind="stable")
    row = order[np.searchsorted(one[order], items)]
    grids = []
    for table, key in ((selection, one), (adoption, two)):
        grid = np.full((len(items), len(variants)), np.nan)
        place = np.searchsorted(items, key)
        known = np.isin(key, items) & np.isin(np.asarray(table.variants)[table.variant], variants)
        column = np.searchsorted(variants, np.asarray(table.variants)[table.variant[known]])
        right = np.where(table.ok, (table.choice == table.target).astype(float), np.nan)
        grid[place[known], column] = right[known]
        grids.append(grid)
    aimed = selection.at_target(selection.values)
    return Items(selection.scenario[row], aimed[row], variants, *grids)


def role_play(
    selection: Choices, adoption: Choices, boot: Bootstrap, level: float = 0.95
) -> RolePlay | None:
    """The comparison with intervals over scenarios; None if the tasks share no item."""
    items = pair(selection, adoption)
    if not items.scenario.size or not items.variants:
        return None
    both = np.isfinite(items.selection) & np.isfinite(items.adoption)
    size = len(selection.scenarios)
    right, acted = (
        _by_scenario(items, np.where(both, task, 0.0), size)
        for task in (items.selection, items.adoption)
    )
    whole = _by_scenario(items, both.astype(float), size)
    recognised = _recognised(items, both)
    cells = recognised[2] > 0
    known, held, weight = (_by_scenario(items, x, size) for x in recognised)
    naive = _same_prompts(items, both)

    selected, adopted = (ratio(part.sum(axis=0), whole.sum(axis=0)) for part in (right, acted))
    differences = _estimates(acted - right, whole, boot, level)
    given = _estimates(held - known, weight, boot, level)

    def figure(k: int, name: str) -> RoleFigure:
        measured = int(np.count_nonzero(cells & ((items.value == k) | (k == 10))[:, None]))
        return RoleFigure(
            value=name,
            n=int(whole[:, :, k].sum()),
            selection=number(float(mean_over(selected[:, k], 0))),
            adoption=number(float(mean_over(adopted[:, k], 0))),
            difference=differences[k],
            by_prompt=tuple(number(float(x)) for x in adopted[:, k] - selected[:, k]),
            p=p_value(differences[k]),
            p_holm=None,
            welch_p=welch(selected[:, k], adopted[:, k]),
            given_recognised=replace(given[k], n=measured) if cells.any() else None,
            recognised_same_prompts=number(naive[k]),
        )

    return RolePlay(
        respondent=selection.respondent,
        variants=items.variants,
        overall=figure(10, "all"),
        values=tuple(figure(k, value) for k, value in enumerate(VALUES)),
    )


def adjusted(family: tuple[RolePlay, ...]) -> tuple[RolePlay, ...]:
    """The same with Holm's p over all respondents and values; the overall rows stand apart."""
    p = iter(holm([row.p for found in family for row in found.values]))
    overall = holm([found.overall.p for found in family])
    return tuple(
        replace(
            found,
            overall=replace(found.overall, p_holm=whole),
            values=tuple(replace(row, p_holm=next(p)) for row in found.values),
        )
        for found, whole in zip(family, overall, strict=True)
    )


def welch(one: Floats, two: Floats) -> float | None:
    """Two-sided p of Welch's test with prompts as the sample; None for fewer than two."""
    one, two = one[np.isfinite(one)], two[np.isfinite(two)]
    # equal but for rounding is no spread to test against
    if min(len(one), len(two)) < 2 or max(np.ptp(one), np.ptp(two)) < 1e-12:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return number(float(stats.ttest_ind(one, two, equal_var=False).pvalue))


def _recognised(items: Items, both: Bools) -> tuple[Floats, Floats, Floats]:
    """Right in selection, right in adoption and asked, on prompts other than the recognising.

    An item is recognised if most of an odd number of prompts (3 of 5) give the right answer; all
    ways to choose these prompts are taken in turn. An invalid answer is not right.
    """
    prompts = len(items.variants)
    size = (prompts + 1) // 2
    size -= 1 - size % 2
    known, held, weight = (np.zeros(both.shape) for _ in range(3))
    if prompts < 2:
        return known, held, weight
    for chosen in combinations(range(prompts), size):
        passed = np.nansum(items.selection[:, chosen], axis=1) > size / 2
        rest = np.setdiff1d(np.arange(prompts), chosen)
        measured = both[:, rest] & passed[:, None]
        weight[:, rest] += measured
        known[:, rest] += np.where(measured, items.selection[:, rest], 0)
        held[:, rest] += np.where(measured, items.adoption[:, rest], 0)
    return known, held, weight


def _same_prompts(items: Items, both: Bools) -> Floats:
    """Adoption - selection on items recognised on these same prompts: 11 figures, all last."""
    passed = np.nansum(items.selection, axis=1) > len(items.variants) / 2
    mask = both & passed[:, None]
    apart = np.where(mask, items.adoption - items.selection, 0).sum(axis=1)
    n = mask.sum(axis=1).astype(float)
    part, whole = (np.bincount(items.value, x, minlength=10) for x in (apart, n))
    return ratio(np.append(part, part.sum()), np.append(whole, whole.sum()))


def _by_scenario(items: Items, figure: Floats, size: int) -> Floats:
    """Sums a figure (items x prompts): scenarios x prompts x 11, the last over all values."""
    prompts = figure.shape[1]
    flat = (items.scenario[:, None] * prompts + np.arange(prompts)) * 10 + items.value[:, None]
    found = np.bincount(flat.ravel(), figure.ravel(), minlength=size * prompts * 10)
    found = found.reshape(size, prompts, 10)
    return np.concatenate([found, found.sum(axis=2, keepdims=True)], axis=2)


def _estimates(part: Floats, whole: Floats, boot: Bootstrap, level: float) -> tuple[Estimate, ...]:
    found = []
    for estimate in rate_each(part, whole, boot, scale="linear", level=level):
        if estimate.se == 0 and estimate.estimate == 0:
            # no scenario told the tasks apart: the exact bound for none of so many
            bound = 1 - ((1 - level) / 2) ** (1 / estimate.clusters)
            estimate = replace(estimate, low=-bound, high=bound)
        found.append(estimate)
    return tuple(found)
