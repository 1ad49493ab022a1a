import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from eval_helpers import case, question_rows, write_pvq
from inspect_ai.log import list_eval_logs, read_eval_log

from valact_eval.asks import Setup
from valact_eval.data import load_release
from valact_eval.predictions import read_predictions

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
OUTCOMES = ["ok"] * 3 + ["invalid"] * 2 + ["truncated"] + ["refused"] * 3 + ["ok"] * 3
LETTERS = [0, 1, 0, None, None, None, None, None, None, 1, 2, 3]


def reply(prompt):
    return REPLIES[case(prompt)] if "Case-" in prompt else ratings(prompt)


def ratings(prompt):
    """Every fortieth reply gives each item the rating that its wording's number comes to."""
    items = re.findall(r"^(\d+)\. Wording (\d+)\.$", prompt, re.MULTILINE)
    if not items:
        items = [("1", re.findall(r"Wording (\d+)", prompt)[0])]
        return {"content": str(int(items[0][1]) % 6 + 1)}
    return {"content": "\n".join(f"{n}: {int(item) % 6 + 1}" for n, item in items)}


def asked(server):
    return [request["messages"][-1]["content"] for request in server.requests]


def rows_of(path):
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


@pytest.mark.parametrize("task", ["default", "selection", "adoption"])
def test_run_then_score(cli, serve, release_dir, tmp_path, monkeypatch, task):
    server = serve(reply)
    work = tmp_path / "cwd"
    work.mkdir()
    monkeypatch.chdir(work)
    out = tmp_path / "out"
    args = ["run", release_dir, "--task", task, "--model", MODEL, "--out", out]
    code, table, err = cli(*args)
    assert code == 0
    assert f"valact-eval: {MODEL}, {task}: 12 samples, 60 calls, at most" in err
    assert os.listdir(work) == []
    release = load_release(str(release_dir))
    setup = Setup(release)
    wanted = [
        call.prompt
        for question in release.questions.values()
        for call in setup.question_calls(task, question, range(5))
    ]
    assert sorted(asked(server)) == sorted(wanted)
    assert {request["temperature"] for request in server.requests} == {0}

    rows = question_rows()
    found = rows_of(out / "predictions.jsonl")
    keys = [(r["question_id"], r["variant"]) for r in found]
    assert keys == [(f"q{i:02}", v) for i in range(12) for v in range(5)]
    for record in found:
        number, shift = int(record["question_id"][1:]), record["variant"] % 4
        row = rows[number]
        assert record["respondent"] == MODEL
        assert record["task"] == task
        assert record["order"] == [(place + shift) % 4 for place in range(4)]
        assert record["outcome"] == OUTCOMES[number]
        assert record["letter"] == LETTERS[number]
        letter = LETTERS[number]
        assert record["choice"] == (None if letter is None else (letter + shift) % 4)
        assert record["target_index"] == (None if task == "default" else row["target_index"])
        for name in ("scenario_id", "domain", "option_ids", "option_values", "option_generators"):
            assert record[name] == row[name]
        assert record["option_words"] == [4] * 4
        assert record["seconds"] > 0
    assert found[55]["raw"] == "\u00e9\u2028 D"

    said = f"  {task}: 12 questions x 5 prompts: ok 0.500, invalid 0.167, refused 0.250, truncated"
    assert f"\n{MODEL}\n{said} 0.083" in table
    if task == "default":
        (letters,) = re.findall(r"letters \(chance 0.250\): (.*)", table)
        assert re.findall(r"([A-D]) (0.\d+) \[", letters) == [
            *(("A", "0.333"), ("B", "0.333"), ("C", "0.167"), ("D", "0.167"))
        ]
    else:
        assert "; accuracy 0." in table

    assert cli("score", out) == cli("score", out / "predictions.jsonl") == (0, table, "")
    log = read_eval_log(list_eval_logs(str(out / "logs"))[0])
    metrics = {name: metric.value for name, metric in log.results.scores[0].metrics.items()}
    assert metrics["rate_ok"] == 0.5
    assert metrics["rate_refused"] == 0.25
    assert ("accuracy" in metrics) == (task != "default")

    before = (out / "predictions.jsonl").read_bytes()
    code, again, err = cli(*args)  # nothing is left to ask
    assert (code, again) == (0, table)
    assert "12 of 12 samples are answered already" in err
    assert len(server.requests) == 60
    assert (out / "predictions.jsonl").read_bytes() == before


@pytest.mark.parametrize("form", ["together", "single"])
def test_the_questionnaire(cli, serve, tmp_path, form):
    server = serve(reply)
    pvq = write_pvq(tmp_path / "pvq.csv")
    args = ["--task", "declared", "--model", MODEL, "--runs", 2, "--variants", 2, "--form", form]
    code, table, err = cli("run", *args, "--pvq", pvq, "--out", tmp_path / "o")
    assert code == 0
    assert "questionnaire: PVQ-40 (own copy " in err
    assert len(server.requests) == (4 if form == "together" else 160)
    found = rows_of(tmp_path / "o" / "answers.jsonl")
    assert len(found) == 160
    for row in found:
        assert row["score"] == row["item"] % 6 + 1  # whatever the order shown
    assert "PVQ-40 (own copy " in table
    power = [2 % 6 + 1, 17 % 6 + 1, 39 % 6 + 1]
    mrat = sum(item % 6 + 1 for item in range(1, 41)) / 40
    line = next(line.split() for line in table.splitlines() if line.split()[:1] == ["power"])
    raw, centred = f"{sum(power) / 3:.2f}", f"{sum(power) / 3 - mrat:.2f}"
    bounds = [f"[{raw},", f"{raw}]", centred, f"[{centred},", f"{centred}]"]
    assert line == ["power", "-", "-", "-", raw, *bounds]


def test_the_stand_in_is_marked_on_every_output(cli, serve, tmp_path):
    serve(lambda prompt: {"content": "1: 3"})
    args = ["--task", "declared", "--model", MODEL, "--runs", 1, "--variants", 1]
    code, table, err = cli("run", *args, "--out", tmp_path / "o")
    assert code == 0
    assert "not validated" in table
    assert "not validated" in err
    assert "1 of 1 questionnaires rate every item alike" in table
    found = rows_of(tmp_path / "o" / "answers.jsonl")
    assert {row["instrument"] for row in found} == {"valact-portraits-40 (not validated)"}
    assert sum(row["outcome"] == "ok" for row in found) == 1


def test_several_models_all_tasks_and_parts(cli, serve, release_dir, tmp_path):
    server = serve(reply)
    models = ["--model", MODEL, "--model", "openai-api/local/small", "--respondent", "Tiny"]
    args = ["run", release_dir, "--pvq", write_pvq(tmp_path / "p.csv"), "--variants", 2]
    args += ["--domain", "ethics", "--limit", 3, "--runs", 1, "--out", tmp_path / "o"]
    code, table, _ = cli(*args, *models, "--respondent", "Small")
    assert code == 0
    found = read_predictions([tmp_path / "o"])
    assert found.choices.height == 2 * 3 * 3 * 2
    assert found.answers.height == 2 * 2 * 40
    assert set(found.choices["domain"]) == {"ethics"}
    assert set(found.choices["respondent"]) == {"Tiny", "Small"}
    assert {request["model"] for request in server.requests} == {"tiny", "small"}
    assert len(server.requests) == 2 * (3 * 3 * 2 + 2)
    for name in ("Small", "Tiny"):
        part = table.split(f"\n{name}\n")[1].split("\n\n")[0]
        for head in ("adoption: 3 questions x 2 prompts", "PVQ-40 (own copy"):
            assert f"  {head}" in part


def test_published_order_and_items_as_examples(cli, serve, release_dir, tmp_path):
    server = serve(reply)
    args = ["run", release_dir, "--model", MODEL, "--out", tmp_path / "o", "--task", "selection"]
    pvq = write_pvq(tmp_path / "p.csv")
    code, _, _ = cli(*args, "--order", "published", "--describe", "items", "--pvq", pvq)
    assert code == 0
    assert all("- Wording " in prompt for prompt in asked(server))
    assert {tuple(r["order"]) for r in rows_of(tmp_path / "o/predictions.jsonl")} == {(0, 1, 2, 3)}


def token(text, likely):
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in likely.items()]
    return {"token": text, "logprob": -1.0, "bytes": None, "top_logprobs": top}


def test_constrained_choice(cli, serve, release_dir, tmp_path):
    shown = {
        0: [token("B", {"A": -2.0, "B": -1.0, "C": -3.0})],
        1: [token("Well", {"Well": -0.1, " C": -1.0, "A": -1.5, "C": -9.0})],
        2: [token('{"', {"A": -0.5}), token("D", {"D": -0.2, "A": -1})],
        3: [token("Hm", {"Hm": -0.1})],
    }
    server = serve(lambda p: {"content": "?", "logprobs": shown[case(p)]})
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--limit", 4]
    code, _, _ = cli(*args, "--variants", 1, "--constrained", "--out", tmp_path / "o")
    assert code == 0
    found = rows_of(tmp_path / "o" / "predictions.jsonl")
    assert [row["letter"] for row in found] == [1, 2, 3, None]
    assert [row["outcome"] for row in found] == ["ok"] * 3 + ["invalid"]
    assert all(request["logprobs"] for request in server.requests)

    serve(reply)
    code, out, err = cli(*args, "--constrained", "--out", tmp_path / "p")
    assert (code, out) == (2, "")
    assert "gives no log-probabilities" in err


@pytest.mark.parametrize("variants", [1, 2])
def test_constrained_ratings(cli, serve, tmp_path, variants):
    """Ratings come from log-probabilities although every reply is cut short."""

    def shown(prompt):
        item = int(re.findall(r"Wording (\d+)", prompt)[0])
        likely = {str(item % 6 + 1): -4.0, "The": -0.1, str((item + 1) % 6 + 1): -5.0}
        return {"content": "The", "finish": "length", "logprobs": [token("The", likely)]}

    pvq = write_pvq(tmp_path / "p.csv")
    server = serve(shown)
    args = ["run", "--model", MODEL, "--task", "declared", "--runs", 1, "--variants", variants]
    args += ["--pvq", pvq, "--constrained"]
    code, table, _ = cli(*args, "--form", "single", "--out", tmp_path / "o")
    assert code == 0
    assert all(request["top_logprobs"] == 20 for request in server.requests)
    found = rows_of(tmp_path / "o" / "answers.jsonl")
    assert [(row["variant"], row["item"]) for row in found] == [
        (variant, item) for variant in range(variants) for item in range(1, 41)
    ]
    assert [row["score"] for row in found] == [row["item"] % 6 + 1 for row in found]
    assert f"1 runs x {variants} prompts: ok 1.000" in table

    asked_before = len(server.requests)
    code, out, err = cli(*args, "--out", tmp_path / "together")
    assert (code, out, len(server.requests)) == (2, "", asked_before)
    assert "--constrained: forty ratings in one reply" in err
    assert "give --form single" in err


def test_a_killed_run_goes_on(cli, serve, release_dir, tmp_path):
    """Killed with -9 in the middle, it asks only what is missing, and the bytes are the same."""
    gate, enough = threading.Event(), threading.Event()

    def slow(prompt):
        if len(server.requests) > 25:
            enough.set()
            gate.wait(20)
        return reply(prompt)

    server = serve(slow)
    out = tmp_path / "o"
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--task", "selection"]
    command = [sys.executable, "-m", "valact_eval.cli", *map(str, args), "--out", str(out)]
    process = subprocess.Popen([*command, "--max-connections", "4"], stderr=subprocess.PIPE)
    assert enough.wait(50)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    gate.set()
    path = out / "predictions.jsonl"
    first = rows_of(path)
    assert 5 <= len(first) < 120
    with path.open("ab") as file:
        file.write(json.dumps(first[0]).encode()[:40])  # a line cut in two
    (out / "usage.jsonl").open("a").write('{"resp')

    server = serve(reply)
    code, table, err = cli(*args, "--out", out)
    assert code == 0
    assert f"{len(first) // 5} of 24 samples are answered already" in err
    assert len(server.requests) == 120 - len(first)
    found = rows_of(path)
    assert len(found) == 120
    assert [row for row in found if row in first] == sorted(
        first, key=lambda row: (row["task"], row["question_id"], row["variant"])
    )

    serve(reply)
    code, whole, _ = cli(*args, "--out", tmp_path / "whole")
    assert (code, whole) == (0, table)
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in found]
    other = rows_of(tmp_path / "whole" / "predictions.jsonl")
    assert strip == [{k: v for k, v in row.items() if k != "seconds"} for row in other]


def test_a_questionnaire_cut_in_the_middle_is_asked_again(cli, serve, tmp_path):
    serve(lambda prompt: {"content": "1: 3"})
    args = ["run", "--task", "declared", "--model", MODEL, "--runs", 2, "--variants", 2]
    assert cli(*args, "--out", tmp_path)[0] == 0
    path = tmp_path / "answers.jsonl"
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2])
    server = serve(lambda prompt: {"content": "1: 3"})
    assert cli(*args, "--out", tmp_path)[0] == 0
    assert len(server.requests) == 2
    assert path.read_bytes() == before


def test_more_variants_and_questions_are_added(cli, serve, release_dir, tmp_path):
    server = serve(reply)
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--out", tmp_path / "o"]
    assert cli(*args, "--variants", 2, "--limit", 3)[0] == 0
    assert cli(*args, "--variants", 3, "--limit", 4)[0] == 0
    assert len(server.requests) == 4 * 3
    assert len(set(asked(server))) == 12


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--max-tokens", 7], "with max_tokens 256, now it is 7"),
        (["--temperature", 0.5], "with temperature 0.0, now it is 0.5"),
        (["--order", "published"], "with order 'shifted', now it is 'published'"),
        (["--constrained"], "with constrained False"),
        (["--extra-body", '{"x": 1}'], "with extra_body None"),
        (["--respondent", MODEL, "--model", "openai-api/local/b"], "with model"),
    ],
)
def test_answers_of_two_kinds_are_not_mixed(cli, serve, release_dir, tmp_path, option, said):
    server = serve(reply)
    args = ["run", release_dir, "--task", "default", "--limit", 1, "--variants", 1]
    model = [] if "--model" in option else ["--model", MODEL]
    out = ["--out", tmp_path / "o"]
    assert cli(*args, "--model", MODEL, *out)[0] == 0
    code, _, err = cli(*args, *model, *option, *out)
    assert (code, len(server.requests)) == (2, 1)
    assert said in err
    assert "--overwrite" in err
    if "--constrained" not in option:
        assert cli(*args, *model, *option, *out, "--overwrite")[0] == 0
        assert len(server.requests) == 2


def test_another_run_in_the_same_folder(cli, serve, release_dir, tmp_path):
    from filelock import FileLock

    serve(reply)
    with FileLock(tmp_path / ".lock"):
        code, out, err = cli("run", release_dir, "--model", MODEL, "--out", tmp_path)
    assert (code, out) == (2, "")
    assert "another run is writing there" in err


def test_estimate_and_cap(cli, serve, release_dir, tmp_path):
    server = serve(lambda p: {"content": "A"})
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--out", tmp_path / "o"]
    price = ["--price", "1/2", "--max-tokens", 100]
    code, out, err = cli(*args, *price, "--estimate")
    assert (code, out, len(server.requests)) == (0, "", 0)
    release = load_release(str(release_dir))
    calls = [
        call
        for question in release.questions.values()
        for call in Setup(release).question_calls("default", question, range(5))
    ]
    tokens = sum(len(call.prompt.encode()) // 3 + 10 for call in calls)
    usd = (tokens + 2 * 60 * 100) / 1e6
    assert f"60 calls, at most {tokens:,} input and 6,000 output tokens, ${usd:,.2f}" in err

    # a call is billed 100 + 2 x 10 millionths of a dollar, a sample 0.0006
    code, table, err = cli(*args, *price, "--max-cost", 0.005)
    assert code == 3
    assert "the cap of $0.005 is reached" in err
    count = read_predictions([tmp_path / "o"]).choices.height // 5
    assert 1 <= count < 8  # what a sample can cost at most must still fit in
    assert f"  default: {count} questions" in table
    spent = sum(row["usd"] for row in rows_of(tmp_path / "o" / "usage.jsonl"))
    assert spent == pytest.approx(count * 0.0006)
    assert 0.005 - usd / 12 - 0.001 < spent <= 0.005

    code, _, err = cli(*args, *price, "--max-cost", 0.005)  # it holds over both starts
    assert (code, len(server.requests)) == (3, 5 * count)
    assert "samples are answered already for $0.00" in err
    assert cli(*args, *price, "--max-cost", 1)[0] == 0
    assert len(server.requests) == 60


def test_one_question_that_fails_does_not_end_the_run(cli, serve, release_dir, tmp_path):
    server = serve(lambda p: {"status": 400} if case(p) == 4 else reply(p))
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--out", tmp_path / "o"]
    code, table, err = cli(*args, "--max-connections", 2)
    assert code == 3
    assert "11 questions x 5 prompts" in table
    assert "1 of 12 samples are not answered: 1 failed, the last with" in err
    assert "400" in err
    assert (tmp_path / "o" / "predictions.jsonl").exists()
    server = serve(reply)
    assert cli(*args)[0] == 0
    assert len(server.requests) == 5


def test_replies_are_cached(cli, serve, release_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    server = serve(reply)
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--limit", 2, "--cache"]
    assert cli(*args, "--out", tmp_path / "a")[0] == 0
    assert len(server.requests) == 10
    assert cli(*args, "--out", tmp_path / "b")[0] == 0
    assert len(server.requests) == 10


def run_error(cli, tmp_path, release_dir, *extra):
    args = ["--task", "default", "--model", MODEL, "--out", tmp_path / "o", "--max-retries", 0]
    code, out, err = cli("run", release_dir, *args, *extra)
    assert (code, out) == (2, ""), err
    assert not (tmp_path / "o" / "predictions.jsonl").exists()
    return err.splitlines()[-1]


def test_server_down(cli, tmp_path, release_dir, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    monkeypatch.setenv("LOCAL_BASE_URL", url)
    monkeypatch.setenv("LOCAL_API_KEY", "x")
    err = run_error(cli, tmp_path, release_dir)
    assert f"{MODEL}: ConnectionRefusedError: " in err
    assert "retries used up; check --model" in err


def test_server_answers_an_error(cli, tmp_path, release_dir, serve):
    serve(lambda prompt: {"status": 404})
    assert "404" in run_error(cli, tmp_path, release_dir)


@pytest.mark.parametrize("log", [[], ["--log-samples"]])
def test_a_server_that_only_fails_is_let_be(cli, tmp_path, release_dir, serve, log):
    server = serve(lambda prompt: {"status": 404})
    run_error(cli, tmp_path, release_dir, "--max-connections", 1, "--variants", 1, *log)
    assert len(server.requests) == 5  # of 12


def test_bad_arguments(cli, tmp_path, release_dir, monkeypatch):
    monkeypatch.delenv("LOCAL_API_KEY", raising=False)
    for args, said in [
        ([], "No LOCAL_API_KEY defined"),
        (["--model", MODEL], "comes twice"),
        (["--task", "x"], "--task x"),
        (["--limit", "0"], "--limit"),
        (["--variants", "6"], "--variants 6: task default has 1 to 5"),
        (["--domain", "sport"], "--domain sport: no such domain; give career, ethics"),
        (["--order", "x"], "--order x: give shifted or published"),
        (["--describe", "items"], "needs the questionnaire; give --pvq"),
        (["--form", "x"], "--form x"),
        (["--price", "1"], "--price 1: give IN/OUT"),
        (["--price", "x=1/2"], "x is not among --model"),
        (["--price", "-1/2"], "--price -1/2"),
        (["--respondent", "a", "--respondent", "b"], "2 --respondent for 1 --model"),
        (["-M", "x"], "--model-arg x: give NAME=VALUE"),
        (["--extra-body", "[]"], "--extra-body: not an object"),
        (["--reasoning-effort", "x"], "--reasoning-effort x"),
        (["--http", "x"], "--http x"),
    ]:
        assert said in run_error(cli, tmp_path, release_dir, *args)
    monkeypatch.setenv("LOCAL_API_KEY", "x")
    monkeypatch.setenv("LOCAL_BASE_URL", "http://127.0.0.1:9/v1")
    assert "--max-cost needs the price" in run_error(cli, tmp_path, release_dir, "--max-cost", 1)
    (tmp_path / "file").touch()
    assert "file" in run_error(cli, tmp_path, release_dir, "--out", tmp_path / "file")
    code, _, err = cli("run", release_dir, "--model", "no-such/model", "--out", tmp_path / "o")
    assert code == 2
    assert "no-such" in err
    for args, said in [
        (["--out", tmp_path], "--model is missing"),
        (["--model", MODEL], "--out is missing"),
        (["--model", MODEL, "--out", tmp_path / "o"], "task default needs DATA"),
    ]:
        code, _, err = cli("run", *args)
        assert (code, err.count("\n")) == (2, 1)
        assert said in err


def test_no_secret_is_written_down(cli, serve, release_dir, tmp_path):
    serve(reply)
    args = ["run", release_dir, "--model", MODEL, "--task", "default", "--limit", 1]
    assert cli(*args, "-M", "api_key=sk-hidden-key", "--out", tmp_path / "o")[0] == 0
    for path in (tmp_path / "o").rglob("*"):
        if path.suffix == ".eval":
            log = read_eval_log(str(path))
            assert "sk-hidden-key" not in log.model_dump_json()
        elif path.is_file():
            assert b"sk-hidden-key" not in path.read_bytes()


@pytest.mark.parametrize("task", ["selection", "declared"])
def test_inspect_finds_the_tasks(serve, release_dir, tmp_path, task):
    server = serve(lambda p: {"content": "B"})
    inspect = Path(sys.executable).with_name("inspect")
    command = [inspect, "eval", f"valact_eval/{task}", "--model", MODEL, "--limit", "2"]
    done = subprocess.run(
        [*command, "-T", "variants=3", "--display", "plain", "--log-dir", tmp_path / "logs"],
        cwd=release_dir.parent,
        env=os.environ | {"VALACT_DATA": "dist"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.requests) == 6
    assert read_eval_log(list_eval_logs(str(tmp_path / "logs"))[0]).status == "success"
