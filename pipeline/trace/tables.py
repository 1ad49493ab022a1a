"""The finished tables of a workspace, read by row: a trace needs few rows of large files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import StageError
from pipeline.stages import stage_names
from pipeline.workspace import load_manifest

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Tables:
    """What the stages of a workspace wrote."""

    workspace: Path

    def built(self, stage: str) -> bool:
        """Return True if a stage has finished."""
        return load_manifest(self.workspace, stage) is not None

    def has(self, name: str) -> bool:
        """Return True if there is a table "stage.table"."""
        return self._path(name).is_file()

    def _path(self, name: str) -> Path:
        stage, table = name.split(".")
        return self.workspace / stage / f"{table}.parquet"

    def unbuilt(self) -> tuple[str, ...]:
        """Return the names of the stages that have not finished, in order."""
        return tuple(name for name in stage_names() if not self.built(name))

    def stale(self) -> tuple[str, ...]:
        """Return the names of finished stages that read other tables than there are now."""
        now: dict[str, str] = {}
        found = []
        for stage in stage_names():
            manifest = load_manifest(self.workspace, stage)
            if manifest is None:
                continue
            read = {k: v for k, v in manifest["components"].items() if k.startswith("input.")}
            if any(now.get(name) != digest for name, digest in read.items()):
                found.append(stage)
            for file, entry in manifest["files"].items():
                now[f"input.{stage}.{file.removesuffix('.parquet')}"] = entry["sha256"]
        return tuple(found)

    def rows(self, name: str, **equal: Any) -> list[Row]:
        """Return the rows of the table "stage.table" in which these columns have these values.

        Raises:
            StageError: The stage has not finished, or the table is not readable.
        """
        return self.where(name, *(pl.col(column) == value for column, value in equal.items()))

    def where(self, name: str, *conditions: pl.Expr) -> list[Row]:
        """Return the rows of a table that meet all conditions; see `rows`."""
        path = self._path(name)
        if not path.is_file():
            raise StageError(f"{path}: not there; run `python -m pipeline build` first")
        try:
            return list(pl.scan_parquet(path).filter(*conditions).collect().iter_rows(named=True))
        except pl.exceptions.PolarsError as error:
            what, stage = " ".join(str(error).split())[:200], name.partition(".")[0]
            raise StageError(
                f"{path}: not readable as stage {stage} writes it ({what}); run `python -m "
                "pipeline build`, which makes it again"
            ) from None

    def rows_if_built(self, name: str, **equal: Any) -> list[Row]:
        """Return the same as `rows`; none if the stage has not finished."""
        return self.rows(name, **equal) if self.built(name.partition(".")[0]) else []

    def one(self, name: str, because: str, **equal: Any) -> Row:
        """Return the one row that another table speaks of.

        Args:
            name: The table.
            because: Where it is spoken of, for the message.
            equal: What the row is known by.

        Raises:
            StageError: There is none: the tables are not of one build.
        """
        found = self.rows(name, **equal)
        if not found:
            known = ", ".join(str(value) for value in equal.values())
            raise StageError(
                f"{self.workspace}: {because} speaks of {known}, and {name} does not hold it: the "
                "stages are of different builds; run `python -m pipeline build` to its end"
            )
        return found[0]

    def component(self, stage: str, name: str) -> str | None:
        """Return a component of a finished stage's key, such as "prompt.vote", or None."""
        manifest = load_manifest(self.workspace, stage) or {}
        value = manifest.get("components", {}).get(name)
        return value if isinstance(value, str) else None

    def setting(self, stage: str, name: str) -> Any:
        """Return a setting that a finished stage ran with, such as "release.text", or None."""
        value = self.component(stage, f"config.{name}")
        return None if value is None else json.loads(value)
