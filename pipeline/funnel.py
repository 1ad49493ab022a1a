"""Counts that must add up: entered = kept + rejected by reason + failed by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.errors import StageError

NO_DOMAIN = "(none)"


@dataclass(frozen=True)
class Funnel:
    """What went into a stage and where each item ended.

    Attributes:
        unit: What is counted ("line", "post", "scenario").
        entered: Number of items that came in.
        cells: Number of items per (domain, outcome, reason); kept items have reason "".
    """

    unit: str
    entered: int
    cells: Mapping[tuple[str, str, str], int]

    @property
    def kept(self) -> int:
        """Number of items that went on to the next stage."""
        return sum(n for (_, outcome, _), n in self.cells.items() if outcome == "kept")

    def reasons(self) -> dict[str, int]:
        """Number of items dropped per reason, over all domains, most frequent first."""
        counts: dict[str, int] = {}
        for (_, outcome, reason), n in self.cells.items():
            if outcome != "kept":
                counts[reason] = counts.get(reason, 0) + n
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a manifest; `from_json` is its inverse."""
        cells = [[*cell, n] for cell, n in sorted(self.cells.items())]
        return {"unit": self.unit, "entered": self.entered, "cells": cells}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Funnel:
        """Return the funnel that `to_json` wrote."""
        cells = {(d, o, r): n for d, o, r, n in data["cells"]}
        return cls(unit=data["unit"], entered=data["entered"], cells=cells)


Table = pl.DataFrame | pl.LazyFrame


def count(stage: str, unit: str, entered: int, kept: Table, dropped: Table) -> Funnel:
    """Return the funnel of a stage from its rows.

    Args:
        stage: Name for the error message.
        unit: What one item is.
        entered: Number of items that came in.
        kept: One row a kept item, with a column `domain`.
        dropped: Rows of schema.DROPPED.

    Raises:
        StageError: If the rows do not add up to `entered`.
    """
    cells: dict[tuple[str, str, str], int] = {}
    # The streaming engine, since a whole month of Reddit drops tens of millions of lines.
    stayed = kept.lazy().group_by("domain").len().collect(engine="streaming")
    went = dropped.lazy().group_by("domain", "outcome", "reason").len().collect(engine="streaming")
    n_kept, n_dropped = (int(counted["len"].sum()) for counted in (stayed, went))
    if n_kept + n_dropped != entered:
        raise StageError(
            f"stage {stage}: {entered} {unit}s came in but {n_kept} were kept and "
            f"{n_dropped} dropped; this is a defect of the stage, please report it"
        )
    for domain, n in stayed.iter_rows():
        cells[(domain or NO_DOMAIN, "kept", "")] = n
    for domain, outcome, reason, n in went.iter_rows():
        cells[(domain or NO_DOMAIN, outcome, reason)] = n
    return Funnel(unit=unit, entered=entered, cells=dict(sorted(cells.items())))
