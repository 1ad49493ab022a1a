import json

import pytest
from eval_helpers import question_rows, write_release

from valact_eval.data import load_release
from valact_eval.render import load_template, render


def test_a_release_is_read_whole(release_dir):
    release = load_release(str(release_dir))
    assert list(release.questions) == [f"q{i:02}" for i in range(12)]
    assert release.questions["q03"].target_value == release.questions["q03"].option_values[3]
    assert next(iter(release.values)) == "self_direction"


def test_a_rebuilt_folder_is_read_anew(tmp_path):
    for where in ("one", "two"):  # the cache of `datasets` takes folders of one name for one
        for prefix in ("x", "y"):
            rows = [row | {"question_id": f"{where}{prefix}"} for row in question_rows(1)]
            folder = write_release(tmp_path / where / "dist", rows)
            assert list(load_release(str(folder)).questions) == [f"{where}{prefix}"]


@pytest.mark.parametrize("task", ["default", "selection", "adoption"])
def test_texts_are_data_in_a_prompt(release_dir, task):
    release = load_release(str(release_dir))
    prompt = render(load_template(task), release.questions["q01"], release.values)
    assert "Case-01. {{value_name}} ``` B." in prompt  # not rendered again
    lines = prompt.splitlines()
    fences = [i for i, line in enumerate(lines) if set(line) == {"`"}]
    assert {lines[i] for i in fences} == {"````"}  # longer than the one inside
    options = lines[fences[-2] + 1 : fences[-1]]
    assert [line[:5] for line in options] == ["A. Do", "B. Do", "C. Do", "D. Do"]
    named = "Stimulation: Meaning of stimulation." in prompt or "Power: Meaning" in prompt
    target = release.values[release.questions["q01"].target_value]
    assert (f"{target.name}: {target.definition}" in prompt) == (task != "default")
    assert named is False or task != "default"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": ["x"] * 3}, "column options must hold four texts"),
        ({"target_index": 4}, "target_index must be 0, 1, 2 or 3"),
        ({"target_index": 0}, "target_value is not the value"),
        ({"option_values": ["power"] * 3 + ["greed"]}, "['greed'] are not in values.json"),
        ({"scenario": " "}, "column scenario must be a text"),
        ({"question_id": "q00"}, "occurs twice"),
    ],
)
def test_a_broken_row_is_named(tmp_path, cli, change, said):
    rows = question_rows()
    rows[5] |= change
    folder = write_release(tmp_path / "d", rows)
    code, _, err = cli("score", tmp_path / "p", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{folder}: questions row 5" in err
    assert said in err


def without_config(folder):
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("config_name: questions", "config_name: other"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (without_config, '"questions"'),
        (lambda f: (f / "questions/test.parquet").write_bytes(b"junk"), "Parquet"),
        (lambda f: (f / "values.json").unlink(), "values.json: missing"),
        (lambda f: (f / "values.json").write_text('{"a": 1}'), "values.json"),
        (lambda f: (f / "values.json").write_text(json.dumps([{"id": "x"}])), "KeyError"),
    ],
)
def test_a_broken_folder_is_named(release_dir, tmp_path, cli, harm, said):
    harm(release_dir)
    code, out, err = cli("score", tmp_path / "p", release_dir)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(release_dir) in err
    assert said in err


@pytest.mark.parametrize("name", ["hub_release/dist", "./no/where", "nowhere", "no-one/nothing"])
def test_no_such_data(cli, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("score", "p", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert name in err
