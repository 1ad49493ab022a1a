"""The annotation page, what experts are given, what an answer may be, and the server's accounts."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import schema
from pipeline.annotation import tables
from pipeline.annotation.answers import problem_of, review_id
from pipeline.annotation.plan import pseudonym
from pipeline.errors import BadInputError, BusyError, StageError
from pipeline.labelstudio import server as serving
from pipeline.labelstudio.accounts import FILE, open_accounts
from pipeline.labelstudio.answers import read_answer
from pipeline.labelstudio.check_page import check_page
from pipeline.labelstudio.instructions import GUIDELINES, instructions
from pipeline.labelstudio.page import FLAGS, KEYS, page
from pipeline.labelstudio.server import Server, environment
from pipeline.labelstudio.tasks import desks, shown_order, task_data
from pipeline.values import load_values, value_ids
from tests.conftest import SECRET, command
from tests.studio_world import NASTY, choice, note, world


def test_pages_pass_their_checks() -> None:
    check_page(page())
    check_page(page(opinions=True), opinions=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</View>", "", "Premature end of data"),
        ('toName="action_2"', 'toName="nowhere"', 'toName="nowhere" not found'),
        ('toName="action_2"', 'toName="action_3"', "belong to action_3, not action_2"),
        ('hotkey="2"', 'hotkey="1"', "key '1' stands for several choices"),
        ('hotkey="2"', 'hotkey="ctrl+enter"', "one of Label Studio's own"),
        (' hotkey="2"', "", "a choice has no key"),
        ('alias="power"', 'alias="Power"', "a right answer is refused"),
        ('required="true"', 'required="false"', "must be single-radio, required True"),
        ('choice="single-radio"', 'choice="multiple"', "must be single-radio"),
        ('value="$action_3"', 'value="$claim"', "the page shows"),
        ('alias="hedonism"', 'alias="hedonism" selected="true"', "selected> is not allowed"),
        ('alias="hedonism"', 'alias="hedonism" html="$scenario"', "only a Text may"),
        ("<TextArea ", '<TextArea value="hm" ', "filled in beforehand"),
        (' valueType="text"', "", "might be fetched"),
        ('name="flags"', 'name="flagged"', "choices 'flagged' unknown"),
        ("<Collapse>", '<HyperText name="h" value="$scenario"/><Collapse>', "<HyperText> is no"),
        ('alias="power"', 'alias="bliss"', "a value that is none is taken"),
    ],
)
def test_a_wrong_page_is_refused(old: str, new: str, said: str) -> None:
    assert old in page()
    with pytest.raises(StageError, match=re.escape(said)):
        check_page(page().replace(old, new))


def test_the_page_speaks_of_no_claim() -> None:
    config = page()
    for word in ("claim", "generator", "gold", "target"):
        assert word not in config
    assert config.count("<Choice ") == 4 * (10 + 10 + 5) + len(FLAGS)
    assert all(len(set(row)) == 10 for row in KEYS)


def test_instructions_hold_values_keys_and_no_markup_of_others(tmp_path: Path) -> None:
    html = instructions()
    for value in load_values():
        assert f"<strong>{value.name}</strong>" in html
    assert "<code>;</code>" in html
    assert "{" not in html
    changed = tmp_path / "guidelines.md"
    changed.write_text(GUIDELINES.read_text().replace("All invented.", "<script>x</script>"))
    assert "&lt;script&gt;" in instructions(changed)
    changed.write_text(GUIDELINES.read_text().replace("{keys}", ""))
    with pytest.raises(BadInputError, match=r"\{keys\} must stand in it once"):
        instructions(changed)
    with pytest.raises(BadInputError, match="restore the file"):
        instructions(tmp_path / "none.md")


def test_worked_examples_name_real_values() -> None:
    names = {value.name.lower() for value in load_values()}
    text = GUIDELINES.read_text()
    rows = re.findall(r"^\| I [^|]*\|([^|]+)\|([^|]*)\|", text, re.MULTILINE)
    assert len(rows) == 8
    assert {cell.strip() for row in rows for cell in row} <= names | {""}


def test_every_expert_sees_an_order_of_their_own() -> None:
    made = world(200, experts=2, overlap=2)
    one, two = desks(made.items)
    assert [item["item_id"] for item in one.items] != [item["item_id"] for item in two.items]
    shuffled = made.items.sample(fraction=1.0, shuffle=True, seed=1)
    assert [desk.tasks() for desk in desks(shuffled)] == [one.tasks(), two.tasks()]
    orders = [shown_order(item["item_id"], 1) for item in one.items]
    assert all(sorted(order) == [1, 2, 3, 4] for order in orders)
    for place in range(4):  # each of the four stands at each place about a quarter of the time
        counts = [sum(order[place] == n for order in orders) for n in (1, 2, 3, 4)]
        assert min(counts) > 25
    assert orders != [shown_order(item["item_id"], 2) for item in one.items]
    # Gold items lie scattered.
    kinds = [item["kind"] for item in one.items]
    assert "gold" in kinds[:100]
    assert "gold" in kinds[100:]


def test_a_task_tells_nothing_but_texts() -> None:
    made = world(20, experts=1, overlap=1)
    (desk,) = desks(made.items)
    rows = {row["item_id"]: row for row in made.items.iter_rows(named=True)}
    for data in desk.tasks():
        assert set(data) == {"item", "order", "scenario", *(f"action_{n}" for n in (1, 2, 3, 4))}
        row = rows[data["item"]]
        assert "".join(sorted(data["order"])) == "1234"
        for place, number in enumerate(data["order"], start=1):
            assert data[f"action_{place}"] == row["actions"][int(number) - 1]
        text = json.dumps(data)
        for name in (*row["action_ids"], row["kind"], "g-one", "g-two"):
            assert name not in text


def test_adjudicators_see_opinions() -> None:
    made = world(2, experts=1, overlap=1, kind="adjudication")
    row = made.items.row(0, named=True)
    opinions = pl.DataFrame(
        {
            "item_id": [row["item_id"]],
            "action_id": [row["action_ids"][2]],
            "first_values": [["power", "self_direction"]],
            "second_values": [["security"]],
        }
    )
    (desk,) = desks(made.items, opinions)
    tasks = {data["item"]: data for data in desk.tasks()}
    place = shown_order(row["item_id"], 1).index(3) + 1
    said = tasks[row["item_id"]][f"opinions_{place}"]
    assert said == "Earlier experts chose Power, Self-direction; as a second value Security."
    assert [*tasks[row["item_id"]].values()].count("No earlier opinions.") == 3
    assert "opinions_1" not in task_data(row, 1, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action_ids": ["a", "b", "c", "c"]}, "has 3 actions; give 4, all different"),
        ({"actions": ["x", "y", "z"]}, "give 4"),
        ({"actions": ["x", "y", "z", " "]}, "a text is empty"),
        ({"scenario": ""}, "a text is empty"),
        ({"actions": [""] * 4}, "a text is empty"),
        ({"experts": [0]}, "numbered from 1"),
        ({"experts": [1, 1]}, "give each once"),
        ({"item_id": "i"}, "items: i: twice"),
    ],
)
def test_items_that_cannot_be_shown_are_named(change: dict[str, Any], said: str) -> None:
    rows = [row | change for row in world(2).items.to_dicts()]
    with pytest.raises(BadInputError, match=re.escape(said)):
        desks(schema.frame(rows, schema.ITEMS))


def test_forgotten_items_are_given_to_nobody() -> None:
    first, *others = world(3, experts=1, overlap=1).items.to_dicts()
    blank = first | {"scenario": "", "actions": [""] * 4}
    (desk,) = desks(schema.frame([blank, *others], schema.ITEMS))
    assert {item["item_id"] for item in desk.items} == {row["item_id"] for row in others}


ITEM = world(1).items.row(0, named=True)


def page_of(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    full = [choice(f"first_{n}", "power") for n in (1, 2, 3, 4)]
    full += [choice(f"natural_{n}", "4") for n in (1, 2, 3, 4)]
    given = {part["from_name"]: part for part in (*full, *parts)}
    answer = {"id": 1, "updated_at": "2026-01-31T12:00:00.5Z", "lead_time": 9, "result": given}
    answer["result"] = [part for part in given.values() if part["value"] is not None]
    return answer | fields


def test_a_full_answer_is_four_reviews() -> None:
    annotation = page_of(
        choice("first_2", "security"),
        choice("second_2", "tradition"),
        choice("natural_2", "1"),
        choice("flags", "harmful", "personal_data"),
        note("a\r\nb\x00\u202e c  "),
    )
    answer = read_answer(annotation, ITEM, 3)
    assert answer.problems == ()
    table = schema.frame(answer.reviews, schema.REVIEWS)
    action = ITEM["action_ids"][shown_order(ITEM["item_id"], 3)[1] - 1]
    row = table.filter(action_id=action).row(0, named=True)
    assert row["review_id"] == review_id(ITEM["item_id"], "expert-3", action)
    told = (row["first_value"], row["second_value"], row["naturalness"])
    assert told == ("security", "tradition", 1)
    assert table["first_value"].sort().to_list() == ["power"] * 3 + ["security"]
    assert set(table["action_id"]) == set(ITEM["action_ids"])
    assert table["flags"].to_list() == [["harmful", "personal_data"]] * 4
    assert set(table["notes"]) == {"a\nb c"}
    assert set(table["lead_seconds"]) == {9.0}
    assert str(table["updated_utc"][0]) == "2026-01-31 12:00:00.500000+00:00"
    assert set(table["annotator"]) == {pseudonym(3)}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (choice("first_1", "Power"), "first_value: 'Power' is no value; did you mean 'power'?"),
        (choice("first_1", "power", "security"), "'first_1' has 2 choices (power, security)"),
        (choice("first_1"), "first_value: missing"),
        (choice("natural_1"), "naturalness: missing"),
        (choice("natural_1", "6"), "naturalness: 6; give 1 to 5"),
        (choice("second_1", "power"), "second_value: 'power' again"),
        (choice("first_1") | {"value": {"text": ["power"]}}, "no list of choices"),
        (
            choice("first_1") | {"value": {"choices": ["\x1b[2J\n" + "x" * 99]}},
            r"first_value: '\x1b[2J\nxxx",
        ),
    ],
)
def test_one_wrong_action_costs_one_review(part: dict[str, Any], said: str) -> None:
    answer = read_answer(page_of(part), ITEM, 1)
    assert len(answer.reviews) == 3
    (problem,) = answer.problems
    assert problem.startswith("action 1: ")
    assert said in problem
    assert problem.isprintable()


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (page_of(result=None), "no list of results"),
        (page_of(result=[{"from_name": "bliss"}]), "'bliss' is no question of this page"),
        (page_of(result=["x"]), "'None' is no question"),
        (page_of(note("") | {"value": {"text": [3]}}), "the notes are no text"),
        (page_of(updated_at="soon", created_at="then"), "updated_at 'soon' is no time"),
        (
            page_of(result=[choice("first_1", "power"), choice("first_1", "security")]),
            "'first_1' is answered twice",
        ),
    ],
)
def test_a_wrong_page_costs_all_four(annotation: dict[str, Any], said: str) -> None:
    answer = read_answer(annotation, ITEM, 1)
    assert answer.reviews == ()
    assert said in answer.problems[0]


def test_a_flag_that_is_none_costs_all_four() -> None:
    answer = read_answer(page_of(choice("flags", "lovely")), ITEM, 1)
    assert answer.reviews == ()
    assert len(answer.problems) == 4
    assert "flags: 'lovely' is no flag; valid: " in answer.problems[0]
    assert tuple(FLAGS) == tables.FLAGS


def test_skipping_leaves_no_answers() -> None:
    answer = read_answer(page_of(choice("flags", "harmful"), was_cancelled=True), ITEM, 1)
    assert answer.problems == ()
    assert {row["state"] for row in answer.reviews} == {"skipped"}
    assert {row["first_value"] for row in answer.reviews} == {""}
    assert answer.reviews[0]["flags"] == ["harmful"]
    empty = page_of(result=[], was_cancelled=True, lead_time=None)
    assert len(read_answer(empty, ITEM, 1).reviews) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["first_1", "second_2", "natural_3", "flags", "notes"])
PARTS = st.fixed_dictionaries(
    {"from_name": NAMES | JSON, "value": JSON | st.fixed_dictionaries({"choices": JSON})}
)


@given(result=JSON | st.lists(PARTS), lead=JSON, when=JSON, cancelled=st.booleans())
def test_no_json_breaks_the_reader(result: Any, lead: Any, when: Any, cancelled: bool) -> None:
    annotation = {"result": result, "lead_time": lead, "updated_at": when}
    answer = read_answer(annotation | {"was_cancelled": cancelled}, ITEM, 1)
    assert len(answer.reviews) + len(answer.problems) in (1, 4)
    table = schema.frame(answer.reviews, schema.REVIEWS)
    assert set(table["first_value"]) <= {"", *value_ids()}
    assert all(problem_of(row) == "" for row in answer.reviews)


def test_accounts_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    one = open_accounts(folder)
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    two = open_accounts(folder, [2, 1])
    assert (two.manager, two.token, two.secret_key) == (one.manager, one.token, one.secret_key)
    assert sorted(two.experts) == [1, 2]
    assert open_accounts(folder, [1]) == two
    assert two.secret_key.isalnum()
    for secret in (two.token, two.secret_key, two.manager.password):
        assert secret not in repr(two)
    (folder / FILE).write_text("{}")
    with pytest.raises(BadInputError, match="not a file of accounts"):
        open_accounts(folder)


def test_the_server_gets_no_key_of_ours(tmp_path: Path) -> None:
    accounts = open_accounts(tmp_path)
    ours = {
        "PATH": "/bin",
        "OPENAI_API_KEY": SECRET,
        "LABEL_STUDIO_API_KEY": SECRET,
        "LABEL_STUDIO_URL": "http://elsewhere",
        "LABEL_STUDIO_HOST": "https://annotate.example.org",
        "USERNAME": "me",
    }
    given = environment(tmp_path, "http://127.0.0.1:1", accounts, ours)
    assert SECRET not in given.values()
    assert "USERNAME" not in given
    assert given["LABEL_STUDIO_HOST"] == "https://annotate.example.org"
    assert given["DJANGO_DB"] == "sqlite"
    assert given["SECRET_KEY"] == accounts.secret_key
    given = environment(tmp_path, "", accounts, {"POSTGRE_HOST": "db", "POSTGRE_NAME": "x"})
    assert (given["DJANGO_DB"], given["POSTGRE_NAME"]) == ("postgresql", "x")


def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(BadInputError, match="run `make labelstudio`"),
        Server(tmp_path, home=tmp_path),
    ):
        pass
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho no such module >&2\nexit 3\n")
    python.chmod(0o755)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(BadInputError, match=f"port {port} is taken"),
            Server(tmp_path, port, tmp_path),
        ):
            pass
    with (
        pytest.raises(StageError, match=r"ended with status 3; .*server\.log says why"),
        Server(tmp_path, port, tmp_path),
    ):
        pass
    assert (tmp_path / "server.log").read_text() == "no such module\n"
    assert serving.running(tmp_path) == ""
    # Nobody holds the folder afterwards; while somebody does, another is told.
    with (
        serving.FileLock(tmp_path / "server.lock"),
        pytest.raises(BusyError, match="another command keeps this server"),
    ):
        Server(tmp_path, port, tmp_path).__enter__()


def test_label_config_is_printed() -> None:
    done = command("label-config")
    assert done.returncode == 0
    assert done.stdout.strip() == page()


def test_nasty_text_is_nasty() -> None:
    assert "<script>" in NASTY
