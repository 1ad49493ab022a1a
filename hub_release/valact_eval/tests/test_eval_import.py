import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
import yaml
from eval_helpers import case, choice_row, question_rows
from hub_server import hub

import valact_eval
from valact_eval.harness import documents
from valact_eval.predictions import read_predictions, write_predictions
from valact_eval.rules import table_of

MODEL = "openai-api/local/tiny"
PACKAGE = Path(valact_eval.__file__).parent
HUB_RELEASE = PACKAGE.parent.parent


def letter(prompt):
    return {"content": "ABCD"[case(prompt) % 4]}


def run_here(command, cwd, **env):
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | {name: str(value) for name, value in env.items()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_logs_of_our_own_tasks(cli, serve, release_dir, tmp_path):
    serve(lambda p: letter(p) if "Case-" in p else {"content": "3: 4"})
    args = ["run", release_dir, "--model", MODEL, "--limit", 4, "--runs", 1]
    code, table, _ = cli(*args, "--log-samples", "--out", tmp_path / "run")
    assert code == 0
    code, again, err = cli("import", tmp_path / "run" / "logs", "--out", tmp_path / "imported")
    assert (code, again, err) == (0, table, "")
    for name in ("predictions.jsonl", "answers.jsonl"):
        assert (tmp_path / "imported" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_predictions_are_taken_as_they_are_and_changed_in_form(cli, tmp_path):
    write_predictions(tmp_path / "p.jsonl", table_of([choice_row()], "choice"))
    args = ["import", tmp_path / "p.jsonl", "--out", tmp_path / "o", "--format", "parquet"]
    assert cli(*args, "--respondent", "Human 7")[0] == 0
    found = read_predictions([tmp_path / "o"]).choices.to_dicts()
    assert found == [choice_row(respondent="Human 7")]
    assert cli("import", tmp_path / "p.jsonl", "--out", tmp_path, "--format", "csv")[0] == 2


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.eval", b"junk", "not a log of Inspect"),
        ("x.json", b"{}", "not a log of Inspect"),
        ("x.parquet", b"junk", "cannot be read"),
        ("x.jsonl", b"{", "line 1: "),
        ("x.jsonl", b'{"doc": {"a": 1}, "resps": [["A"]]}', "line 1: its document is not of"),
        ("x.jsonl", b'{"doc": {"valact": "1:x"}, "resps": [["A"]]}', "line 1: 'order' is missing"),
        ("x.jsonl", b'{"doc": {"valact": "1:x"}, "resps": []}', "line 1: "),
        ("x.txt", b"A", "must be a file in"),
        ("x.jsonl", None, "no such file"),
    ],
)
def test_a_file_of_another_kind_is_named(cli, tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    code, out, err = cli("import", tmp_path / name, "--out", tmp_path / "o")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{tmp_path / name}: " in err
    assert said in err
    assert not (tmp_path / "o").exists()


def test_a_folder_without_logs_is_named(cli, tmp_path):
    assert "holds no log" in cli("import", tmp_path, "--out", tmp_path / "o")[2]


def test_documents_hold_what_a_row_needs(release_dir, monkeypatch):
    monkeypatch.setenv("VALACT_DATA", str(release_dir))
    monkeypatch.setenv("VALACT_DOMAIN", "ethics")
    monkeypatch.setenv("VALACT_VARIANTS", "2")
    found = list(documents("selection"))
    rows = [row for row in question_rows() if row["domain"] == "ethics"]
    assert len(found) == 2 * len(rows)
    for document in found:
        row = next(row for row in rows if row["question_id"] == document["question_id"])
        shown = document["order"]["ABCD".index(document["target"])]
        assert shown == row["target_index"] == document["target_index"]
        json.dumps(document)
    assert {document["target"] for document in documents("default")} == {""}


def test_the_hub_file_says_what_the_values_mean():
    """Its definitions are the dataset's own; the two files stand in one repository."""
    source = HUB_RELEASE.parent / "prompts" / "values.toml"
    values = tomllib.loads(source.read_text("utf-8"))["value"]
    tasks = yaml.safe_load((HUB_RELEASE / "eval.yaml").read_text("utf-8"))["tasks"]
    assert [task["id"] for task in tasks] == ["default", "selection", "adoption"]
    for task in tasks[1:]:
        template = task["solvers"][0]["args"]["template"]
        for value in values:
            assert f"{value['id']}: {value['definition']}\n" in template


@pytest.mark.parametrize("task", ["default", "selection"])
def test_a_hub_task_and_its_log(cli, serve, release_dir, tmp_path, task):
    server = serve(lambda p: {"content": f"ANSWER: {'ABCD'[case(p) % 4]}"})
    shutil.copy(HUB_RELEASE / "eval.yaml", release_dir)
    inspect = Path(sys.executable).with_name("inspect")
    with hub(release_dir, "org/tiny") as endpoint:
        command = [inspect, "eval", f"hf/org/tiny/{task}", "--model", MODEL, "--temperature", 0]
        command += ["--display", "plain", "--log-dir", tmp_path / "logs"]
        online = {"HF_HUB_OFFLINE": 0, "HF_DATASETS_OFFLINE": 0, "HF_HUB_DISABLE_XET": 1}
        run_here(command, tmp_path, HF_ENDPOINT=endpoint, HF_HOME=tmp_path / "hf", **online)
    assert len(server.requests) == 12
    prompt = server.requests[0]["messages"][-1]["content"]
    assert ("Thinking for oneself" in prompt) == (task == "selection")
    code, table, _ = cli("import", tmp_path / "logs", "--out", tmp_path / "o")
    assert code == 0
    found = read_predictions([tmp_path / "o"]).choices
    assert found.height == 12
    for row in found.iter_rows(named=True):
        number = int(row["question_id"][1:])
        assert (row["task"], row["outcome"]) == (task, "ok")
        assert row["choice"] == row["letter"] == number % 4
        assert row["option_values"] == question_rows()[number]["option_values"]
    assert f"\n{MODEL}\n  {task}: 12 questions x 1 prompts" in table


def harness_python(module, variable):
    """The Python that has a harness; they are too large for everybody's environment."""
    if find_spec(module):
        return sys.executable
    if variable in os.environ:
        return os.environ[variable]
    return pytest.skip(
        f"{module} is not installed: pip install 'valact-eval[{module.replace('_', '-')}]', "
        f"or set {variable} to a Python that has it"
    )


def child_env(release_dir, tmp_path):
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {
        "VALACT_DATA": release_dir,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HF_HOME": tmp_path / "hf",
        "HF_HUB_OFFLINE": 1,
    }


@pytest.mark.slow
def test_lm_evaluation_harness(cli, serve, release_dir, tmp_path):
    python = harness_python("lm_eval", "LM_EVAL_PYTHON")
    env = child_env(release_dir, tmp_path)
    base = [python, "-m", "lm_eval", "--include_path", PACKAGE / "lm_eval_tasks", "--log_samples"]
    names = [f"valact_{task}" for task in ("default", "selection", "adoption")]
    tasks = ",".join([*names, *(f"{name}_letters" for name in names)])
    out = ["--output_path", tmp_path / "dummy"]
    said = run_here([*base, "--model", "dummy", "--tasks", tasks, *out], tmp_path, **env)
    assert "valact_adoption" in said
    samples = set((tmp_path / "dummy").rglob("samples_*.jsonl"))
    letters = {path for path in samples if "_letters_" in path.name}
    # it always says "lol", and gives some likelihood to every letter
    for files, outcome in ((samples - letters, "invalid"), (letters, "ok")):
        assert cli("import", *sorted(files), "--out", tmp_path / outcome)[0] == 0
        found = read_predictions([tmp_path / outcome]).choices
        assert found.height == 3 * 12 * 5
        assert set(found["outcome"]) == {outcome}

    server = serve(letter)
    url = f"base_url={server.url}/chat/completions"
    args = ["--model", "local-chat-completions", "--model_args", f"model=tiny,{url}"]
    out = ["--tasks", "valact_selection", "--output_path", tmp_path / "chat"]
    run_here([*base, *args, "--apply_chat_template", *out], tmp_path, OPENAI_API_KEY="x", **env)
    assert cli("import", tmp_path / "chat", "--out", tmp_path / "c")[0] == 0
    found = read_predictions([tmp_path / "c"]).choices
    assert set(found["respondent"]) == {"tiny"}

    serve(letter)
    run = ["run", release_dir, "--task", "selection", "--model", MODEL, "--respondent", "tiny"]
    assert cli(*run, "--out", tmp_path / "i")[0] == 0
    ours = read_predictions([tmp_path / "i"]).choices
    assert found.drop("seconds").equals(ours.drop("seconds"))  # the same by both harnesses


LIGHTEVAL = """
import sys
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.dummy.dummy_model import DummyModelConfig
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.registry import Registry

# its own tasks are not needed, and one of them downloads a file when it is imported
Registry._load_from_files = staticmethod(lambda *_: {})
Registry._load_from_subdirs = staticmethod(lambda *_: {})
pipeline = Pipeline(
    tasks=sys.argv[3],
    pipeline_parameters=PipelineParameters(
        launcher_type=ParallelismManager.NONE, custom_tasks_directory=sys.argv[1]
    ),
    evaluation_tracker=EvaluationTracker(output_dir=sys.argv[2], save_details=True),
    model_config=DummyModelConfig(seed=1),
)
pipeline.evaluate()
pipeline.save_and_push_results()
"""


@pytest.mark.slow
def test_lighteval(cli, release_dir, tmp_path):
    python = harness_python("lighteval", "LIGHTEVAL_PYTHON")
    env = child_env(release_dir, tmp_path)
    tasks = "valact_default_0|0,valact_selection_1|0,valact_adoption_4_letters|0"
    file = PACKAGE / "lighteval_tasks.py"
    run_here([python, "-c", LIGHTEVAL, file, tmp_path / "out", tasks], tmp_path, **env)
    assert cli("import", tmp_path / "out", "--out", tmp_path / "o")[0] == 0
    found = read_predictions([tmp_path / "o"]).choices
    assert found.height == 3 * 12
    counts = found.group_by("task", "variant", "outcome").len().sort("task").rows()
    assert counts == [
        ("adoption", 4, "ok", 12),
        ("default", 0, "invalid", 12),
        ("selection", 1, "invalid", 12),
    ]
    assert found.filter(pl.col("task") == "selection")["order"].to_list() == [[1, 2, 3, 0]] * 12
