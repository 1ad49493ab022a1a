"""Files that are whole or absent: hashes, canonical JSON, Parquet, atomic folders."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

ROW_GROUP = 50_000


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_text(text: str) -> str:
    """Return the hex SHA-256 of `text` in UTF-8 (lone surrogates are kept as they are)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_id(prefix: str, *parts: Any) -> str:
    """Return a stable id made of content alone: `<prefix>_` and 16 hex digits.

    Sixty-four bits: at 60,000 actions the chance of any collision is about 1e-10.
    """
    return f"{prefix}_{sha256_text(canonical_json([prefix, *parts]))[:16]}"


def unit_interval(*parts: Any) -> float:
    """Return a number in [0, 1) that depends on `parts` only: randomness that comes from ids."""
    return int(sha256_text(canonical_json(list(parts)))[:13], 16) / 16**13


def write_parquet(frame: pl.DataFrame, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write `frame` so that equal frames give equal bytes, and force it to disk.

    Args:
        frame: The table.
        path: The file.
        metadata: Key-value metadata of the file.
    """
    write_frames([frame], frame.schema, path, metadata)


def write_frames(
    frames: Iterable[pl.DataFrame],
    columns: pl.Schema,
    path: Path,
    metadata: dict[str, str] | None = None,
) -> int:
    """Write frames below each other, one row group at a time; return the number of rows.

    The bytes are those of `write_parquet` of the whole, however it is cut into frames.

    Args:
        frames: Read once.
        columns: Of every frame.
        path: File to write, forced to disk.
        metadata: Key-value metadata of the file.
    """
    rows = 0

    def groups(*_: object) -> Iterator[pl.DataFrame]:
        nonlocal rows
        for group in _row_groups(frames):
            rows += group.height
            yield group

    register_io_source(groups, schema=columns).sink_parquet(
        path,
        compression="zstd",
        compression_level=3,
        statistics=True,
        row_group_size=ROW_GROUP,
        metadata=metadata,
    )
    _fsync(path)
    return rows


def _row_groups(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield rows by ROW_GROUP, each time in memory of their own.

    Of a slice of a larger frame, lists are laid out in other pages than of a copy of it.
    """
    waiting: list[pl.DataFrame] = []
    held = 0
    for frame in frames:
        start = 0
        while start < frame.height:
            some = frame.slice(start, ROW_GROUP - held)
            waiting.append(some)
            start, held = start + some.height, held + some.height
            if held == ROW_GROUP:
                yield _copied(waiting)
                waiting, held = [], 0
    if held:
        yield _copied(waiting)


def _copied(frames: list[pl.DataFrame]) -> pl.DataFrame:
    whole = pl.concat(frames)
    return whole.select(pl.all().gather(pl.int_range(0, whole.height)))


def write_json(value: Any, path: Path) -> None:
    """Write indented JSON with sorted keys and a final newline, and force it to disk."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(text + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text with Unix line ends and force it to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def read_json(path: Path) -> Any:
    """Read a JSON file; raises FileNotFoundError or json.JSONDecodeError."""
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a fresh folder beside `target`; on success it takes the place of `target`.

    A crash leaves either the old folder, or none, or the new one: never a half-filled one.
    Leftovers of a killed process are cleared when the same target is next written.
    """
    fresh = target.with_name(f".{target.name}.new")
    aside = target.with_name(f".{target.name}.old")
    for leftover in (fresh, aside):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if target.exists():
            target.rename(aside)
        fresh.rename(target)
        _fsync(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def mirror(source: Path, target: Path) -> bool:
    """Make `target` an exact copy of `source`; return False if it already was one."""
    if target.is_dir() and folder_digest(source) == folder_digest(target):
        return False
    with atomic_folder(target) as fresh:
        shutil.copytree(source, fresh, dirs_exist_ok=True)
    return True


def folder_digest(folder: Path) -> dict[str, str]:
    """Return {relative path: SHA-256} of every file below `folder`, sorted by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
