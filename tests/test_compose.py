"""The design is balanced, the questions follow it, and no scenario touches another's questions."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import compose, schema
from pipeline.balance import balance
from pipeline.compose import DealtQuestion, load_design
from pipeline.config_file import load
from pipeline.errors import BadInputError, StageError
from pipeline.generate import slot_number
from pipeline.paths import ROOT
from pipeline.stage import Context
from pipeline.values import value_ids

CONFIG = load(ROOT / "configs" / "demo.toml")
CYCLE = load_design("cycle12")
DOMAINS, GENERATORS = tuple(CONFIG.domains), CONFIG.generate.generators
Tables = dict[str, pl.DataFrame]
SMALL = settings(deadline=None, max_examples=20)


def world(slots: int, names: dict[int, str] | None = None) -> Tables:
    """Scenarios and their twenty actions for so many slots; `names` renames some of them."""
    held = [(names or {}).get(slot, f"s{slot}") for slot in range(slots)]
    domains = [DOMAINS[slot % len(DOMAINS)] for slot in range(slots)]
    actions = [
        {
            "action_id": f"a-{scenario}-{value}-{generator}",
            "scenario_id": scenario,
            "value": value,
            "generator": generator,
            "action": f"{scenario}: {generator} does {value}",
            "ledger_key": "k",
        }
        for scenario in held
        for value in value_ids()
        for generator in GENERATORS
    ]
    return {
        "rewrite.scenarios": schema.frame(
            [
                {"scenario_id": s, "domain": d, "scenario": f"story of {s}"}
                for s, d in zip([*held, "unused"], [*domains, DOMAINS[0]], strict=True)
            ],
            schema.CANDIDATES,
        ),
        "generate.slots": schema.frame(
            [
                {"slot": number, "scenario_id": s, "domain": d, "replaced": []}
                for number, (s, d) in enumerate(zip(held, domains, strict=True))
            ],
            schema.SLOTS,
        ),
        "generate.actions": schema.frame(actions, schema.ACTIONS),
    }


def run(tables: Tables) -> pl.DataFrame:
    context = Context(config=CONFIG, tables=tables, out=Path(), manifests={})
    return compose.run(context).tables["questions"]


def test_the_design_deals_the_ten_values_over_twelve_slots_and_four_letters() -> None:
    assert len(CYCLE) == 12
    assert {len(questions) for questions in CYCLE} == {5}
    assert {len(q.options) for questions in CYCLE for q in questions} == {4}
    assert {value for qs in CYCLE for q in qs for value, _ in q.options} == set(value_ids())
    assert {q.target for qs in CYCLE for q in qs} == {0, 1, 2, 3}


@pytest.mark.parametrize("questions", CYCLE, ids=range(len(CYCLE)))
def test_within_a_scenario_every_action_stands_once_and_questions_share_one_value(
    questions: tuple[DealtQuestion, ...],
) -> None:
    every = list(itertools.product(value_ids(), (0, 1)))
    assert Counter(option for q in questions for option in q.options) == Counter(every)
    for question in questions:
        assert len({value for value, _ in question.options}) == 4
        assert sorted(generator for _, generator in question.options) == [0, 0, 1, 1]
    for one, other in itertools.combinations(questions, 2):
        assert len({v for v, _ in one.options} & {v for v, _ in other.options}) == 1


def test_over_the_cycle_letters_pairs_and_targets_are_exactly_balanced() -> None:
    dealt = [question for questions in CYCLE for question in questions]
    values = value_ids()
    letters = Counter((*option, place) for q in dealt for place, option in enumerate(q.options))
    pairs = Counter(
        frozenset(pair) for q in dealt for pair in itertools.combinations(dict(q.options), 2)
    )
    targets = Counter(q.options[q.target] for q in dealt)
    assert letters == dict.fromkeys(itertools.product(values, (0, 1), range(4)), 3)
    assert pairs == dict.fromkeys(map(frozenset, itertools.combinations(values, 2)), 8)
    assert targets == dict.fromkeys(itertools.product(values, (0, 1)), 3)
    assert Counter(q.target for q in dealt) == dict.fromkeys(range(4), 15)


def test_the_slots_of_equal_domains_fill_the_cycle_without_a_gap() -> None:
    numbers = [slot_number(rank, place, 5) for rank in range(24) for place in range(5)]
    assert sorted(numbers) == list(range(120))


@given(st.integers(0, 30))
@SMALL
def test_each_slot_gets_the_five_questions_of_its_place_in_the_cycle(slots: int) -> None:
    tables = world(slots)
    questions = run(tables)
    assert dict(questions.schema) == schema.QUESTIONS
    assert questions.height == 5 * slots
    assert questions["question_id"].n_unique() == 5 * slots
    texts = dict(tables["generate.actions"].select("action_id", "action").iter_rows())
    for row in questions.iter_rows(named=True):
        dealt = CYCLE[row["slot"] % 12][row["question_index"]]
        scenario = f"s{row['slot']}"
        assert (row["scenario_id"], row["scenario"]) == (scenario, f"story of {scenario}")
        assert row["domain"] == DOMAINS[row["slot"] % len(DOMAINS)]
        named = list(zip(row["option_values"], row["option_generators"], strict=True))
        assert named == [(value, GENERATORS[g]) for value, g in dealt.options]
        assert row["option_ids"] == [f"a-{scenario}-{value}-{g}" for value, g in named]
        assert row["options"] == [texts[action] for action in row["option_ids"]]
        assert row["target_index"] == dealt.target
        assert row["target_value"] == row["option_values"][dealt.target]
        assert row["canary"] == CONFIG.release.canary


@given(st.integers(0, 2**32))
@SMALL
def test_row_order_changes_nothing(seed: int) -> None:
    tables = world(13)
    mixed = {name: t.sample(fraction=1, shuffle=True, seed=seed) for name, t in tables.items()}
    assert run(mixed).equals(run(tables))


@given(st.integers(1, 26), st.data())
@SMALL
def test_a_scenario_that_goes_or_is_replaced_leaves_the_others_as_they_are(
    slots: int, data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, slots - 1))
    tables = world(slots)
    others = run(tables).filter(pl.col("slot") != gone).write_ndjson()
    fewer = tables | {"generate.slots": tables["generate.slots"].filter(pl.col("slot") != gone)}
    assert run(fewer).write_ndjson() == others
    replaced = run(world(slots, {gone: "new"}))
    assert replaced.filter(pl.col("slot") != gone).write_ndjson() == others
    assert set(replaced.filter(pl.col("slot") == gone)["scenario_id"]) == {"new"}


def test_a_question_id_is_made_of_its_content_not_of_its_place() -> None:
    """A scenario that moves to a slot of the same design keeps its ids; a new one has new ids."""
    first = set(run(world(13))["question_id"])
    assert set(run(world(13, {0: "s12", 12: "s0"}))["question_id"]) == first
    assert len(set(run(world(13, {3: "new"}))["question_id"]) & first) == 12 * 5


def test_a_missing_action_names_scenario_value_and_generator() -> None:
    tables = world(2)
    lost = pl.col("action_id") == f"a-s1-power-{GENERATORS[1]}"
    tables["generate.actions"] = tables["generate.actions"].filter(~lost)
    with pytest.raises(StageError, match=rf"scenario s1: .*power.*{GENERATORS[1]}"):
        run(tables)


def test_an_unknown_design_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(BadInputError, match=r"'cycle21'.*did you mean 'cycle12'"):
        load_design("cycle21")


def test_twelve_slots_are_balanced_as_the_design_says() -> None:
    found = balance(run(world(24)))
    assert (found.questions, found.two_by_two) == (120, 120)
    assert (found.offers, found.letters, found.targets) == ((48, 48), (6, 6), (12, 12))


OPTION = st.tuples(st.sampled_from("vwxyz"), st.sampled_from("gh"))


@given(st.lists(st.tuples(st.lists(OPTION, min_size=4, max_size=4), st.integers(0, 3))))
@settings(deadline=None, max_examples=60)
def test_balance_agrees_with_counting_by_hand(
    questions: list[tuple[list[tuple[str, str]], int]],
) -> None:
    rows = [
        {
            "question_id": f"q{number}",
            "option_values": [value for value, _ in options],
            "option_generators": [generator for _, generator in options],
            "target_value": options[target][0],
            "target_index": target,
        }
        for number, (options, target) in enumerate(questions)
    ]
    found = balance(schema.frame(rows, schema.QUESTIONS))
    offered = [(v, g, n) for options, _ in questions for n, (v, g) in enumerate(options)]
    values, generators = {v for v, _, _ in offered}, {g for _, g, _ in offered}

    def span(counts: list[int]) -> tuple[int, int]:
        return (min(counts), max(counts)) if counts else (0, 0)

    cells = itertools.product(values, generators, range(4))
    aims = [options[target][0] for options, target in questions]
    mixes = [sorted(g for _, g in options) for options, _ in questions]
    assert found.questions == len(questions)
    assert found.offers == span([sum(v == x for v, _, _ in offered) for x in values])
    assert found.letters == span([offered.count(cell) for cell in cells])
    assert found.targets == span([aims.count(value) for value in values])
    assert found.two_by_two == sum(mix[0] == mix[1] != mix[2] == mix[3] for mix in mixes)
