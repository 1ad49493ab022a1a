"""Stage release: the folder that goes to the Hub, written whole and then opened as a user would."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import funnel, schema
from pipeline.artifacts import folder_digest, write_json, write_parquet, write_text
from pipeline.card import is_local_only, render_card
from pipeline.dist import write_table
from pipeline.funnel import Funnel
from pipeline.paths import PROMPTS, ROOT
from pipeline.slots import FILE as SLOTS
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
    canary = pl.lit(context.config.release.canary).alias("canary")
    # Where texts may not be published their place stays empty; `hydrate` fills it from the ids.
    ids_only = context.config.release.text == "ids"
    text = pl.lit("").alias("scenario") if ids_only else pl.col("scenario")
    columns = (*SCENARIO_COLUMNS, "post_id", "body_sha256") if ids_only else SCENARIO_COLUMNS
    tables = {
        "questions": context.tables["compose.questions"].with_columns(text),
        "scenarios": context.tables["rewrite.scenarios"]
        .filter(pl.col("scenario_id").is_in(used))
        .with_columns(text)
        .select(*columns, canary)
        .sort("scenario_id"),
        "actions": context.tables["generate.actions"]
        .select(*ACTION_COLUMNS, canary)
        .sort("action_id"),
    }
    files = {name: write_table(dist, name, table) for name, table in tables.items()}
    funnels = {
        name: Funnel.from_json(_mapping(manifest["funnel"]))
        for name, manifest in context.manifests.items()
    }
    notes, dealing, recognised = (
        _mapping(context.manifests[name]["notes"]) for name in ("generate", "compose", "recognise")
    )
    holes = slots.filter(scenario_id="")["slot"].to_list()
    adjudicated = _mapping(context.manifests.get("adjudicate", {}).get("notes", {}))
    experts = _mapping(adjudicated.get("findings", {}))
    card = render_card(
        context.config, tables, files, funnels, notes, dealing, recognised, experts, holes
    )
    write_text(card, dist / "README.md")
    write_json(_values(), dist / "values.json")
    _write_provenance(context, dist)
    for name in ("DATA_LICENSE", "CITATION.cff"):
        shutil.copyfile(ROOT / name, dist / name)
    sums = "".join(f"{digest}  {name}\n" for name, digest in folder_digest(dist).items())
    write_text(sums, dist / SUMS)
    verify(dist, context.config.dedup)
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
    # Post ids lead to people: in a release of retellings they stay with its maintainer.
    private = ("post_id",) if context.config.release.text == "rewritten" else ()
    write_parquet(context.tables["generate.slots"].drop(private), dist / SLOTS)
    target = dist / "provenance" / "prompts"
    target.mkdir(parents=True)
    for path in sorted(PROMPTS.iterdir()):
        if path.suffix in {".md", ".toml"}:
            shutil.copyfile(path, target / path.name)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("a manifest holds mappings")
    return value
