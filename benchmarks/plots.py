"""Figures of growth: seconds and memory against size, ours and peers, on logarithmic axes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import Part, Tool

_OURS = "#1b6ca8"
_OTHERS = ("#c8553d", "#588157", "#8d6a9f", "#b08900", "#555555")
_MARKS = "sD^vP"
Points = dict[int, Tool]


def curves(part: Part) -> dict[str, dict[str, Points]]:
    """Return the jobs that were run in several sizes: by job and tool, size to runs."""
    found: dict[str, dict[str, Points]] = defaultdict(lambda: defaultdict(dict))
    for job in part.jobs:
        for tool in (job.ours, *job.peers):
            found[job.name][tool.name][job.size] = tool
    several = {
        name: {tool: points for tool, points in tools.items() if len(points) > 1}
        for name, tools in found.items()
    }
    return {name: tools for name, tools in several.items() if tools}


def draw(parts: Mapping[str, Part], folder: Path) -> None:
    """Write one SVG for each part that has curves; the same figures give the same file."""
    import matplotlib as mpl

    style: Any = {"svg.hashsalt": "bench", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style | {"axes.spines.top": False, "axes.spines.right": False})
        _draw(parts, folder)


def _draw(parts: Mapping[str, Part], folder: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    for name, part in parts.items():
        jobs = curves(part)
        if not jobs:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        figure = Figure(figsize=(10.5, 3.4 * len(jobs)), layout="constrained")
        rows = figure.subplots(len(jobs), 2, squeeze=False)
        for axes, (job, tools) in zip(rows, jobs.items(), strict=True):
            unit = next(each.unit for each in part.jobs if each.name == job)
            ours = {each.ours.name for each in part.jobs if each.name == job}
            colours = iter(zip(_OTHERS * 2, _MARKS * 2, strict=True))
            for tool, points in tools.items():
                colour, mark = (_OURS, "o") if tool in ours else next(colours)
                sizes = sorted(points)
                runs = [points[size] for size in sizes]
                middle = [run.seconds for run in runs]
                below = [run.seconds - run.spread[0] for run in runs]
                above = [run.spread[1] - run.seconds for run in runs]
                axes[0].errorbar(
                    sizes, middle, [below, above], color=colour, marker=mark, capsize=3, label=tool
                )
                memory = [run.peak_mb for run in runs]
                axes[1].plot(sizes, memory, color=colour, marker=mark, label=tool)
            every = sorted({size for points in tools.values() for size in points})
            for axis, what in zip(
                axes, ("seconds (median, least, most)", "memory, MB"), strict=True
            ):
                axis.set(xscale="log", xlabel=unit, title=f"{job}\n{what}")
                axis.set_xticks(every, [f"{size:,}" for size in every])
                axis.minorticks_off()
            axes[0].set(yscale="log")
            axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes[0].minorticks_off()
            axes[1].set(ylim=(0, 1.05 * axes[1].get_ylim()[1]))
            axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1))
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
