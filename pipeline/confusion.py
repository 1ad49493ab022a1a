"""What a reader said of actions beside what they were written for: counts, accuracy, misses."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipeline.values import value_ids

NONE = "none"
"""Stands for "no usable answer" among the values that were said."""
INDEPENDENT = "independent: the recogniser wrote none of the actions"
NOT_INDEPENDENT = "not independent: the recogniser is also a writer"

Counts = Mapping[str, Mapping[str, int]]
"""{value it was written for: {value that was said, or NONE: number of actions}}, none left out."""


def count(table: pl.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Return the Counts of each generator, by its name; rows of schema.RECOGNISED."""
    found = {generator: _empty() for generator in sorted(set(table["generator"]))}
    grouped = table.group_by("generator", "value", "recognised").len()
    for generator, value, recognised, n in grouped.iter_rows():
        found[generator][value][recognised or NONE] = n
    return found


def together(counts: Mapping[str, Counts]) -> dict[str, dict[str, int]]:
    """Return the sum of the Counts of all generators."""
    total = _empty()
    for part in counts.values():
        for value, row in part.items():
            for recognised, n in row.items():
                total[value][recognised] += n
    return total


def accuracy(counts: Counts) -> dict[str, int]:
    """Return how many actions were recognised as what they were written for.

    Returns:
        {"right", "answered", "unanswered"}; accuracy is right / answered. Each value is claimed
        equally often, so that whoever does not read gets a tenth right, whatever is answered.
    """
    total = sum(sum(row.values()) for row in counts.values())
    unanswered = sum(row[NONE] for row in counts.values())
    right = sum(row[value] for value, row in counts.items())
    return {"right": right, "answered": total - unanswered, "unanswered": unanswered}


def confusions(counts: Counts) -> list[tuple[str, str, int]]:
    """Return (written for, recognised as, number) of every confusion, the most frequent first."""
    found = [
        (value, said, n)
        for value, row in counts.items()
        for said, n in row.items()
        if n and said not in {value, NONE}
    ]
    return sorted(found, key=lambda item: -item[2])  # stable: ties in the order of the circle


def missed(table: pl.DataFrame) -> list[str]:
    """Return the ids of actions whose value was not recognised, for annotators to look at first.

    Args:
        table: Rows of schema.RECOGNISED. Actions without a usable answer count as missed.

    Returns:
        Sorted; ids are hashes of content, so this order says nothing of value or generator.
    """
    return sorted(table.filter(pl.col("recognised") != pl.col("value"))["action_id"])


def lines(name: str, counts: Mapping[str, Counts], *, independent: bool) -> list[str]:
    """Return lines for people: accuracy, the five most frequent confusions, independence."""
    every = together(counts)
    worst = ", ".join(f"{value} as {said} {n:,}" for value, said, n in confusions(every)[:5])
    return [
        f"blind recogniser {name}: {told(every)}; chance is 10 %",
        *(f"  actions by {generator}: {told(part)}" for generator, part in counts.items()),
        f"most frequent confusions: {worst or 'none'}",
        f"{INDEPENDENT if independent else NOT_INDEPENDENT}; a second opinion, never ground truth",
    ]


def told(counts: Counts) -> str:
    """Return an accuracy in words."""
    found = accuracy(counts)
    if not found["answered"]:
        return f"no usable answer to {found['unanswered']:,} actions"
    share = 100 * found["right"] / found["answered"]
    return (
        f"{found['right']:,} of {found['answered']:,} actions recognised ({share:.1f} %), "
        f"{found['unanswered']:,} without a usable answer"
    )


def _empty() -> dict[str, dict[str, int]]:
    return {value: dict.fromkeys((*value_ids(), NONE), 0) for value in value_ids()}
