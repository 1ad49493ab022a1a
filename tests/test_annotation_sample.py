"""The random sample: equal known chances, even strata, and items that stay where they are."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.annotation import sample
from pipeline.annotation.assign import Loads
from pipeline.annotation.sample import PARTS, Population, draw, named, population
from pipeline.errors import BadInputError, StageError
from tests.simulated import DOMAINS, GENERATORS, action_row, people, tables

Strata = Counter[tuple[str, str, str]]


def strata(drafts: list[sample.Draft], of: Population) -> Strata:
    return Counter((d.domain, *of.cells[a][1]) for d in drafts for a in d.action_ids)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_every_stratum_of_value_domain_and_generator_gets_the_same_number(count: int) -> None:
    everyone = people(15)
    drafts = draw(everyone, "seed", 0, count)
    found = strata(drafts, everyone)
    assert len(found) == 10 * len(DOMAINS) * len(GENERATORS)
    assert set(found.values()) == {count}
    assert len(drafts) == 5 * count * len(DOMAINS)
    assert {d.probability for d in drafts} == {count / (PARTS * 3)}


def test_an_item_holds_four_different_actions_of_one_scenario_and_values_may_repeat() -> None:
    everyone = people(100)
    drafts = draw(everyone, "seed", 0, 20)
    repeats = 0
    for draft in drafts:
        places = [everyone.cells[action] for action in draft.action_ids]
        assert {scenario for scenario, _ in places} == {draft.scenario_id}
        assert len({cell for _, cell in places}) == 4
        repeats += len({value for _, (value, _) in places}) < 4
    # Four of twenty at random: 1 - 20*18*16*14 / (20*19*18*17) = 0.307 of items repeat a value.
    expected = 1 - (18 * 16 * 14) / (19 * 18 * 17)
    assert abs(repeats / len(drafts) - expected) < 4 * math.sqrt(0.25 / len(drafts))


def test_all_turns_together_hold_every_action_once() -> None:
    everyone = people(7)
    drawn = Counter(a for d in draw(everyone, "seed", 0, 99) for a in d.action_ids)
    assert drawn == Counter(everyone.texts.keys())


def test_rounds_go_on_where_earlier_ones_stopped() -> None:
    everyone = people(10)
    one, two = draw(everyone, "seed", 0, 3), draw(everyone, "seed", 3, 4)
    assert one + two != draw(everyone, "seed", 0, 7)  # sorted by domain, but the same items:
    assert {*one_ids(one), *one_ids(two)} == {*one_ids(draw(everyone, "seed", 0, 7))}
    assert not {*one_ids(one)} & {*one_ids(two)}


def one_ids(drafts: list[sample.Draft]) -> list[tuple[str, ...]]:
    return [draft.action_ids for draft in drafts]


def test_every_action_is_drawn_with_the_probability_that_is_noted() -> None:
    """Two blocks, the second one short: chances are equal all the same."""
    everyone = population(*tables(7, ("career",)))
    turns, count = 3_000, 3
    chance = count / (PARTS * 2)
    times: Counter[str] = Counter()
    together: Counter[str] = Counter()
    for turn in range(turns):
        for draft in draw(everyone, f"seed {turn}", 0, count):
            assert draft.probability == pytest.approx(chance)
            times.update(draft.action_ids)
            cells = {everyone.cells[action][1] for action in draft.action_ids}
            together["same value"] += sum(
                one[0] == other[0] for one, other in combinations(cells, 2)
            )
            together["pairs"] += 6
    spread = math.sqrt(chance * (1 - chance) / turns)
    assert set(times) == set(everyone.texts)
    worst = max(abs(n / turns - chance) / spread for n in times.values())
    assert worst < 4.5  # of 140 actions
    # Within an item every pair of the scenario's actions is equally likely.
    share = together["same value"] / together["pairs"]
    assert abs(share - 1 / 19) < 4 * math.sqrt(1 / 19 / together["pairs"])


def test_the_estimate_is_unbiased_where_accuracy_depends_on_everything() -> None:
    """Horvitz-Thompson total of "right" over many draws, for a truth that favours some cells."""
    everyone = population(*tables(8, ("career", "finance")))
    right = {
        action: (cell[0] in {"power", "security"}) or (cell[1] == GENERATORS[0] and len(s) % 2 == 0)
        or everyone.domains["career"][0] == s
        for action, (s, cell) in everyone.cells.items()
    }  # fmt: skip
    truth = sum(right.values()) / len(right)
    estimates = []
    for turn in range(1_500):
        drafts = draw(everyone, f"seed {turn}", 0, 2)
        total = sum(right[a] / (d.probability or 0) for d in drafts for a in d.action_ids)
        estimates.append(total / len(right))
    series = pl.Series(estimates)
    mean, error = float(series.mean()), float(series.std()) / math.sqrt(len(estimates))  # type: ignore[arg-type]
    assert abs(mean - truth) < 4 * error
    assert error < 0.01


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 12), st.integers(1, 6))
def test_the_order_of_rows_decides_nothing(random: st.DataObject, size: int, count: int) -> None:
    slots, actions, scenarios = tables(size)
    shuffled = [t.sample(fraction=1, shuffle=True, seed=random.randrange(10**6))  # type: ignore[attr-defined]
                for t in (slots, actions, scenarios)]  # fmt: skip
    assert draw(population(*shuffled), "s", 0, count) == draw(
        population(slots, actions, scenarios), "s", 0, count
    )


def test_new_scenarios_move_only_what_a_new_block_displaces() -> None:
    count = 10
    before = set(one_ids(draw(people(300), "seed", 0, count)))
    after = set(one_ids(draw(people(305), "seed", 0, count)))  # one block more a domain
    assert len(before - after) <= 5 * len(DOMAINS)
    assert len(before & after) >= 5 * (count - 1) * len(DOMAINS)
    # Scenarios that only fill the last block up move nothing at all.
    assert set(one_ids(draw(people(301), "seed", 0, 61))) <= set(
        one_ids(draw(people(303), "seed", 0, 61))
    )


def test_a_replaced_scenario_or_action_changes_its_own_item_only() -> None:
    slots, actions, scenarios = tables(10)
    before = draw(population(slots, actions, scenarios), "seed", 0, 2)
    victim = before[0].scenario_id
    old = pl.col("scenario_id") == victim
    new = pl.when(old).then(pl.lit("s_new")).otherwise("scenario_id").alias("scenario_id")
    renamed = [table.with_columns(new) for table in (slots, actions, scenarios)]
    after = draw(population(*renamed), "seed", 0, 2)
    moved = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert [a.scenario_id for a, _ in moved] == [victim]
    assert moved[0][1].action_ids == moved[0][0].action_ids  # the same cells


def test_an_incomplete_dataset_is_refused_by_name() -> None:
    slots, actions, scenarios = tables(2)
    first = slots["scenario_id"][0]
    own = actions.filter(pl.col("scenario_id") == first)
    with pytest.raises(StageError, match=f"scenario {first}: no action for"):
        population(slots, actions.join(own.head(1), on="action_id", how="anti"), scenarios)
    double = pl.concat([actions, pl.DataFrame([action_row(first, "power", "g-one", "Twice.")],
                                              schema=actions.schema)])  # fmt: skip
    with pytest.raises(StageError, match="two actions for power by g-one"):
        population(slots, double, scenarios)
    with pytest.raises(StageError, match=f"scenario {first}: its text is missing"):
        population(slots, actions, scenarios.filter(pl.col("scenario_id") != first))


def test_named_actions_come_in_their_order_and_others_fill_their_items_up() -> None:
    everyone = people(4)
    scenario, other = everyone.domains["career"][:2]
    mine = sorted(everyone.actions[scenario].values())
    theirs = sorted(everyone.actions[other].values())
    wanted = [theirs[0], *mine[:6], mine[0]]
    drafts = named(everyone, "seed", wanted, seen={mine[5]}, most=10)
    assert [len(d.targeted) for d in drafts] == [1, 4, 1]
    assert [d.scenario_id for d in drafts] == [other, scenario, scenario]
    assert {a for d in drafts for a in d.targeted} == {theirs[0], *mine[:5]}
    assert all(len(set(d.action_ids)) == 4 and d.targeted <= set(d.action_ids) for d in drafts)
    assert all(d.probability is None for d in drafts)
    assert drafts[:1] == named(everyone, "seed", wanted, seen=set(), most=1)
    with pytest.raises(BadInputError, match="a_nothing is no action of this build"):
        named(everyone, "seed", ["a_nothing"], seen=set(), most=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 40), st.text(max_size=3))
def test_loads_are_equal_but_for_one(experts: int, overlap: int, items: int, seed: str) -> None:
    loads = Loads(range(1, experts + 1), seed)
    given_ = [loads.give(f"i{n}", overlap) for n in range(items)]
    assert all(len(set(g)) == min(overlap, experts) and g == sorted(g) for g in given_)
    counts = Counter(number for group in given_ for number in group)
    if items:
        assert max(counts.values()) - min(counts.get(n, 0) for n in loads.items) <= 1


def test_every_pair_of_experts_meets_equally_often() -> None:
    loads = Loads(range(1, 5), "seed")
    met = Counter(tuple(loads.give(f"i{n}", 2)) for n in range(60))
    assert set(met.values()) == {10}
    barred = [loads.give(f"j{n}", 1, barred=[1, 2]) for n in range(10)]
    assert {number for group in barred for number in group} == {3, 4}
    assert loads.give("k", 1, barred=[1, 2, 3, 4]) == []
