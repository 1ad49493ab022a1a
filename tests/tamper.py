"""Altering a good release folder in one respect alone: everything else is made to fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from pipeline.artifacts import folder_digest, read_json, sha256_file, write_parquet
from pipeline.dist import configs_of, head, table_path, table_paths, write_table
from pipeline.verify import SUMS


def reseal(dist: Path) -> None:
    """Write checksums that fit the tampered folder."""
    (dist / SUMS).unlink(missing_ok=True)
    sums = "".join(f"{digest}  {name}\n" for name, digest in folder_digest(dist).items())
    (dist / SUMS).write_text(sums)


def change(
    dist: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame], split: str = "test"
) -> None:
    """Edit a table; the card's sizes, croissant.json and the checksums follow."""
    old = table_path(dist, name, split)
    was, digest = old.relative_to(dist).as_posix(), sha256_file(old)
    table = edit(pl.read_parquet(old))
    old.unlink()
    now = write_table(dist, name, table, split)
    files = {
        config: {
            s: path.relative_to(dist).as_posix() for s, path in table_paths(dist, config).items()
        }
        for config in configs_of(dist)
    }
    _, front, body = (dist / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(front) | yaml.safe_load(head(dist, files))
    (dist / "README.md").write_text(
        f"---\n{yaml.safe_dump(told, sort_keys=False)}---\n{body.replace(was, now)}"
    )
    croissant = (dist / "croissant.json").read_text()
    fresh = sha256_file(dist / now)
    (dist / "croissant.json").write_text(croissant.replace(was, now).replace(digest, fresh))
    reseal(dist)


def change_file(dist: Path, name: str, edit: Callable[[str], str]) -> None:
    """Edit a file of text; the checksums follow."""
    path = dist / name
    path.write_text(edit(path.read_text()))
    reseal(dist)


def change_json(dist: Path, name: str, edit: Callable[[Any], None]) -> None:
    """Edit a JSON file in place; the checksums follow."""
    data = read_json(dist / name)
    edit(data)
    (dist / name).write_text(json.dumps(data))
    reseal(dist)


def change_parquet(dist: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Edit a Parquet file that is no config; the checksums follow."""
    write_parquet(edit(pl.read_parquet(dist / name)), dist / name)
    reseal(dist)
