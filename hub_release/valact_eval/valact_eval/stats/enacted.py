"""Enacted values: shares of the choices, and preferences where the value was offered."""

from dataclasses import dataclass

import numpy as np

from valact_eval.key import VALUES
from valact_eval.stats.estimate import (
    Estimate,
    Floats,
    Ints,
    mean_over,
    number,
    ratio,
)
from valact_eval.stats.resample import Bootstrap, Profile, rate_each, rates
from valact_eval.stats.table import Choices


@dataclass(frozen=True)
class EnactedValue:
    """One value among the choices.

    ``enacted_share`` is chosen / valid choices (published; chance 10 %), ``preference`` chosen /
    offered among valid choices (chance 25 %), both per prompt and then the mean of prompts.
    ``blind`` is the share that picking letters blindly gives over the same questions.
    """

    value: str
    enacted_share: Estimate
    preference: Estimate
    blind: float | None
    share_by_prompt: tuple[float | None, ...]


@dataclass(frozen=True)
class Enacted:
    """A respondent's choices in the task ``default``, in circle order."""

    variants: tuple[int, ...]
    values: tuple[EnactedValue, ...]


def by_scenario(table: Choices, code: Ints, size: int, rows: Ints | None = None) -> Floats:
    """Counts answers: scenarios x prompts x ``size`` of ``code`` (-1 is left out).

    ``rows`` gives the row of the table of each entry of ``code``, if it is not the same.
    """
    at = np.arange(code.size) if rows is None else rows
    shape = (len(table.scenarios), len(table.variants), size)
    flat = (table.scenario[at] * shape[1] + table.variant[at]) * size + code
    return np.bincount(flat[code >= 0], minlength=int(np.prod(shape))).reshape(shape).astype(float)


def profiles(table: Choices, boot: Bootstrap) -> tuple[Profile, Profile]:
    """The enacted shares and the preferences; ``boot`` must be over ``table.scenarios``."""
    chosen, valid, offered = counts(table)
    return rates(chosen, valid, boot), rates(chosen, offered, boot)


def counts(table: Choices) -> tuple[Floats, Floats, Floats]:
    """Chosen and offered (scenarios x prompts x 10) and valid (scenarios x prompts x 1)."""
    ok = table.ok
    chosen = by_scenario(table, np.where(ok, table.chosen(table.values), -1), 10)
    rows = np.repeat(np.flatnonzero(ok), 4)
    offered = by_scenario(table, table.values[ok].ravel(), 10, rows)
    return chosen, chosen.sum(axis=2, keepdims=True), offered


def enacted(table: Choices, boot: Bootstrap, level: float = 0.95) -> Enacted:
    """Shares and preferences with intervals from resampling scenarios."""
    chosen, valid, offered = counts(table)
    shares = rate_each(chosen, valid, boot, level=level)
    preferences = rate_each(chosen, offered, boot, level=level)
    blind = mean_over(ratio(offered.sum(axis=0), 4 * valid.sum(axis=0)), 0)
    by_prompt = ratio(chosen.sum(axis=0), valid.sum(axis=0))
    return Enacted(
        variants=table.variants,
        values=tuple(
            EnactedValue(
                value=value,
                enacted_share=shares[v],
                preference=preferences[v],
                blind=number(blind[v]),
                share_by_prompt=tuple(number(share) for share in by_prompt[:, v]),
            )
            for v, value in enumerate(VALUES)
        ),
    )


def correlate(a: Floats, b: Floats) -> Floats:
    """Pearson's r along the last axis; nan where one side does not vary."""
    a = a - a.mean(axis=-1, keepdims=True)
    b = b - b.mean(axis=-1, keepdims=True)
    both = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    # what rounding leaves of a constant profile is no variation
    return ratio((a * b).sum(axis=-1), np.where(both > 1e-12, both, 0.0))


def ranks(x: Floats) -> Floats:
    """Mean ranks along the last axis, for Spearman's coefficient."""
    less = (x[..., None, :] < x[..., :, None]).sum(axis=-1)
    same = (x[..., None, :] == x[..., :, None]).sum(axis=-1)
    return np.asarray(np.where(np.isnan(x), np.nan, less + (same + 1) / 2))
