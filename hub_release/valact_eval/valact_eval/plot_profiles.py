"""Figures of one model's values: the circle, declared against enacted, domains."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from valact_eval.key import SCALE, VALUES
from valact_eval.plot_style import (
    GREY,
    LIGHT,
    bars,
    colour_of,
    grid,
    low_high,
    new_figure,
    short,
    titled,
)
from valact_eval.stats import reference
from valact_eval.stats.estimate import Estimate, Floats
from valact_eval.stats.respondent import RespondentResult


def circles(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """Both profiles of each model around the circle of values; None without any."""
    shown = [one for one in models if one.enacted or one.declared]
    if not shown:
        return None
    figure = new_figure(9, 4.2 * len(shown))
    parts = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    turns = np.linspace(0, 2 * np.pi, 11)
    published = {
        "enacted": np.array(list(reference.profile("enacted_share").values())) / 100,
        "declared": np.array(list(reference.profile("declared_mean").values())),
    }
    for place, (part, one) in enumerate(zip(parts, shown, strict=True)):
        part.suptitle(short(one.respondent), fontweight="bold")
        for k, kind in enumerate(("enacted", "declared")):
            axes = part.add_subplot(1, 2, k + 1, projection="polar")
            axes.set_theta_offset(np.pi / 2)
            axes.set_theta_direction(-1)
            axes.set_xticks(turns[:-1], [titled(value) for value in VALUES], fontsize=8)
            axes.tick_params(axis="x", pad=8)
            lowest, highest = published[kind].min(axis=0), published[kind].max(axis=0)
            axes.fill_between(turns, _closed(lowest), _closed(highest), color=LIGHT, lw=0)
            found: list[Estimate] = []
            if kind == "enacted" and one.enacted:
                found = [row.enacted_share for row in one.enacted.values]
            if kind == "declared" and one.declared:
                found = [row.raw for row in one.declared.values]
            top = float(highest.max())
            if found:
                middle, low, high = low_high(found)
                colour = colour_of(place)
                axes.fill_between(turns, _closed(low), _closed(high), color=colour, alpha=0.2, lw=0)
                axes.plot(turns, _closed(middle), color=colour, lw=1.8)
                top = max([top, *high[np.isfinite(high)]])
            if kind == "enacted":
                axes.plot(turns, np.full(11, 0.1), color=GREY, lw=0.8, ls=":")
                axes.set_ylim(0, 1.05 * top)
                axes.set_title("enacted share (dots: chance)", pad=20)
            else:
                axes.set_ylim(*SCALE)
                axes.set_title("declared score", pad=20)
            axes.tick_params(axis="y", labelsize=7, labelcolor=GREY)
            axes.set_rlabel_position(18)
            axes.grid(color=LIGHT, lw=0.6)
            axes.spines["polar"].set_color(LIGHT)
    return (
        "Enacted shares and declared scores around the circle of values. Bands are 95 % intervals; "
        "grey is the range of the ten published models, which answered other questions.",
        figure,
    )


def _closed(row: Floats) -> Floats:
    return np.append(row, row[:1])


def gaps(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """Declared against enacted, a panel a model; None where either is missing."""
    shown = [
        one
        for one in models
        if one.enacted and one.declared and one.declared.mrat.estimate is not None
    ]
    if not shown:
        return None
    rows, columns = grid(len(shown), 2)
    figure = new_figure(9 if columns > 1 else 6, 4.3 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, (axes, one) in enumerate(zip(panels, shown, strict=False)):
        assert one.enacted is not None
        assert one.declared is not None
        x = low_high([row.centred for row in one.declared.values])
        y = low_high([row.enacted_share for row in one.enacted.values])
        axes.axhline(0.1, color=GREY, lw=0.8, ls=":")
        axes.axvline(0, color=GREY, lw=0.8, ls=":")
        axes.errorbar(
            x[0],
            y[0],
            xerr=bars(*x),
            yerr=bars(*y),
            fmt="o",
            ms=4,
            lw=0.8,
            color=colour_of(place),
            ecolor=colour_of(place) + "66",
        )
        _label(axes, x[0], y[0])
        r = one.gaps[0].pearson.estimate.explain(2) if one.gaps else "n/a"
        axes.set_title(f"{short(one.respondent)}: r {r}")
        axes.set_xlabel("declared score, less the respondent's mean rating")
        axes.set_ylabel("enacted share")
        axes.margins(0.12)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    return (
        "What each model declares against what it enacts, one point a value, bars are 95 % "
        "intervals. Dotted: chance, and the mean rating.",
        figure,
    )


def _label(axes: Axes, x: Floats, y: Floats) -> None:
    """Names the ten points; neighbours alternate above and below so that names part."""
    order = np.argsort(y)
    for turn, k in enumerate(order):
        if not np.isfinite(x[k] + y[k]):
            continue
        up = turn % 2 == 0
        axes.annotate(
            titled(VALUES[k]),
            (x[k], y[k]),
            xytext=(5, 4 if up else -4),
            textcoords="offset points",
            va="bottom" if up else "top",
            fontsize=7.5,
        )


def domains(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """Enacted shares in each domain; None with a single domain."""
    shown = [one for one in models if len(one.domains) > 1]
    if not shown:
        return None
    names = sorted({part.domain for one in shown for part in one.domains})
    rows, columns = grid(len(names))
    figure = new_figure(9.5, 3.2 * rows + 0.3 + 0.2 * len(shown))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    step = 0.7 / len(shown)
    for axes, name in zip(panels.ravel(), names, strict=False):
        axes.axvline(0.1, color=GREY, lw=0.8, ls=":")
        for place, one in enumerate(shown):
            part = next((part for part in one.domains if part.domain == name), None)
            if part is None:
                continue
            y = np.arange(10) + (place - (len(shown) - 1) / 2) * step
            middle, low, high = low_high([row.enacted_share for row in part.enacted.values])
            colour = colour_of(place)
            axes.errorbar(
                middle, y, xerr=bars(middle, low, high), fmt="o", ms=3, lw=1, color=colour
            )
        axes.set_title(short(name))
        axes.set_ylim(9.6, -0.6)
        axes.set_yticks(range(10), [titled(value) for value in VALUES], fontsize=7.5)
        axes.grid(axis="y", color=LIGHT, lw=0.4)
    for axes in panels.ravel()[len(names) :]:
        axes.set_visible(False)
    for place, one in enumerate(shown):
        panels[0, 0].plot([], [], "o", color=colour_of(place), label=short(one.respondent))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return (
        "Enacted shares (horizontal) in each domain; bars are 95 % intervals, dotted is chance. A "
        "domain has only its part of the questions, so its intervals are wider.",
        figure,
    )
