"""What comes along for evaluators works: Inspect accepts `eval.yaml`, and the wheel runs.

This takes seconds and depends on nothing but the files and the installed packages, so what was
found good once, with the same bytes and packages, is remembered.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

import polars as pl

from pipeline.artifacts import canonical_json, sha256_file, sha256_text, write_text
from pipeline.dist import table_path
from pipeline.errors import StageError
from pipeline.paths import ROOT

_IS_FIRST = "import sys, valact_eval as v; sys.exit(not v.__file__.startswith(sys.prefix))"
_TASKS = ("default", "selection", "adoption")


def check_evaluation(dist: Path, cache: Path) -> None:
    """Check both; see the module.

    Args:
        dist: The release folder.
        cache: Remembers what was found good.

    Raises:
        StageError: Inspect refuses the file, or the wheel does not install, run or score.
    """
    wheels = sorted((dist / "evaluator").glob("*.whl"))
    if len(wheels) != 1 or len(list((dist / "evaluator").glob("*.tar.gz"))) != 1:
        raise StageError(f"{dist / 'evaluator'}: does not hold one wheel and one source archive")
    note = cache / "evaluation" / _identity(dist, wheels[0])
    if note.is_file():
        return
    check_eval_yaml(dist)
    check_wheel(dist, wheels[0])
    write_text("", note)


def check_eval_yaml(dist: Path) -> None:
    """Let the installed Inspect read `eval.yaml` and make a sample of each task.

    Raises:
        StageError: It refuses, or there is no Inspect.
    """
    path = dist / "eval.yaml"
    if importlib.util.find_spec("inspect_ai") is None:
        raise StageError(f"{path}: there is no Inspect to check it with; `make install` brings it")
    line = [sys.executable, "-m", "pipeline.checks.inspect_tasks", str(dist.resolve())]
    done = _run(line, ROOT)
    if done.returncode:
        told = (done.stdout.strip() or done.stderr.strip() or "no message").splitlines()[-1]
        raise StageError(f"{path}: Inspect {_version('inspect_ai')} refuses it: {told}")


def check_wheel(dist: Path, wheel: Path) -> None:
    """Install the wheel where nothing of it is installed, and let it score a few answers.

    What it depends on is taken from the environment that runs this, so that no network is needed.

    Raises:
        StageError: A step fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "venv"
        venv.create(home, symlinks=True)
        python = home / "bin" / "python"
        paths = {"base": str(home), "platbase": str(home)}
        site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
        # A path in a .pth file: packages are found there, but no other .pth file of theirs is read,
        # such as that of an evaluator that is installed in editable form.
        (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
        answers = Path(folder) / "answers.jsonl"
        _write_answers(dist, answers)
        command = str(home / "bin" / "valact-eval")
        for what, line in (
            (
                "install",
                [*pip, "install", "--no-deps", "--no-index", str(wheel.resolve())],
            ),
            ("come first", [str(python), "-c", _IS_FIRST]),
            ("start", [command, "--help"]),
            ("score answers", [command, "score", str(answers), "--draws", "100"]),
        ):
            done = _run(line, Path(folder))
            if done.returncode:
                told = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
                raise StageError(f"{wheel}: does not {what} in a clean environment ({told[:200]})")
        if "accuracy" not in done.stdout:
            raise StageError(f"{wheel}: gives no accuracy of answers that are right")


def _write_answers(dist: Path, path: Path) -> None:
    """Write a predictions file: of the first two scenarios, one variant, the target each time."""
    rows = pl.read_parquet(table_path(dist, "questions"), n_rows=10).to_dicts()
    lines = (
        {
            "respondent": "check",
            "task": task,
            "variant": 0,
            "question_id": row["question_id"],
            "scenario_id": row["scenario_id"],
            "domain": row["domain"],
            "order": [0, 1, 2, 3],
            "outcome": "ok",
            "letter": row["target_index"],
            "choice": row["target_index"],
            "target_index": None if task == "default" else row["target_index"],
            "option_ids": row["option_ids"],
            "option_values": row["option_values"],
            "option_generators": row["option_generators"],
            "option_words": [len(text.split()) for text in row["options"]],
            "seconds": None,
            "raw": "ABCD"[row["target_index"]],
        }
        for task in _TASKS
        for row in rows
    )
    write_text("".join(f"{json.dumps(line)}\n" for line in lines), path)


def _run(line: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "MPLBACKEND": "Agg"}
    return subprocess.run(
        line, cwd=folder, env=kept | offline, capture_output=True, text=True, check=False
    )


def _identity(dist: Path, wheel: Path) -> str:
    """Return a hash of what is checked, of the tables' types, and of what is installed."""
    installed = sorted(f"{d.name} {d.version}" for d in importlib.metadata.distributions())
    columns = pl.read_parquet_schema(table_path(dist, "questions"))
    shape = [f"{name} {dtype}" for name, dtype in columns.items()]
    files = [sha256_file(dist / "eval.yaml"), sha256_file(wheel)]
    return sha256_text(canonical_json([files, shape, installed, sys.version]))[:32]


def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)
