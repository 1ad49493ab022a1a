"""Reads a release's `eval.yaml` by Inspect's own code: a program that `evaluation` runs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def problem(dist: Path) -> str:
    """Return what is wrong with the file, or "": its form, names of solvers, and its columns.

    Args:
        dist: The release folder.
    """
    import datasets
    from inspect_ai._eval.loader import scorer_from_spec, solver_from_spec
    from inspect_ai._eval.task.hf import HFTask, _load_eval_yaml, _record_to_sample_hf
    from inspect_ai.scorer._scorer import ScorerSpec
    from inspect_ai.solver._solver import SolverSpec

    datasets.disable_progress_bars()
    tasks: list[Any] = _load_eval_yaml(dist / "eval.yaml")["tasks"]
    read = [HFTask.model_validate(each) for each in tasks]
    names = {task.id for task in read}
    if missing := {"default", "selection", "adoption"} - names:
        return f"lacks task {min(missing)}"
    for task in read:
        for solver in task.solvers:
            solver_from_spec(SolverSpec(solver.name, solver.args, args_passed=solver.args))
        for scorer in task.scorers:
            scorer_from_spec(ScorerSpec(scorer=scorer.name), task_path=None, **scorer.args)
        with tempfile.TemporaryDirectory() as cache:
            rows = datasets.load_dataset(str(dist), task.config, split=task.split, cache_dir=cache)
            sample = _record_to_sample_hf(rows[0], task.field_spec)
        if not sample.choices or len(sample.choices) != 4:
            return f"task {task.id}: a sample has no four choices"
        if task.id != "default" and str(sample.target) not in set("ABCD"):
            return f"task {task.id}: a sample's target is {sample.target!r} and no letter"
    return ""


def main() -> int:
    """Print what is wrong with the file in the folder that is named, on one line; 1 if anything."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    try:
        found = problem(Path(sys.argv[1]))
    # pydantic, YAML and Inspect fail in ways of their own, and all of them are about this file
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    print(" ".join(found.split())[:300])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
