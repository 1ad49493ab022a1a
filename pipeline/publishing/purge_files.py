"""Purging a workspace, the experts' rounds and swept posts of what was taken back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline import schema
from pipeline.annotation import store
from pipeline.annotation.plan import Plan
from pipeline.artifacts import read_json, sha256_file, write_json, write_parquet
from pipeline.config import Config
from pipeline.publishing.prove import holds
from pipeline.publishing.target import Target
from pipeline.sources import reddit_post
from pipeline.workspace import MANIFEST

_SLOTS = "generate/slots.parquet"
_REWRITTEN_BY_RELEASE = "release"


def purge_workspace(workspace: Path, target: Target) -> Iterator[str]:
    """Take the rows out of every table, and pages that show them; yield what changed, a line each.

    A slot keeps its row, with no scenario in it. Manifests follow their tables. The stage release
    is left to its own run.
    """
    for path in sorted(workspace.glob(".*.new")) + sorted(workspace.glob(".*.old")):
        if path.is_dir():  # of a build that was killed
            shutil.rmtree(path)
            yield f"{path}: removed"
    for stage in sorted(path.parent for path in workspace.glob(f"*/{MANIFEST}")):
        if stage.name == _REWRITTEN_BY_RELEASE:
            continue
        for path in sorted(stage.glob("*.parquet")):
            table = pl.read_parquet(path)
            left = _without(table, target, empties=path.match(_SLOTS))
            if not left.equals(table):
                _replace(path, left)
                what = "emptied slots" if path.match(_SLOTS) else f"{table.height - left.height:,}"
                yield f"{path}: {what} of {table.height:,} rows"
        _follow(stage)
    for path in sorted(workspace.rglob("*.html")):
        if holds(path, target):
            path.unlink()
            yield f"{path}: removed; a build writes it again"


def _without(table: pl.DataFrame, target: Target, *, empties: bool) -> pl.DataFrame:
    ids = list(target.ids)
    for name in table.columns:
        if name == "replaced":
            kept = pl.col(name).list.set_difference(pl.lit(ids, dtype=pl.List(pl.String)))
            hit = pl.col(name).list.eval(pl.element().is_in(ids)).list.any()
            table = table.with_columns(pl.when(hit).then(kept).otherwise(name).alias(name))
    if empties:
        gone = pl.col("scenario_id").is_in(list(target.scenarios))
        named = [c for c in ("scenario_id", "post_id") if c in table.columns]
        return table.with_columns(
            pl.when(gone).then(pl.lit("")).otherwise(pl.col(c)).alias(c) for c in named
        )
    word = re.compile(r"\b(?:" + "|".join(map(re.escape, ids)) + r")\b")
    return table.filter(~pl.Series(_hits(table, word, target), dtype=pl.Boolean))


def _hits(table: pl.DataFrame, word: re.Pattern[str], target: Target) -> list[bool]:
    """Return for each row whether a text in it names or holds what goes."""
    found = [False] * table.height
    for name in table.columns:
        if table[name].dtype not in {pl.String, pl.List(pl.String)}:
            continue
        for number, cell in enumerate(table[name].to_list()):
            if cell and not found[number]:
                text = cell if isinstance(cell, str) else "\n".join(filter(None, cell))
                found[number] = bool(word.search(text) or target.runs.within(text))
    return found


def _follow(stage: Path) -> None:
    """Let a manifest say what its tables are now."""
    manifest = read_json(stage / MANIFEST)
    before = json.dumps(manifest)
    for name, entry in manifest["files"].items():
        path = stage / name
        if path.is_file() and (digest := sha256_file(path)) != entry["sha256"]:
            entry["sha256"] = digest
            if name.endswith(".parquet"):
                entry["rows"] = pl.read_parquet(path).height
    if json.dumps(manifest) != before:
        fresh = stage / f"{MANIFEST}.new"
        write_json(manifest, fresh)
        fresh.replace(stage / MANIFEST)


def purge_rounds(folder: Path, plan: Plan, target: Target) -> Iterator[str]:
    """Blank the texts in the experts' rounds, and take their reviews out; yield what changed."""
    if not folder.is_dir():
        return
    count = store.forget_texts(folder, plan, target.scenarios)
    if count:
        yield f"{folder}: {count:,} items without their text"
    reviews = store.load_reviews(folder)
    left = reviews.filter(~pl.col("scenario_id").is_in(list(target.scenarios)))
    if left.height < reviews.height:
        store.save_reviews(folder, schema.check(left, schema.REVIEWS, "reviews"))
        yield f"{folder}: {reviews.height - left.height:,} reviews removed"
    for path in sorted(folder.rglob("*")):
        made = path.suffix in {".html", ".csv", ".json"} and path.name != "round.json"
        if made and holds(path, target):
            path.unlink()
            yield f"{path}: removed; `adjudicate` and `reviews-form` write it again"


def purge_swept(config: Config, target: Target) -> Iterator[str]:
    """Empty the posts' lines in the file that `sweep` wrote, as if seen when they were gone."""
    path = Path(config.reddit.out)
    if not path.is_file():
        return
    gone, count = set(target.posts), 0
    fresh = path.with_name(f".{path.name}.new")
    with path.open("rb") as lines, fresh.open("wb") as out:
        for written in lines:
            fields = json.loads(written)
            if fields.get("id") in gone and fields.get("title"):
                count += 1
                fields |= {"title": "", "selftext": "[deleted]", "author_hash": None}
                written = reddit_post.line(fields)
            out.write(written)
    if count:
        fresh.replace(path)
        yield f"{path}: {count:,} posts emptied"
    else:
        fresh.unlink()


def purge_vectors(config: Config) -> Iterator[str]:
    """Remove the cache of embeddings: a vector tells of its text, and all can be computed again."""
    for path in sorted(Path(config.build.cache).glob("embeddings.sqlite*")):
        path.unlink()
        yield f"{path}: removed; a build computes it again"


def _replace(path: Path, table: pl.DataFrame) -> None:
    fresh = path.with_name(f".{path.name}.new")
    write_parquet(table, fresh)
    fresh.replace(path)
