"""Forms by CSV, for those who annotate elsewhere; csv_reviews.py reads them filled in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl

from pipeline.annotation.csv_reviews import OPTIONAL, REQUIRED
from pipeline.annotation.plan import pseudonym
from pipeline.artifacts import unit_interval, write_text
from pipeline.errors import BadInputError

FORM = ("item_id", "annotator", "scenario", "action_number", "action", "opinions", *REQUIRED[3:],
        *OPTIONAL)  # fmt: skip


def form(items: pl.DataFrame, opinions: pl.DataFrame, number: int, seed: str) -> str:
    """Return the empty CSV of one expert: blind, items and actions in an order of their own.

    Args:
        items: Rows of schema.ITEMS.
        opinions: Rows of tables.OPINIONS, for adjudication items.
        number: The expert's number.
        seed: Salt of the order.
    """
    name = pseudonym(number)
    told = {
        (item, action): "; ".join(first)
        for item, action, first in opinions.select(
            "item_id", "action_id", "first_values"
        ).iter_rows()
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, FORM, lineterminator="\n", restval="")
    writer.writeheader()
    mine = [row for row in items.iter_rows(named=True) if number in row["experts"]]
    for item in sorted(mine, key=lambda row: unit_interval(seed, name, row["item_id"])):
        # Numbers, not action ids: these are hashes of the claims among others, and a claim could
        # be found by trying all of them.
        places = sorted(
            range(len(item["actions"])),
            key=lambda place: unit_interval(seed, name, item["item_id"], place),
        )
        for place in places:
            writer.writerow(
                {
                    "item_id": item["item_id"],
                    "annotator": name,
                    "scenario": cell(item["scenario"]),
                    "action_number": place + 1,
                    "action": cell(item["actions"][place]),
                    "opinions": told.get((item["item_id"], item["action_ids"][place]), ""),
                }
            )
    return out.getvalue()


def write_forms(folder: Path, items: pl.DataFrame, opinions: pl.DataFrame, seed: str) -> list[Path]:
    """Write a form for each expert who has items, as round-R-expert-N.csv.

    Raises:
        BadInputError: One is there already: somebody may have filled it in.
    """
    if not items.height:
        return []
    number = items["round"][0]
    experts = sorted({int(n) for row in items["experts"] for n in row})
    paths = {n: folder / f"round-{number}-{pseudonym(n)}.csv" for n in experts}
    for path in paths.values():
        if path.exists():
            raise BadInputError(f"{path}: is there already; move it away, or name another folder")
    for n, path in paths.items():
        write_text("\ufeff" + form(items, opinions, n, seed), path)
    return list(paths.values())


def cell(text: str) -> str:
    """Return text that a spreadsheet shows and does not compute."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
