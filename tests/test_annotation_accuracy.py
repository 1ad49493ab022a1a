"""Accuracy and its intervals: each figure beside a calculation of its own."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.annotation import accuracy as acc
from pipeline.annotation import intervals
from pipeline.annotation.findings import Findings, judge
from pipeline.annotation.plan import PlannedRound
from pipeline.annotation.rounds import Round, draw_round
from pipeline.annotation.sample import population
from pipeline.errors import StageError
from tests.reviewed_world import GOLD, SKILL, Row, World, joined, only, reviewed, wilson
from tests.simulated import plan_of, simulate, tables


@pytest.fixture(scope="module")
def world() -> World:
    return reviewed()


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
