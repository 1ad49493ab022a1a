import pytest
from test_eval_run import MODEL, rows_of

from valact_eval.cli_first import PUBLISHED_RANGE
from valact_eval.stats.reference import reference


def reply(prompt):
    if "Case-" in prompt:
        return {"content": "ABCD"[len(prompt) % 4]}
    return {"content": "\n".join(f"{n}: {n % 6 + 1}" for n in range(1, 41))}


def test_quick_puts_r_beside_the_published_range(cli, serve, release_dir, tmp_path):
    server = serve(reply)
    args = ["quick", release_dir, "--model", MODEL, "--scenarios", 4, "--out", tmp_path / "o"]
    code, out, err = cli(*args)
    assert code == 0
    first, second = out.splitlines()[:2]
    assert first.startswith("questionnaire: valact-portraits-40 (not validated)")
    assert second.startswith(f"{MODEL}: declared-enacted r ")
    low, high = PUBLISHED_RANGE
    tables = sorted(reference().pearson.values())
    assert f"published: {low} to {high} (the ten models' tables: {tables[0]:.2f} to" in second
    assert "the published range" in out.splitlines()[2]
    assert "with 4 scenarios expect 95 % intervals of enacted share of one value" in err
    # 4 scenarios of 2 questions x 5 prompts, 10 questionnaires x 5 prompts
    assert len(server.requests) == 40 + 50
    assert len({r["scenario_id"] for r in rows_of(tmp_path / "o" / "predictions.jsonl")}) == 4
    # a longer run goes on from it
    code, _, err = cli(
        "run", release_dir, "--model", MODEL, "--task", "default", "--out", tmp_path / "o"
    )
    assert code == 0
    assert len(server.requests) == 90 + 20


def test_probe_roleplay_says_the_half_width_first(cli, serve, release_dir, tmp_path):
    server = serve(reply)
    args = ["probe-roleplay", release_dir, "--model", MODEL, "--scenarios", 5]
    code, out, err = cli(*args, "--out", tmp_path / "o")
    assert code == 0
    assert out.startswith(f"{MODEL}: half-width 0.")
    assert "(95 %, 5 scenarios)" in out.splitlines()[0]
    assert out.splitlines()[1].startswith("  adoption - selection ")
    assert "role-play difference -+" in err
    assert len(server.requests) == 2 * 5 * 2 * 5


@pytest.mark.parametrize("command", ["quick", "probe-roleplay"])
def test_an_estimate_asks_nothing(cli, serve, release_dir, tmp_path, command):
    server = serve(reply)
    args = [command, release_dir, "--model", MODEL, "--out", tmp_path / "o", "--estimate"]
    code, out, err = cli(*args, "--price", "1/2")
    assert (code, out) == (0, "")
    assert "calls, at most" in err
    assert server.requests == []
