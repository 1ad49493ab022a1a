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
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.designs import load_design
from pipeline.errors import StageError
from pipeline.paths import ROOT
from pipeline.slots import slot_number
from pipeline.stage import Context
from pipeline.values import value_ids

CONFIG = load(ROOT / "configs" / "demo.toml")
ONE60 = load(ROOT / "configs" / "demo.toml", {"compose.design": "one60"})
CYCLE = load_design("cycle12").cycle
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


def run(tables: Tables, config: Config = CONFIG) -> pl.DataFrame:
    context = Context(config=config, tables=tables, out=Path(), manifests={})
    return compose.run(context).tables["questions"]


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


@given(st.integers(0, 61))
@SMALL
def test_with_one_question_a_scenario_each_slot_gets_its_own_and_no_action_is_lost(
    slots: int,
) -> None:
    design = load_design("one60")
    questions = run(world(slots), ONE60)
    assert questions.height == questions["question_id"].n_unique() == slots
    for row in questions.iter_rows(named=True):
        (dealt,) = design.dealt(row["slot"])
        assert row["question_index"] == 0
        named = list(zip(row["option_values"], row["option_generators"], strict=True))
        assert named == [(value, GENERATORS[g]) for value, g in dealt.options]
        assert row["option_ids"] == [f"a-s{row['slot']}-{value}-{g}" for value, g in named]
        assert row["target_value"] == row["option_values"][dealt.target]


@given(st.integers(0, 2**32))
@SMALL
def test_row_order_changes_nothing(seed: int) -> None:
    tables = world(13)
    mixed = {name: t.sample(fraction=1, shuffle=True, seed=seed) for name, t in tables.items()}
    assert run(mixed).equals(run(tables))


@given(st.integers(1, 26), st.sampled_from([CONFIG, ONE60]), st.data())
@SMALL
def test_a_scenario_that_comes_goes_or_is_replaced_leaves_the_others_as_they_are(
    slots: int, config: Config, data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, slots - 1))
    tables = world(slots)
    others = run(tables, config).filter(pl.col("slot") != gone).write_ndjson()
    fewer = tables | {"generate.slots": tables["generate.slots"].filter(pl.col("slot") != gone)}
    assert run(fewer, config).write_ndjson() == others
    replaced = run(world(slots, {gone: "new"}), config)
    assert replaced.filter(pl.col("slot") != gone).write_ndjson() == others
    assert set(replaced.filter(pl.col("slot") == gone)["scenario_id"]) == {"new"}
    more = run(world(slots + 1), config)
    assert more.filter(~pl.col("slot").is_in([gone, slots])).write_ndjson() == others


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


def test_balance_of_whole_cycles_is_exact_but_for_pairs_by_generators() -> None:
    found = balance(run(world(24)), value_ids())
    assert (found.questions, found.two_by_two) == (120, 120)
    inexact = {name for name, (least, most, _) in found.counts.items() if least != most}
    assert inexact == {"mixture"}
    assert [found.counts[n].even for n in ("value", "letter", "target")] == [48, 6, 12]


def test_balance_of_a_partial_cycle_says_how_far_it_is_from_equal() -> None:
    questions = run(world(25))
    found = balance(questions, value_ids())
    letters = Counter(
        cell
        for values, by in questions.select("option_values", "option_generators").iter_rows()
        for cell in zip(values, by, range(4), strict=True)
    )
    assert len(letters) == 80
    assert found.counts["letter"] == (min(letters.values()), max(letters.values()), 6.25)
    assert found.counts["letter"].least < found.counts["letter"].most
    assert found.counts["value"] == (50, 50, 50)


def test_a_value_that_is_never_offered_counts_as_none() -> None:
    found = balance(run(world(1), ONE60), value_ids())
    assert found.counts["value"] == (0, 1, 0.4)
    assert balance(run(world(0)), value_ids()).counts["value"] == (0, 0, 0)


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
    offered = [(v, g, n) for options, _ in questions for n, (v, g) in enumerate(options)]
    values, generators = sorted({v for v, _, _ in offered}), sorted({g for _, g, _ in offered})
    found = balance(schema.frame(rows, schema.QUESTIONS), values)

    def span(counts: list[int]) -> tuple[int, int, float]:
        return (min(counts), max(counts), sum(counts) / len(counts)) if counts else (0, 0, 0)

    before = [p for options, _ in questions for p in itertools.combinations(options, 2)]
    either = before + [(y, x) for x, y in before]
    order = [(x[0], y[0]) for x, y in before]
    pairs = list(itertools.combinations(values, 2))
    by = list(itertools.product(generators, generators))
    aims = [options[target] for options, target in questions]
    letters = [target for _, target in questions]
    mixes = [sorted(g for _, g in options) for options, _ in questions]
    assert found.questions == len(questions)
    assert found.counts == {
        "value": span([sum(v == x for v, _, _ in offered) for x in values]),
        "letter": span([offered.count(c) for c in itertools.product(values, generators, range(4))]),
        "pair": span([order.count(p) + order.count(p[::-1]) for p in pairs]),
        "order": span([order.count(p) for p in itertools.permutations(values, 2)]),
        "mixture": span([either.count(((a, g), (b, h))) for a, b in pairs for g, h in by]),
        "target": span([sum(v == x for v, _ in aims) for x in values]),
        "target_generator": span([aims.count(c) for c in itertools.product(values, generators)]),
        "target_letter": span([letters.count(n) for n in range(4)]),
    }
    assert found.two_by_two == sum(mix[0] == mix[1] != mix[2] == mix[3] for mix in mixes)
