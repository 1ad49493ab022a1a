"""Accuracy, agreement and decisions: each figure beside a calculation of its own."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.annotation import accuracy as acc
from pipeline.annotation import agreement, intervals, page, precision
from pipeline.annotation.answers import no_reviews
from pipeline.annotation.findings import Findings, judge
from pipeline.annotation.gold import load_gold
from pipeline.annotation.plan import Plan, PlannedRound
from pipeline.annotation.rounds import Round, draw_round
from pipeline.annotation.sample import planned_population, population
from pipeline.errors import StageError
from pipeline.values import value_ids
from tests.simulated import action_row, plan_of, simulate, tables

GOLD = load_gold(Path("annotations/gold.toml"))
SKILL = {1: 0.95, 2: 0.85, 3: 0.9}
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class World:
    plan: Plan
    drawn: Round
    actions: pl.DataFrame
    reviews: pl.DataFrame

    def judge(self, reviews: pl.DataFrame | None = None, **changes: Any) -> Findings:
        plan = dataclasses.replace(self.plan, **changes.pop("plan", {}))
        actions = changes.pop("actions", self.actions)
        told = self.reviews if reviews is None else reviews
        return judge(plan, [self.drawn], told, actions, **changes)

    def changed(self, change: Any) -> pl.DataFrame:
        """Return the reviews with `change` applied to each row."""
        rows = self.reviews.to_dicts()
        for row in rows:
            change(row)
        return schema.frame(rows, schema.REVIEWS)


@pytest.fixture(scope="module")
def world() -> World:
    """Sixty items with overlap two, and three experts of known skill."""
    slots, actions, scenarios = tables(15)
    plan = plan_of(rounds=(PlannedRound(48), PlannedRound(0, 5)))
    drawn = draw_round(plan, 1, population(slots, actions, scenarios), GOLD)
    assert drawn.items.filter(kind="sample").height == 75
    return World(plan, drawn, actions, simulate([drawn], SKILL, faulty=0.05))


def joined(world: World, reviews: pl.DataFrame | None = None) -> list[Row]:
    """Return the sample's reviews with their claims, by plain dictionaries."""
    claims = {
        (row["item_id"], row["action_id"]): row
        for row in world.drawn.sealed.iter_rows(named=True)
        if row["kind"] == "sample"
    }
    told = world.reviews if reviews is None else reviews
    return [
        {**claims[(row["item_id"], row["action_id"])], **row}
        for row in told.to_dicts()
        if (row["item_id"], row["action_id"]) in claims and row["state"] == "submitted"
    ]


def only(table: pl.DataFrame, **where: Any) -> Row:
    (row,) = table.filter(**where).to_dicts()
    return row


# --- accuracy -----------------------------------------------------------------------------------


def test_accuracies_are_those_of_a_plain_count(world: World) -> None:
    found = world.judge().accuracy
    rows = joined(world)
    counts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        counts[("all", "")].append(row)
        for group in ("value", "domain", "generator", "annotator"):
            counts[(group, row[group])].append(row)
    assert found.height == len(counts) == 1 + 10 + 5 + 2 + 3
    for (group, level), own in counts.items():
        line = only(found, group=group, level=level)
        right = sum(row["first_value"] == row["value"] for row in own)
        either = sum(row["value"] in (row["first_value"], row["second_value"]) for row in own)
        assert line["reviews"] == len(own)
        assert line["correct"] == right
        assert line["accuracy"] == pytest.approx(right / len(own))
        assert line["either"] == pytest.approx(either / len(own))
        assert line["actions"] == len({row["action_id"] for row in own})
        assert line["scenarios"] == len({row["scenario_id"] for row in own})
        assert line["low"] <= line["accuracy"] <= line["high"]
        assert line["either"] >= line["accuracy"]
        low, high = wilson(right, len(own))
        assert line["wilson_low"] == pytest.approx(low)
        assert line["wilson_high"] == pytest.approx(high)


def wilson(k: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def test_reviews_count_by_the_inverse_of_their_chance(world: World) -> None:
    """A domain that was drawn at half the rate weighs twice as much."""
    half = pl.when(pl.col("domain") == "career").then(pl.col("probability") / 2)
    sealed = world.drawn.sealed.with_columns(probability=half.otherwise("probability"))
    found = acc.accuracy(acc.judged(world.reviews, sealed, world.plan), world.plan)
    weights = [2.0 if row["domain"] == "career" else 1.0 for row in joined(world)]
    right = [row["first_value"] == row["value"] for row in joined(world)]
    expected = sum(w for w, r in zip(weights, right, strict=True) if r) / sum(weights)
    assert only(found, group="all")["accuracy"] == pytest.approx(expected)


def test_second_choices_gold_and_active_items_never_enter_the_accuracy(world: World) -> None:
    def second(row: Row) -> None:
        row["second_value"] = (
            "" if row["second_value"] else "power" * (row["first_value"] != "power")
        )
        if row["kind"] in {"gold", "attention"}:
            row["first_value"], row["second_value"] = "hedonism", ""

    found, before = world.judge(world.changed(second)).accuracy, world.judge().accuracy
    assert found.drop("^either.*$").equals(before.drop("^either.*$"))
    everyone = population(*tables(15))
    named = sorted(set(everyone.texts) - set(world.drawn.sealed["action_id"]))[:7]
    two = draw_round(world.plan, 2, everyone, GOLD, earlier=[world.drawn], named=named)
    wrong = simulate([two], {1: 0.0, 2: 0.0, 3: 0.0})
    every = judge(world.plan, [world.drawn, two], pl.concat([world.reviews, wrong]), world.actions)
    assert every.accuracy.filter(kind="sample").equals(before)
    active = only(every.accuracy, kind="active", group="all")
    assert (active["actions"], active["correct"]) == (5, 0)  # five items; fillers are left out


def test_skipped_items_and_excluded_experts_count_nowhere_and_are_shown(world: World) -> None:
    item = world.drawn.items.filter(kind="sample").row(0, named=True)
    name = f"expert-{item['experts'][0]}"

    def skip(row: Row) -> None:
        if (row["item_id"], row["annotator"]) == (item["item_id"], name):
            row |= {"state": "skipped", "first_value": "", "second_value": "", "naturalness": None}

    told = world.changed(skip)
    found = world.judge(told)
    assert only(found.accuracy, group="all")["reviews"] == 4 * 75 * 2 - 4
    assert only(found.experts, annotator=name)["skipped"] == 4
    assert not found.state.left  # a skip is an answer
    without = world.judge(plan={"exclude_experts": (2,)})
    rows = [row for row in joined(world) if row["annotator"] != "expert-2"]
    line = only(without.accuracy, group="all")
    assert line["accuracy"] == pytest.approx(
        sum(row["first_value"] == row["value"] for row in rows) / len(rows)
    )
    assert only(without.experts, annotator="expert-2")["counted"] is False
    assert only(without.experts, annotator="expert-2")["submitted"] > 0
    assert "expert-2" not in without.kappa["one"].to_list() + without.kappa["other"].to_list()


def test_a_review_of_something_else_stops_with_its_id(world: World) -> None:
    def other(row: Row) -> None:
        row["item_id"] = "i_other" if row["annotator"] == "expert-3" else row["item_id"]

    with pytest.raises(StageError, match=r"item i_other or action a_.* was never drawn"):
        world.judge(world.changed(other))


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_reviews_and_claims_decides_nothing(seed: int) -> None:
    slots, actions, scenarios = tables(4)
    plan = plan_of(rounds=(PlannedRound(40),))
    drawn = draw_round(plan, 1, population(slots, actions, scenarios), GOLD)
    reviews = simulate([drawn], SKILL, faulty=0.1)

    def mixed(table: pl.DataFrame, k: int) -> pl.DataFrame:
        return table.sample(fraction=1, shuffle=True, seed=seed + k)

    straight = judge(plan, [drawn], reviews, actions)
    other = Round(1, mixed(drawn.items, 1), mixed(drawn.sealed, 2), drawn.opinions, drawn.notes)
    shuffled = judge(plan, [other], mixed(reviews, 3), mixed(actions, 4))
    for field in dataclasses.fields(Findings):
        one, two = getattr(straight, field.name), getattr(shuffled, field.name)
        same = one.equals(two) if isinstance(one, pl.DataFrame) else one == two
        assert same, field.name


# --- intervals ----------------------------------------------------------------------------------


def test_the_interval_where_nobody_errs_is_not_a_point() -> None:
    full = np.full(30, 2.0)
    found = intervals.cluster_interval(full, full, 0.95, 400, "s")
    assert found.method == "wilson_clusters"
    assert (found.low, found.high) == pytest.approx(wilson(30, 30))
    nothing = intervals.cluster_interval(full[:0], full[:0], 0.95, 400, "s")
    assert nothing.method == "none" and math.isnan(nothing.low)
    one = intervals.cluster_interval(np.array([3.0]), np.array([4.0]), 0.95, 400, "s")
    assert one.method == "wilson_clusters" and one.low < 0.3


def test_the_interval_takes_scenarios_as_they_are_and_not_reviews() -> None:
    """A hundred scenarios whose eight reviews agree give the interval of a hundred, not of 800."""
    right = np.array([8.0] * 90 + [0.0] * 10)
    total = np.full(100, 8.0)
    found = intervals.cluster_interval(right, total, 0.95, 4_000, "s")
    assert found.method == "bca"
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.96 * math.sqrt(0.9 * 0.1 / 100), rel=0.15)
    assert intervals.design_effect(right, total) == pytest.approx(8 * 100 / 99)
    again = intervals.cluster_interval(right, total, 0.95, 4_000, "s")
    assert again == found


@pytest.mark.parametrize(("scenarios", "a_scenario", "accuracy"), [(100, 1, 0.913), (60, 4, 0.85)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(
    scenarios: int, a_scenario: int, accuracy: float
) -> None:
    """Scenario effects (beta), actions that are right or wrong, and two experts who may err."""
    rng = np.random.default_rng(20260131)
    turns, hits, plain = 300, 0, 0
    for turn in range(turns):
        chance = rng.beta(accuracy * 19, (1 - accuracy) * 19, scenarios)[:, None, None]
        shape = (scenarios, a_scenario, 2)
        fine = rng.random((*shape[:2], 1)) < chance
        copied = rng.random(shape) < math.sqrt(0.5)
        right = np.where(copied, fine, rng.random(shape) < chance).sum(axis=(1, 2)).astype(float)
        total = np.full(scenarios, 2.0 * a_scenario)
        found = intervals.cluster_interval(right, total, 0.95, 400, f"turn {turn}")
        hits += found.low <= accuracy <= found.high
        low, high = wilson(int(right.sum()), int(total.sum()))
        plain += low <= accuracy <= high
    assert 0.91 <= hits / turns <= 0.985
    assert plain < hits  # what ignores the clusters covers less


# --- agreement ----------------------------------------------------------------------------------


def units_of(rows: list[Row]) -> dict[str, list[str]]:
    units = defaultdict(list)
    for row in rows:
        units[row["action_id"]].append(row["first_value"])
    return {action: values for action, values in units.items() if len(values) > 1}


def alpha_by_hand(units: dict[str, list[str]]) -> float:
    """Krippendorff's alpha from its definition: observed by expected disagreement of pairs."""
    values = [value for each in units.values() for value in each]
    n = len(values)
    observed = (
        sum(
            sum(a != b for a, b in permutations(each, 2)) / (len(each) - 1)
            for each in units.values()
        )
        / n
    )
    counts = Counter(values)
    expected = sum(counts[a] * counts[b] for a in counts for b in counts if a != b) / (n * (n - 1))
    return 1 - observed / expected


def test_alpha_and_kappa_are_those_of_their_definitions(world: World) -> None:
    found = world.judge()
    rows = joined(world)
    line = only(found.alpha)
    assert line["alpha"] == pytest.approx(alpha_by_hand(units_of(rows)))
    assert (line["units"], line["items"]) == (300, 75)
    assert line["low"] < line["alpha"] < line["high"]
    by_expert: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        by_expert[row["annotator"]][row["action_id"]] = row["first_value"]
    assert found.kappa.height == 3
    for one, other in combinations(sorted(by_expert), 2):
        common = sorted(by_expert[one].keys() & by_expert[other].keys())
        a, b = ([by_expert[name][action] for action in common] for name in (one, other))
        same = sum(x == y for x, y in zip(a, b, strict=True)) / len(common)
        chance = sum(a.count(v) * b.count(v) for v in value_ids()) / len(common) ** 2
        pair = only(found.kappa, one=one, other=other)
        assert pair["actions"] == len(common)
        assert pair["agreement"] == pytest.approx(same)
        assert pair["kappa"] == pytest.approx((same - chance) / (1 - chance))


def test_alpha_is_not_defined_without_overlap_or_variation(world: World) -> None:
    alone = world.reviews.filter(annotator="expert-1")
    assert only(world.judge(alone).alpha)["alpha"] is None
    same = world.changed(lambda row: row.update(first_value="power", second_value=""))
    assert only(world.judge(same).alpha)["alpha"] is None
    assert set(world.judge(same).kappa["kappa"]) == {None}
    assert math.isnan(agreement.nominal_alpha(np.zeros((0, 10), dtype=np.int64)))


def test_alpha_of_a_known_example() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C: 0.743."""
    coders = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    counts = np.zeros((12, 5), dtype=np.int64)
    for line in coders:
        for unit, value in enumerate(line.split()):
            if value != ".":
                counts[unit, int(value) - 1] += 1
    assert agreement.nominal_alpha(counts) == pytest.approx(0.743, abs=5e-4)


# --- confusion, naturalness, flags, experts -------------------------------------------------------


def test_confusion_naturalness_and_flags_are_plain_counts(world: World) -> None:
    first, second = world.drawn.items.filter(kind="sample").rows(named=True)[:2]

    def flag(row: Row) -> None:
        if row["item_id"] == first["item_id"]:
            row["flags"] = ["too_alike"]
        if (row["item_id"], row["annotator"]) == (
            second["item_id"], f"expert-{second['experts'][0]}",
        ):  # fmt: skip
            row["flags"] = ["harmful", "too_alike"]

    found = world.judge(world.changed(flag))
    rows = joined(world)
    cells = Counter((row["value"], row["first_value"]) for row in rows)
    assert {
        (c, f): n
        for c, f, n in found.confusion.select("claim", "first_value", "reviews").iter_rows()
    } == cells
    line = only(found.naturalness, group="all")
    scores = [row["naturalness"] for row in rows]
    assert line["mean"] == pytest.approx(sum(scores) / len(scores))
    assert line["counts"] == [scores.count(score) for score in range(1, 6)]
    told = {row["flag"]: (row["items"], row["of_items"], row["by_two"])
            for row in found.flags.to_dicts()}  # fmt: skip
    assert told == {"harmful": (1, 75, 0), "too_alike": (2, 75, 1)}


def test_experts_are_measured_by_gold_attention_and_time(world: World) -> None:
    item = world.drawn.items.filter(kind="attention").row(0, named=True)

    def inattentive(row: Row) -> None:
        if (row["item_id"], row["annotator"]) == (item["item_id"], "expert-3"):
            row["first_value"] = "self_direction"
        elif row["kind"] == "attention":  # as the simulated ones err, too
            row["first_value"] = claims[(row["item_id"], row["action_id"])] or row["first_value"]
        row["second_value"] = ""
        if row["annotator"] == "expert-1":
            row["lead_seconds"] = 100.0 if row["kind"] == "gold" else 5_000.0

    sealed = world.drawn.sealed.to_dicts()
    claims = {(row["item_id"], row["action_id"]): row["value"] for row in sealed}
    told = world.changed(inattentive)
    found = world.judge(told).experts
    for number, name in enumerate(world.plan.annotators, start=1):
        gold = [row for row in told.to_dicts() if (row["annotator"], row["kind"]) == (name, "gold")]
        right = sum(
            row["first_value"] == claims[(row["item_id"], row["action_id"])] for row in gold
        )
        line = only(found, annotator=name)
        assert (line["gold"], line["gold_correct"]) == (len(gold), right)
        assert line["gold_accuracy"] == pytest.approx(right / len(gold))
        assert line["gold_low"] == pytest.approx(wilson(right, len(gold))[0])
        assert line["attention"] == 2
        assert line["attention_passed"] == (1 if number == 3 else 2)
        own = [row for row in told.to_dicts() if row["annotator"] == name]
        assert line["submitted"] == line["expected"] == len(own)
    golds = world.drawn.items.filter(kind="gold").height
    items = world.drawn.items.filter(pl.col("experts").list.contains(1)).height
    line = only(found, annotator="expert-1")
    assert line["median_seconds"] == 5_000.0
    assert line["hours"] == pytest.approx((100 * golds + 900 * (items - golds)) / 3600)


# --- decisions ----------------------------------------------------------------------------------


def one_item(world: World, *said: str, kind: str = "", **others: Any) -> Row:
    """Return the decision on one action, of which its experts said `said`."""
    item = world.drawn.items.filter(kind="sample").row(0, named=True)
    action = item["action_ids"][0]
    claim = only(world.drawn.sealed, item_id=item["item_id"], action_id=action)["value"]
    other = [value for value in value_ids() if value != claim]
    words = {"claim": claim, "other": other[0], "another": other[1]}
    flags = others.pop("flags", ())

    def change(row: Row) -> None:
        if row["item_id"] != item["item_id"]:
            return
        turn = item["experts"].index(int(row["annotator"][-1]))
        if row["action_id"] == action:
            row |= {"first_value": words[said[turn]], "second_value": "", **others}
        row["flags"] = list(flags[turn]) if flags else []

    found = world.judge(world.changed(change))
    return only(found.decisions, action_id=action) | {"other": other[0]}


@pytest.mark.parametrize(
    ("said", "others", "decision", "reasons"),
    [
        (("claim", "claim"), {}, "accept", ["confirmed"]),
        (("claim", "other"), {}, "regenerate", ["split"]),
        (("another", "other"), {}, "regenerate", ["split"]),
        (("other", "other"), {}, "regenerate", ["other_value:{other}"]),
        (("claim", "claim"), {"naturalness": 2}, "regenerate", ["confirmed", "unnatural"]),
        (("claim", "claim"), {"flags": (["too_alike"], [])}, "accept", ["confirmed"]),
        (("claim", "claim"), {"flags": (["too_alike"], ["too_alike"])}, "regenerate",
         ["confirmed", "too_alike"]),
        (("claim", "claim"), {"flags": (["personal_data"], [])}, "drop", ["flag:personal_data"]),
        (("other", "other"), {"flags": (["harmful"], ["no_dilemma"])}, "drop", ["flag:harmful"]),
        (("claim", "claim"), {"flags": (["no_dilemma"], ["no_dilemma"])}, "drop",
         ["flag:no_dilemma"]),
        (("claim", "claim"), {"flags": (["needs_expertise"], ["needs_expertise"])}, "accept",
         ["confirmed"]),
    ],
)  # fmt: skip
def test_decisions_follow_the_rule(
    world: World, said: tuple[str, ...], others: Row, decision: str, reasons: list[str]
) -> None:
    found = one_item(world, *said, **others)
    assert found["decision"] == decision
    assert found["reasons"] == [reason.format(other=found["other"]) for reason in reasons]
    assert found["reviews"] == 2


def test_a_flag_that_drops_takes_the_whole_scenario(world: World) -> None:
    item = world.drawn.items.filter(kind="sample").row(0, named=True)

    def flag(row: Row) -> None:
        row["flags"] = ["harmful"] if row["item_id"] == item["item_id"] else []

    found = world.judge(world.changed(flag))
    assert found.dropped_scenarios == [item["scenario_id"]]
    assert set(found.decisions.filter(scenario_id=item["scenario_id"])["decision"]) == {"drop"}


def test_the_third_word_settles_what_two_saw_differently() -> None:
    slots, actions, scenarios = tables(4)
    plan = plan_of(rounds=(PlannedRound(40), PlannedRound(0, 0, adjudicate=True)))
    everyone = population(slots, actions, scenarios)
    one = draw_round(plan, 1, everyone, GOLD)
    reviews = simulate([one], {1: 0.8, 2: 0.8, 3: 0.8})
    two = draw_round(plan, 2, everyone, GOLD, earlier=[one], reviews=reviews)
    third = simulate([two], {1: 1.0, 2: 1.0, 3: 1.0})
    before = judge(plan, [one], reviews, actions)
    found = judge(plan, [one, two], pl.concat([reviews, third]), actions)
    disputed = two.sealed.filter(pl.col("kind") == "adjudication", pl.col("targeted"))
    assert disputed.height > 20
    settled = found.decisions.join(disputed, on="action_id", how="semi")
    assert settled["settled"].to_list() == settled["value"].to_list()
    assert {reasons[0] for reasons in settled["reasons"].to_list()} == {"settled"}
    # The third word decides on actions; it is no part of the published figure.
    assert found.accuracy.equals(before.accuracy)
    assert found.alpha.equals(before.alpha)


# --- repairs and the verdict --------------------------------------------------------------------


def test_the_figure_is_that_before_repairs_and_repaired_actions_are_unreviewed(
    world: World,
) -> None:
    before = world.judge()
    drawn = world.drawn.sealed.filter(kind="sample")["action_id"].sort().to_list()
    repaired, told = drawn[:5], drawn[5:7]
    rows = [
        action_row(row["scenario_id"], row["value"], row["generator"], "Written again.")
        if row["action_id"] in repaired
        else row
        for row in world.actions.to_dicts()
    ]
    gone = world.drawn.sealed.filter(action_id=drawn[7], kind="sample")["scenario_id"][0]
    rows = [row for row in rows if row["scenario_id"] != gone or row["action_id"] in repaired]
    after = world.judge(actions=schema.frame(rows, schema.ACTIONS), repaired=told)
    assert after.accuracy.equals(before.accuracy)
    assert after.alpha.equals(before.alpha)
    assert before.standing.same == before.standing.actions == 300
    assert after.standing.unreviewed >= 5
    assert after.standing.gone >= 1
    parts = after.standing
    assert parts.same + parts.reviewed_again + parts.unreviewed + parts.gone == 300
    assert any(reason.startswith("repairs: ") for reason in after.verdict.reasons)
    assert f"{300 - parts.same} of these actions are no longer" in after.verdict.figure


def test_a_successor_that_was_reviewed_counts_as_reviewed_again(world: World) -> None:
    victim = only(world.drawn.sealed.filter(kind="sample").head(1))
    rows = world.actions.to_dicts()
    fresh = action_row(victim["scenario_id"], victim["value"], victim["generator"], "Again.")
    rows = [fresh if row["action_id"] == victim["action_id"] else row for row in rows]
    actions = schema.frame(rows, schema.ACTIONS)
    slots, _, scenarios = tables(15)
    everyone = population(slots, actions, scenarios)
    named = [fresh["action_id"]]
    two = draw_round(world.plan, 2, everyone, GOLD, earlier=[world.drawn], named=named)
    every = pl.concat([world.reviews, simulate([two], SKILL)])
    found = judge(world.plan, [world.drawn, two], every, actions)
    assert found.standing.reviewed_again == 1 and found.standing.unreviewed == 0
    assert judge(world.plan, [world.drawn], world.reviews, actions).standing.unreviewed == 1


def test_the_verdict_gives_every_reason(world: World) -> None:
    rule = dataclasses.replace(
        world.plan.expert_checked, least_accuracy=0.5, least_alpha=0.5, attention_failures=2
    )
    fine = world.judge(plan={"expert_checked": rule})
    assert fine.verdict.allowed and not fine.verdict.reasons
    line = only(fine.accuracy, group="all")
    assert f"{line['accuracy']:.1%} (95% interval {line['low']:.1%} to" in fine.verdict.figure
    assert "600 blind reviews of 300 randomly drawn actions" in fine.verdict.figure
    strict = dataclasses.replace(
        rule, least_accuracy=0.999, least_alpha=0.99, least_gold=1.0, attention_failures=0
    )

    def inattentive(row: Row) -> None:
        if row["kind"] == "attention":
            row |= {"first_value": "universalism", "second_value": ""}

    found = world.judge(world.changed(inattentive), plan={"expert_checked": strict}).verdict
    heads = [reason.partition(":")[0] for reason in found.reasons]
    assert not found.allowed
    assert set(heads) == {"accuracy", "agreement", "gold items", "attention"}
    part = world.judge(world.reviews.filter(pl.col("annotator") != "expert-3"))
    assert part.verdict.reasons[0].startswith("round 1: waiting: ")
    nothing = world.judge(no_reviews())
    assert nothing.verdict.reasons == ("round 1: no review of the random sample",)


# --- the plan's promises --------------------------------------------------------------------------


def test_expected_widths_are_those_of_the_formula() -> None:
    plan = plan_of()
    everyone = planned_population(("a", "b", "c", "d", "e"), 3_000, ("one", "two"))
    effort, widths = precision.forecast(plan, 1, everyone, GOLD, no_reviews())
    told = {width.group: width for width in widths}
    assert (told["all"].actions, told["value"].actions) == (1_000, 100)
    assert (told["all"].reviews, told["value"].reviews) == (2_000, 200)
    assert told["all"].design_effect == pytest.approx(1 + 0.5 + 3 * 2 * 0.05)
    assert told["value"].design_effect == pytest.approx(1 + 0.5 + 3 / 19 * 2 * 0.05)
    z, p = 1.959964, 0.913
    assert told["value"].half_width == pytest.approx(
        z * math.sqrt(p * (1 - p) * told["value"].design_effect / 200), rel=1e-5
    )
    assert told["value"].independent == pytest.approx(z * math.sqrt(p * (1 - p) / 200), rel=1e-5)
    assert effort.items == {"sample": 250, "gold": 11, "attention": 2}
    assert effort.sittings == 250 * 2 + 13 * 3
    assert effort.hours == pytest.approx(effort.sittings * 150 / 3600)
    assert effort.cost == pytest.approx(effort.hours * 30)


def test_the_forecast_is_what_is_drawn_then(world: World) -> None:
    everyone = population(*tables(15))
    told, widths = precision.forecast(world.plan, 1, everyone, GOLD, no_reviews())
    drawn = precision.effort(world.plan, world.drawn.items, no_reviews())
    assert told.items == drawn.items and told.sittings == drawn.sittings
    assert tuple(widths) == world.judge().widths
    assert told.reviews == drawn.reviews
    later = precision.effort(world.plan, world.drawn.items, world.reviews)
    assert later.measured_items == drawn.sittings
    assert later.hours == pytest.approx(sum(world.judge().experts["hours"]))


def test_measured_correlations_are_those_of_all_pairs(world: World) -> None:
    rows = joined(world)
    right = [float(row["first_value"] == row["value"]) for row in rows]
    p = sum(right) / len(right)
    sums: dict[str, list[float]] = {"action": [], "scenario": []}
    for i, j in combinations(range(len(rows)), 2):
        if rows[i]["scenario_id"] == rows[j]["scenario_id"]:
            same = rows[i]["action_id"] == rows[j]["action_id"]
            sums["action" if same else "scenario"].append((right[i] - p) * (right[j] - p))
    found = world.judge().correlations
    for measured, name in zip(found, ("action", "scenario"), strict=True):
        assert measured == pytest.approx(sum(sums[name]) / len(sums[name]) / (p * (1 - p)))


# --- the page -----------------------------------------------------------------------------------


def test_the_report_is_the_same_bytes_and_shows_names_as_text(world: World, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> $x_1$"
    actions = world.actions.with_columns(generator=pl.col("generator").replace("g-one", evil))
    sealed = world.drawn.sealed.with_columns(generator=pl.col("generator").replace("g-one", evil))
    drawn = dataclasses.replace(world.drawn, sealed=sealed)

    def noted(row: Row) -> None:
        row["notes"] = "<img src=x onerror=alert(2)> secret remark"

    texts = []
    for turn in range(2):
        found = judge(world.plan, [drawn], world.changed(noted), actions)
        path = tmp_path / f"{turn}.html"
        page.write_page(found, path, "<b>demo</b>")
        texts.append(path.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert "<script" not in texts[0] and "<b>demo" not in texts[0]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x_1$" in texts[0]
    assert "secret remark" not in texts[0]
    assert texts[0].count("<svg") == 4
    assert "default-src 'none'" in texts[0] and "http-equiv" in texts[0]
    assert "data:image" not in texts[0]


def test_a_report_without_any_review_says_so(world: World, tmp_path: Path) -> None:
    found = world.judge(no_reviews())
    page.write_page(found, tmp_path / "r.html", "demo")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No item of the sample has been reviewed." in text
    assert found.as_json()["expert_checked"] is False
