"""How long a real Label Studio takes for many items: routing, routing again, collecting.

    python -m benchmarks.annotation_import [--items 15000] [--experts 3]

Every item goes to one expert, so the number of tasks is the number of items. It needs Label Studio
(`make labelstudio`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import polars as pl

from pipeline import schema
from pipeline.artifacts import content_id
from pipeline.labelstudio.collect import collect
from pipeline.labelstudio.connect import connect
from pipeline.labelstudio.route import route
from pipeline.progress import say

T = TypeVar("T")
TITLE = "Many items"
SCENARIO = "Somebody has to choose between two good things before the week is over. " * 14
ACTION = "I talk to those who are concerned, and then do what seems right to me. " * 2


def main() -> None:
    """Print seconds and tasks a second of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_000)
    parser.add_argument("--experts", type=int, default=3)
    parser.add_argument("--port", type=int, default=8098)
    given = parser.parse_args()
    items = _items(given.items, given.experts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.monotonic()
        with connect(folder, range(1, given.experts + 1), given.port) as connection:
            say(f"first start and accounts: {time.monotonic() - begun:.0f} s")
            studio = connection.studio
            first = _timed("route", given.items, lambda: route(studio, items, TITLE, folder))
            again = _timed("again", given.items, lambda: route(studio, items, TITLE, folder))
            found = _timed("collect", given.items, lambda: collect(studio, items, TITLE, folder))
            made = sum(each.added for each in first), sum(each.added for each in again)
            if made != (given.items, 0) or found.reviews.height:
                raise SystemExit(f"wrong: {made} tasks were made")


def _items(count: int, experts: int) -> pl.DataFrame:
    rows = [
        {
            "item_id": content_id("i", number),
            "round": 1,
            "kind": "sample",
            "scenario_id": content_id("s", number),
            "domain": "career",
            "scenario": f"{number}. {SCENARIO}",
            "action_ids": [content_id("a", number, place) for place in range(4)],
            "actions": [f"{place}. {ACTION}" for place in range(4)],
            "experts": [number % experts + 1],
        }
        for number in range(count)
    ]
    return schema.frame(rows, schema.ITEMS)


def _timed(name: str, tasks: int, work: Callable[[], T]) -> T:
    begun = time.monotonic()
    found = work()
    took = time.monotonic() - begun
    say(f"{name}: {took:.0f} s for {tasks:,} tasks, {tasks / took:,.0f} a second")
    return found


if __name__ == "__main__":
    main()
