import json

import polars as pl
import pytest
from eval_helpers import answer_row, choice_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valact_eval.errors import ValactError
from valact_eval.key import VALUES
from valact_eval.predictions import read_predictions, write_predictions
from valact_eval.rules import in_order, table_of
from valact_eval.schema import OUTCOMES

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def choice_rows(draw):
    outcome = draw(st.sampled_from(OUTCOMES))
    task = draw(st.sampled_from(["default", "selection", "adoption"]))
    order = draw(st.permutations(range(4)))
    letter = draw(st.integers(0, 3)) if outcome == "ok" else None
    return choice_row(
        task=task,
        respondent=draw(texts),
        variant=draw(st.integers(0, 9)),
        order=order,
        outcome=outcome,
        letter=letter,
        choice=None if letter is None else order[letter],
        target_index=None if task == "default" else draw(st.integers(0, 3)),
        seconds=draw(st.none() | st.floats(0, 1e6)),
        raw=draw(st.none() | texts),
        option_words=draw(st.lists(st.integers(1, 99), min_size=4, max_size=4)),
    )


@given(
    st.lists(
        choice_rows(),
        min_size=1,
        max_size=5,
        unique_by=lambda r: (r["respondent"], r["task"], r["target_index"], r["variant"]),
    ),
    st.sampled_from(["jsonl", "parquet"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_written_choices_come_back(tmp_path, rows, suffix):
    path = tmp_path / f"p.{suffix}"
    write_predictions(path, table_of(rows, "choice"))
    found = read_predictions([path])
    assert found.choices.to_dicts() == rows
    assert found.answers.is_empty()


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_both_tables_of_a_folder(tmp_path, suffix):
    rows = [answer_row(item=item) for item in (1, 2)]
    write_predictions(tmp_path / f"answers.{suffix}", table_of(rows, "answer"))
    write_predictions(tmp_path / f"predictions.{suffix}", table_of([choice_row()], "choice"))
    found = read_predictions([tmp_path])
    assert found.answers.to_dicts() == rows
    assert found.choices.to_dicts() == [choice_row()]


def test_a_lone_surrogate_is_written_as_a_question_mark(tmp_path):
    write_predictions(tmp_path / "p.jsonl", table_of([choice_row(raw="C\ud800")], "choice"))
    assert read_predictions([tmp_path / "p.jsonl"]).choices["raw"].to_list() == ["C?"]


def test_other_columns_and_another_order_do_not_matter(tmp_path):
    path = tmp_path / "p.jsonl"
    row = dict(reversed(choice_row().items())) | {"more": {"x": 1}}
    path.write_text("\n" + json.dumps(row) + "\n\n")
    assert read_predictions([path]).choices.to_dicts() == [choice_row()]


def test_the_lasting_order_does_not_depend_on_the_order_of_rows():
    rows = [choice_row(task=task, variant=v) for v in (2, 0, 1) for task in ("selection",)]
    found = in_order(table_of(rows, "choice"), "choice")
    assert found.equals(in_order(table_of(rows[::-1], "choice"), "choice"))
    assert found["variant"].to_list() == [0, 1, 2]


WRONG = [
    ({"respondent": None}, "respondent is missing"),
    ({"task": "declared"}, "task must be one of"),
    ({"variant": -1}, "variant must be 0 or more"),
    ({"order": [0, 1, 2, 2]}, "order must be a permutation"),
    ({"order": [0, 1, 2]}, "order must be a permutation"),
    ({"order": None}, "order is missing"),
    ({"outcome": "strict"}, "outcome must be one of"),
    ({"outcome": "refused"}, "choice must be null unless outcome is ok"),
    ({"choice": None}, "choice is missing under outcome ok"),
    ({"letter": None}, "letter is missing under outcome ok"),
    ({"choice": 4}, "choice must be 0..3"),
    ({"letter": -1}, "letter must be 0..3"),
    ({"choice": 3}, "choice is not the option that order shows at letter"),
    ({"target_index": None}, "target_index is missing"),
    ({"target_index": 4}, "target_index must be 0..3"),
    ({"task": "default"}, "target_index must be null in task default"),
    ({"option_ids": ["a", "b", "c"]}, "option_ids must have four entries"),
    ({"option_ids": ["a", "b", "c", "c"]}, "option_ids must differ"),
    ({"option_generators": ["g", None, "g", "g"]}, "option_generators must have four entries"),
    ({"option_values": ["power", "Power", "hedonism", "security"]}, "option_values must be among"),
    ({"option_words": [1, 2, 3, -4]}, "option_words must be 1 or more"),
    ({"seconds": -1.0}, "seconds must be 0 or more"),
]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize(("change", "said"), WRONG, ids=range(len(WRONG)))
def test_a_broken_choice_is_named(tmp_path, cli, change, said, suffix):
    path = tmp_path / f"p.{suffix}"
    rows = [choice_row(question_id="q00"), choice_row(**change)]
    with pytest.raises(ValactError, match="row 1: "):
        write_predictions(path, table_of(rows, "choice"))
    assert not path.exists()
    if suffix == "jsonl":
        path.write_text("\n" + "".join(json.dumps(row) + "\n" for row in rows))
    else:
        table_of(rows, "choice").write_parquet(path)
    code, out, err = cli("score", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{path}: {'line 3' if suffix == 'jsonl' else 'row 1'}: {said}" in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"item": 41}, "item must be 1..40"),
        ({"item": 0}, "item must be 1..40"),
        ({"score": 7}, "score must be 1..6"),
        ({"score": 0}, "score must be 1..6"),
        ({"score": None}, "score is missing under outcome ok"),
        ({"outcome": "invalid"}, "score must be null unless outcome is ok"),
        ({"run": -1}, "run must be 0 or more"),
        ({"instrument": None}, "instrument is missing"),
    ],
)
def test_a_broken_answer_is_named(tmp_path, cli, change, said):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(answer_row(item=2)) + "\n" + json.dumps(answer_row(**change)))
    code, out, err = cli("score", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{path}: line 2: {said}" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "line 2: Expecting"),
        (b"[1]", "line 2: not a JSON object"),
        (b"\xff", "line 2: "),
        (b"[" * 100_000, "line 2: "),
        (json.dumps(choice_row(choice=True)).encode(), "line 2: choice: True is not Int64"),
        (json.dumps(choice_row(choice="2")).encode(), "line 2: choice: '2' is not Int64"),
        (json.dumps(choice_row(order=3)).encode(), "line 2: order: 3 is not List(Int64)"),
        (json.dumps(choice_row(variant=1.5)).encode(), "line 2: variant: 1.5 is not Int64"),
    ],
    ids=range(8),
)
def test_a_line_of_another_kind_is_named(tmp_path, cli, line, said):
    path = tmp_path / "p.jsonl"
    path.write_bytes(json.dumps(choice_row()).encode() + b"\n" + line + b"\n")
    code, out, err = cli("score", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{path}: {said}" in err


def test_rows_that_come_twice_are_named(tmp_path, cli):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(json.dumps(choice_row()) + "\n")
    two.write_text(json.dumps(choice_row(variant=0)) + "\n\n" + json.dumps(choice_row()) + "\n")
    code, _, err = cli("score", one, two)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{two}: line 3: " in err
    assert "question_id 'q01'" in err
    assert "comes twice" in err


def test_files_of_two_releases_are_not_put_together(tmp_path, cli):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(json.dumps(choice_row()) + "\n")
    two.write_text(json.dumps(choice_row(respondent="n", option_ids=["a", "b", "c", "e"])) + "\n")
    assert cli("score", one)[0] == cli("score", two)[0] == 0
    code, _, err = cli("score", one, two)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{two}: line 1: question 'q01' has other options" in err


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("p.jsonl", b"", "no predictions"),
        ("p.jsonl", b"\n\n", "no predictions"),
        ("p.parquet", b"junk", "cannot be read"),
        ("p.csv", b"", "must be a file in"),
        ("p.jsonl", None, "No such file"),
    ],
)
def test_a_broken_file_is_named(tmp_path, cli, name, data, said):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    code, out, err = cli("score", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{path}: " in err
    assert said in err


def test_missing_columns_and_empty_tables_are_named(tmp_path, cli):
    path = tmp_path / "p.parquet"
    table_of([choice_row()], "choice").drop("order", "raw").write_parquet(path)
    assert "columns order, raw are missing" in cli("score", path)[2]
    table_of([choice_row()], "choice").clear().write_parquet(path)
    assert "no predictions" in cli("score", path)[2]
    table_of([choice_row()], "choice").with_columns(order=pl.lit("x")).write_parquet(path)
    assert "p.parquet" in cli("score", path)[2]
    assert "holds no predictions" in cli("score", tmp_path / "..")[2]


def test_the_key_names_each_item_once():
    from valact_eval.key import KEY, VALUE_OF

    assert sorted(item for items in KEY.values() for item in items) == list(range(1, 41))
    assert [len(KEY[value]) for value in VALUES] == [4, 3, 3, 4, 3, 5, 4, 4, 4, 6]
    assert VALUE_OF[40] == "universalism"
