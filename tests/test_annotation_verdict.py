"""Decisions on actions, the verdict, what to expect of a round, and the report."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import schema
from pipeline.annotation import page, precision
from pipeline.annotation.answers import no_reviews
from pipeline.annotation.findings import judge
from pipeline.annotation.plan import PlannedRound
from pipeline.annotation.rounds import draw_round
from pipeline.annotation.sample import planned_population, population
from pipeline.values import value_ids
from tests.reviewed_world import GOLD, SKILL, Row, World, joined, only, reviewed
from tests.simulated import action_row, plan_of, simulate, tables


@pytest.fixture(scope="module")
def world() -> World:
    return reviewed()


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
