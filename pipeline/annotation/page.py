"""The report on an annotation: one HTML page that needs no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.annotation import figures
from pipeline.annotation.accuracy import FEW_SCENARIOS
from pipeline.annotation.findings import Findings
from pipeline.annotation.tables import FLAGS
from pipeline.artifacts import write_text
from pipeline.pages import environment
from pipeline.values import load_values

_GROUPS = {"all": "", "value": "Value", "domain": "Domain", "generator": "Generator",
           "annotator": "Expert"}  # fmt: skip


def write_page(found: Findings, path: Path, name: str) -> None:
    """Write the page of a build's annotation; it holds no text of any item, and no note.

    Args:
        found: What the reviews say.
        path: File to write.
        name: Of the build.
    """
    names = {value.id: value.name for value in load_values()}
    parts = [
        _part(found, kind, number, names)
        for kind, number in found.accuracy.select("kind", "round")
        .unique()
        .sort("round", "kind", descending=[False, True])
        .iter_rows()
    ]
    page = environment().get_template("annotation.html.j2")
    text = page.render(
        name=name,
        found=found,
        plan=found.plan,
        parts=parts,
        times=figures.times(found.times, found.plan.intervals.pause_seconds),
        experts=found.experts.to_dicts(),
        decisions=_decisions(found.decisions),
        few=FEW_SCENARIOS,
        level=f"{found.plan.intervals.confidence:.0%}",
    )
    write_text(text, path)


def _part(found: Findings, kind: str, number: int, names: dict[str, str]) -> dict[str, Any]:
    """Return what the page shows of the reviews of one kind and round."""

    def own(table: pl.DataFrame) -> pl.DataFrame:
        return table.filter(kind=kind, round=number)

    table = own(found.accuracy)
    flags = {row["flag"]: row for row in own(found.flags).iter_rows(named=True)}
    natural = own(found.naturalness)
    return {
        "kind": kind,
        "round": number,
        "published": kind == "sample" and number == found.plan.expert_checked.round,
        "forest": figures.forest(table, names),
        "heat": figures.heat(own(found.confusion), names),
        "pairs": figures.pairs(own(found.kappa)),
        "groups": [
            (title, [row | {"name": names.get(row["level"], row["level"])} for row in rows])
            for group, title in _GROUPS.items()
            if (rows := _ordered(table.filter(group=group).to_dicts(), names))
        ],
        "alpha": own(found.alpha).to_dicts(),
        "kappa": own(found.kappa).sort("one", "other").to_dicts(),
        "natural": [
            (title, [row | {"name": names.get(row["level"], row["level"])} for row in rows])
            for group, title in (("all", ""), ("value", "Value"), ("generator", "Generator"))
            if (rows := _ordered(natural.filter(group=group).to_dicts(), names))
        ],
        "flags": [flags[flag] for flag in FLAGS if flag in flags],
    }


def _ordered(rows: list[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Return rows by level, values in the order of the circle."""
    order = {value: n for n, value in enumerate(names)}
    return sorted(rows, key=lambda row: (order.get(row["level"], 0), row["level"]))


def _decisions(decisions: pl.DataFrame) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """Return each decision, its actions, and how often each reason stands behind it."""
    found = []
    for decision in ("accept", "regenerate", "drop"):
        own = decisions.filter(decision=decision)
        reasons = (
            own.select(reason="reasons")
            .explode("reason")
            .drop_nulls()
            # "other_value:power" and its like are one reason; which value is in decisions.csv
            .with_columns(
                pl.when(pl.col("reason").str.starts_with("flag:"))
                .then("reason")
                .otherwise(pl.col("reason").str.split(":").list.first())
            )
            .group_by("reason")
            .len()
            .sort("len", "reason", descending=[True, False])
        )
        found.append((decision, own.height, list(reasons.iter_rows())))
    return found
