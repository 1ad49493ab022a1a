"""The runner: for each stage, skip it if its key and outputs are as recorded, else run it.

A stage's folder is replaced whole, manifest included, so that a killed build leaves finished
stages only. Nothing in a manifest depends on the clock or the machine; those go to run.json.
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.artifacts import (
    atomic_folder,
    folder_digest,
    mirror,
    write_frames,
    write_json,
)
from pipeline.config import Config
from pipeline.errors import StageError
from pipeline.funnel import Funnel
from pipeline.keys import key_of
from pipeline.planning import before, plan_stage
from pipeline.progress import say
from pipeline.scale import LOCAL, Engine, Spool, engine_of
from pipeline.stage import DROPPED_TABLE, Context, Result, Stage
from pipeline.stages import stages_of
from pipeline.workspace import (
    MANIFEST,
    RUN,
    load_funnel,
    load_manifest,
    load_notes,
    locked,
    table_file,
)

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def build(
    config: Config, *, until: str = "", force_from: str = "", replay_only: bool = False
) -> dict[str, Funnel]:
    """Run what has to run, in order; return the funnel of each finished stage.

    Args:
        config: The build.
        until: Last stage to run; "" runs all and puts the release into `build.dist`.
        force_from: Stage from which all are run again, whatever their keys say.
        replay_only: Take model replies from the ledger alone; a missing one is an error.

    Raises:
        PipelineError: One line for the user; finished stages are kept.
    """
    workspace = Path(config.build.workspace)
    with locked(workspace, Path(config.build.dist)):
        forced = ran = False
        funnels: dict[str, Funnel] = {}
        stages = stages_of(config)
        engine: Engine = LOCAL
        for number, stage in enumerate(stages, start=1):
            forced = forced or stage.name == force_from
            label = f"[{number}/{len(stages)}] {stage.name:<9}"
            found = plan_stage(stage, config, workspace, forced, [])
            if found.action == "skip":
                say(f"{label} unchanged")
            else:
                say(f"{label} {found.reasons[0]}")
                if not ran:  # a cluster is not woken where there is nothing to do
                    engine = engine_of(config.build)
                _run(stage, config, workspace, found.parts, replay_only, engine)
                ran = True
            funnels[stage.name] = load_funnel(workspace, stage.name)
            if found.action != "skip":
                say(f"    {summary(funnels[stage.name])}")
                for line in load_notes(workspace, stage.name, "lines"):
                    say(f"    {line}")
            for warning in load_notes(workspace, stage.name, "warnings"):
                say(f"    warning: {warning}")
            if stage.name == until:
                return funnels
        mirror(workspace / "release" / "dist", Path(config.build.dist))
        if ran:
            _report(config, workspace, funnels)
    return funnels


def _report(config: Config, workspace: Path, funnels: Mapping[str, Funnel]) -> None:
    from pipeline.report import write_report  # drawing takes a second to load

    lines = {name: load_notes(workspace, name, "lines") for name in funnels}
    warnings = [line for name in funnels for line in load_notes(workspace, name, "warnings")]
    recognised = (load_manifest(workspace, "recognise") or {}).get("notes", {})
    confusion = recognised.get("confusion", {})
    path = write_report(workspace, config.build.name, funnels, lines, warnings, confusion)
    say(f"report: {path}")


def run_again(config: Config, name: str) -> None:
    """Run one stage on what its inputs are now, however old, and put a release into its place.

    Raises:
        PipelineError: As `build`.
    """
    workspace, dist = Path(config.build.workspace), Path(config.build.dist)
    stage = next(stage for stage in stages_of(config) if stage.name == name)
    with locked(workspace, dist):
        found = plan_stage(stage, config, workspace, True, [])
        _run(stage, config, workspace, found.parts, True)
        if (workspace / name / "dist").is_dir():
            mirror(workspace / name / "dist", dist)


def summary(funnel: Funnel) -> str:
    """Return a funnel in one line."""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in funnel.reasons().items())
    lost = f"; dropped: {reasons}" if reasons else ""
    return f"{funnel.entered:,} {funnel.unit}s in, {funnel.kept:,} kept{lost}"


class _Tables(Mapping[str, pl.DataFrame]):
    """Tables that are read each time they are asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self._files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@contextmanager
def _scratch(workspace: Path, stage: Stage) -> Iterator[Path]:
    """Yield a folder's name for rows on their way; what a killed build left there goes first."""
    folder = workspace / f".{stage.name}.parts"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    stage: Stage,
    config: Config,
    workspace: Path,
    parts: dict[str, str],
    replay_only: bool,
    engine: Engine = LOCAL,
) -> None:
    begun, clock = datetime.now(UTC), time.monotonic()
    manifests = {s.name: load_manifest(workspace, s.name) or {} for s in before(stage, config)}
    files_in = {name: table_file(workspace, name) for name in stage.inputs}
    # In partitions nothing is read that is not asked for.
    whole = engine.partitions == 1
    tables: Mapping[str, pl.DataFrame] = _Tables(files_in)
    if whole:
        tables = dict(tables)
    with atomic_folder(workspace / stage.name) as folder, _scratch(workspace, stage) as scratch:
        result = stage.run(
            Context(
                config,
                tables,
                folder,
                manifests,
                replay_only,
                engine,
                files_in,
                None if whole else scratch,
            )
        )
        rows = _write_tables(stage, result, folder)
        files = {
            name: {"sha256": digest, "rows": rows.get(name)}
            for name, digest in folder_digest(folder).items()
        }
        _check_chain(stage, result, manifests)
        manifest = {
            "stage": stage.name,
            "key": key_of(parts),
            "components": parts,
            "files": files,
            "funnel": result.funnel.to_json(),
            "notes": dict(result.notes),
        }
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        record = {
            "begun_utc": begun.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 1),
            "peak_resident_mb_of_process_so_far": round(peak / 2**20),
        }
        write_json(record, folder / RUN)
        write_json(manifest, folder / MANIFEST)


def _write_tables(stage: Stage, result: Result, folder: Path) -> dict[str, int]:
    declared = {**stage.outputs, DROPPED_TABLE: schema.DROPPED}
    given = {**result.tables, DROPPED_TABLE: result.dropped}
    if given.keys() != declared.keys():
        raise TypeError(f"stage {stage.name}: wrote {sorted(given)}, declares {sorted(declared)}")
    rows = {}
    for name, table in given.items():
        frames = table.frames() if isinstance(table, Spool) else iter([table])
        checked = (schema.check(frame, declared[name], name) for frame in frames)
        path = folder / f"{name}.parquet"
        rows[path.name] = write_frames(checked, pl.Schema(declared[name]), path)
    return rows


def _check_chain(stage: Stage, result: Result, manifests: dict[str, dict[str, Any]]) -> None:
    """Raise unless what enters this stage is what the stage before it kept."""
    if not manifests:
        return
    previous, manifest = list(manifests.items())[-1]
    kept = Funnel.from_json(manifest["funnel"]).kept
    if result.funnel.entered != kept:
        raise StageError(
            f"stage {stage.name} counts {result.funnel.entered} {result.funnel.unit}s in, but "
            f"{previous} kept {kept}; this is a defect, please report it"
        )
