"""The files that belong to a release are there, and each carries the canary."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.checks.tables import Tables
from pipeline.errors import StageError

REQUIRED = (
    "CITATION.cff",
    "DATA_LICENSE",
    "LICENSE",
    "README.md",
    "SHA256SUMS",
    "croissant.json",
    "eval.yaml",
    "provenance/build.lock",
    "provenance/calls.parquet",
    "provenance/slots.parquet",
    "values.json",
)
WITHOUT_CANARY = ("CHANGELOG.md", "LICENSE", "SHA256SUMS", "evaluator/", "provenance/prompts/")
"""Lists, a licence's own words, code, and prompts that are known by their hashes."""


def check_files(dist: Path, tables: Tables) -> None:
    """Check that nothing is missing, and that the canary is everywhere.

    Raises:
        StageError: A file is missing, or has no canary or another one.
    """
    for name in REQUIRED:
        path = dist / name
        if not path.is_file() or not path.stat().st_size:
            raise StageError(f"{path}: missing; build the release again")
    canaries = tables["questions"]["test"]["canary"].unique().to_list()
    if len(canaries) != 1 or not canaries[0]:
        raise StageError(f"{dist}: the questions hold {len(canaries)} canaries instead of one")
    for path in sorted(each for each in dist.rglob("*") if each.is_file()):
        name = path.relative_to(dist).as_posix()
        if name.startswith((".", *WITHOUT_CANARY)):
            continue
        if not _carries(path, canaries[0]):
            raise StageError(f"{path}: does not carry the canary of the questions")


def _carries(path: Path, canary: str) -> bool:
    if path.suffix != ".parquet":
        return canary in path.read_text(encoding="utf-8", errors="replace")
    if "canary" not in pl.read_parquet_schema(path):
        return False
    return pl.read_parquet(path, columns=["canary"])["canary"].unique().to_list() == [canary]
