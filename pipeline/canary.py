"""The canary: one GUID of our own that stands in every file of a release.

Whoever finds it in a model's training data, or hears it from a model, knows that the dataset was
read. Text files end in a line with it, JSON objects have a key, tables a column or metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.artifacts import write_json, write_parquet, write_text

KEY = "canary"
EXEMPT_NAMES = ("SHA256SUMS", "LICENSE")
"""Beginnings of names: hashes alone, and words of licences that are not ours to change."""
EXEMPT_FOLDERS = frozenset({"evaluator"})
"""Code, not data."""

_MARKUP = frozenset({".md", ".svg", ".html"})
_HASH = frozenset({".toml", ".yaml", ".yml", ".cff", ".txt", ".lock", ".cfg", ".csv", ""})


def is_exempt(path: Path, dist: Path) -> bool:
    """Return True for a file that need not carry the canary."""
    place = path.relative_to(dist)
    return (
        place.name.startswith(EXEMPT_NAMES)
        or place.parts[0] in EXEMPT_FOLDERS
        or place.parts[0].startswith(".")  # of a Hub or its client
    )


def files(dist: Path) -> Iterator[Path]:
    """Yield the files that have to carry it, sorted."""
    for path in sorted(dist.rglob("*")):
        if path.is_file() and not is_exempt(path, dist):
            yield path


def carries(path: Path, canary: str) -> bool:
    """Return True if a file carries the canary; a table with the column, in every row."""
    if path.suffix != ".parquet":
        return canary.encode() in path.read_bytes()
    if KEY in pl.read_parquet_schema(path):
        column = pl.read_parquet(path, columns=[KEY])[KEY]
        return bool((column == canary).fill_null(value=False).all())
    return pl.read_parquet_metadata(path).get(KEY) == canary


def stamp(dist: Path, canary: str) -> None:
    """Let every file carry the canary that does not yet.

    Raises:
        TypeError: A file is of a kind that has no place for it.
    """
    for path in files(dist):
        if not carries(path, canary):
            _stamp(path, canary)


def _stamp(path: Path, canary: str) -> None:
    if path.suffix == ".parquet":
        write_parquet(pl.read_parquet(path), path, {KEY: canary})
    elif path.suffix == ".json":
        write_json(_marked(json.loads(path.read_text(encoding="utf-8")), canary, path), path)
    elif path.suffix in _MARKUP or path.suffix in _HASH:
        write_text(path.read_text(encoding="utf-8") + _line(path.suffix, canary), path)
    else:
        raise TypeError(f"{path}: no place for the canary in a file of this kind")


def _marked(data: object, canary: str, path: Path) -> object:
    if isinstance(data, dict):
        return {**data, KEY: canary}
    if isinstance(data, list) and data and all(isinstance(each, dict) for each in data):
        return [{**each, KEY: canary} for each in data]
    raise TypeError(f"{path}: no place for the canary in this JSON")


def _line(suffix: str, canary: str) -> str:
    return f"<!-- {canary} -->\n" if suffix in _MARKUP else f"# {canary}\n"


def without_stamp(text: str, suffix: str, canary: str) -> str:
    """Return a text file's content as it was before `stamp`."""
    return text.removesuffix(_line(suffix, canary))
