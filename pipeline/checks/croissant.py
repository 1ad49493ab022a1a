"""`croissant.json` is valid, tells the files as they are, and reads offline."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import read_json, sha256_file
from pipeline.checks.tables import Tables
from pipeline.croissant import FILE, RAI, VERSION
from pipeline.dist import KEYS, table_paths
from pipeline.errors import StageError

_NEEDED = (
    *("name", "description", "url", "license", "creator", "datePublished", "version"),
    *("conformsTo", "distribution", "recordSet"),
)


def check_croissant(dist: Path, tables: Tables) -> None:
    """Validate the file and read a row of every table by it.

    Raises:
        StageError: It is not valid, or differs from the files.
    """
    path = dist / FILE
    data = _json(path)
    for name in _NEEDED:
        if not data.get(name):
            raise StageError(f"{path}: lacks {name}; build the release again")
    missing = {VERSION, RAI} - set(data.get("conformsTo", []))
    if missing:
        raise StageError(f"{path}: does not conform to {', '.join(sorted(missing))}")
    if not any(key.startswith("rai:") for key in data):
        raise StageError(f"{path}: says nothing in the vocabulary for responsible AI")
    dataset = _dataset(path)
    told = {each.content_url: each.sha256 for each in dataset.metadata.distribution}
    files = {
        file.relative_to(dist).as_posix(): (name, split)
        for name in tables
        for split, file in table_paths(dist, name).items()
    }
    for place in sorted(told.keys() | files.keys()):
        if place not in files or told.get(place) != sha256_file(dist / place):
            raise StageError(f"{path}: does not tell {place} as it is")
    for place, (name, split) in files.items():
        _check_record(path, dataset, f"{name}/{split}", tables[name][split], place)
        # The key is that by which the tables join.
        key = next(s.key for s in dataset.metadata.record_sets if s.uuid == f"{name}/{split}")
        if [str(each).rpartition("/")[2] for each in key or []] != [KEYS[name]]:
            raise StageError(f"{path}: record set {name}/{split} has another key than {KEYS[name]}")


def _check_record(
    path: Path, dataset: Any, record_set: str, rows: pl.DataFrame, place: str
) -> None:
    """Compare the first row as the library reads it."""
    try:
        found = next(iter(dataset.records(record_set)))
    # it fails in many ways, and all of them are about this file
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StageError(f"{path}: record set {record_set} cannot be read ({what})") from None
    read = {name.rpartition("/")[2]: _plain(value) for name, value in found.items()}
    if read != {name: _plain(value) for name, value in rows.row(0, named=True).items()}:
        raise StageError(f"{path}: record set {record_set} does not read as {place} is")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str | int | float | bool) or value is None:
        return None if value != value else value
    if hasattr(value, "tolist"):
        value = value.tolist()
        return _plain(value) if not isinstance(value, list) else [_plain(each) for each in value]
    return [_plain(each) for each in value]


def _json(path: Path) -> dict[str, Any]:
    try:
        data = read_json(path)
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: cannot be read ({error}); build the release again") from None
    if not isinstance(data, dict):
        raise StageError(f"{path}: is no JSON object; build the release again")
    return data


def _dataset(path: Path) -> Any:
    import mlcroissant as mlc

    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        dataset = mlc.Dataset(jsonld=str(path))
    # it fails in many ways, and all of them are about this file
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise StageError(f"{path}: is not valid ({what})") from None
    warnings = sorted(dataset.metadata.ctx.issues.warnings)
    if warnings:
        raise StageError(f"{path}: {' '.join(str(warnings[0]).split())[:200]}")
    return dataset
