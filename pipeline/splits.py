"""Which split a slot belongs to: a domain's first slots are dev, the next held out, the rest test.

Slots, not rows, are cut, and in whole cycles of the design: each split is as balanced as the whole,
and a larger build of the same configuration keeps every split as it was.
"""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl

from pipeline.config import Config
from pipeline.designs import load_design
from pipeline.dist import DEV, HELD_OUT, TEST
from pipeline.errors import BadInputError, StageError
from pipeline.slots import slots_file


def with_splits(config: Config, slots: pl.DataFrame) -> pl.DataFrame:
    """Return the slots with a column `split`: "test", "dev" or "held_out".

    Args:
        config: The build.
        slots: Rows of schema.SLOTS.

    Raises:
        BadInputError: A part would tear a cycle of the design apart.
        StageError: A slot was in another split in the release that `select.slots` names.
    """
    domains, release = len(config.domains), config.release
    length = len(load_design(config.compose.design).cycle)
    for key in ("dev_slots_per_domain", "held_out_slots_per_domain"):
        number = getattr(release, key)
        if number * domains % length:
            raise BadInputError(
                f"{config.file}: release.{key}: {number} slots in each of {domains} domains are no "
                f"whole cycles of design {config.compose.design} ({length} slots); give a "
                f"multiple of {length // math.gcd(length, domains)}"
            )
    rank = pl.col("slot") // domains
    apart = release.dev_slots_per_domain + release.held_out_slots_per_domain
    split = (
        pl.when(rank < release.dev_slots_per_domain)
        .then(pl.lit(DEV))
        .when(rank < apart)
        .then(pl.lit(HELD_OUT))
        .otherwise(pl.lit(TEST))
    )
    found = slots.with_columns(split=split)
    if config.select.slots:
        _check_kept(found, slots_file(config.select.slots))
    return found


def _check_kept(slots: pl.DataFrame, path: Path) -> None:
    """Raise if a slot changes its split: what prompts were tuned on would be tested on."""
    before = pl.read_parquet(path)
    if "split" not in before.columns:
        return
    both = slots.join(before.select("slot", was="split"), on="slot").sort("slot")
    for slot, split, was in (
        both.filter(pl.col("split") != pl.col("was")).select("slot", "split", "was").iter_rows()
    ):
        raise StageError(
            f"slot {slot} is {was} in {path} and would be {split} now; set "
            "release.dev_slots_per_domain and held_out_slots_per_domain as they were"
        )
