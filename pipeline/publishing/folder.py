"""A release folder as it is sent: its files with their digests, and its tables by config."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import yaml

from pipeline.artifacts import sha256_file
from pipeline.errors import StageError

CARD = "README.md"


@dataclass(frozen=True)
class Item:
    """A file to be sent.

    Attributes:
        path: Its path in the repository.
        content: The file, or its bytes.
        size: Bytes.
        sha256: Of its bytes.
        blob: Its git blob id, by which the Hub knows small files.
    """

    path: str
    content: Path | bytes
    size: int
    sha256: str
    blob: str

    def is_at(self, digest: str) -> bool:
        """Return True if a Hub's digest (see HubFile) is of the same bytes."""
        return digest in {self.sha256, self.blob}


def item(path: str, content: Path | bytes) -> Item:
    """Return a file with its digests."""
    if isinstance(content, bytes):
        size, sha256 = len(content), hashlib.sha256(content).hexdigest()
        data = content
    else:
        size, sha256 = content.stat().st_size, sha256_file(content)
        data = content.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % size + data, usedforsecurity=False).hexdigest()
    return Item(path, content, size, sha256, blob)


def items(dist: Path) -> dict[str, Item]:
    """Return the files of a folder by path, sorted."""
    files = sorted(path for path in dist.rglob("*") if path.is_file())
    names = [path.relative_to(dist).as_posix() for path in files]
    return {name: item(name, path) for name, path in zip(names, files, strict=True)}


def configs(card: str, where: object) -> dict[str, list[str]]:
    """Return the path patterns of each config's files, from the head of a card.

    Raises:
        StageError: The head of the card declares no configs.
    """
    head = card.split("---\n")[1] if card.startswith("---\n") else ""
    try:
        told: Any = yaml.safe_load(head) or {}
        return {str(c["config_name"]): list(_patterns(c["data_files"])) for c in told["configs"]}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise StageError(
            f"{where}: the head of {CARD} declares no configs; build the release again"
        ) from None


def _patterns(data_files: Any) -> Iterable[str]:
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, Mapping):
        yield from _patterns(data_files["path"])
    else:
        for each in data_files:
            yield from _patterns(each)


def files_of(patterns: Mapping[str, list[str]], paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the Parquet files of each config among `paths`, sorted."""
    known = sorted(path for path in paths if path.endswith(".parquet"))
    return {
        name: [path for path in known if any(_matches(path, pattern) for pattern in wanted)]
        for name, wanted in patterns.items()
    }


def _matches(path: str, pattern: str) -> bool:
    return path == pattern or PurePosixPath(path).match(pattern)


def tables(folder: Path, files: Mapping[str, list[str]]) -> dict[str, pl.DataFrame]:
    """Return each config's rows, all of its splits together."""
    return {
        name: pl.concat([pl.read_parquet(folder / path) for path in paths], how="diagonal_relaxed")
        for name, paths in files.items()
        if paths
    }


def tables_of(dist: Path) -> dict[str, pl.DataFrame]:
    """Return each config's rows of a folder that lies here.

    Raises:
        StageError: See `configs`.
    """
    card = dist / CARD
    if not card.is_file():
        raise StageError(f"{card}: missing; build the release with `make build-dataset`")
    patterns = configs(card.read_text(encoding="utf-8"), dist)
    paths = [p.relative_to(dist).as_posix() for p in dist.rglob("*.parquet")]
    return tables(dist, files_of(patterns, paths))
