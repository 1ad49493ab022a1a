"""The evaluator with the bundled model on its real server: all four tasks, figures and the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[1]
MODEL = "openai-api/local/smollm2-135m"
VALUES = (
    *("self_direction", "stimulation", "hedonism", "achievement", "power"),
    *("security", "conformity", "tradition", "benevolence", "universalism"),
)


def write_release(folder: Path) -> Path:
    """Two scenarios with a question each, as a release has them."""
    rows = []
    for number in range(2):
        values = [VALUES[(number + step) % 10] for step in (0, 3, 5, 8)]
        rows.append(
            {
                "question_id": f"q{number}",
                "scenario_id": f"s{number}",
                "domain": ("career", "ethics")[number],
                "slot": number,
                "question_index": 0,
                "scenario": "I was offered a better post in another town and my family stays.",
                "options": [f"I choose what {value} asks of me." for value in values],
                "option_ids": [f"a{number}{k}" for k in range(4)],
                "option_values": values,
                "option_generators": ["one", "two"] * 2,
                "target_value": values[number],
                "target_index": number,
            }
        )
    (folder / "questions").mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(folder / "questions" / "test.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: questions\n  data_files:\n"
        "  - split: test\n    path: questions/test.parquet\n---\n"
    )
    meanings = [{"id": v, "name": v.title(), "definition": f"Meaning of {v}."} for v in VALUES]
    (folder / "values.json").write_text(json.dumps(meanings))
    return folder


def valact_eval(*given: object, served: bool = False) -> str:
    server = [sys.executable, "-m", "pipeline", "serve", "--"] if served else []
    line = [*server, sys.executable, "-m", "valact_eval.cli", *map(str, given)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        line, check=False, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_bundled_model_is_asked_all_four_tasks_and_a_page_is_made(tmp_path: Path) -> None:
    release, out = write_release(tmp_path / "dist"), tmp_path / "run"
    form = ("--constrained", "--form", "single", "--runs", 1, "--variants", 1, "--max-tokens", 8)
    said = valact_eval("run", release, "--model", MODEL, "--out", out, *form, served=True)
    assert MODEL in said
    for task in ("default", "selection", "adoption"):
        assert f"  {task}: 2 questions x 1 prompts" in said
    assert "valact-portraits-40 (not validated): 1 runs x 1 prompts: ok 1.000" in said
    assert len(pl.read_ndjson(out / "answers.jsonl").filter(pl.col("score").is_between(1, 6))) == 40
    assert valact_eval("score", out) == said
    valact_eval("report", out, "--html", tmp_path / "page", "--draws", 100)
    page = (tmp_path / "page" / "index.html").read_text("utf-8")
    assert "not validated" in page
    assert page.count("<img") > 1
    assert (tmp_path / "page" / "csv" / "values.csv").exists()
