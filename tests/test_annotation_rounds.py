"""Plans, gold items, rounds: what experts are given, blind, and kept as it was drawn."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.annotation import answers, store
from pipeline.annotation.gold import KnownItem, load_gold
from pipeline.annotation.plan import Plan, PlannedRound, load_plan
from pipeline.annotation.rounds import Round, all_items, draw_round
from pipeline.annotation.sample import population
from pipeline.artifacts import sha256_text
from pipeline.errors import BadInputError, WaitingError
from pipeline.paths import ROOT
from pipeline.validators import FORM, ActionRow, check
from pipeline.values import value_ids
from tests.simulated import (
    GENERATORS,
    NOON,
    action_row,
    people,
    plan_of,
    review,
    simulate,
    tables,
)

PLAN = (ROOT / "annotations" / "plan.toml").read_text(encoding="utf-8")
GOLD = load_gold(Path("annotations/gold.toml"))
PERFECT = {1: 1.0, 2: 1.0, 3: 1.0}


def first(plan: Plan, size: int = 10, known: tuple[KnownItem, ...] = GOLD) -> Round:
    return draw_round(plan, 1, people(size), known)


# --- the plan ---------------------------------------------------------------------------------


def test_the_plan_of_the_checkout_is_read_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = load_plan()
    assert plan.annotators == ("expert-1", "expert-2", "expert-3")
    assert plan.expert_checked.round == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("overlap = 2", "overlap = 4", "overlap: 4 experts an item, and experts = 3"),
        ("overlap = 2", 'overlap = "2"', "overlap: should be a valid integer (given: '2')"),
        ("experts = 3", "expert = 3", "expert: unknown key; did you mean 'experts'?"),
        ("gold_share = 0.06", "gold_share = 6", "checks.gold_share: should be less than or equal"),
        ("active_items = 60", "activ_items = 60", "activ_items: unknown key; did you mean 'act"),
        ('seed = "valact-annotation-1"', "", "seed: missing; add it (its meaning is in pipeline/a"),
        ("version = 1", "version = 2", "version: should be 1 (given: 2)"),
        ("adjudicate = true", "", ""),
        ("reviews_per_value = 200", "adjudicate = true", "there is no earlier round; write false"),
        ("reviews_per_value = 200", "", "rounds.0: an empty round"),
        ("experts = 3", "experts = 2", "all 2 experts see every item; raise experts"),
        ("round = 1", "round = 2", "expert_checked.round: round 2 draws no random sample"),
        ("exclude_experts = []", "exclude_experts = [4]", "exclude_experts: 4, and experts = 3"),
        ("exclude_experts = []", "exclude_experts = [1, 2, 3]", "exclude_experts: nobody is left"),
        ("version = 1", "version = 1\nfile = 'x'", "file: unknown key; remove it"),
        ("version = 1", "version =", "not valid TOML"),
        ("accuracy = 0.913", "accuracy = nan", "Out of range float values"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line_with_file_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in PLAN
    file = tmp_path / "plan.toml"
    file.write_text(PLAN.replace(old, new, 1), encoding="utf-8")
    if not message:
        assert load_plan(file).rounds[1].adjudicate is False
        return
    with pytest.raises(BadInputError, match=re.escape(message)) as caught:
        load_plan(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_plan_names_one_that_works(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no such annotation plan; annotations/plan\.toml"):
        load_plan(tmp_path / "none.toml")


# --- gold items -------------------------------------------------------------------------------


def test_the_gold_items_cover_every_domain_and_value_and_read_like_good_actions() -> None:
    gold = [item for item in GOLD if item.kind == "gold"]
    assert len(gold) >= 12
    assert sum(item.kind == "attention" for item in GOLD) >= 3
    assert {item.domain for item in gold} == {
        "career", "finance", "education", "relationships", "ethics",
    }  # fmt: skip
    values = Counter(action.value for item in gold for action in item.actions)
    assert set(values) == set(value_ids())
    assert min(values.values()) >= 6
    # A value that stands in an item twice keeps experts from telling by elimination.
    assert any(len({a.value for a in item.actions}) < 4 for item in gold)
    rows = [
        ActionRow(item.scenario_id, action.value, action.text, item.scenario)
        for item in gold
        for action in item.actions
    ]
    # A gold action may say why (its value is to be plain); all else holds as for any action.
    wanted = (set(FORM) | {"value_word", "personal_data", "harmful"}) - {"benefit_clause"}
    found = [
        (row.action, violation.code)
        for row, violations in zip(rows, check(rows), strict=True)
        for violation in violations
        if violation.code in wanted
    ]
    assert found == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "powr"}, "item.0: actions.0.value: 'powr' is no value; did you mean 'power'?"),
        ({"value": ""}, "item.0: actions.0.value: empty; every action of a gold item has a value"),
        ({"text": "Another."}, "item.0: actions: two have the same text; change one"),
        ({"text": "two\\nlines"}, "item.0.actions.0.text: String should match pattern"),
        ({"txt": "x"}, "item.0.actions.0.txt: unknown key; did you mean 'text'?"),
    ],
)
def test_wrong_gold_items_are_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    one = {"value": "power", "text": "I lead."} | change
    shown = [one, *({"value": "security", "text": t} for t in ("Another.", "A third.", "Fourth."))]
    rows = ", ".join(
        "{ " + ", ".join(f'{k} = "{v}"' for k, v in row.items()) + " }" for row in shown
    )
    file = tmp_path / "gold.toml"
    file.write_text(
        f'version = 1\n[[item]]\nkind = "gold"\ndomain = "ethics"\nscenario = "S."\n'
        f"actions = [{rows}]\n",
        encoding="utf-8",
    )
    with pytest.raises(BadInputError, match=re.escape(message)):
        load_gold(file)


# --- a round ----------------------------------------------------------------------------------


def test_experts_see_no_claim_no_generator_and_no_kind() -> None:
    drawn = first(plan_of())
    hidden = {*value_ids(), *GENERATORS, "gold", "attention", "sample"}
    for row in drawn.items.drop("kind").iter_rows():
        told = str(row)
        assert not [word for word in hidden if word in told]
    assert {len(item) for item in drawn.items["item_id"]} == {len("i_") + 16}
    assert drawn.items["item_id"].is_sorted()
    assert dict(drawn.items.schema) == schema.ITEMS
    assert set(drawn.items["kind"]) == {"sample", "gold", "attention"}
    assert not set(drawn.items.columns) & {"value", "generator", "claim"}


def test_ids_and_order_of_an_item_depend_on_nothing_but_its_texts() -> None:
    """Whoever sees an item cannot find its claims by trying all that could give its id."""
    slots, actions, scenarios = tables(2)
    plan = plan_of(rounds=(PlannedRound(10_000),))  # everything is drawn
    before = draw_round(plan, 1, population(slots, actions, scenarios), ())
    seen = {
        row["item_id"]: (row["scenario"], tuple(row["actions"]))
        for row in before.items.iter_rows(named=True)
    }
    # The same texts under other ids: what the claims are made of has changed, the items have not.
    renamed = {old: f"a_{n:016}" for n, old in enumerate(actions["action_id"])}
    other = actions.with_columns(pl.col("action_id").replace(renamed))
    after = draw_round(plan, 1, population(slots, other, scenarios), ())
    assert seen == {
        row["item_id"]: (row["scenario"], tuple(row["actions"]))
        for row in after.items.iter_rows(named=True)
    }
    for _, texts in seen.values():
        assert list(texts) == sorted(texts, key=sha256_text)


def test_claims_texts_and_loads_of_a_round() -> None:
    plan = plan_of()
    everyone = people(10)
    drawn = draw_round(plan, 1, everyone, GOLD)
    for row in drawn.sealed.filter(kind="sample").iter_rows(named=True):
        scenario, cell = everyone.cells[row["action_id"]]
        assert (row["scenario_id"], row["value"], row["generator"]) == (scenario, *cell)
    for item in drawn.items.filter(kind="sample").iter_rows(named=True):
        assert item["actions"] == [everyone.texts[a] for a in item["action_ids"]]
        assert len(item["experts"]) == plan.overlap
    others = drawn.items.filter(pl.col("kind") != "sample")["experts"].to_list()
    assert others == [[1, 2, 3]] * len(others)
    loads = Counter(n for experts in drawn.items["experts"] for n in experts)
    assert max(loads.values()) - min(loads.values()) <= 1
    sealed = drawn.sealed.filter(kind="attention")
    assert sealed.filter("targeted").height == plan.checks.attention
    assert sealed.filter(~pl.col("targeted"))["value"].unique().to_list() == [""]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_a_round_does_not_depend_on_the_order_of_anything(number: int) -> None:
    slots, actions, scenarios = tables(4)
    plan = plan_of(rounds=(PlannedRound(40), PlannedRound(20, 5, adjudicate=True)))
    straight = draw_round(plan, 1, population(slots, actions, scenarios), GOLD)
    reviews = simulate([straight], {1: 0.9, 2: 0.8, 3: 0.9})
    named = actions["action_id"].sort()[::7].to_list()

    def second(*given_: pl.DataFrame) -> Round:
        everyone = population(*given_[:3])
        one = draw_round(plan, 1, everyone, GOLD)
        assert one.items.equals(straight.items) and one.sealed.equals(straight.sealed)
        return draw_round(plan, 2, everyone, GOLD, earlier=[one], reviews=given_[3], named=named)

    mixed = [
        table.sample(fraction=1, shuffle=True, seed=number + k)
        for k, table in enumerate((slots, actions, scenarios, reviews))
    ]
    one, other = second(slots, actions, scenarios, reviews), second(*mixed)
    assert one.items.equals(other.items)
    assert one.sealed.equals(other.sealed)
    assert one.opinions.equals(other.opinions)
    assert one.notes == other.notes


def test_a_dataset_smaller_than_the_sample_is_reviewed_whole_and_says_so() -> None:
    drawn = first(plan_of(), size=2)
    assert drawn.items["item_id"].is_unique().all()
    assert drawn.sealed.filter(kind="sample").height == 5 * 2 * 20
    assert drawn.sealed.filter(kind="sample")["probability"].unique().to_list() == [1.0]
    assert "sample: career has 5 units for 10: all of it is reviewed" in drawn.notes


def test_too_few_gold_items_are_told() -> None:
    drawn = first(plan_of(), known=GOLD[:3])
    assert any(note.startswith("gold: ") and note.endswith("3 are left in the file")
               for note in drawn.notes)  # fmt: skip
    assert "attention: 2 items planned, 0 are left in the file" in drawn.notes


# --- adjudication and active sampling -----------------------------------------------------------


def disputed_round() -> tuple[Plan, Round, pl.DataFrame]:
    """A round in which two experts differ in one action of each of three items."""
    plan = plan_of(rounds=(PlannedRound(40), PlannedRound(0, 4, adjudicate=True)))
    drawn = first(plan, 4)
    rows = simulate([drawn], PERFECT).to_dicts()
    items = drawn.items.filter(kind="sample").head(3).to_dicts()
    for item in items:
        action, name = item["action_ids"][2], f"expert-{item['experts'][0]}"
        for row in rows:
            if (row["item_id"], row["action_id"], row["annotator"]) == (
                item["item_id"],
                action,
                name,
            ):
                row["first_value"] = "power" if row["first_value"] != "power" else "hedonism"
                row["second_value"] = ""
    return plan, drawn, schema.frame(rows, schema.REVIEWS)


def test_items_on_which_experts_differ_go_to_one_who_has_not_seen_them() -> None:
    plan, one, reviews = disputed_round()
    everyone = people(4)
    two = draw_round(plan, 2, everyone, GOLD, earlier=[one], reviews=reviews)
    again = two.items.filter(kind="adjudication")
    assert again.height == 3
    olds = {tuple(row["action_ids"]): row for row in one.items.iter_rows(named=True)}
    for row in again.iter_rows(named=True):
        old = olds[tuple(row["action_ids"])]
        assert len(row["experts"]) == 1
        assert not set(row["experts"]) & set(old["experts"])
        assert row["item_id"] != old["item_id"]
    sealed = two.sealed.filter(kind="adjudication")
    assert sealed.filter("targeted").height == 3
    opinions = two.opinions.join(sealed.filter("targeted"), on=["item_id", "action_id"])
    for row in opinions.iter_rows(named=True):
        assert len(set(row["first_values"])) == 2 and row["value"] in row["first_values"]
        assert row["first_values"] == sorted(row["first_values"])  # not in the experts' order
    assert two.opinions.height == 4 * 3
    assert "expert" not in str(two.opinions.to_dicts())
    # Once settled they do not come again; and what was written again needs no third word.
    settled = pl.concat([reviews, simulate([two], PERFECT)])
    wide = dataclasses.replace(plan, rounds=(*plan.rounds, plan.rounds[1]))
    three = draw_round(wide, 3, everyone, GOLD, earlier=[one, two], reviews=settled)
    assert three.items.filter(kind="adjudication").is_empty()
    slots, actions, scenarios = tables(4)
    texts = {a for _, a in sealed.filter("targeted").select("item_id", "action_id").iter_rows()}
    rows = [
        action_row(r["scenario_id"], r["value"], r["generator"], "Written again.")
        if r["action_id"] in texts else r
        for r in actions.to_dicts()
    ]  # fmt: skip
    mended = population(slots, schema.frame(rows, schema.ACTIONS), scenarios)
    assert draw_round(plan, 2, mended, GOLD, earlier=[one], reviews=reviews).items.is_empty()


def test_an_adjudication_waits_for_all_reviews() -> None:
    plan, one, reviews = disputed_round()
    part = reviews.filter(~((pl.col("annotator") == "expert-2") & (pl.col("kind") == "sample")))
    with pytest.raises(WaitingError, match=r"waiting: \d+ of 320 reviews \(expert 2: \d+ left\)"):
        draw_round(plan, 2, people(4), GOLD, earlier=[one], reviews=part)
    # One who is left out by the plan is not waited for.
    without = dataclasses.replace(plan, exclude_experts=(2,))
    assert draw_round(without, 2, people(4), GOLD, earlier=[one], reviews=part).notes


def test_active_items_leave_out_what_was_drawn_anyway() -> None:
    plan = plan_of(rounds=(PlannedRound(40), PlannedRound(0, 6)))
    everyone = people(4)
    one = draw_round(plan, 1, everyone, GOLD)
    drawn = one.sealed.filter(kind="sample")["action_id"].to_list()
    fresh = sorted(set(everyone.texts) - set(drawn))[:3]
    two = draw_round(plan, 2, everyone, GOLD, earlier=[one], named=[*drawn[:5], *fresh])
    sealed = two.sealed.filter(kind="active")
    assert set(sealed.filter("targeted")["action_id"]) == set(fresh)
    assert sealed["probability"].null_count() == sealed.height
    assert any(note.startswith("active: 6 items planned") for note in two.notes)
    with pytest.raises(BadInputError, match="there is no round 3; add a"):
        draw_round(plan, 3, everyone, GOLD)


# --- kept on disk -------------------------------------------------------------------------------


def test_a_drawn_round_stays_whatever_becomes_of_the_dataset(tmp_path: Path) -> None:
    plan = plan_of()
    one = store.open_round(tmp_path, plan, 1, lambda: first(plan))

    def never() -> Round:
        raise AssertionError("drawn twice")

    again = store.open_round(tmp_path, plan, 1, never)
    assert again.items.equals(one.items) and again.sealed.equals(one.sealed)
    assert [each.number for each in store.load_rounds(tmp_path, plan)] == [1]


def test_another_plan_is_named_by_its_key_and_a_changed_rule_is_told(tmp_path: Path) -> None:
    plan = dataclasses.replace(plan_of(), file="plan.toml")
    store.open_round(tmp_path, plan, 1, lambda: first(plan))
    other = dataclasses.replace(plan, rounds=(PlannedRound(100), *plan.rounds[1:]))
    message = "was drawn with rounds.1.reviews_per_value = 200, and plan.toml says 100; put that"
    with pytest.raises(BadInputError, match=re.escape(message)):
        store.load_rounds(tmp_path, other)
    assert store.rule_changes(tmp_path, plan, 1) == []
    rule = dataclasses.replace(plan.expert_checked, least_accuracy=0.5)
    lax = dataclasses.replace(plan, expert_checked=rule, exclude_experts=(3,))
    assert store.load_rounds(tmp_path, lax)  # it may be changed, but not silently
    assert store.rule_changes(tmp_path, lax, 1) == [
        "exclude_experts [] -> [3]",
        "expert_checked.least_accuracy 0.85 -> 0.5",
    ]


def test_files_that_were_changed_are_refused(tmp_path: Path) -> None:
    plan = plan_of()
    store.open_round(tmp_path, plan, 1, lambda: first(plan))
    path = tmp_path / "round-1" / "sealed.parquet"
    pl.read_parquet(path).head(10).write_parquet(path)
    with pytest.raises(BadInputError, match=r"sealed\.parquet: is not as it was written"):
        store.load_rounds(tmp_path, plan)
    (tmp_path / "round-1" / "round.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"round\.json: .* restore the folder from a copy"):
        store.load_rounds(tmp_path, plan)


def test_texts_of_what_is_gone_are_forgotten_and_the_claims_stay(tmp_path: Path) -> None:
    plan = plan_of()
    one = store.open_round(tmp_path, plan, 1, lambda: first(plan))
    gone = one.items.filter(kind="sample")["scenario_id"].to_list()[:2]
    assert store.forget_texts(tmp_path, plan, gone) >= 2
    (after,) = store.load_rounds(tmp_path, plan)
    blank = after.items.filter(pl.col("scenario_id").is_in(gone))
    assert (
        set(blank["scenario"]) == {""} and blank["actions"].to_list() == [[""] * 4] * blank.height
    )
    assert after.sealed.equals(one.sealed)
    assert after.items.filter(pl.col("scenario") == "").height == blank.height
    assert store.forget_texts(tmp_path, plan, gone) == 0


# --- which reviews count ------------------------------------------------------------------------


def test_the_newest_word_counts_and_is_counted() -> None:
    plan = plan_of()
    drawn = first(plan, 2)
    item = drawn.items.filter(kind="sample").row(0, named=True)
    action, name = item["action_ids"][0], f"expert-{item['experts'][0]}"

    def said(value: str, minute: int, **others: Any) -> dict[str, Any]:
        return review(item, action, name, value, updated_utc=NOON.replace(minute=minute), **others)

    def table(*rows: dict[str, Any]) -> pl.DataFrame:
        return schema.frame(rows, schema.REVIEWS)

    kept, replaced = answers.merge(table(said("power", 5)), table(said("security", 3)))
    assert kept["first_value"].to_list() == ["power"] and replaced == 1
    kept, replaced = answers.merge(table(said("power", 5)), table(said("security", 5)))
    assert kept["first_value"].to_list() == ["security"] and replaced == 1
    kept, replaced = answers.merge(table(said("power", 5)), table(said("power", 7)))
    assert kept.height == 1 and replaced == 0
    state = answers.progress(drawn.items, kept)
    assert state.done == 1 and sum(state.left.values()) == state.expected - 1
    assert state.line.startswith(f"waiting: 1 of {state.expected:,} reviews (expert 1: ")
    everything = simulate([drawn], PERFECT)
    assert answers.progress(all_items([drawn]), everything).line == (
        f"all {everything.height:,} reviews are there"
    )
