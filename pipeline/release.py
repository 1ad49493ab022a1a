"""Stage release: the folder that goes to the Hub, written whole and then opened as a user would.

Beside it, never in it: `held_out/`, a folder of the same kind with the slots that are not released,
and `private/`, the slots with their posts, for later builds and for the maintainer alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import canary, funnel, schema
from pipeline.annotation import store
from pipeline.annotation.plan import load_plan
from pipeline.artifacts import folder_digest, write_json, write_parquet, write_text
from pipeline.card import is_local_only, write_card, write_config
from pipeline.checks.privacy import Place
from pipeline.config import Config
from pipeline.croissant import croissant
from pipeline.dist import HELD_OUT, SLOTS, SPLITS, TEST, head, write_table
from pipeline.flat import TASKS, flat, wording
from pipeline.package import write_packages
from pipeline.paths import HUB_RELEASE, ROOT
from pipeline.provenance import write_provenance
from pipeline.splits import with_splits
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
PRIVATE = Path("private") / "slots.parquet"
_HELD_OUT_CARD = """---
{head}---

# {title}: the part that is held out

Private: this part of the dataset is not released, so that nothing can have been trained on it. Do
not publish it. It loads and is evaluated as the release is; its split is called test.

{canary}
"""


def run(context: Context) -> Result:
    """Write the release into `dist/` of the stage's folder and verify it offline.

    Raises:
        StageError: The folder does not load, or its parts do not belong together.
    """
    config, dist = context.config, context.out / "dist"
    slots = with_splits(config, context.tables["generate.slots"])
    whole = _tables(context)
    released = slots.filter(pl.col("split") != HELD_OUT)
    files = _write_tables(dist, whole, {s: released.filter(split=s) for s in SPLITS})
    _write_documents(dist)
    write_packages(dist / "evaluator", Path(config.build.cache))
    write_provenance(
        dist,
        config,
        context.tables,
        {name: _mapping(manifest) for name, manifest in context.manifests.items()},
        released.filter(pl.col("scenario_id") != ""),
    )
    write_config(config, list(context.manifests), dist)
    write_parquet(_public(config, slots), dist / SLOTS)
    write_json(croissant(dist, config, files), dist / "croissant.json")
    canary.stamp(dist, config.release.canary)
    # Last, since it tells of all the rest and is written from it alone.
    write_card(dist)
    write_sums(dist)
    verify(dist, config.dedup, place=Place(Path(config.build.workspace)))
    _write_beside(context, slots, whole)
    nothing = schema.frame([], schema.DROPPED)
    return Result(
        tables={},
        dropped=nothing,
        funnel=funnel.count("release", "scenario", slots.height, slots, nothing),
        notes={"local_only": is_local_only(config), "lines": _told(slots)},
    )


def _told(slots: pl.DataFrame) -> list[str]:
    """Say how many scenarios each split has, where there is more than one."""
    counts = dict(slots.filter(pl.col("scenario_id") != "").group_by("split").len().iter_rows())
    told = (f"{split} {counts[split]:,}" for split in (*SPLITS, HELD_OUT) if split in counts)
    return [f"scenarios by split: {', '.join(told)}"] if len(counts) > 1 else []


def write_sums(dist: Path) -> None:
    """Write the checksums of a folder's files, which count all others and come last."""
    sums = "".join(f"{digest}  {name}\n" for name, digest in folder_digest(dist).items())
    write_text(sums, dist / SUMS)


def _tables(context: Context) -> dict[str, pl.DataFrame]:
    """Return all rows of each config, held out ones too."""
    config = context.config
    mark = pl.lit(config.release.canary).alias(canary.KEY)
    # Where texts may not be published their place stays empty; `hydrate` fills it from the ids.
    ids_only = config.release.text == "ids"
    text = pl.lit("").alias("scenario") if ids_only else pl.col("scenario")
    columns = (*SCENARIO_COLUMNS, "post_id", "body_sha256") if ids_only else SCENARIO_COLUMNS
    questions = context.tables["compose.questions"]
    values = _values()
    tables = {
        "questions": questions.with_columns(text),
        **{task: flat(questions, wording(task), values, empty=ids_only) for task in TASKS},
        "scenarios": context.tables["rewrite.scenarios"]
        .with_columns(text)
        .select(*columns, mark)
        .sort("scenario_id"),
        "actions": context.tables["generate.actions"]
        .select(*ACTION_COLUMNS, mark)
        .sort("action_id"),
    }
    reviews = _reviews(config, tables["actions"])
    if reviews.height:
        tables["reviews"] = reviews.with_columns(mark)
    return tables


def _reviews(config: Config, actions: pl.DataFrame) -> pl.DataFrame:
    """Return what experts who count said of the actions that are released, without free text."""
    shown = pl.col("action_id").is_in(actions["action_id"].implode())
    if not config.annotation.by:
        return schema.frame([], schema.REVIEWS).select(schema.RELEASED_REVIEWS)
    reviews = store.load_reviews(store.place_of(config))
    left_out = sorted(load_plan(Path(config.annotation.plan)).excluded)
    counted = ~pl.col("annotator").is_in(left_out)
    return reviews.filter(shown & counted).select(schema.RELEASED_REVIEWS).sort("review_id")


def _of(table: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """Return the rows about the scenarios that hold these slots."""
    return table.filter(pl.col("scenario_id").is_in(slots["scenario_id"].implode()))


def _write_tables(
    dist: Path, tables: Mapping[str, pl.DataFrame], splits: Mapping[str, pl.DataFrame]
) -> dict[str, dict[str, str]]:
    """Write each table's splits, but for empty ones; return their paths below the folder."""
    files = {
        name: {
            split: write_table(dist, name, rows, split)
            for split, slots in splits.items()
            if (rows := _of(table, slots)).height
        }
        for name, table in tables.items()
    }
    return {name: paths for name, paths in files.items() if paths}


def _write_documents(dist: Path) -> None:
    """Write what is text: values, licences, citation, and the file for Inspect."""
    write_json(_values(), dist / "values.json")
    for source in (
        ROOT / "DATA_LICENSE",
        ROOT / "LICENSE",
        ROOT / "CITATION.cff",
        HUB_RELEASE / "eval.yaml",
    ):
        shutil.copyfile(source, dist / source.name)


def _public(config: Config, slots: pl.DataFrame) -> pl.DataFrame:
    """Return the slots as they are released: of one that is held out, only that it is."""
    # Post ids lead to people: in a release of retellings they stay with its maintainer.
    private = ("post_id",) if config.release.text == "rewritten" else ()
    hidden = pl.col("split") == HELD_OUT
    named = [
        pl.when(hidden).then(pl.lit("")).otherwise(name).alias(name)
        for name in ("scenario_id", "post_id")
    ]
    none = pl.lit([], dtype=pl.List(pl.String))
    replaced = pl.when(hidden).then(none).otherwise("replaced").alias("replaced")
    mark = pl.lit(config.release.canary).alias(canary.KEY)
    return slots.with_columns(*named, replaced, mark).drop(private)


def _write_beside(
    context: Context, slots: pl.DataFrame, tables: Mapping[str, pl.DataFrame]
) -> None:
    """Write what stays with the maintainer."""
    config = context.config
    private = context.out / PRIVATE
    private.parent.mkdir()
    write_parquet(slots, private)
    apart = slots.filter(split=HELD_OUT)
    if apart.is_empty():
        return
    folder = context.out / HELD_OUT
    files = _write_tables(folder, tables, {TEST: apart})
    told = {"title": config.release.title, "canary": config.release.canary}
    write_text(_HELD_OUT_CARD.format(head=head(folder, files), **told), folder / "README.md")
    write_json(_values(), folder / "values.json")
    write_sums(folder)


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


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("a manifest holds mappings")
    return value
