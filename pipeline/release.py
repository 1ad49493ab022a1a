"""Stage release: the folder that goes to the Hub, written whole and then opened as a user would."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import canary, funnel, schema
from pipeline.artifacts import folder_digest, write_json, write_parquet, write_text
from pipeline.card import is_local_only, write_card, write_config
from pipeline.checks.privacy import Place
from pipeline.dist import SLOTS, write_table
from pipeline.paths import PROMPTS, ROOT
from pipeline.stage import Context, Result
from pipeline.values import load_values
from pipeline.verify import SUMS, verify

SCENARIO_COLUMNS = ("scenario_id", "domain", "subreddit", "year", "scenario")
ACTION_COLUMNS = (
    "action_id",
    "scenario_id",
    "value",
    "generator",
    "action",
    "flags",
    "prompt",
    "ledger_key",
)


def run(context: Context) -> Result:
    """Write the release into `dist/` of the stage's folder and verify it offline.

    Raises:
        StageError: The folder does not load, or its parts do not belong together.
    """
    dist = context.out / "dist"
    slots = context.tables["generate.slots"]
    used = slots["scenario_id"].implode()
    mark = pl.lit(context.config.release.canary).alias(canary.KEY)
    # Where texts may not be published their place stays empty; `hydrate` fills it from the ids.
    ids_only = context.config.release.text == "ids"
    text = pl.lit("").alias("scenario") if ids_only else pl.col("scenario")
    columns = (*SCENARIO_COLUMNS, "post_id", "body_sha256") if ids_only else SCENARIO_COLUMNS
    tables = {
        "questions": context.tables["compose.questions"].with_columns(text),
        "scenarios": context.tables["rewrite.scenarios"]
        .filter(pl.col("scenario_id").is_in(used))
        .with_columns(text)
        .select(*columns, mark)
        .sort("scenario_id"),
        "actions": context.tables["generate.actions"]
        .select(*ACTION_COLUMNS, mark)
        .sort("action_id"),
    }
    for name, table in tables.items():
        write_table(dist, name, table)
    write_json(_values(), dist / "values.json")
    _write_provenance(context, dist)
    for name in ("DATA_LICENSE", "CITATION.cff"):
        shutil.copyfile(ROOT / name, dist / name)
    canary.stamp(dist, context.config.release.canary)
    # Last, since they tell of all the rest and are written from it alone.
    write_card(dist)
    sums = "".join(f"{digest}  {name}\n" for name, digest in folder_digest(dist).items())
    write_text(sums, dist / SUMS)
    verify(dist, context.config.dedup, place=Place(Path(context.config.build.workspace)))
    nothing = schema.frame([], schema.DROPPED)
    return Result(
        tables={},
        dropped=nothing,
        funnel=funnel.count("release", "scenario", slots.height, slots, nothing),
        notes={"local_only": is_local_only(context.config)},
    )


def _values() -> list[dict[str, Any]]:
    return [
        {
            "id": v.id,
            "name": v.name,
            "definition": v.definition,
            "goal": v.goal,
            "higher_order": list(v.higher_order),
            "position": v.position,
            "opposites": list(v.opposites),
        }
        for v in load_values()
    ]


def _write_provenance(context: Context, dist: Path) -> None:
    for name, manifest in context.manifests.items():
        write_json(manifest, dist / "provenance" / "manifests" / f"{name}.json")
    write_config(context.config, list(context.manifests), dist)
    # Post ids lead to people: in a release of retellings they stay with its maintainer.
    private = ("post_id",) if context.config.release.text == "rewritten" else ()
    write_parquet(context.tables["generate.slots"].drop(private), dist / SLOTS)
    target = dist / "provenance" / "prompts"
    target.mkdir(parents=True)
    for path in sorted(PROMPTS.iterdir()):
        if path.suffix in {".md", ".toml"}:
            shutil.copyfile(path, target / path.name)
