"""What a build would do with each stage, and why: one whose key and outputs stand is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import (
    canonical_json,
    sha256_file,
    sha256_text,
)
from pipeline.config import Config
from pipeline.errors import BadInputError, StageError
from pipeline.keys import components, difference
from pipeline.stage import Stage
from pipeline.stages import stages_of
from pipeline.workspace import (
    load_manifest,
)


@dataclass(frozen=True)
class Plan:
    """What the runner would do with one stage, and why.

    Attributes:
        stage: The stage.
        action: "skip", "run", or "run if its input changes" when that cannot be known yet.
        reasons: Lines for people.
        parts: The components of its key, where they are known.
    """

    stage: Stage
    action: str
    reasons: tuple[str, ...]
    parts: dict[str, str]


def plan(config: Config, force_from: str = "") -> list[Plan]:
    """Return what `build` would do with each stage, without doing it."""
    workspace = Path(config.build.workspace)
    plans: list[Plan] = []
    open_stages: set[str] = set()
    forced = False
    for stage in stages_of(config):
        forced = forced or stage.name == force_from
        read = {name.partition(".")[0] for name in stage.inputs}
        waiting = sorted(open_stages if stage.reads_funnels else read & open_stages)
        try:
            found = plan_stage(stage, config, workspace, forced, waiting)
        except BadInputError as error:  # the source is missing; the rest can still be planned
            found = Plan(stage, "run", (str(error),), {})
        if found.action != "skip":
            open_stages.add(stage.name)
        plans.append(found)
    return plans


def plan_stage(
    stage: Stage, config: Config, workspace: Path, forced: bool, waiting: Sequence[str]
) -> Plan:
    """Return what would be done with one stage.

    Args:
        stage: The stage.
        config: The build.
        workspace: The build's folder.
        forced: Run it whatever its key says.
        waiting: Stages before it whose output is not known yet.

    Raises:
        PipelineError: Its input is not there.
    """
    old = load_manifest(workspace, stage.name)
    if waiting:
        why = f"waits for {', '.join(waiting)}"
        return Plan(stage, "run if its input changes" if old else "run", (why,), {})
    inputs = {name: _table_digest(workspace, name) for name in stage.inputs}
    parts = components(stage, config, inputs, workspace)
    if stage.reads_funnels:
        parts |= dict(_reported_before(stage, config, workspace))
    if forced:
        return Plan(stage, "run", ("asked for by --from",), parts)
    if old is None:
        return Plan(stage, "run", ("not built yet",), parts)
    changes = difference(old["components"], parts)
    if changes:
        return Plan(stage, "run", tuple(changes), parts)
    damaged = _damaged(workspace / stage.name, old)
    if damaged:
        return Plan(stage, "run", (f"{damaged} is not as it was written",), parts)
    return Plan(stage, "skip", ("unchanged",), parts)


def before(stage: Stage, config: Config) -> tuple[Stage, ...]:
    """Return the stages that run before this one."""
    stages = stages_of(config)
    return stages[: stages.index(stage)]


def _reported_before(stage: Stage, config: Config, workspace: Path) -> Iterator[tuple[str, str]]:
    for earlier in before(stage, config):
        manifest = load_manifest(workspace, earlier.name)
        if manifest is not None:
            yield f"funnel.{earlier.name}", canonical_json(manifest["funnel"])
            yield f"notes.{earlier.name}", canonical_json(manifest["notes"])
            # The whole of it is released: what decided a stage can change, and its counts not.
            yield f"manifest.{earlier.name}", sha256_text(canonical_json(manifest))


def _table_digest(workspace: Path, name: str) -> str:
    stage, table = name.split(".")
    manifest = load_manifest(workspace, stage)
    if manifest is None:
        raise StageError(f"stage {stage} has not finished; run the build without --from first")
    return str(manifest["files"][f"{table}.parquet"]["sha256"])


def _damaged(folder: Path, manifest: dict[str, Any]) -> str:
    """Return the first recorded file that is missing or altered, or ""."""
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != entry["sha256"]:
            return str(path)
    return ""
