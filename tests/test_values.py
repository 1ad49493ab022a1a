"""prompts/values.toml is checked as it is read; a mistake is named with its file and field."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.values import FILE, load_values, value_ids

TEXT = FILE.read_text(encoding="utf-8")


def test_the_ten_stand_in_the_order_of_the_circle() -> None:
    values = load_values()
    assert value_ids() == (
        *("self_direction", "stimulation", "hedonism", "achievement", "power"),
        *("security", "conformity", "tradition", "benevolence", "universalism"),
    )
    assert [value.position for value in values] == list(range(10))
    for value in values:
        assert value.definition.strip() and value.goal.strip()
        assert value.goal != value.definition


def test_opposites_are_symmetric_and_far_on_the_circle() -> None:
    by_id = {value.id: value for value in load_values()}
    for value in by_id.values():
        for other in value.opposites:
            assert value.id in by_id[other].opposites
            apart = abs(value.position - by_id[other].position)
            assert min(apart, 10 - apart) >= 3
            assert not set(value.higher_order) & set(by_id[other].higher_order)
    assert set(by_id["hedonism"].opposites) == {"conformity", "tradition"}
    assert set(by_id["power"].opposites) == {"benevolence", "universalism"}


def test_a_family_holds_the_inflections_of_the_name() -> None:
    words = {value.id: set(value.words) for value in load_values()}
    assert {"tradition", "traditions", "traditional", "traditionally"} <= words["tradition"]
    assert {"achieve", "achieves", "achieved", "achieving"} <= words["achievement"]
    assert {"secure", "secured", "securely", "insecure"} <= words["security"]
    assert {"powerful", "empower"} <= words["power"]
    assert "self-directed" in words["self_direction"]
    assert sum(map(len, words.values())) == len(set().union(*words.values()))


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (swap("version = 2", "version = 0"), "version"),
        (swap("version = 2", 'version = "2"'), "version"),
        (swap("version = 2", "version ="), "line"),
        (lambda text: text[: text.rindex("[[value]]")], "value: give 10"),
        (lambda _: "version = 1\nvalue = 3", "value: give 10"),
        (lambda _: f"version = 1\nvalue = [{'1, ' * 10}]", "value[0]"),
        (swap('goal = "To have', 'gaol = "To have'), "value 'hedonism'.gaol"),
        (swap("gaol", "goal"), ""),  # nothing changed
        (swap('goal = "To find excitement, novelty and challenge."', ""), "'stimulation'.goal"),
        (swap('goal = "To find excitement', 'goal = "\\nTo find'), "'stimulation'.goal"),
        (swap('name = "Power"', 'name = ""'), "value 'power'.name"),
        (swap('id = "power"', 'id = "Power"'), "value 'Power'.id"),
        (swap('id = "power"', 'id = "security"'), "value.id"),
        (swap("position = 4", "position = 5"), "value 'power'.position"),
        (swap("position = 0", "position = true"), "value 'self_direction'.position"),
        (swap("position = 0", "position = false"), "value 'self_direction'.position"),
        (
            swap('opposites = ["conformity", "tradition"]', "opposites = []"),
            "'hedonism'.opposites",
        ),
        (
            swap('opposites = ["conformity", "tradition"]', 'opposites = ["conformity"]'),
            "value 'hedonism'.opposites: 'tradition' names it",
        ),
        (
            swap('opposites = ["conformity", "tradition"]', 'opposites = ["hedonism"]'),
            "value 'hedonism'.opposites: a value is not",
        ),
        (
            swap('opposites = ["conformity", "tradition"]', 'opposites = ["traditon"]'),
            "did you mean 'tradition'",
        ),
        (swap('"hedonism", "hedonist"', '"hedonist"'), "'hedonism' itself is missing"),
        (swap('"hedonism", "hedonist"', '"hedonism", "power"'), "value 'power'.words"),
        (swap('"hedonism", "hedonist"', '"hedonism", "Hedonist"'), "value 'hedonism'.words"),
        (swap('"hedonism", "hedonist"', '"hedonism", "hedon.*"'), "value 'hedonism'.words"),
        (swap('"hedonism", "hedonist"', '"hedonism", "hedonism"'), "value 'hedonism'.words"),
        (swap('"hedonism", "hedonist"', "1"), "value 'hedonism'.words"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[str], str], field: str
) -> None:
    path = tmp_path / "values.toml"
    path.write_text(change(TEXT), encoding="utf-8")
    if not field:
        assert load_values(path) == load_values()
        return
    with pytest.raises(BadInputError, match=re.escape(field)) as caught:
        load_values(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"values\.toml: .*restore the file"):
        load_values(tmp_path / "values.toml")
