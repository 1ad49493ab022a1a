"""Every config and split loads offline by `datasets`, as written, and names its rows once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from pipeline.dist import KEYS, configs_of, table_paths
from pipeline.errors import StageError

Tables = Mapping[str, Mapping[str, pl.DataFrame]]
"""Rows by config and split."""


def check_tables(dist: Path) -> dict[str, dict[str, pl.DataFrame]]:
    """Load all configs as a user would; return their rows by config and split.

    Raises:
        StageError: A config does not load, differs from its files, or names a row twice; or a
            file is of no config.
    """
    known = {p for name in configs_of(dist) for p in table_paths(dist, name).values()}
    for path in sorted(each for each in (dist / "data").rglob("*") if each.is_file()):
        if path not in known:
            raise StageError(f"{path}: belongs to no config and split of a release; remove it")
    tables = {name: _load(dist, name) for name in configs_of(dist)}
    if not tables["questions"]["test"].height:
        raise StageError(f"{dist}: holds no question")
    for name, splits in tables.items():
        every = pl.concat(splits.values())
        if every[KEYS[name]].n_unique() != every.height:
            raise StageError(f"{dist}: {name}.{KEYS[name]} is not unique")
    return tables


def together(tables: Tables) -> dict[str, pl.DataFrame]:
    """Return each config's rows, its splits one after the other."""
    return {name: pl.concat(splits.values()) for name, splits in tables.items()}


def _load(dist: Path, config: str) -> dict[str, pl.DataFrame]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    datasets.disable_progress_bars()
    written = {split: pl.read_parquet(path) for split, path in table_paths(dist, config).items()}
    with tempfile.TemporaryDirectory() as cache:
        try:
            loaded = datasets.load_dataset(str(dist), config, cache_dir=cache)
        # it fails in many ways, and all of them are about this folder
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise StageError(f"{dist}: config {config} does not load ({what})") from None
        found = {
            str(name): pl.DataFrame(pl.from_arrow(part.with_format("arrow")[:]))
            for name, part in loaded.items()
        }
    if found.keys() != written.keys() or not all(
        found[split].equals(written[split]) for split in written
    ):
        raise StageError(f"{dist}: config {config} does not load as it was written")
    return written
