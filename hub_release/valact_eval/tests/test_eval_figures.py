import json
from dataclasses import asdict, replace

import pytest
from eval_helpers import VALUES, question_rows
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.data import load_release
from valact_eval.figures import Prediction, read_predictions, summarise, write_predictions

ROWS = {row["question_id"]: row for row in question_rows()}


@st.composite
def predictions(draw, task):
    found = []
    for question_id in draw(st.lists(st.sampled_from(sorted(ROWS)), unique=True)):
        row = ROWS[question_id]
        outcomes = ["strict", "lenient", "invalid", "empty", "truncated", "refused"]
        outcome = draw(st.sampled_from(outcomes))
        choice = draw(st.integers(0, 3)) if outcome in ("strict", "lenient") else None
        value = None if choice is None else row["option_values"][choice]
        order = tuple(draw(st.permutations(range(4))))
        target = row["target_index"]
        found.append(
            Prediction(question_id, task, "base", order, "?", outcome, choice, value, target)
        )
    return found


@given(st.sampled_from(["default", "selection", "adoption"]).flatmap(predictions))
def test_figures_agree_with_plain_counting(found):
    task = found[0].task if found else "default"
    option_values = {key: row["option_values"] for key, row in ROWS.items()}
    figures = summarise(task, found, option_values, VALUES)
    n, valid = len(found), [p for p in found if p.choice is not None]
    right = [p for p in valid if p.choice == p.target_index]
    assert (figures.n, figures.valid) == (n, len(valid))
    for outcome, rate in figures.rates.items():
        assert rate == (sum(p.outcome == outcome for p in found) / n if n else None)
    for place, letter in enumerate("ABCD"):
        hits = sum(p.order[place] == p.choice for p in valid)
        assert figures.letters[letter] == (hits / len(valid) if valid else None)
    for row in figures.values:
        if task == "default":
            mine, hits = valid, [p for p in valid if p.chosen_value == row.value]
            offers = sum(option_values[p.question_id].count(row.value) for p in valid)
            assert row.offered == (offers / (4 * len(valid)) if valid else None)
        else:
            mine = [p for p in valid if ROWS[p.question_id]["target_value"] == row.value]
            hits = [p for p in mine if p in right]
        assert row.share == (len(hits) / len(mine) if mine else None)
        assert (row.count, row.valid) == (len(hits), len(mine))
    if task == "default":
        assert figures.accuracy is None is figures.accuracy_all
        assert sum(row.share or 0 for row in figures.values) == pytest.approx(1 if valid else 0)
    else:
        assert figures.accuracy == (len(right) / len(valid) if valid else None)
        assert figures.accuracy_all == (len(right) / n if n else None)


@pytest.fixture
def good(release_dir, tmp_path):
    values = ROWS["q01"]["option_values"]
    record = Prediction("q01", "selection", "base", (0, 1, 2, 3), "C\ud800", "lenient", 2, "", 1)
    record = replace(record, chosen_value=values[2])
    return tmp_path / "p.jsonl", record, load_release(str(release_dir))


def test_written_predictions_come_back(good):
    path, record, release = good
    write_predictions(path, [record])
    assert read_predictions(path, release) == [record]
    assert list(json.loads(path.read_text())) == list(asdict(record))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"choice": 3}, "chosen_value"),
        ({"choice": 9}, "choice must be 0..3"),
        ({"choice": True}, "choice must be"),
        ({"choice": None}, "choice None under outcome"),
        ({"outcome": "refused"}, "under outcome 'refused'"),
        ({"outcome": "good"}, "outcome must be one of"),
        ({"question_id": "q99"}, "'q99' is not in"),
        ({"target_index": 2}, "target_index"),
        ({"order": [0, 1, 2, 2]}, "permutation"),
        ({"order": [False, True, 2, 3]}, "permutation"),
        ({"raw": 3}, "raw must be a text"),
        ({"task": "default"}, "task 'default' in a file of 'selection'"),
        ({"task": "x"}, "task must be one of"),
        ({"more": 1}, "unknown fields ['more']"),
        ({}, "occurs twice"),
    ],
)
def test_a_broken_line_is_named(good, cli, release_dir, change, said):
    path, record, _ = good
    first, second = asdict(record), asdict(record) | change
    if change and set(change) != {"question_id"}:
        first |= {"question_id": "q05", "chosen_value": ROWS["q05"]["option_values"][2]}
    path.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    code, out, err = cli("score", path, release_dir)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{path}: line 2: " in err
    assert said in err


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\n", b"[1]\n", b"\xff\n", b"[" * 100_000], ids=range(6)
)
def test_a_broken_file_is_named(tmp_path, cli, release_dir, text):
    path = tmp_path / "p.jsonl"
    path.write_bytes(text)
    code, out, err = cli("score", path, release_dir)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err
