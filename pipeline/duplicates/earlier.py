"""Scenarios of earlier releases, which nothing new may be like."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from pipeline.errors import BadInputError

_COLUMNS = {"scenario_id": pl.String, "scenario": pl.String}


def scenarios_of(places: Iterable[str]) -> list[tuple[str, str]]:
    """Return ids and texts of the scenarios of releases, sorted, each id once.

    Args:
        places: Release folders, or Parquet files with the columns scenario_id and scenario.

    Raises:
        BadInputError: A place holds no scenarios.
    """
    found: dict[str, str] = {}
    for place in places:
        for name, text in _read(Path(place)).iter_rows():
            found.setdefault(name, text)
    return sorted(found.items())


def _read(place: Path) -> pl.DataFrame:
    files = sorted(place.glob("**/scenarios/*.parquet")) if place.is_dir() else [place]
    try:
        tables = [pl.read_parquet(file, columns=list(_COLUMNS)) for file in files]
        found = pl.concat([table.cast(_COLUMNS) for table in tables])  # type: ignore[arg-type]
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"dedup.earlier: {place}: holds no scenarios ({what}); name a release folder or a "
            "Parquet file with the columns scenario_id and scenario"
        ) from None
    return found.drop_nulls()
