import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from eval_helpers import question_rows
from inspect_ai.log import list_eval_logs, read_eval_log

MODEL = "openai-api/local/tiny"
REPLIES = [
    {"content": "A"},
    {"content": '{"answer": "B"}'},
    {"content": "I take option A."},
    {"content": "Hm."},
    {"content": ""},
    {"content": "B", "finish": "length"},
    {"content": None, "refusal": "No."},
    {"content": "", "finish": "content_filter"},
    {"content": "I'm sorry, but I cannot choose."},
    {"content": "B"},
    {"content": "C"},
    {"content": "\u00e9\u2028 D"},
]
OUTCOMES = [
    "strict",
    "strict",
    "lenient",
    "invalid",
    "empty",
    "truncated",
    "refused",
    "refused",
    "refused",
    "strict",
    "strict",
    "lenient",
]
CHOICES = [0, 1, 0, None, None, None, None, None, None, 1, 2, 3]


@pytest.mark.parametrize("task", ["default", "selection", "adoption"])
def test_run_then_score(cli, serve, release_dir, tmp_path, monkeypatch, task):
    server = serve(lambda i: REPLIES[i])
    work = tmp_path / "cwd"
    work.mkdir()
    monkeypatch.chdir(work)
    out = tmp_path / "out"
    code, table, err = cli("run", release_dir, "--task", task, "--model", MODEL, "--out", out)
    assert (code, err) == (0, "")
    assert os.listdir(work) == []
    assert len(server.requests) == 12
    assert {request["temperature"] for request in server.requests} == {0}

    records = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    rows = question_rows()
    assert [r["question_id"] for r in records] == [r["question_id"] for r in rows]
    assert [r["outcome"] for r in records] == OUTCOMES
    assert [r["choice"] for r in records] == CHOICES
    assert records[11]["raw"] == "\u00e9\u2028 D"
    for record, row, choice in zip(records, rows, CHOICES, strict=True):
        assert record["task"] == task
        assert record["target_index"] == row["target_index"]
        assert record["chosen_value"] == (
            choice if choice is None else row["option_values"][choice]
        )

    lines = [line.split() for line in table.splitlines()]
    assert ["valid", "0.500", "6/12"] in lines
    assert ["refused", "0.250"] in lines
    assert lines[-1] == ["letters", "A", "0.333", "B", "0.333", "C", "0.167", "D", "0.167"]
    if task == "default":
        assert ["self_direction", "0.167", "1/6", "0.125"] in lines
    else:  # right: q00 A, q01 B, q09 B, q10 C, q11 D of six valid
        assert ["accuracy", "0.833", "5/6", "valid", "(chance", "0.250)"] in lines
        assert ["over", "all", "n", "0.417", "5/12"] in lines

    assert cli("score", out / "predictions.jsonl", release_dir) == (0, table, "")

    log = read_eval_log(list_eval_logs(str(out / "logs"))[0])
    metrics = {name: metric.value for name, metric in log.results.scores[0].metrics.items()}
    assert metrics["valid"] == 0.5
    assert metrics["rate_refused"] == 0.25
    if task == "default":
        assert "accuracy" not in metrics
        assert metrics["enacted_self_direction"] == pytest.approx(1 / 6)
    else:
        assert metrics["accuracy"] == pytest.approx(5 / 6)

    code, _, err = cli("run", release_dir, "--task", task, "--model", MODEL, "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "--overwrite" in err


def test_limit_and_no_valid_answer(cli, serve, release_dir, tmp_path):
    serve(lambda i: {"content": "Hm."})
    args = ["--task", "selection", "--model", MODEL, "--limit", 3]
    code, table, _ = cli("run", release_dir, *args, "--out", tmp_path / "o")
    assert code == 0
    lines = [line.split() for line in table.splitlines()]
    assert ["questions", "3", "of", "12"] in lines
    assert ["accuracy", "n/a", "0/0", "valid", "(chance", "0.250)"] in lines
    assert ["letters", "A", "n/a", "B", "n/a", "C", "n/a", "D", "n/a"] in lines


def run_error(cli, tmp_path, release_dir, *extra):
    args = ["--task", "default", "--model", MODEL, "--out", tmp_path / "o", "--max-retries", 0]
    code, out, err = cli("run", release_dir, *args, *extra)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert not (tmp_path / "o" / "predictions.jsonl").exists()
    return err


def test_server_down(cli, tmp_path, release_dir, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    monkeypatch.setenv("LOCAL_BASE_URL", url)
    monkeypatch.setenv("LOCAL_API_KEY", "x")
    err = run_error(cli, tmp_path, release_dir)
    assert f"{MODEL}: APIConnectionError, retries used up; check --model" in err


def test_server_answers_an_error(cli, tmp_path, release_dir, serve):
    serve(lambda i: {"status": 404})
    assert "404" in run_error(cli, tmp_path, release_dir)


def test_bad_arguments(cli, tmp_path, release_dir, monkeypatch):
    monkeypatch.delenv("LOCAL_API_KEY", raising=False)
    assert "No LOCAL_API_KEY defined" in run_error(cli, tmp_path, release_dir)
    assert "no-such" in run_error(cli, tmp_path, release_dir, "--model", "no-such/model")
    assert "--task x" in run_error(cli, tmp_path, release_dir, "--task", "x")
    assert "--limit" in run_error(cli, tmp_path, release_dir, "--limit", "0")
    (tmp_path / "file").touch()
    assert "file" in run_error(cli, tmp_path, release_dir, "--out", tmp_path / "file")


def test_inspect_finds_the_tasks(serve, release_dir, tmp_path):
    server = serve(lambda i: REPLIES[i])
    inspect = Path(sys.executable).with_name("inspect")
    command = [inspect, "eval", "valact_eval/selection", "--model", MODEL, "--limit", "2"]
    done = subprocess.run(
        [*command, "--display", "plain", "--log-dir", tmp_path / "logs"],
        cwd=release_dir.parent,
        env=os.environ | {"VALACT_DATA": "dist"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.requests) == 2
    assert read_eval_log(list_eval_logs(str(tmp_path / "logs"))[0]).status == "success"
