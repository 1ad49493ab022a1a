"""The calls that the release rests on are told, and those about posts tell nothing of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.artifacts import read_json
from pipeline.checks.tables import Tables, together
from pipeline.errors import StageError
from pipeline.provenance import ABOUT_POSTS, CALLS, LOCK
from pipeline.schema import CALLS as SHAPE

_LEFT_OUT = ("messages", "reply", "reply_sha256")


def check_provenance(dist: Path, tables: Tables) -> None:
    """Check the table of calls and the lock of the build.

    Raises:
        StageError: A call is missing, or one before `generate` holds what was said.
    """
    path = dist / CALLS
    try:
        calls = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise StageError(f"{path}: not a table of calls ({what})") from None
    if dict(calls.schema) != SHAPE:
        raise StageError(f"{path}: has other columns than docs/release.md tells")
    every = together(tables)
    missing = set(every["actions"]["ledger_key"]) - set(calls["ledger_key"])
    if missing:
        raise StageError(f"{path}: lacks {len(missing)} calls of actions, e.g. {min(missing)}")
    about = pl.col("stage").is_in(ABOUT_POSTS)
    told = pl.any_horizontal(pl.col(c).is_not_null() for c in _LEFT_OUT) | (
        pl.col("scenario_id") != ""
    )
    for stage, key in calls.filter(about & told).select("stage", "ledger_key").iter_rows():
        raise StageError(f"{path}: {key} of stage {stage} tells of a post; build the release again")
    named = set(calls["scenario_id"]) - {""} - set(every["scenarios"]["scenario_id"])
    if named:
        raise StageError(f"{path}: is about {min(named)}, which is not in the release")
    _check_lock(dist)


def _check_lock(dist: Path) -> None:
    path = dist / LOCK
    try:
        told = read_json(path)["stages"]
        stages = {p.stem for p in (dist / "provenance" / "manifests").glob("*.json")}
        keys = {
            stage: read_json(dist / "provenance" / "manifests" / f"{stage}.json")["key"]
            for stage in stages
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"{path}: cannot be read ({error!r}); build the release again") from None
    for stage in sorted(told.keys() | keys.keys()):
        if told.get(stage) != keys.get(stage):
            raise StageError(f"{path}: stage {stage} has another key than its manifest")
