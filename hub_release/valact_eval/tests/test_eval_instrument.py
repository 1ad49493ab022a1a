import re

import pytest
from eval_helpers import write_pvq
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.asks import Setup
from valact_eval.errors import ValactError
from valact_eval.instrument import item_order, load_instrument
from valact_eval.key import KEY


def test_the_stand_in_says_what_it_is():
    found = load_instrument(None)
    assert found.name == "valact-portraits-40 (not validated)"
    assert "PVQ" not in found.name
    assert sorted(found.texts) == list(range(1, 41))
    assert found.scale[0] == "not like me at all"
    assert found.scale[5] == "very much like me"
    for text in found.texts.values():
        assert not re.search(r"\b(?:he|she|his|her|him|man|woman)\b", text, re.IGNORECASE)
        assert len(text.split()) <= 25


def test_no_stand_in_names_its_value():
    found = load_instrument(None)
    for value in KEY:
        for text in found.items_of(value):
            assert value.split("_")[0] not in text.lower()


def test_a_file_of_ones_own(tmp_path):
    found = load_instrument(write_pvq(tmp_path / "p.csv"))
    assert re.fullmatch(r"PVQ-40 \(own copy [0-9a-f]{8}\)", found.name)
    assert found.texts[40] == "Wording 40."
    assert found.items_of("power") == ("Wording 2.", "Wording 17.", "Wording 39.")


def test_tabs_a_mark_at_the_start_and_no_labels(tmp_path):
    lines = ["item\ttext", *(f"{i}\t他很重视 {i}" for i in range(40, 0, -1))]
    (tmp_path / "p.tsv").write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    found = load_instrument(tmp_path / "p.tsv")
    assert found.texts[3] == "他很重视 3"
    assert found.scale == load_instrument(None).scale


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("not like me at all", "very much like me"),
        ("一点都不像我", "非常像我"),
        ("mir gar nicht ähnlich", "mir sehr ähnlich"),
        ("Pas du tout comme moi", "Tout à fait comme moi"),
        ("No se parece nada a mí", "Se parece mucho a mí"),
        ("совсем не похож на меня", "очень похож на меня"),
        ("まったく似ていない", "非常によく似ている"),
    ],
)
def test_the_direction_of_the_scale(tmp_path, low, high):
    def change(rows):
        rows[1][2], rows[6][2] = low, high

    def turned(rows):
        rows[1][2], rows[6][2] = high, low

    found = load_instrument(write_pvq(tmp_path / "p.csv", change))
    assert (found.scale[0], found.scale[5]) == (low, high)
    with pytest.raises(ValactError, match="the scale runs the other way"):
        load_instrument(write_pvq(tmp_path / "q.csv", turned))


def row(number, **cells):
    def change(rows):
        place = next(i for i, cells_ in enumerate(rows) if cells_[0] == str(number))
        for name, cell in cells.items():
            rows[place][["item", "value", "text"].index(name)] = cell

    return change


def remove(item):
    def change(rows):
        rows[:] = [cells for cells in rows if cells[0] != item]

    return change


def both_ends_denied(rows):
    rows[6][2] = "not wrong"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove("17"), "item '17' is missing"),
        (row(17, item="41"), "item '17' is missing"),
        (row(17, item="2"), "line 24: item '2' comes twice"),
        (row(17, item="x"), "item 'x' is unknown"),
        (row(17, text=" "), "line 24: item '17' has no text"),
        (row(17, text="Wording 2."), "items 2 and 17 have the same text"),
        (row(17, value="hedonism"), "item 17 stands under 'hedonism', in the key"),
        (row(17, value="greed"), "item 17 stands under 'greed', in the key"),
        (remove("scale_3"), "scale_3 is missing"),
        (row("scale_3", text="not"), "two labels of the scale are the same"),
        (both_ends_denied, "cannot tell which way the scale runs"),
        (lambda rows: rows[0].__setitem__(2, "wording"), "no column 'text'"),
        (lambda rows: rows[9].append("more"), "line 10: not as many cells"),
    ],
)
def test_a_broken_file_is_named(tmp_path, change, said):
    path = write_pvq(tmp_path / "pvq.csv", change)
    with pytest.raises(ValactError) as error:
        load_instrument(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_short_names_of_values_are_known(tmp_path):
    def change(rows):
        rows[8][1], rows[9][1] = "PO", "un"
        rows[7][1] = "Self-Direction"

    load_instrument(write_pvq(tmp_path / "p.csv", change))


def test_no_such_file_and_no_text(tmp_path, cli):
    args = ["--model", "x/y", "--out", tmp_path / "o", "--task", "declared", "--pvq"]
    assert "No such file" in cli("run", *args, tmp_path / "no.csv")[2]
    (tmp_path / "p.csv").write_bytes("item,text\n1,ä".encode("latin-1"))
    code, out, err = cli("run", *args, tmp_path / "p.csv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not UTF-8" in err


@given(st.integers(0, 1000))
def test_each_run_has_its_own_order_of_all_items(run):
    assert sorted(item_order(run)) == list(range(1, 41))
    assert item_order(run) == item_order(run) != item_order(run + 1)


@pytest.mark.parametrize("form", ["together", "single"])
def test_questionnaire_prompts(tmp_path, form):
    setup = Setup(form=form, pvq=write_pvq(tmp_path / "p.csv"))
    calls = setup.run_calls(3, range(5))
    assert len({call.prompt for call in calls}) == len(calls) == (5 if form == "together" else 200)
    for call in calls:
        assert "{{" not in call.prompt
        assert "1 = not at all\n2 = not\n" in call.prompt
        if form == "together":
            assert call.shown == item_order(3)
            listed = "\n".join(f"{n}. Wording {item}." for n, item in enumerate(call.shown, 1))
            assert f"```\n{listed}\n```" in call.prompt
        else:
            assert f"```\nWording {call.shown[0]}.\n```" in call.prompt
    assert {item for call in calls for item in call.shown} == set(range(1, 41))
