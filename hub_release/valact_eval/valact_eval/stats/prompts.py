"""How far a respondent's answers depend on the prompt (and on the order that goes with it)."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from valact_eval.key import VALUES
from valact_eval.stats.enacted import correlate, counts
from valact_eval.stats.estimate import Estimate, Floats, Ints, number, ratio
from valact_eval.stats.resample import Bootstrap, rate
from valact_eval.stats.table import Choices


@dataclass(frozen=True)
class ValueSpread:
    """A value's enacted share over prompts: lowest, highest and SD."""

    value: str
    lowest: float | None
    highest: float | None
    sd: float | None


@dataclass(frozen=True)
class PromptSensitivity:
    """How alike the answers under different prompts are.

    ``same_option`` is the share of question pairs (one question, two prompts) answered with one
    option, ``same_letter`` with one letter among pairs whose order differs (a respondent that
    reads the options moves with them; None if the order never differs). ``least_r`` is the
    lowest r between the profiles of two prompts. Prompt k also shifts the order by k mod 4, so
    the two are not told apart here; the choice model tells the letters apart.
    """

    variants: tuple[int, ...]
    same_option: Estimate
    same_letter: Estimate | None
    least_r: float | None
    values: tuple[ValueSpread, ...]


def prompt_sensitivity(
    table: Choices, boot: Bootstrap, level: float = 0.95
) -> PromptSensitivity | None:
    """The spread over prompts; None if there is only one."""
    pairs = list(combinations(range(len(table.variants)), 2))
    if not pairs:
        return None
    option = _grid(table, table.chosen(table.options))
    letter = _grid(table, table.chosen(table.places))
    # the shown order as one number
    order = _grid(table, table.places @ np.array([64, 16, 4, 1]))
    valid = _grid(table, table.ok.astype(np.int64)) == 1
    scenario = np.zeros(len(option), dtype=np.int64)
    questions, first = np.unique(table.question, return_index=True)
    scenario[: len(questions)] = table.scenario[first]
    shape = (len(table.scenarios), len(pairs))
    same, moved, stuck, asked = (np.zeros(shape) for _ in range(4))
    for k, (a, b) in enumerate(pairs):
        both = valid[:, a] & valid[:, b]
        differ = both & (order[:, a] != order[:, b])
        for found, mask in (
            (asked, both),
            (same, both & (option[:, a] == option[:, b])),
            (moved, differ),
            (stuck, differ & (letter[:, a] == letter[:, b])),
        ):
            found[:, k] = np.bincount(scenario[mask], minlength=shape[0])
    chosen, whole, _ = counts(table)
    shares = ratio(chosen.sum(axis=0), whole.sum(axis=0))
    r = [float(correlate(shares[a], shares[b])) for a, b in pairs]
    return PromptSensitivity(
        variants=table.variants,
        same_option=rate(same, asked, boot, level=level),
        same_letter=rate(stuck, moved, boot, level=level) if moved.any() else None,
        least_r=number(min(r)),
        values=tuple(_spread(value, shares[:, v]) for v, value in enumerate(VALUES)),
    )


def _grid(table: Choices, figure: Ints) -> Ints:
    """A figure of each answer as questions x prompts; -1 where there is no answer."""
    questions, row = np.unique(table.question, return_inverse=True)
    found = np.full((len(questions), len(table.variants)), -1, dtype=np.int64)
    found[row, table.variant] = figure
    return found


def _spread(value: str, shares: Floats) -> ValueSpread:
    known = shares[np.isfinite(shares)]
    if known.size < 2:
        return ValueSpread(value, None, None, None)
    return ValueSpread(value, float(known.min()), float(known.max()), float(known.std(ddof=1)))
