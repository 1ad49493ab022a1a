"""The published ten models: their tables, and the figures that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl

from valact_eval.key import VALUES
from valact_eval.stats.enacted import correlate, ranks
from valact_eval.stats.estimate import Floats, holm
from valact_eval.stats.gap import fisher
from valact_eval.stats.roleplay import welch

SOURCE: Final = "arXiv 2601.07972, result tables of its authors' public repository"
MEASURES: Final = (
    "enacted_share",
    "declared_mean",
    "selection_accuracy",
    "adoption_accuracy",
    "adoption_accuracy_recognised",
)


@dataclass(frozen=True)
class Drop:
    """One model's role-play drop on one value, in points: selection - adoption accuracy."""

    model: str
    value: str
    points: float
    welch_p: float | None
    welch_p_holm: float | None


@dataclass(frozen=True)
class Reference:
    """Figures of the ten published models, recomputed from their tables.

    ``pearson`` is each model's declared-enacted r over ten values, ``fisher`` its interval if
    the ten values were a sample. ``welch_p05`` counts the tests over five prompts (models x
    values) with p < 0.05, ``welch_holm`` those that stay below after Holm.
    """

    source: str
    mean_pearson: float
    mean_spearman: float
    mean_pearson_without_self_direction: float
    mean_intermodel_enacted: float
    min_intermodel_enacted: float
    mean_intermodel_declared: float
    min_intermodel_declared: float
    largest_drop_points: float
    largest_drop_model: str
    largest_drop_value: str
    welch_tests: int
    welch_p05: int
    welch_holm: int
    pearson: Mapping[str, float]
    spearman: Mapping[str, float]
    fisher: Mapping[str, tuple[float, float]]
    selection_accuracy: Mapping[str, float]
    adoption_accuracy: Mapping[str, float]
    drops: tuple[Drop, ...]


@lru_cache(maxsize=1)
def published() -> pl.DataFrame:
    """The tables: measure, model, prompt_variant (1-5), value, figure.

    Enacted shares are in percent, declared means on 1..6, accuracies are fractions.
    """
    text = (files("valact_eval.stats") / "data" / "published_results.csv").read_bytes()
    return pl.read_csv(text, comment_prefix="#")


def by_prompt(measure: str) -> Mapping[str, Floats]:
    """One measure's figures: model to prompts x 10, in circle order."""
    rows = published().filter(pl.col("measure") == measure)
    models = rows["model"].unique(maintain_order=True).to_list()
    place = {value: v for v, value in enumerate(VALUES)}
    found = {model: np.full((5, 10), np.nan) for model in models}
    for _, model, prompt, value, figure in rows.iter_rows():
        found[model][prompt - 1, place[value]] = figure
    return found


def profile(measure: str) -> Mapping[str, Floats]:
    """One measure's means over prompts: model to 10 figures, in circle order."""
    return {model: figures.mean(axis=0) for model, figures in by_prompt(measure).items()}


def mean_profile(measure: str) -> Floats:
    """The mean of the models' profiles."""
    return np.asarray(np.mean(list(profile(measure).values()), axis=0))


def reference() -> Reference:
    """All figures of the published models."""
    enacted, declared = profile("enacted_share"), profile("declared_mean")
    without = [v for v, value in enumerate(VALUES) if value != "self_direction"]
    pearson = {m: float(correlate(enacted[m], declared[m])) for m in enacted}
    spearman = {m: float(correlate(ranks(enacted[m]), ranks(declared[m]))) for m in enacted}
    fewer = [correlate(enacted[m][without], declared[m][without]) for m in enacted]
    acted, told = _pairs(enacted), _pairs(declared)
    drops = _drops()
    largest = max(drops, key=lambda drop: drop.points)
    return Reference(
        source=SOURCE,
        mean_pearson=float(np.mean(list(pearson.values()))),
        mean_spearman=float(np.mean(list(spearman.values()))),
        mean_pearson_without_self_direction=float(np.mean(fewer)),
        mean_intermodel_enacted=float(acted.mean()),
        min_intermodel_enacted=float(acted.min()),
        mean_intermodel_declared=float(told.mean()),
        min_intermodel_declared=float(told.min()),
        largest_drop_points=largest.points,
        largest_drop_model=largest.model,
        largest_drop_value=largest.value,
        welch_tests=len(drops),
        welch_p05=sum(drop.welch_p is not None and drop.welch_p < 0.05 for drop in drops),
        welch_holm=sum(p is not None and p < 0.05 for p in (d.welch_p_holm for d in drops)),
        pearson=pearson,
        spearman=spearman,
        fisher={m: fisher(r, 10) for m, r in pearson.items()},
        selection_accuracy=_means("selection_accuracy"),
        adoption_accuracy=_means("adoption_accuracy"),
        drops=drops,
    )


def lines(found: Reference) -> list[str]:
    """The figures as a short printed report."""
    rows = [
        f"published models: {found.source}",
        "declared-enacted r over ten values (Fisher 95 % interval, as if the values were sampled)",
    ]
    rows += [
        f"  {model:<18}{r:6.3f}  [{found.fisher[model][0]:.2f}, {found.fisher[model][1]:.2f}]"
        for model, r in found.pearson.items()
    ]
    rows += [
        f"  mean {found.mean_pearson:.3f}, Spearman {found.mean_spearman:.2f}, "
        f"without self-direction {found.mean_pearson_without_self_direction:.2f}",
        f"r between models: enacted mean {found.mean_intermodel_enacted:.3f}, "
        f"least {found.min_intermodel_enacted:.3f}; "
        f"declared mean {found.mean_intermodel_declared:.2f}, "
        f"least {found.min_intermodel_declared:.2f}",
        "accuracy in selection / adoption",
    ]
    rows += [
        f"  {model:<18}{accuracy:6.3f} / {found.adoption_accuracy[model]:.3f}"
        for model, accuracy in found.selection_accuracy.items()
    ]
    rows += [
        f"largest drop: {found.largest_drop_model}, {found.largest_drop_value}, "
        f"{found.largest_drop_points:.2f} points",
        f"Welch over five prompts: {found.welch_p05} of {found.welch_tests} with p < .05, "
        f"{found.welch_holm} after Holm",
    ]
    return rows


def _pairs(profiles: Mapping[str, Floats]) -> Floats:
    return np.array(
        [float(correlate(profiles[a], profiles[b])) for a, b in combinations(profiles, 2)]
    )


def _means(measure: str) -> dict[str, float]:
    return {model: float(figures.mean()) for model, figures in by_prompt(measure).items()}


def _drops() -> tuple[Drop, ...]:
    selection, adoption = by_prompt("selection_accuracy"), by_prompt("adoption_accuracy")
    rows = []
    for model, right in selection.items():
        for v, value in enumerate(VALUES):
            one, two = right[:, v], adoption[model][:, v]
            p = welch(one, two)
            rows.append(
                (model, value, float(one.mean() - two.mean()) * 100, 1.0 if p is None else p)
            )
    adjusted = holm([row[3] for row in rows])
    return tuple(Drop(*row, float(p or 0.0)) for row, p in zip(rows, adjusted, strict=True))
