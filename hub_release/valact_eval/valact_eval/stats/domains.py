"""Enacted values and their gap to the declared ones in each domain."""

from dataclasses import dataclass

import numpy as np

from valact_eval.stats.enacted import Enacted, correlate, enacted, profiles
from valact_eval.stats.estimate import Estimate, number
from valact_eval.stats.gap import joint
from valact_eval.stats.resample import Bootstrap, Profile
from valact_eval.stats.table import Choices


@dataclass(frozen=True)
class DomainResult:
    """One domain.

    ``r_with_overall`` is the r of its enacted profile with that of all domains (of which it is a
    part), ``declared_pearson`` the declared-enacted r of its enacted shares; None without a
    questionnaire. A domain has a fifth of the questions, so its profile is noisier.
    """

    domain: str
    n: int
    enacted: Enacted
    r_with_overall: float | None
    declared_pearson: Estimate | None


def domains(
    table: Choices,
    boot: Bootstrap,
    declared: tuple[Profile, int] | None = None,
    level: float = 0.95,
) -> tuple[DomainResult, ...]:
    """Each domain with a valid answer; ``declared`` is the raw profile and its number of runs."""
    overall = profiles(table, boot)[0].figures
    found = []
    for code in np.unique(table.domain[table.ok]):
        part = table.where(table.domain == code)
        shares = profiles(part, boot)[0]
        n = int(part.ok.sum())
        gap = None
        if declared is not None:
            gap = joint(
                correlate,
                shares,
                declared[0],
                n=n,
                clusters=part.clusters,
                runs=declared[1],
                scale="correlation",
                level=level,
            )
        found.append(
            DomainResult(
                domain=table.domains[code],
                n=n,
                enacted=enacted(part, boot, level),
                r_with_overall=number(float(correlate(shares.figures, overall))),
                declared_pearson=gap,
            )
        )
    return tuple(found)
