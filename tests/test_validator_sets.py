"""Checks of a whole set of actions, and what all checks find in actions that are good."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config_actions import ValidateConfig
from pipeline.embedding import BUNDLED, Embedder
from pipeline.paths import ROOT
from pipeline.validators import CODES, FORM, ActionRow, Violation, check
from pipeline.validators.sets import (
    Vectors,
    distinct,
    on_scenario,
    repeated,
    stranger_of,
    strangers,
    ten_values,
)
from pipeline.values import value_ids

GOOD = [
    ActionRow(**json.loads(line))
    for line in (ROOT / "tests" / "actions_good.ndjson").read_text(encoding="utf-8").splitlines()
]


def a_set(scenario: str = "s", **changes: str) -> list[ActionRow]:
    """Ten actions that differ, one a value; some of them changed."""
    verbs = ["walk", "sing", "dance", "cook", "read", "paint", "swim", "knit", "garden", "wait"]
    texts = {v: f"I {verb} until noon." for v, verb in zip(value_ids(), verbs, strict=True)}
    return [ActionRow(scenario, value, text) for value, text in (texts | changes).items()]


def test_ten_values_once_each() -> None:
    assert ten_values(a_set()) == [None] * 10
    short = ten_values(a_set()[1:])
    assert {violation.detail for violation in short if violation} == {"self_direction is missing"}
    assert None not in short
    (*_, last) = ten_values([*a_set(), ActionRow("s", "power", "I sing."), *a_set("t")])
    assert last is None
    twice = ten_values([*a_set(), ActionRow("s", "power", "I sing.")])
    assert twice[0] == Violation("ten_values", "power is there 2 times")
    unknown = ten_values([*a_set(), ActionRow("s", "luck", "I sing.")])
    assert unknown[0] == Violation("ten_values", "luck is no value")


def test_two_generators_make_two_sets() -> None:
    rows = [ActionRow("s", row.value, row.action, "", "g") for row in a_set()] + a_set()
    assert check(rows) == [()] * 20


def test_the_same_text_is_found_in_any_dress_and_the_later_value_is_named() -> None:
    rows = a_set(tradition="i WALK, until noon!")
    named = repeated(rows)
    assert named[value_ids().index("tradition")] == Violation(
        "repeated", "the same text as for self_direction"
    )
    assert sum(violation is not None for violation in named) == 1
    assert repeated([*a_set("s"), *a_set("t")]) == [None] * 20


def test_the_same_words_are_not_near_ones_as_well() -> None:
    rows = turned("s", 0, 0, 10, 10)
    vectors = Vectors([row.action for row in rows], Wheel())
    assert [bool(violation) for violation in repeated(rows)] == [False, True, False, True]
    named = distinct(rows, ValidateConfig(distinct=0.97), vectors)
    assert [bool(violation) for violation in named] == [False, False, True, True]


class Wheel:
    """Embeds a number of degrees as a direction."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def exact(self, texts: list[str]) -> np.ndarray:
        self.asked.append(("exact", len(texts)))
        angles = np.radians([float(text.split()[-1]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def quick(self, texts: list[str]) -> np.ndarray:
        vectors = self.exact(texts)
        self.asked[-1] = ("quick", len(texts))
        return vectors


def turned(scenario: str, *degrees: int, text: str = "") -> list[ActionRow]:
    pairs = zip(value_ids(), degrees, strict=False)
    return [ActionRow(scenario, value, f"I turn by {n}", text) for value, n in pairs]


def test_near_duplicates_are_found_by_their_vectors() -> None:
    rows = turned("s", 0, 10, 20, 90, 200)  # neighbours are alike, those two apart are not
    vectors = Vectors([row.action for row in rows], Wheel())
    named = distinct(rows, ValidateConfig(distinct=0.97), vectors)
    assert [bool(violation) for violation in named] == [False, True, False, False, False]
    assert named[1] == Violation("distinct", "cosine 0.98 to the text for self_direction")


def test_what_two_generators_write_is_compared_but_for_the_same_value() -> None:
    ours = turned("s", 0, 90)
    theirs = [replace(row, generator="g") for row in turned("s", 1, 2)]
    vectors = Vectors([row.action for row in ours + theirs], Wheel())
    named = distinct(ours + theirs, ValidateConfig(distinct=0.97), vectors)
    assert [bool(violation) for violation in named] == [False, False, False, True]
    assert named[3] == Violation("distinct", "cosine 1.00 to the text for self_direction")


def test_an_action_that_is_nearer_to_another_scenario_is_found() -> None:
    here, there = "I stand at 0", "I stand at 180"
    rows = [*turned("s", 0, 80, 95, 170, text=here), *turned("t", 180, 5, text=there)]
    vectors = Vectors([text for row in rows for text in (row.action, row.scenario)], Wheel())
    others = (here, there)
    named = on_scenario(rows, ValidateConfig(on_scenario=0.1), vectors, others)
    assert [bool(violation) for violation in named] == [False, False, True, True, False, True]
    assert named[3] == Violation("on_scenario", "cosine -0.98 to its scenario, 0.98 to another one")
    assert on_scenario(rows[:4], ValidateConfig(), vectors, (here,)) == [None] * 4
    bare = [ActionRow(row.scenario_id, row.value, row.action) for row in rows]
    assert on_scenario(bare, ValidateConfig(), vectors, others) == [None] * 6


def test_quick_vectors_find_and_exact_ones_decide() -> None:
    class Skewed(Wheel):
        def quick(self, texts: list[str]) -> np.ndarray:
            angles = np.radians([float(t.split()[-1]) + 0.2 * (len(t) % 3 - 1) for t in texts])
            return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    rows = turned("s", 0, 14, 90, 200, 9, text="I stand at 1")
    least = ValidateConfig(distinct=float(np.cos(np.radians(14.1))))
    found = check(rows, least, Skewed(), ("I stand at 3",))
    assert found == check(rows, least, Wheel(), ("I stand at 3",))
    assert [bool(each) for each in found[1:2]] == [True]


def test_other_scenarios_change_nothing() -> None:
    rows = turned("s", 0, 5, 170, text="I stand at 0")
    more = turned("t", 10, 95, text="I stand at 90")
    others = ("I stand at 45", "I stand at 170")
    alone = check(rows, ValidateConfig(), Wheel(), others)
    assert check(rows + more, ValidateConfig(), Wheel(), others)[:3] == alone
    assert any(alone)


def test_the_bundled_strangers_are_invented_and_enough() -> None:
    assert len(strangers()) >= 30
    assert len(set(strangers())) == len(strangers())
    assert stranger_of(ActionRow("s", "power", "I go.", strangers()[0]), strangers()[:1]) == ""


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_rows_changes_nothing(shuffler: random.Random) -> None:
    rows = [*turned("s", 0, 5, 9, 90, 180, text="I stand at 0"), ActionRow("s", "power", "...")]
    rows += [*turned("t", 180, 180, 40, text="I stand at 180"), *turned("s", 0, 170)]
    expected = dict(
        zip(rows, check(rows, ValidateConfig(), Wheel(), ("I stand at 100",)), strict=True)
    )
    assert any(expected.values())
    order = list(rows)
    shuffler.shuffle(order)
    assert (
        dict(zip(order, check(order, ValidateConfig(), Wheel(), ("I stand at 100",)), strict=True))
        == expected
    )


def test_codes_are_listed_once_and_in_their_order() -> None:
    codes = [code for code, _ in CODES]
    assert len(set(codes)) == len(codes)
    assert set(FORM) < set(codes)
    row = ActionRow("s", "power", "Power is nice. Yes. As an AI, I kill my friend Roberto because")
    (violations,) = check([row])
    listed = [violation.code for violation in violations]
    assert listed == [code for code in codes if code in listed]
    assert {"first_person", "sentences", "value_word", "refusal", "harmful"} <= set(listed)


def test_nothing_to_check() -> None:
    assert check([]) == []
    assert check([], embedder=Wheel()) == []


def test_under_three_in_a_hundred_good_actions_are_of_bad_form() -> None:
    """300 actions that were written before any rule was: what is found in them is counted."""
    results = check(GOOD)
    counts = Counter(violation.code for each in results for violation in each)
    form = sum(any(v.code in FORM for v in each) for each in results)
    for code, _ in CODES:
        print(f"{code:<16} {counts[code]:>3} of {len(GOOD)}  {counts[code] / len(GOOD):.1%}")
    print(f"form {form / len(GOOD):.1%}; value_word apart {counts['value_word'] / len(GOOD):.1%}")
    assert len(GOOD) >= 300
    assert form / len(GOOD) < 0.03
    assert counts["ten_values"] == counts["harmful"] == counts["refusal"] == 0


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return Embedder(BUNDLED, 180)


def quantiles(name: str, cosines: np.ndarray) -> None:
    steps = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)
    cells = (f"{value:6.2f}" for value in np.quantile(cosines, steps))
    print(f"{name:<34}", *cells)


@pytest.mark.slow
def test_good_actions_keep_to_their_scenario_and_differ(minilm: Embedder) -> None:
    """Prints the cosines that the thresholds were chosen from."""
    texts = sorted({row.scenario for row in GOOD})
    actions = [row.action for row in GOOD]
    vectors = Vectors([*texts, *strangers(), *actions], minilm)
    own = np.array([row.scenario == text for row in GOOD for text in texts]).reshape(300, 30)
    cosines, among = vectors.rough(actions, texts), vectors.rough(actions, actions)
    same = np.triu(own.astype(int) @ own.T.astype(int), k=1) > 0
    quantiles("to its scenario", cosines[own])
    quantiles("to another scenario", cosines[~own])
    quantiles("between two actions of a scenario", among[same])
    nearer = (cosines >= cosines[own][:, None])[~own].mean()
    print(f"another scenario is as near as its own: {nearer:.1%}")

    following = dict(zip(texts, [*texts[7:], *texts[:7]], strict=True))
    moved = [
        ActionRow(row.scenario_id, row.value, row.action, following[row.scenario]) for row in GOOD
    ]
    for cut in (0.05, 0.10, 0.15, 0.20):
        at = ValidateConfig(on_scenario=cut)
        good, off = (on_scenario(rows, at, vectors, strangers()) for rows in (GOOD, moved))
        counts = [sum(violation is not None for violation in each) for each in (good, off)]
        print(f"on_scenario at {cut:.2f}: {counts[0]} good, {counts[1]} moved to another scenario")
        if cut == ValidateConfig().on_scenario:
            assert counts[0] / len(GOOD) < 0.04
            assert counts[1] / len(GOOD) > 0.2
    assert distinct(GOOD, ValidateConfig(), vectors) == [None] * len(GOOD)


SAME = [
    ("I accept the offer and start next month.", "I accept the offer and begin next month."),
    (
        "I tell my brother that I will not lend him the money.",
        "I tell my brother I won't be lending him the money.",
    ),
    (
        "I ask my manager for more time to think about the promotion.",
        "I ask my manager to give me more time to consider the promotion.",
    ),
    (
        "I call my sister and apologise for what I said at the wedding.",
        "I phone my sister and say sorry for what I said at the wedding.",
    ),
    (
        "I report the false invoices to the compliance office.",
        "I report the fraudulent invoices to the compliance department.",
    ),
    (
        "I turn down the job and stay with my family.",
        "I decline the job and remain with my family.",
    ),
    (
        "I sit down with my parents and explain my decision calmly.",
        "I calmly explain my decision to my parents.",
    ),
    (
        "I book a weekend trip to the coast with my partner.",
        "I book a weekend at the coast for my partner and me.",
    ),
    (
        "I draw up a budget and pay off the debts first.",
        "I make a budget and pay off my debts first.",
    ),
    (
        "I sign the lease for another year and stay in the flat.",
        "I renew the lease for another year and keep living in the flat.",
    ),
    (
        "I organise a meeting with all neighbours and listen to each of them.",
        "I invite all the neighbours to a meeting and listen to everyone.",
    ),
    (
        "I keep quiet about the matter and carry on as before.",
        "I say nothing about the matter and go on as before.",
    ),
    (
        "I take the evening course in carpentry and finish my degree.",
        "I finish my degree and take the evening course in carpentry.",
    ),
    (
        "I ask the elders of the family for advice and follow it.",
        "I seek the advice of the family elders and follow what they say.",
    ),
    ("I donate half of the money to a local shelter.", "I give half the money to a local shelter."),
]
OTHER = [
    (
        "I accept the promotion and start in three weeks.",
        "I decline the promotion and stay in my current role.",
    ),
    (
        "I tell my friend the truth about her fiancé.",
        "I say nothing to my friend about her fiancé.",
    ),
    (
        "I lend my brother the money without a contract.",
        "I lend my brother the money on a written contract with interest.",
    ),
    (
        "I move my father into my spare room.",
        "I move my father into the home that my brothers pay for.",
    ),
    (
        "I sell the house and share the money with my cousin.",
        "I sell the house and keep the money for my own plans.",
    ),
    ("I sign with the supermarket on my own terms.", "I refuse to sign with the supermarket."),
    ("I report my boss to the auditors.", "I speak to my boss alone before I report anything."),
    ("I recommend that he stay at this school.", "I recommend that he move to a special school."),
    (
        "I take the half pay and stay with the start-up.",
        "I take the bank's job and leave the start-up.",
    ),
    (
        "I ask my partner to move to the city with me.",
        "I ask my partner what he wants and follow him to the town.",
    ),
    (
        "I run for the board and promise to keep both schools open.",
        "I run for the board and promise to close the smaller school.",
    ),
    ("I keep his secret until the exams.", "I tell my husband our son's secret before the exams."),
    (
        "I accept the offer on the condition that I get a seat on the board.",
        "I accept the offer on the condition that the lowest paid keep their wages.",
    ),
    ("I divide the money equally among my siblings.", "I divide the money by who gave what care."),
]


@pytest.mark.slow
def test_most_of_what_is_said_twice_is_found_and_few_opposites_are(minilm: Embedder) -> None:
    named = []
    for pairs in (SAME, OTHER):
        vectors = Vectors([text for pair in pairs for text in pair], minilm)
        sets = [
            [ActionRow("s", "power", one), ActionRow("s", "security", two)] for one, two in pairs
        ]
        named.append(sum(distinct(rows, ValidateConfig(), vectors)[1] is not None for rows in sets))
    print(f"said twice: {named[0]} of {len(SAME)}; different: {named[1]} of {len(OTHER)}")
    assert named[0] >= 12
    assert named[1] <= 1
