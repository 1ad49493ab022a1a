"""What the report's figures have in common: colours, names, intervals, SVG text."""

import io
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from valact_eval.stats.estimate import Estimate, Floats

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


GREY = "#8c8c8c"


LIGHT = "#d9d9d9"


_STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "valact-eval",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 100,
    # names of models are not to be read as formulas
    "text.parse_math": False,
    "text.usetex": False,
}


_LONGEST = 28


def titled(value: str) -> str:
    """A value as it stands on a page: ``self_direction`` is "Self-direction"."""
    return value.replace("_", "-").capitalize()


def short(name: str) -> str:
    """A name of any origin as one line of letters for an axis."""
    clean = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in name)
    clean = " ".join(clean.split())
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "\u2026"


@contextmanager
def styled() -> Iterator[None]:
    """Draws in the style of the report."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # whatever the user's own settings say
        mpl.rcParams.update(_STYLE)
        # a letter that no font here has is drawn as a box
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def svg(figure: Figure) -> str:
    """The figure as SVG text, the same bytes every time."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def colour_of(place: int) -> str:
    """The colour of the model at this place."""
    return COLOURS[place % len(COLOURS)]


def grid(count: int, most: int = 3) -> tuple[int, int]:
    """Rows and columns for so many panels."""
    columns = min(most, count)
    return -(-count // columns), columns


def low_high(found: Sequence[Estimate]) -> tuple[Floats, Floats, Floats]:
    """Estimates with their bounds as arrays; a missing bound is the estimate itself."""
    middle = np.array([np.nan if e.estimate is None else e.estimate for e in found])
    low, high = (
        np.array([m if b is None else b for m, b in zip(middle, bounds, strict=True)])
        for bounds in ([e.low for e in found], [e.high for e in found])
    )
    return middle, low, high


def bars(middle: Floats, low: Floats, high: Floats) -> Floats:
    """Lengths of error bars below and above, as 2 x n."""
    return np.maximum(np.stack([middle - low, high - middle]), 0)
