"""Every filled slot is dealt as the design deals it, and every empty one is declared.

So a whole cycle is as even as the design, and a release with declared holes as even as it can be.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from pipeline.artifacts import read_json
from pipeline.checks.joins import component
from pipeline.checks.tables import Tables
from pipeline.designs import Design, load_design
from pipeline.dist import HELD_OUT, SLOTS, SPLITS
from pipeline.errors import BadInputError, StageError


def check_balance(dist: Path, tables: Tables) -> None:
    """Compare the questions with the table of slots and with the design.

    Raises:
        StageError: A slot is missing, filled otherwise, in another split, or dealt otherwise.
    """
    slots = _slots(dist)
    numbers = slots["slot"].to_list()
    if numbers != list(range(len(numbers))):
        raise StageError(f"{dist / SLOTS}: its slots are not 0 to {len(numbers) - 1}")
    for split in SPLITS:
        rows = tables["questions"].get(split)
        here = set() if rows is None else set(rows.select("slot", "scenario_id").rows())
        declared = slots.filter(pl.col("scenario_id") != "", split=split)
        there = set(declared.select("slot", "scenario_id").rows())
        if here != there:
            slot, scenario = min(here ^ there)
            what = "is empty, and not declared so" if (slot, scenario) in there else "is not there"
            raise StageError(f"{dist / SLOTS}: slot {slot} with {scenario}, split {split}, {what}")
    if slots.filter(pl.col("scenario_id") != "", split=HELD_OUT).height:
        raise StageError(f"{dist / SLOTS}: names a scenario that is held out")
    design, generators = _design(dist)
    for rows in tables["questions"].values():
        for row in rows.iter_rows(named=True):
            dealt = design.dealt(row["slot"])[row["question_index"]]
            named = zip(row["option_values"], row["option_generators"], strict=True)
            wanted = [(value, generators[g]) for value, g in dealt.options]
            if list(named) != wanted or row["target_index"] != dealt.target:
                raise StageError(
                    f"{dist}: {row['question_id']} in slot {row['slot']} is not dealt as its "
                    "design deals it, so the values are not balanced"
                )


def _slots(dist: Path) -> pl.DataFrame:
    try:
        table = pl.read_parquet(dist / SLOTS)
        return table.select("slot", "scenario_id", "split").sort("slot")
    except (OSError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise StageError(f"{dist / SLOTS}: not a table of slots ({what})") from None


def _design(dist: Path) -> tuple[Design, list[str]]:
    """Return the design, and the generators in their order."""
    path = dist / "provenance" / "manifests" / "compose.json"
    try:
        name = str(read_json(path)["notes"]["design"])
        design = load_design(name)
    except (OSError, ValueError, KeyError, TypeError, BadInputError) as error:
        raise StageError(f"{path}: names no design that is known here ({error})") from None
    generators = component(dist, "compose", "config.generate.generators")
    if not isinstance(generators, list) or len(generators) != 2:
        raise StageError(f"{path}: does not name two generators ({json.dumps(generators)})")
    return design, list(map(str, generators))
