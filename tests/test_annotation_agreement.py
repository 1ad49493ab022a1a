"""Agreement, confusion and experts: each figure beside a calculation of its own."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations, permutations

import numpy as np
import polars as pl
import pytest

from pipeline.annotation import agreement
from pipeline.values import value_ids
from tests.reviewed_world import Row, World, joined, only, reviewed, wilson


@pytest.fixture(scope="module")
def world() -> World:
    return reviewed()


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
