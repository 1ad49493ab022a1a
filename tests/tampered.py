"""Altering a good release folder in one respect alone; what depends on it follows, or does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import folder_digest, sha256_file, write_json, write_parquet
from pipeline.card import write_card
from pipeline.dist import table_path, write_table
from pipeline.verify import SUMS


def reseal(dist: Path, *, card: bool = False) -> None:
    """Write checksums that fit the folder, and the card as well if `card`."""
    if card:
        write_card(dist)
    (dist / SUMS).unlink(missing_ok=True)
    sums = "".join(f"{digest}  {name}\n" for name, digest in folder_digest(dist).items())
    (dist / SUMS).write_text(sums)


def edit_json(path: Path, edit: Callable[[Any], Any]) -> None:
    """Change a JSON file; `edit` returns the new content, or None if it changed the old."""
    data = json.loads(path.read_text(encoding="utf-8"))
    changed = edit(data)
    write_json(data if changed is None else changed, path)


def edit_table(dist: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change a table of the release in its place; nothing follows."""
    path = table_path(dist, name)
    table = edit(pl.read_parquet(path))
    path.unlink()
    (dist / write_table(dist, name, table)).rename(path)


def change(
    dist: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame], split: str = "test"
) -> None:
    """Edit a table; the card, croissant.json and the checksums follow."""
    old = table_path(dist, name, split)
    was, digest = old.relative_to(dist).as_posix(), sha256_file(old)
    table = edit(pl.read_parquet(old))
    old.unlink()
    now = write_table(dist, name, table, split)
    croissant = (dist / "croissant.json").read_text(encoding="utf-8")
    fresh = sha256_file(dist / now)
    (dist / "croissant.json").write_text(croissant.replace(was, now).replace(digest, fresh))
    reseal(dist, card=True)


def change_file(dist: Path, name: str, edit: Callable[[str], str]) -> None:
    """Edit a file of text; the checksums follow."""
    path = dist / name
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    reseal(dist)


def change_json(dist: Path, name: str, edit: Callable[[Any], None]) -> None:
    """Edit a JSON file in place; the checksums follow."""
    edit_json(dist / name, lambda data: (edit(data), data)[1])
    reseal(dist)


def change_parquet(dist: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Edit a Parquet file that is no config; the checksums follow."""
    write_parquet(edit(pl.read_parquet(dist / name)), dist / name)
    reseal(dist)


def with_cell(name: str, row: int, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return an edit that puts a value into one cell; a function takes the old one."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        cells = table[name].to_list()
        cells[row] = value(cells[row]) if callable(value) else value
        return table.with_columns(pl.Series(name, cells, dtype=table[name].dtype))

    return edit
