"""The designs have the properties that docs/questions.md names, and so has one found anew.

Everything is counted here from the dealt questions alone, not by pipeline/balance.py.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.designs import (
    DealtQuestion,
    Design,
    deal_one,
    find_cycle,
    load_design,
    measure,
    read_design,
    write_design,
)
from pipeline.errors import BadInputError
from pipeline.paths import DESIGNS, ROOT
from pipeline.values import value_ids

VALUES = value_ids()
ACTIONS = list(itertools.product(VALUES, (0, 1)))
Questions = tuple[DealtQuestion, ...]


def command(main: object, *arguments: str) -> str:
    app = typer.Typer()
    app.command()(main)  # type: ignore[type-var]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("found") / "found.json"
    command(find_cycle.main, "--seed", "1", "--out", str(out))
    return out


@pytest.fixture(params=["cycle12", "found"])
def cycle(request: pytest.FixtureRequest) -> Design:
    """A cycle of twelve: the one that builds use, and one that the script finds anew."""
    if request.param == "cycle12":
        return load_design("cycle12")
    return read_design(request.getfixturevalue("found"))


def check_over_a_cycle(dealt: list[DealtQuestion], times: int = 1) -> None:
    """Letters, pairs, their order and targets are exactly even over sixty questions."""
    letters = Counter((*option, place) for q in dealt for place, option in enumerate(q.options))
    pairs = Counter(
        pair for q in dealt for pair in itertools.combinations([v for v, _ in q.options], 2)
    )
    targets = Counter(q.options[q.target] for q in dealt)
    asked = Counter(q.options[q.target][0] for q in dealt)
    every = list(itertools.product(ACTIONS, range(4)))
    assert letters == {(*action, letter): 3 * times for action, letter in every}
    assert pairs == dict.fromkeys(itertools.permutations(VALUES, 2), 4 * times)  # 8 a pair
    assert targets == dict.fromkeys(ACTIONS, 3 * times)
    assert asked == dict.fromkeys(VALUES, 6 * times)
    assert Counter(q.target for q in dealt) == dict.fromkeys(range(4), 15 * times)


def check_question(question: DealtQuestion) -> None:
    """Four values, two of each generator, one of the four as the target."""
    assert len({value for value, _ in question.options}) == len(question.options) == 4
    assert sorted(generator for _, generator in question.options) == [0, 0, 1, 1]
    assert question.target in range(4)


def test_a_cycle_has_twelve_scenarios_of_five_questions(cycle: Design) -> None:
    assert (len(cycle.cycle), cycle.per_scenario, cycle.turns) == (12, 5, 1)
    assert {len(questions) for questions in cycle.cycle} == {5}
    assert [cycle.dealt(slot) for slot in range(24)] == [*cycle.cycle, *cycle.cycle]


def test_in_a_scenario_each_action_stands_once_and_two_questions_share_one_value(
    cycle: Design,
) -> None:
    for questions in cycle.cycle:
        assert Counter(option for q in questions for option in q.options) == Counter(ACTIONS)
        for question in questions:
            check_question(question)
        for one, other in itertools.combinations(questions, 2):
            assert len({v for v, _ in one.options} & {v for v, _ in other.options}) == 1


def test_over_a_cycle_letters_pairs_order_and_targets_are_exactly_even(cycle: Design) -> None:
    check_over_a_cycle([question for questions in cycle.cycle for question in questions])


def test_every_domain_meets_every_design_of_a_cycle_in_twelve_of_its_scenarios() -> None:
    design = load_design("cycle12")
    for domain in range(5):
        met = [design.dealt(slot) for slot in range(domain, 60, 5)]
        assert set(met) == set(design.cycle)
        check_over_a_cycle([question for questions in met for question in questions])


def test_the_same_seed_finds_the_same_cycle_and_another_seed_another_one(found: Path) -> None:
    assert read_design(found) == find_cycle.find(1)
    assert read_design(found) != load_design("cycle12")


def test_one60_deals_the_questions_of_cycle12_one_a_slot() -> None:
    one, whole = load_design("one60"), load_design("cycle12")
    dealt = [one.dealt(slot) for slot in range(60)]
    assert (one.per_scenario, {len(questions) for questions in dealt}) == (1, {1})
    assert Counter(q for (q,) in dealt) == Counter(q for qs in whole.cycle for q in qs)


@pytest.mark.parametrize("turn", range(5))
def test_each_sixty_slots_of_one60_are_exactly_even(turn: int) -> None:
    design = load_design("one60")
    dealt = [design.dealt(slot)[0] for slot in range(60 * turn, 60 * turn + 60)]
    for question in dealt:
        check_question(question)
    check_over_a_cycle(dealt)


@pytest.mark.parametrize("domain", range(5))
def test_a_domain_of_one60_is_even_in_sixty_scenarios_and_nearly_so_before(domain: int) -> None:
    design = load_design("one60")
    dealt = [design.dealt(slot)[0] for slot in range(domain, 300, 5)]
    check_over_a_cycle(dealt)
    for turn in range(5):
        part = dealt[12 * turn : 12 * turn + 12]
        offered = Counter(value for q in part for value, _ in q.options)
        asked = Counter(q.options[q.target][0] for q in part)
        assert {offered[value] for value in VALUES} <= {4, 5, 6}  # 4.8 if equal
        assert {asked[value] for value in VALUES} <= {0, 1, 2}  # 1.2


def test_one60_begins_evenly() -> None:
    design = load_design("one60")
    offered: Counter[str] = Counter()
    for slot in range(60):
        offered.update(value for value, _ in design.dealt(slot)[0].options)
        even = 4 * (slot + 1) / 10
        assert all(abs(offered[value] - even) < 2.5 for value in VALUES)


@pytest.mark.slow
def test_one60_is_what_its_script_makes(tmp_path: Path) -> None:
    out = tmp_path / "one60.json"
    command(deal_one.main, "--out", str(out))
    assert out.read_bytes() == (DESIGNS / "one60.json").read_bytes()


def test_a_design_that_is_written_is_read_again(tmp_path: Path) -> None:
    for name in ("cycle12", "one60"):
        write_design(tmp_path / "again.json", load_design(name), VALUES, "a test")
        assert read_design(tmp_path / "again.json") == load_design(name)


def test_measure_prints_what_a_part_of_a_cycle_offers() -> None:
    rows = {}
    for line in command(measure.main, "cycle12", "--slots", "25").splitlines()[2:]:
        least, most, even, _, _, what = line.split(maxsplit=5)
        rows[what] = (int(least), int(most), float(even))
    assert rows["times a value is offered"] == (50, 50, 50)
    counted = measure.measured(load_design("cycle12"), range(25)).counts
    assert list(rows.values()) == [(s.least, s.most, round(s.even, 2)) for s in counted.values()]


def test_the_documents_print_what_measure_prints() -> None:
    text = (ROOT / "docs" / "questions.md").read_text()
    blocks = re.findall(r"\$ python -m pipeline\.designs\.measure (.*)\n((?:.+\n)+?)```", text)
    assert len(blocks) == 3
    for arguments, printed in blocks:
        assert command(measure.main, *arguments.split()) == printed


def test_an_unknown_design_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(BadInputError, match=r"'cycle21'.*did you mean 'cycle12'"):
        load_design("cycle21")


def test_an_error_of_a_script_is_one_line() -> None:
    called = [sys.executable, "-m", "pipeline.designs.measure", "cycle21"]
    done = subprocess.run(called, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: compose.design: no design 'cycle21'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["", "[]", '{"generators": ["g0", "g1"]}', '{"generators": [], "cycle": [[], []]}']
)
def test_a_file_that_is_no_design_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(BadInputError, match=r"mine\.json: "):
        read_design(tmp_path / "mine.json")
