"""Names and places, by the finder that the build used, over a sample and what is not as built.

The finder reads 20 to 60 texts a second, too slow for all of 60,000 actions. It has read every
scenario and every action when they were made, and an id is a hash of its text: a text whose id
still follows from it is the one that was read. So what is read again here is each text whose id
does not follow, and a sample that is drawn by id.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from pipeline import personal
from pipeline.artifacts import content_id, unit_interval
from pipeline.errors import StageError
from pipeline.facts import data_files

SAMPLE = {"scenarios": 60, "actions": 120}
"""Texts of each kind that are read again."""
MOST = 500
"""Most texts that are read because their ids do not follow from them."""


def check_names(dist: Path, actions_too: bool, tell: Callable[[str], None]) -> None:
    """Read texts for names, places and organisations.

    Args:
        dist: The release folder.
        actions_too: True if the build rejected actions with names; else they may hold some.
        tell: Takes a line on what was read.

    Raises:
        StageError: One was found.
    """
    for config, key, column in (
        ("scenarios", "scenario_id", "scenario"),
        ("actions", "action_id", "action"),
    ):
        if config == "actions" and not actions_too:
            tell("names in actions: not looked for, this build lets actions with them pass")
            continue
        rows = _rows(dist, config)
        other = [row for row in rows if row[key] != _id_of(config, row)]
        drawn = sorted(rows, key=lambda row: unit_interval("names", row[key]))[: SAMPLE[config]]
        read = {row[key]: row[column] for row in (*drawn, *other[:MOST]) if row[column].strip()}
        found = personal.find(list(read.values()))
        for (name, text), spans in zip(read.items(), found, strict=True):
            if spans:
                raise StageError(
                    f"{dist}: {config} {name}, column {column}: holds personal data, "
                    f"{spans[0].kind} '{text[spans[0].start : spans[0].start + 2]}…'; remove it "
                    "where it comes from and build the release again"
                )
        tell(
            f"names in {config}: none in {len(read):,} of {len(rows):,} texts ({len(drawn):,} "
            f"drawn, {min(len(other), MOST):,} of {len(other):,} whose id is not of their text)"
        )


def _rows(dist: Path, config: str) -> list[dict[str, str]]:
    parts = [dist / file.path for file in data_files(dist) if file.config == config]
    return pl.concat([pl.read_parquet(path) for path in parts]).to_dicts()


def _id_of(config: str, row: dict[str, str]) -> str:
    """Return the id that follows from a text, as the stages `rewrite` and `generate` make it."""
    if config == "scenarios":
        return content_id("s", row["scenario"])
    return content_id("a", row["scenario_id"], row["generator"], row["value"], row["action"])
