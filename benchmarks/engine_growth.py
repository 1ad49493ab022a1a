"""How builds grow with the number of posts: fits, their check, what they say of more, a figure.

A measure of n posts is taken to be a + b n, with a and b at least 0, by least squares of relative
errors. It is fitted on all sizes but the largest, and checked on that. The exponent is the slope
of the logarithms over the same sizes: 1 is linear, and what is fixed pulls it down.

What it says of 10^8 posts holds if the same share of posts are near-duplicates and templates, the
driver has that much memory, and disks and network keep up with the processors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
FAR = 10**8
LEAST_POINTS = 2
_COLOURS = {"local": "#0072b2", "ray": "#d55e00"}
_NAMES = {"local": "one process", "ray": "Ray"}
_DRAWN = ("seconds", "CPU s", "memory of all, MB", "memory of the driver, MB")


@dataclass(frozen=True)
class Fit:
    """A measure of one engine as a function of the number of posts.

    Attributes:
        engine: "local" or "ray".
        measure: What, with its unit.
        points: Measured values by number of posts.
        fitted_on: The numbers that it is fitted on.
        fixed: a.
        each: b.
        exponent: Slope of the logarithms.
        checked: Measured over predicted, by the numbers that it is not fitted on.
        far: What it says of `FAR` posts.
    """

    engine: str
    measure: str
    points: dict[int, float]
    fitted_on: list[int]
    fixed: float
    each: float
    exponent: float
    checked: dict[int, float]
    far: float

    def at(self, posts: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """Return what it says of numbers of posts."""
        return self.fixed + self.each * posts


def fitted(engine: str, measure: str, points: Mapping[int, float], check: int) -> Fit:
    """Return the fit on all points but the `check` largest."""
    sizes = sorted(points)
    near = sizes[: len(sizes) - check]
    values = np.maximum([points[size] for size in near], 1e-3)
    rows = np.column_stack([np.ones(len(near)), np.array(near, dtype=float)]) / values[:, None]
    scale = np.linalg.norm(rows, axis=0)
    solved, _ = nnls(rows / scale, np.ones(len(near)))
    fixed, each = (float(value) for value in solved / scale)
    return Fit(
        engine=engine,
        measure=measure,
        points={size: points[size] for size in sizes},
        fitted_on=near,
        fixed=fixed,
        each=each,
        exponent=float(np.polyfit(np.log(near), np.log(values), 1)[0]),
        checked={size: points[size] / (fixed + each * size) for size in sizes[len(near) :]},
        far=fixed + each * FAR,
    )


def table(fits: list[Fit]) -> list[str]:
    """Return the fits in Markdown."""
    lines = [
        f"| engine | measure | fixed | for 1,000,000 posts more | exponent | check: measured over "
        f"predicted | at {FAR:,} posts |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for fit in fits:
        checked = ", ".join(f"{ratio:.2f} at {size:,}" for size, ratio in fit.checked.items())
        cells = [_NAMES[fit.engine], fit.measure, f"{fit.fixed:,.1f}", f"{fit.each * 1e6:,.0f}"]
        lines.append(f"| {' | '.join([*cells, f'{fit.exponent:.2f}', checked, _far(fit)])} |")
    return lines


def _far(fit: Fit) -> str:
    if fit.measure.endswith("MB"):
        return f"{fit.far / 1000:,.0f} GB"
    return f"{fit.far / 3600:,.1f} h"


def draw(fits: list[Fit], path: Path) -> None:
    """Draw points, fits, and where these lead."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.hashsalt"] = "engines"
        _draw(fits, path)


def _draw(fits: list[Fit], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.5), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    for axis, measure in zip(axes.flat, _DRAWN, strict=True):
        for fit in fits:
            if fit.measure != measure:
                continue
            colour = _COLOURS[fit.engine]
            sizes = sorted(fit.points)
            near = np.geomspace(sizes[0], fit.fitted_on[-1], 100)
            beyond = np.geomspace(fit.fitted_on[-1], FAR, 100)
            axis.plot(near, fit.at(near), color=colour, label=_NAMES[fit.engine])
            axis.plot(beyond, fit.at(beyond), color=colour, linestyle=":")
            for size in sizes:
                used = size in fit.fitted_on
                face = colour if used else "white"
                axis.plot(size, fit.points[size], "o", color=colour, markerfacecolor=face)
        axis.set(xscale="log", yscale="log", title=measure)
        axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("posts (hollow: not fitted on; dotted: extrapolated)")
    axes[0, 0].legend(frameon=False)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=120)
