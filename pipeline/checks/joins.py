"""All that names something in another table finds it there, and says the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import read_json
from pipeline.checks.tables import Tables, together
from pipeline.errors import StageError
from pipeline.flat import TASKS, flat


def check_joins(dist: Path, tables: Tables) -> None:
    """Check the ids between the tables, and the texts that stand in two of them.

    Raises:
        StageError: A join has a hole, or two tables differ.
    """
    every = together(tables)
    questions, scenarios, actions = (every[n] for n in ("questions", "scenarios", "actions"))
    per_scenario = questions_per_scenario(dist)
    counts = questions.group_by("scenario_id").len()
    for name, n in counts.filter(pl.col("len") != per_scenario).sort("scenario_id").iter_rows():
        raise StageError(f"{dist}: scenario {name} has {n} of {per_scenario} questions")
    options = _options(questions)
    offered, known = set(options["action_id"]), set(actions["action_id"])
    holes = {
        "questions.scenario_id": set(questions["scenario_id"]) ^ set(scenarios["scenario_id"]),
        "actions.scenario_id": set(actions["scenario_id"]) ^ set(scenarios["scenario_id"]),
        # One question takes four of a scenario's twenty actions, five take all of them.
        "questions.option_ids": offered - known if per_scenario == 1 else offered ^ known,
    }
    if "reviews" in every:
        holes["reviews.action_id"] = set(every["reviews"]["action_id"]) - known
    for place, ids in holes.items():
        if ids:
            raise StageError(f"{dist}: {place}: {len(ids)} ids without a partner, e.g. {min(ids)}")
    unlike = options.join(actions, on=options.columns, how="anti")["action_id"].to_list()
    if unlike:
        raise StageError(
            f"{dist}: {len(unlike)} options differ from their actions, e.g. {unlike[0]}"
        )
    if len(offered) != options.height:
        raise StageError(f"{dist}: an action is offered twice")
    _check_splits(dist, tables)
    _check_flat(dist, tables, scenarios)


def questions_per_scenario(dist: Path) -> int:
    """Return how many questions a scenario has.

    Raises:
        StageError: The release does not say.
    """
    path = dist / "provenance" / "manifests" / "compose.json"
    try:
        return int(read_json(path)["notes"]["questions_per_scenario"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{path}: does not say how many questions a scenario has ({error!r}); "
            "build the release again"
        ) from None


def _options(questions: pl.DataFrame) -> pl.DataFrame:
    """Return one row an option, with the columns that `actions` has as well."""
    columns = {
        "action_id": "option_ids",
        "action": "options",
        "value": "option_values",
        "generator": "option_generators",
    }
    return questions.select("scenario_id", **columns).explode(*columns)


def _check_splits(dist: Path, tables: Tables) -> None:
    """Check that all that is about a scenario is in its split."""
    place = {
        scenario: split
        for split, rows in tables["scenarios"].items()
        for scenario in rows["scenario_id"]
    }
    for name, splits in tables.items():
        for split, rows in splits.items():
            strays = sorted(s for s in set(rows["scenario_id"]) if place.get(s) != split)
            if strays:
                raise StageError(
                    f"{dist}: {name}, split {split}: holds scenario {strays[0]}, which is in "
                    f"split {place.get(strays[0])} of scenarios"
                )


def _check_flat(dist: Path, tables: Tables, scenarios: pl.DataFrame) -> None:
    """Check that the flat tables ask what the evaluator in the folder asks."""
    values = read_json(dist / "values.json")
    # A release of ids has no texts, and so no prompts.
    empty = not scenarios.filter(pl.col("scenario") != "").height
    for task in TASKS:
        file = _wording(dist, task)
        for split, questions in tables["questions"].items():
            found = tables[task].get(split, pl.DataFrame())
            wanted = flat(questions, file, values, empty=empty)
            if found.columns != wanted.columns or found.height != wanted.height:
                raise StageError(
                    f"{dist}: {task}, split {split}: is not one row a question; build the "
                    "release again"
                )
            for name in wanted.columns:
                unlike = (found[name].ne_missing(wanted[name])).arg_true()
                if len(unlike):
                    at = found["question_id"][unlike[0]]
                    raise StageError(
                        f"{dist}: {task}, split {split}: {name} of {at} is not that of the "
                        "question as the evaluator asks it"
                    )


def _wording(dist: Path, task: str) -> str:
    """Return a prompt file of the evaluator in the folder."""
    wheels = sorted((dist / "evaluator").glob("*.whl"))
    if len(wheels) != 1:
        raise StageError(f"{dist / 'evaluator'}: holds {len(wheels)} wheels instead of one")
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(f"valact_eval/prompts/{task}.toml").decode()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StageError(f"{wheels[0]}: holds no prompts of {task} ({error})") from None


def component(dist: Path, stage: str, name: str) -> Any:
    """Return what decided a stage, from its manifest in the folder.

    Raises:
        StageError: The manifest does not say.
    """
    path = dist / "provenance" / "manifests" / f"{stage}.json"
    try:
        return json.loads(read_json(path)["components"][name])
    except (OSError, ValueError, KeyError, TypeError):
        raise StageError(f"{path}: does not say {name}; build the release again") from None
