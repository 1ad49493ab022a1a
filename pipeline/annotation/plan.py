"""The plan of an annotation (annotations/plan.toml): strict dataclasses and their reader."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.config import Share
from pipeline.config_file import read_toml, validated
from pipeline.config_model import STRICT, Count, Positive
from pipeline.errors import BadInputError
from pipeline.paths import ROOT

FILE = Path("annotations/plan.toml")

Open = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class PlannedRound:
    """One round: what experts are given before the next round is drawn.

    Attributes:
        reviews_per_value: Reviews of random actions of each value; 0 for none. Rounded up to what
            fills every stratum equally.
        active_items: Items of actions that were named (those the recogniser missed, or repaired
            ones), at most.
        adjudicate: Give items of earlier rounds whose first choices differ to one more expert.
    """

    reviews_per_value: Count = 0
    active_items: Count = 0
    adjudicate: bool = False


@dataclass(frozen=True, config=STRICT)
class Checks:
    """Items whose answers are known.

    Attributes:
        gold: File of gold items and attention checks.
        gold_share: Gold items an expert and round, as a share of the expert's other items.
        attention: Attention checks an expert and round.
    """

    gold: str
    gold_share: Share
    attention: Count


@dataclass(frozen=True, config=STRICT)
class Expected:
    """What is assumed before reviews are there.

    Attributes:
        accuracy: Share of reviews whose first choice is the claim.
        same_action: Correlation of "correct" between two reviews of one action.
        same_scenario: The same between reviews of two actions of one scenario.
        seconds_per_item: Time on one item.
        cost_per_hour: Of one expert.
        currency: Of the cost.
    """

    accuracy: Open
    same_action: Share
    same_scenario: Share
    seconds_per_item: Seconds
    cost_per_hour: Annotated[float, Field(ge=0)]
    currency: str


@dataclass(frozen=True, config=STRICT)
class Intervals:
    """How intervals are computed.

    Attributes:
        confidence: Level of every interval.
        resamples: Bootstrap resamples.
        pause_seconds: A longer time on an item counts as this much in hours and costs.
    """

    confidence: Open = 0.95
    resamples: Annotated[int, Field(ge=200)] = 4000
    pause_seconds: Seconds = 900.0


@dataclass(frozen=True, config=STRICT)
class Decide:
    """What becomes of an action.

    Attributes:
        personal_data: Experts whose flag on an item drops its actions.
        harmful: The same.
        no_dilemma: The same.
        too_alike: Experts whose flag on an item has its actions written again.
        least_naturalness: Actions with a lower mean are written again.
        split: What becomes of an action where opinions differ and nobody settled it.
    """

    personal_data: Positive
    harmful: Positive
    no_dilemma: Positive
    too_alike: Positive
    least_naturalness: Annotated[float, Field(ge=1, le=5)]
    split: Literal["accept", "regenerate"]


@dataclass(frozen=True, config=STRICT)
class ExpertChecked:
    """When a release may call itself expert-checked.

    Attributes:
        round: Round whose random sample gives the published figure.
        least_accuracy: Least lower end of its interval.
        least_alpha: Least Krippendorff's alpha of that sample.
        least_gold: Least accuracy of each counted expert on gold items.
        attention_failures: Most attention checks that a counted expert may miss.
        unreviewed_repairs: Most actions of that sample that were written again and not reviewed.
    """

    round: Positive
    least_accuracy: Share
    least_alpha: Annotated[float, Field(ge=-1, le=1)]
    least_gold: Share
    attention_failures: Count
    unreviewed_repairs: Count


@dataclass(frozen=True, config=STRICT)
class Plan:
    """A whole annotation.

    Attributes:
        version: Of the file's form: 1.
        seed: Text that every draw is salted with.
        experts: Number of experts.
        overlap: Experts an item.
        rounds: The rounds in order; the first is round 1.
        checks: Gold items and attention checks.
        expected: Assumptions.
        intervals: Settings of the statistics.
        decide: Rule for single actions.
        expert_checked: Rule for the release.
        exclude_experts: Numbers of experts whose reviews count nowhere.
        file: Where it was read from.
    """

    version: Literal[1]
    seed: str
    experts: Positive
    overlap: Positive
    rounds: tuple[PlannedRound, ...]
    checks: Checks
    expected: Expected
    decide: Decide
    expert_checked: ExpertChecked
    intervals: Intervals = Intervals()
    exclude_experts: tuple[Positive, ...] = ()
    file: str = dataclasses.field(default="", kw_only=True)

    @property
    def annotators(self) -> tuple[str, ...]:
        """Pseudonyms of all experts."""
        return tuple(pseudonym(number) for number in range(1, self.experts + 1))

    @property
    def excluded(self) -> frozenset[str]:
        """Pseudonyms of the experts who do not count."""
        return frozenset(map(pseudonym, self.exclude_experts))

    def drawing(self, number: int) -> dict[str, Any]:
        """Return the keys that decide what is drawn in rounds up to `number`, as plain data."""
        return {
            "seed": self.seed,
            "experts": self.experts,
            "overlap": self.overlap,
            "rounds": [dataclasses.asdict(planned) for planned in self.rounds[:number]],
            "checks": {"gold_share": self.checks.gold_share, "attention": self.checks.attention},
        }

    def rule(self) -> dict[str, Any]:
        """Return the keys that decide what follows from the reviews, as plain data."""
        return {
            name: dataclasses.asdict(getattr(self, name))
            for name in ("intervals", "decide", "expert_checked")
        } | {"exclude_experts": list(self.exclude_experts)}


def pseudonym(number: int) -> str:
    """Return an expert's name in tables."""
    return f"expert-{number}"


def find_plan(path: Path) -> Path:
    """Return a plan's file; a relative path is looked for here, then in the checkout."""
    return ROOT / path if not path.exists() and (ROOT / path).exists() else path


def load_plan(path: Path = FILE) -> Plan:
    """Read a plan; a relative path is looked for in the working folder, then in the checkout.

    Raises:
        BadInputError: The file is missing or broken, a key is unknown, missing or mistyped, or two
            keys contradict each other.
    """
    path = find_plan(path)
    data = read_toml(path, "annotation plan", "annotations/plan.toml is one that works")
    if "file" in data:
        raise BadInputError(f"{path}: file: unknown key; remove it")
    plan = validated(path, Plan, data)
    _check(path, plan)
    return dataclasses.replace(plan, file=str(path))


def _check(path: Path, plan: Plan) -> None:
    wrong = BadInputError
    if plan.overlap > plan.experts:
        raise wrong(
            f"{path}: overlap: {plan.overlap} experts an item, and experts = {plan.experts}"
        )
    if not plan.rounds:
        raise wrong(f"{path}: rounds: give at least one [[rounds]]")
    for number, planned in enumerate(plan.rounds, start=1):
        if not (planned.reviews_per_value or planned.active_items or planned.adjudicate):
            raise wrong(
                f"{path}: rounds.{number - 1}: an empty round; give it something, or cut it"
            )
        if planned.adjudicate and (number == 1 or plan.overlap < 2):
            what = (
                "there is no earlier round" if number == 1 else "with overlap = 1 nothing differs"
            )
            raise wrong(f"{path}: rounds.{number - 1}.adjudicate: {what}; write false")
        if planned.adjudicate and plan.overlap == plan.experts:
            raise wrong(
                f"{path}: rounds.{number - 1}.adjudicate: all {plan.experts} experts see every "
                "item; raise experts, or lower overlap"
            )
    chosen = plan.expert_checked.round
    if chosen > len(plan.rounds) or not plan.rounds[chosen - 1].reviews_per_value:
        raise wrong(f"{path}: expert_checked.round: round {chosen} draws no random sample")
    for number in plan.exclude_experts:
        if number > plan.experts:
            raise wrong(f"{path}: exclude_experts: {number}, and experts = {plan.experts}")
    if len(set(plan.exclude_experts)) >= plan.experts:
        raise wrong(f"{path}: exclude_experts: nobody is left")
