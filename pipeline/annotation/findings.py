"""Everything that follows from the reviews, by one function: what a report shows, a build reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.annotation import accuracy as acc
from pipeline.annotation import agreement, answers, precision
from pipeline.annotation.answers import Progress
from pipeline.annotation.decide import decide
from pipeline.annotation.experts import experts, item_times
from pipeline.annotation.plan import Plan
from pipeline.annotation.precision import Effort, Width
from pipeline.annotation.rounds import Round, all_items, all_sealed
from pipeline.annotation.verdict import Standing, Verdict, standing, verdict


@dataclass(frozen=True)
class Findings:
    """What the reviews say.

    Attributes:
        plan: The annotation's plan.
        state: Of all rounds that were drawn.
        verdict: Whether the release may say "expert-checked".
        standing: What of the published round's sample is still as it was reviewed.
        accuracy: Rows of tables.ACCURACY.
        confusion: Rows of tables.CONFUSION.
        alpha: Rows of tables.ALPHA.
        kappa: Rows of tables.KAPPA.
        experts: Rows of tables.EXPERTS.
        naturalness: Rows of tables.NATURALNESS.
        flags: Rows of tables.FLAGGED.
        decisions: Rows of tables.DECISIONS.
        times: item_id, annotator, lead_seconds, counted.
        widths: What the published round was expected to give.
        correlations: Measured beside expected.same_action and expected.same_scenario; None where
            not defined.
        effort: Hours and cost of what was drawn.
        rule_changes: Keys of the rule that were changed after the published round was drawn.
        notes: What was not drawn as planned.
    """

    plan: Plan
    state: Progress
    verdict: Verdict
    standing: Standing
    accuracy: pl.DataFrame
    confusion: pl.DataFrame
    alpha: pl.DataFrame
    kappa: pl.DataFrame
    experts: pl.DataFrame
    naturalness: pl.DataFrame
    flags: pl.DataFrame
    decisions: pl.DataFrame
    times: pl.DataFrame
    widths: tuple[Width, ...]
    correlations: tuple[float | None, float | None]
    effort: Effort
    rule_changes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def dropped_scenarios(self) -> list[str]:
        """Scenarios that have to go, whole."""
        return sorted(set(self.decisions.filter(decision="drop")["scenario_id"]))

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain data; no text of any item, no note of any expert."""
        tables = ("accuracy", "confusion", "alpha", "kappa", "experts", "naturalness", "flags")
        counts = self.decisions.group_by("decision").len().sort("decision")
        return {
            "expert_checked": self.verdict.allowed,
            "figure": self.verdict.figure,
            "against": list(self.verdict.reasons),
            "expected_reviews": self.state.expected,
            "done_reviews": self.state.done,
            "left": dict(self.state.left),
            "standing": dataclasses.asdict(self.standing),
            **{name: getattr(self, name).to_dicts() for name in tables},
            "decisions": dict(counts.iter_rows()),
            "dropped_scenarios": self.dropped_scenarios,
            "expected_widths": [dataclasses.asdict(width) for width in self.widths],
            "measured_correlations": dict(
                zip(("same_action", "same_scenario"), self.correlations, strict=True)
            ),
            "effort": dataclasses.asdict(self.effort),
            "excluded_experts": sorted(self.plan.excluded),
            "rule": self.plan.rule(),
            "rule_changes": list(self.rule_changes),
            "notes": list(self.notes),
        }


def judge(
    plan: Plan,
    rounds: Sequence[Round],
    reviews: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    repaired: Collection[str] = (),
    rule_changes: Sequence[str] = (),
) -> Findings:
    """Return everything that follows from the reviews.

    Args:
        plan: The annotation's plan.
        rounds: The rounds that were drawn, with the claims as they were then.
        reviews: Rows of schema.REVIEWS, one an annotator, item and action.
        actions: Rows of schema.ACTIONS as they are now.
        repaired: Action ids that count as written again, whatever `actions` says.
        rule_changes: What store.rule_changes said.

    Raises:
        StageError: A review belongs to no drawn item.
    """
    items, sealed = all_items(rounds), all_sealed(rounds)
    judged = acc.judged(reviews, sealed, plan)
    figures = acc.accuracy(judged, plan)
    alpha = agreement.alpha(judged, plan)
    people = experts(items, reviews, sealed, plan)
    number = plan.expert_checked.round
    drawn = sealed.filter(kind="sample", round=number)
    left = standing(number, sealed, judged, actions, repaired)
    published = answers.progress(items.filter(round=number), reviews, plan.excluded)
    return Findings(
        plan=plan,
        state=answers.progress(items, reviews, plan.excluded),
        verdict=verdict(plan, figures, alpha, people, published, left),
        standing=left,
        accuracy=figures,
        confusion=acc.confusion(judged),
        alpha=alpha,
        kappa=agreement.kappa(judged),
        experts=people,
        naturalness=acc.naturalness(judged),
        flags=acc.flagged(reviews, plan.excluded),
        decisions=decide(reviews, sealed, plan),
        times=item_times(reviews, plan),
        widths=tuple(precision.widths(plan, drawn.height, drawn["scenario_id"].n_unique())),
        correlations=precision.observed_correlations(judged.filter(kind="sample", round=number)),
        effort=precision.effort(plan, items, reviews),
        rule_changes=tuple(rule_changes),
        notes=tuple(note for each in rounds for note in each.notes),
    )
