import json

import polars as pl
import pytest
from eval_helpers import question_rows, write_pvq, write_release
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.asks import Setup
from valact_eval.data import load_release
from valact_eval.errors import ValactError
from valact_eval.key import VALUE_OF
from valact_eval.render import load_prompts, shown_order
from valact_eval.session import Session, _asked


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


def test_a_split_is_read_by_its_name_and_test_is_the_default(tmp_path):
    folder = write_release(tmp_path, question_rows(2))
    test = folder / "questions" / "test.parquet"
    dev = [row | {"question_id": f"dev-{row['question_id']}"} for row in question_rows(1)]
    pl.DataFrame(dev).write_parquet(test.with_name("dev.parquet"))
    card = folder / "README.md"
    path = "    path: questions/test.parquet\n"
    also = "  - split: dev\n    path: questions/dev.parquet\n"
    card.write_text(card.read_text().replace(path, path + also))
    assert list(load_release(str(folder)).questions) == ["q00", "q01"]
    assert list(load_release(str(folder), "dev").questions) == ["dev-q00"]
    with pytest.raises(ValactError, match='split "train"'):
        load_release(str(folder), "train")
    setup, units = _asked(Session(str(folder), ["m"], None, split="dev"), ["default"])
    assert [unit.id for unit in units["default"]] == ["dev-q00"]
    assert setup.questions.digest != load_release(str(folder)).digest  # runs do not mix


@pytest.mark.parametrize("task", ["default", "selection", "adoption"])
def test_texts_are_data_in_every_prompt(release_dir, task):
    release = load_release(str(release_dir))
    setup = Setup(release)
    question = release.questions["q01"]
    target = release.values[question.target_value]
    prompts = [call.prompt for call in setup.question_calls(task, question, range(5))]
    assert len(set(prompts)) == 5
    for variant, prompt in enumerate(prompts):
        assert "Case-01. {{value_name}} ``` B." in prompt  # not rendered again
        assert "{{" not in prompt.replace("{{value_name}} ```", "")
        lines = prompt.splitlines()
        fences = [i for i, line in enumerate(lines) if line and set(line) == {"`"}]
        assert {lines[i] for i in fences} == {"````"}  # longer than the one inside
        assert len(fences) == (4 if task == "default" else 6)
        blocks = [lines[i + 1 : j] for i, j in zip(fences[::2], fences[1::2], strict=True)]
        (options,) = (block for block in blocks if block[0].startswith("A. "))
        shifted = [f"Do {question.option_values[(k + variant) % 4]} A. first" for k in range(4)]
        assert options == [f"{x}. {text}" for x, text in zip("ABCD", shifted, strict=True)]
        assert (f"{target.name}: {target.definition}" in prompt) == (task != "default")
        if task == "default":
            assert not any(value.name in prompt for value in release.values.values())


@given(st.integers(0, 40))
def test_every_variant_keeps_the_dealt_order_balanced(variant):
    assert shown_order(variant, published=True) == (0, 1, 2, 3)
    order = shown_order(variant, published=False)
    assert [(index - place) % 4 for place, index in enumerate(order)] == [variant % 4] * 4


def test_a_value_by_the_items_of_the_questionnaire(release_dir, tmp_path):
    release = load_release(str(release_dir))
    setup = Setup(release, describe="items", pvq=write_pvq(tmp_path / "pvq.csv"))
    question = release.questions["q01"]
    for call in setup.question_calls("adoption", question, range(5)):
        for item in range(1, 41):
            mine = VALUE_OF[item] == question.target_value
            assert (f"- Wording {item}.\n" in call.prompt) == mine
        assert release.values[question.target_value].definition not in call.prompt


def test_parts_of_a_release(release_dir):
    release = load_release(str(release_dir))

    def ids(**part):
        return [question.question_id for question in release.pick(**part)]

    assert ids() == list(release.questions)
    assert ids(limit=3) == ["q00", "q01", "q02"]
    assert ids(scenarios=2) == ["q00", "q01", "q02", "q03"]
    assert ids(domains=["ethics"], scenarios=2) == ["q02", "q03", "q06", "q07"]
    assert ids(domains=["ethics"], limit=1) == ["q02"]
    assert len(ids(domains=["ethics", "career"])) == 12


def test_the_digest_tells_releases_apart(tmp_path):
    rows = question_rows()
    one = load_release(str(write_release(tmp_path / "a", rows))).digest
    again = load_release(str(write_release(tmp_path / "b", rows[::-1]))).digest
    rows[3]["scenario"] += "."
    other = load_release(str(write_release(tmp_path / "c", rows))).digest
    assert one == again != other


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": ["x"] * 3}, "column options must hold four texts"),
        ({"target_index": 4}, "target_index must be 0, 1, 2 or 3"),
        ({"target_index": 0}, "target_value is not the value"),
        ({"option_values": ["power"] * 3 + ["greed"]}, "['greed'] are not in values.json"),
        ({"scenario": " "}, "column scenario must be a text"),
        ({"question_id": "q00"}, "occurs twice"),
        ({"domain": ""}, "column domain must be a text"),
        ({"option_ids": ["a", "b", "c", "c"]}, "option_ids must differ"),
        ({"option_generators": ["g"] * 3}, "column option_generators must hold four texts"),
    ],
)
def test_a_broken_row_is_named(tmp_path, cli, change, said):
    rows = question_rows()
    rows[5] |= change
    folder = write_release(tmp_path / "d", rows)
    code, _, err = cli("run", folder, "--model", "x/y", "--out", tmp_path / "o")
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
        (
            lambda f: (f / "values.json").write_text(
                json.dumps([{"id": "greed", "name": "x", "definition": "y"}])
            ),
            "'greed' is none of",
        ),
        (lambda f: (f / "values.json").write_text(json.dumps([{"id": "x"}])), "KeyError"),
    ],
)
def test_a_broken_folder_is_named(release_dir, tmp_path, cli, harm, said):
    harm(release_dir)
    code, out, err = cli("run", release_dir, "--model", "x/y", "--out", tmp_path / "o")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(release_dir) in err
    assert said in err


@pytest.mark.parametrize(
    "name", ["hub_release/dist", "./no/where", "nowhere", "no-one/nothing", "no-one/x@v1"]
)
def test_no_such_data(cli, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("run", name, "--model", "x/y", "--out", "o")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert name in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "task must be 'default'"),
        ("task = 3\n[", "Invalid"),
        ('task = "default"\nversion = 1\nvariant = [{text = "{{scenario}}"}]', "slot"),
        (
            'task = "default"\nversion = 1\n'
            'variant = [{text = "{{fence}} {{scenario}} {{options}} {{x}}"}]',
            "slot 'x'",
        ),
        ('task = "default"\nversion = "1"\nvariant = []', "version must be a number"),
    ],
)
def test_a_broken_prompt_file_is_named(tmp_path, text, said):
    path = tmp_path / "default.toml"
    path.write_text(text)
    with pytest.raises(ValactError, match=said) as error:
        load_prompts("default", path)
    assert str(path) in str(error.value)
