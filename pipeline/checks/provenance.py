"""The calls that the release rests on are told, and those about posts tell nothing of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.artifacts import read_json
from pipeline.checks.tables import Tables, together
from pipeline.errors import StageError
from pipeline.llm.reply import ERROR
from pipeline.provenance import ABOUT_POSTS, CALLS, LOCK
from pipeline.schema import CALLS as SHAPE

_LEFT_OUT = ("messages", "reply", "reply_sha256")


def check_provenance(dist: Path, tables: Tables) -> None:
    """Check the table of calls, what they cost, and the lock of the build.

    Raises:
        StageError: A call is missing, one before `generate` holds what was said, or the card
            tells of fewer calls, tokens or dollars than the table.
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
    _check_account(dist, calls)
    _check_lock(dist)


def _check_account(dist: Path, calls: pl.DataFrame) -> None:
    """Compare the calls with what the stages' manifests, and so the card, say of them.

    A stage also asks about what is dropped later, so the card may tell of more than the table; of
    equally many it has to tell the same.
    """
    answered = calls.filter(pl.col("outcome") != ERROR)
    sums = {
        "requests": pl.len(),
        "prompt_tokens": pl.col("prompt_tokens").sum(),
        "completion_tokens": pl.col("completion_tokens").sum(),
        "micro_usd": pl.col("cost_micro_usd").sum(),
        "first_day": pl.col("date").min(),
        "last_day": pl.col("date").max(),
    }
    for row in answered.group_by("stage", "model").agg(**sums).sort("stage", "model").to_dicts():
        stage, model = row.pop("stage"), row.pop("model")
        days = row.pop("first_day"), row.pop("last_day")
        path = dist / "provenance" / "manifests" / f"{stage}.json"
        try:
            told = {name: read_json(path)["notes"]["calls"][model][name] for name in sums}
            first, last = told.pop("first_day"), told.pop("last_day")
            fits = first <= min(days) and max(days) <= last
            fits = fits and all(row[name] <= told[name] for name in told)
            fits = fits and (row == told or row["requests"] < told["requests"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StageError(
                f"{path}: does not tell of calls to {model} ({error!r}); build the release again"
            ) from None
        if not fits:
            raise StageError(
                f"{dist / CALLS}: the calls of stage {stage} to {model} come to {_line(row)}, and "
                f"{path.name} and the card say {_line(told)}, from {first} to {last}; build the "
                "release again"
            )


def _line(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


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
