"""Drawings of the findings, as SVG: the same findings give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline.figures import drawing

_INK, _SOFT, _LINE, _WARN = "#1f4e79", "#9db8d2", "#555555", "#b5483a"
_GROUPS = {"all": "", "value": "value", "domain": "domain", "generator": "generator",
           "annotator": "expert"}  # fmt: skip
_ROW = 0.23  # inches


def forest(accuracy: pl.DataFrame, names: Mapping[str, str]) -> str:
    """Return accuracies with their intervals, one line each, in groups.

    Args:
        accuracy: Rows of tables.ACCURACY of one kind and round.
        names: Names for people of levels that have one.
    """
    rows: list[dict[str, Any] | None] = []
    for group in _GROUPS:
        found = accuracy.filter(group=group).sort("level").to_dicts()
        if group == "value":
            order = list(names)
            found.sort(key=lambda row: order.index(row["level"]))
        rows += [*([None] if rows else []), *found]
    with drawing(
        8.5,
        0.9 + _ROW * len(rows),
        "Accuracy with intervals, by value, domain, generator and expert",
    ) as (figure, svg):
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        labels, places, lowest = [], [], 1.0
        for place, row in enumerate(rows):
            if row is None:
                continue
            whole = row["group"] == "all"
            ends = [
                row[e] for e in ("low", "high", "wilson_low", "wilson_high") if row[e] is not None
            ]
            lowest = min(lowest, row["accuracy"], *ends)
            if row["wilson_low"] is not None:
                axes.plot([row["wilson_low"], row["wilson_high"]], [place] * 2, color=_SOFT, lw=5,
                          solid_capstyle="butt", zorder=1)  # fmt: skip
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [place] * 2, color=_INK, lw=1.4, zorder=2)
            axes.plot([row["accuracy"]], [place], "D" if whole else "o", color=_INK, ms=5, zorder=3)
            name = "all reviews" if whole else names.get(row["level"], row["level"])
            labels.append(f"{name}  ({row['reviews']:,})")
            places.append(place)
            if whole:
                axes.axvline(row["accuracy"], color=_LINE, lw=0.7, ls=":", zorder=0)
        axes.set_yticks(places, labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(max(0.0, np.floor(lowest * 20) / 20 - 0.01), 1.005)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        axes.set_xlabel("accuracy: the first choice is the claim (reviews in brackets)")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.3)
    return svg()


def heat(confusion: pl.DataFrame, names: Mapping[str, str]) -> str:
    """Return claims by first choices: shares of each claim's reviews, and counts.

    Args:
        confusion: Rows of tables.CONFUSION of one kind and round.
        names: {value id: name}, in the order of the circle.
    """
    order = {value: n for n, value in enumerate(names)}
    counts = np.zeros((len(order), len(order)), dtype=int)
    for claim, first, n in confusion.select("claim", "first_value", "reviews").iter_rows():
        counts[order[claim], order[first]] += n
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    with drawing(7.0, 6.4, "Confusion matrix: claimed value by first choice") as (figure, svg):
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", lw=0.5)
        for (row, column), n in np.ndenumerate(counts):
            if n:
                dark = shares[row, column] > 0.55
                axes.text(column + 0.5, row + 0.5, f"{n:,}", ha="center", va="center", fontsize=8,
                          color="white" if dark else "#1c1c1c")  # fmt: skip
        middle = np.arange(len(order)) + 0.5
        axes.set_yticks(middle, list(names.values()))
        axes.set_xticks(middle, list(names.values()), rotation=40, ha="right")
        axes.invert_yaxis()
        axes.set_ylabel("claimed value")
        axes.set_xlabel(
            "first choice of the experts (number: reviews; shade: share of the claim's)"
        )
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return svg()


def pairs(kappa: pl.DataFrame) -> str:
    """Return agreement and kappa of each pair of experts; "" if there is no pair.

    Args:
        kappa: Rows of tables.KAPPA of one kind and round.
    """
    if not kappa.height:
        return ""
    rows = kappa.sort("one", "other").to_dicts()
    with drawing(7.0, 0.9 + 0.3 * len(rows), "Agreement and kappa of each pair of experts") as (
        figure,
        svg,
    ):
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        for place, row in enumerate(rows):
            ends = [x for x in (row["kappa"], row["agreement"]) if x is not None]
            axes.plot(ends, [place] * len(ends), color=_SOFT, lw=2, zorder=1)
            axes.plot([row["agreement"]], [place], "s", color=_SOFT, ms=6, zorder=2,
                      label="same first choice" if not place else None)  # fmt: skip
            if row["kappa"] is not None:
                axes.plot([row["kappa"]], [place], "o", color=_INK, ms=6, zorder=3,
                          label="Cohen's kappa" if not place else None)  # fmt: skip
        lowest = min(x for row in rows for x in (row["kappa"], row["agreement"]) if x is not None)
        axes.set_xlim(min(0.0, lowest - 0.05), 1.02)
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.set_yticks(
            range(len(rows)), [f"{r['one']} and {r['other']}  ({r['actions']:,})" for r in rows]
        )
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.3)
        axes.set_xlabel("agreement on the first choice (common actions in brackets)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2,
                      frameon=False)  # fmt: skip
    return svg()


def times(table: pl.DataFrame, pause_seconds: float) -> str:
    """Return the minutes on an item, by expert; "" if no time is known.

    Args:
        table: What experts.item_times gave.
        pause_seconds: Longer times count as this much.
    """
    if not table.height:
        return ""
    names = sorted(table["annotator"].unique())
    minutes = [table.filter(annotator=name)["counted"].to_numpy() / 60 for name in names]
    with drawing(7.0, 0.9 + 0.34 * len(names), "Minutes on an item, by expert") as (figure, svg):
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.boxplot(minutes, orientation="horizontal", widths=0.55, patch_artist=True,
                     boxprops={"facecolor": _SOFT, "edgecolor": _INK, "lw": 0.8},
                     medianprops={"color": _INK, "lw": 2}, whiskerprops={"color": _INK, "lw": 0.8},
                     capprops={"color": _INK, "lw": 0.8},
                     flierprops={"marker": ".", "ms": 3, "markeredgecolor": _LINE})  # fmt: skip
        longest = max(float(each.max()) for each in minutes)
        if longest * 60 >= pause_seconds:
            axes.axvline(pause_seconds / 60, color=_WARN, lw=0.8, ls=":")
        axes.set_yticks(
            range(1, len(names) + 1),
            [f"{name}  ({len(each):,})" for name, each in zip(names, minutes, strict=True)],
        )
        axes.invert_yaxis()
        axes.set_xlim(0, longest * 1.04)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.3)
        axes.set_xlabel("minutes on an item (items in brackets); box: quartiles, bar: median")
    return svg()
