"""Plain Inspect over the evaluator's prompts: a sample for each call, as one would write it first.

python -m benchmarks.evaluator_plain RELEASE --model MODEL --log-dir FOLDER
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import match
from inspect_ai.solver import generate
from valact_eval.harness import documents


def main() -> None:
    """Ask every document of task default once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--log-dir", required=True)
    parser.add_argument("--max-connections", type=int)
    arguments = parser.parse_args()
    os.environ["VALACT_DATA"] = str(arguments.release)
    samples = [
        Sample(id=number, input=document["prompt"], target="A")
        for number, document in enumerate(documents("default"))
    ]
    (log,) = inspect_eval(
        Task(
            dataset=MemoryDataset(samples),
            solver=generate(),
            scorer=match(),
            config=GenerateConfig(temperature=0, max_tokens=256),
        ),
        model=arguments.model,
        max_connections=arguments.max_connections,
        log_dir=arguments.log_dir,
        display="none",
    )
    if log.status != "success":
        raise SystemExit(f"{log.status}: {log.error}")


if __name__ == "__main__":
    main()
