"""The files that belong to a release are there."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import StageError

REQUIRED = (
    "CITATION.cff",
    "DATA_LICENSE",
    "LICENSE",
    "README.md",
    "SHA256SUMS",
    "croissant.json",
    "eval.yaml",
    "figures/funnel.svg",
    "provenance/build.lock",
    "provenance/calls.parquet",
    "provenance/config.json",
    "provenance/slots.parquet",
    "values.json",
)


def check_files(dist: Path) -> None:
    """Check that nothing is missing.

    Raises:
        StageError: A file is missing or empty.
    """
    for name in REQUIRED:
        path = dist / name
        if not path.is_file() or not path.stat().st_size:
            raise StageError(f"{path}: missing; build the release again")
