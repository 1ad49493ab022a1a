"""The evaluator benchmark's own side at 2,000 questions: every answer arrives and is right."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from benchmarks.chat_server import chat_server
from benchmarks.evaluator import PACKAGE, ROOT, VARIANTS, write_release

QUESTIONS = 2_000


@pytest.mark.slow
def test_ten_thousand_answers_arrive_and_are_right(tmp_path: Path) -> None:
    from valact_eval.asks import Setup
    from valact_eval.data import load_release

    write_release(tmp_path / "release", QUESTIONS)
    with chat_server(0.005, letters=True) as server:
        path = os.pathsep.join([str(PACKAGE), str(ROOT)])
        environment = os.environ | {
            "LOCAL_BASE_URL": server.base_url,
            "LOCAL_API_KEY": "none",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": path,
        }
        line = [sys.executable, "-m", "valact_eval.cli", "run", str(tmp_path / "release")]
        line += ["--task", "default", "--model", "openai-api/local/bench"]
        line += ["--out", str(tmp_path / "out"), "--max-connections", "64"]
        done = subprocess.run(line, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert server.count() == QUESTIONS * VARIANTS
    found = pl.read_ndjson(tmp_path / "out" / "predictions.jsonl")
    assert found.height == QUESTIONS * VARIANTS
    assert found.select("question_id", "variant").is_duplicated().sum() == 0
    assert set(found["outcome"]) == {"ok"}

    # the server's letter depends on the prompt alone
    release = load_release(str(tmp_path / "release"))
    setup = Setup(release)
    wanted = {}
    for question in release.questions.values():
        for call in setup.question_calls("default", question, range(VARIANTS)):
            letter = int(sha256(call.prompt.encode()).hexdigest()[:8], 16) % 4
            key = question.question_id, call.variant
            wanted[key] = (letter, call.shown[letter], list(call.shown))
    rows = found.select("question_id", "variant", "letter", "choice", "order").iter_rows()
    assert {(name, variant): tuple(rest) for name, variant, *rest in rows} == wanted
