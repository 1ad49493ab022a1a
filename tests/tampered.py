"""Copies of a good release with one thing altered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import folder_digest, write_json, write_parquet
from pipeline.card import write_card
from pipeline.dist import table_path
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
    """Change a table of the release in its place."""
    path = table_path(dist, name)
    write_parquet(edit(pl.read_parquet(path)), path)


def with_cell(name: str, row: int, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return an edit that puts a value into one cell; a function takes the old one."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        cells = table[name].to_list()
        cells[row] = value(cells[row]) if callable(value) else value
        return table.with_columns(pl.Series(name, cells, dtype=table[name].dtype))

    return edit
