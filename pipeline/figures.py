"""Figures of a build's page, as SVG: the same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from pipeline.confusion import NONE, Counts, accuracy, together
from pipeline.funnel import Funnel
from pipeline.values import load_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DARK = 0.5
"""Cells with a larger share are so dark that their count is written in white."""

_KEY = (
    "A cell counts actions.\n"
    "Row: the value that they were written for.\n"
    "Column: the value that was recognised.\n"
    "Framed: recognised as written."
)


def funnel(funnels: Mapping[str, Funnel], domains: Sequence[str]) -> str:
    """Return a drawing of the items that each stage kept, one line a domain, on a log scale.

    Below each stage's name stands how many it kept of all domains.
    """
    kept = {
        domain: [found.cells.get((domain, "kept", ""), 0) for found in funnels.values()]
        for domain in domains
    }
    with drawing(
        max(8.5, 0.85 * len(funnels) + 1.0), 4.4, "Items that each stage kept, by domain"
    ) as (figure, svg):
        axes = figure.subplots()
        places = range(len(funnels))
        for domain, counts in kept.items():
            axes.plot(places, [n or float("nan") for n in counts], marker="o", ms=4, label=domain)
        axes.set_yscale("log")
        # A plain number: the log scale's own labels are formulas, which `drawing` does not read.
        axes.yaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
        axes.yaxis.set_minor_formatter("")
        axes.set_ylim(bottom=0.8)
        axes.set_xticks(places, [f"{name}\n{f.kept:,}" for name, f in funnels.items()])
        axes.set_ylabel("items kept")
        axes.grid(axis="y", which="major", alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.legend(frameon=False, loc="upper right")
    return svg()


def confusion(counts: Mapping[str, Counts]) -> str:
    """Return confusion matrices: of all actions, and below of each generator's, side by side.

    Rows are what actions were written for, columns what was recognised, both in the order of the
    circle. A cell holds its count; its colour is its share of the row. The diagonal is framed.

    Args:
        counts: Counts of each generator by its name; see confusion.count.
    """
    words = "Confusion matrices: value an action was written for by value recognised"
    columns = max(len(counts), 2)
    with drawing(4.6 * columns, 9.4, words) as (figure, svg):
        panels = figure.subplots(2, columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for axes, (name, part) in zip(panels[1], counts.items(), strict=False):
            _matrix(axes, name, part)
        mesh = _matrix(panels[0][0], "all actions", together(counts))
        place = panels[0][1].inset_axes((0.1, 0.45, 0.6, 0.05))
        bar = figure.colorbar(mesh, cax=place, orientation="horizontal")
        bar.set_label("share of the row")
        bar.outline.set_visible(False)
        panels[0][1].text(0.1, 0.6, _KEY, va="bottom", linespacing=1.5)
    return svg()


def _matrix(axes: Any, name: str, counts: Counts) -> Any:
    from matplotlib.patches import Rectangle

    axes.set_axis_on()
    values = load_values()
    ids = [value.id for value in values]
    cells = [[counts[value][said] for said in (*ids, NONE)] for value in ids]
    shares = [[n / (sum(row) or 1) for n in row] for row in cells]
    # Vectors, not an image: its bytes would depend on the compression library.
    mesh = axes.pcolormesh(
        shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.8, snap=False
    )
    for y, (row, tints) in enumerate(zip(cells, shares, strict=True)):
        axes.add_patch(Rectangle((y, y), 1, 1, fill=False, edgecolor="#c05a00", linewidth=1.1))
        for x, (n, tint) in enumerate(zip(row, tints, strict=True)):
            colour = "white" if tint > _DARK else "#1c1c1c" if n else "#b5b5b5"
            axes.text(x + 0.5, y + 0.5, str(n), ha="center", va="center", color=colour, size=8)
    found = accuracy(counts)
    axes.set_title(f"{name}\n{found['right']:,} of {found['answered']:,}")
    names = [value.name for value in values]
    axes.set_xticks([x + 0.5 for x in range(len(ids) + 1)], [*names, "no answer"], rotation=90)
    axes.set_yticks([y + 0.5 for y in range(len(ids))], names)
    axes.set_xlabel("recognised as")
    axes.set_ylabel("written for")
    axes.axvline(len(ids), color="#1c1c1c", linewidth=0.8)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return mesh


@contextmanager
def drawing(width: float, height: float, words: str) -> Iterator[tuple[Figure, Callable[[], str]]]:
    """Yield an empty figure, in inches, and what returns it as SVG once the block has ended.

    Args:
        width: Of the figure.
        height: Likewise.
        words: What it shows, for those who cannot see it.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    done: list[str] = []
    # No date, no random ids, and "$" in a name starts no formula.
    settings: Any = {"svg.hashsalt": "valact", "svg.fonttype": "none"}
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever this process or the user's own settings say
        mpl.rcParams.update(settings | {"font.size": 9, "text.parse_math": False})
        canvas = FigureCanvasSVG(Figure(figsize=(width, height), layout="constrained"))
        yield canvas.figure, lambda: done[0]
        out = io.StringIO()
        canvas.figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    label = f'<svg role="img" aria-label="{escape(words)}" '
    done.append(text[text.index("<svg") :].replace("<svg ", label, 1))
