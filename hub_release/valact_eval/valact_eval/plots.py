"""The report's figures, drawn by matplotlib as SVG; letters are drawn as shapes, not as text."""

import io
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from valact_eval.key import SCALE, VALUES
from valact_eval.stats import reference
from valact_eval.stats.analyse import RespondentResult, Results
from valact_eval.stats.enacted import correlate
from valact_eval.stats.estimate import Estimate, Floats

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
GREY, LIGHT = "#8c8c8c", "#d9d9d9"
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


def figures(results: Results) -> dict[str, tuple[str, str]]:
    """Every figure for which there is data: name to (description, SVG text).

    Persons are not drawn one by one.
    """
    models = [one for one in results.respondents if not one.person]
    kinds: tuple[tuple[str, Callable[[list[RespondentResult]], tuple[str, Figure] | None]], ...]
    kinds = (
        ("circle", _circles),
        ("gap", _gaps),
        ("r", _forest_of_r),
        ("heat", lambda found: _heat(found)),
        ("agreement", lambda found: _agreement(found, results)),
        ("role_play", _role_play),
        ("letters", _letters),
        ("domains", _domains),
        ("people", lambda _: _people(results)),
    )
    drawn = {}
    with _style():
        for name, draw in kinds:
            if (found := draw(models)) is not None:
                drawn[name] = (found[0], _svg(found[1]))
    return drawn


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # a letter that no font here has is drawn as a box
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _grid(count: int, most: int = 3) -> tuple[int, int]:
    columns = min(most, count)
    return -(-count // columns), columns


def _low_high(found: Sequence[Estimate]) -> tuple[Floats, Floats, Floats]:
    """Estimates with their bounds as arrays; a missing bound is the estimate itself."""
    middle = np.array([np.nan if e.estimate is None else e.estimate for e in found])
    low, high = (
        np.array([m if b is None else b for m, b in zip(middle, bounds, strict=True)])
        for bounds in ([e.low for e in found], [e.high for e in found])
    )
    return middle, low, high


def _bars(middle: Floats, low: Floats, high: Floats) -> Floats:
    return np.maximum(np.stack([middle - low, high - middle]), 0)


def _circles(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    shown = [one for one in models if one.enacted or one.declared]
    if not shown:
        return None
    figure = _figure(9, 4.2 * len(shown))
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
                middle, low, high = _low_high(found)
                colour = _colour(place)
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


def _gaps(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    shown = [
        one
        for one in models
        if one.enacted and one.declared and one.declared.mrat.estimate is not None
    ]
    if not shown:
        return None
    rows, columns = _grid(len(shown), 2)
    figure = _figure(9 if columns > 1 else 6, 4.3 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, (axes, one) in enumerate(zip(panels, shown, strict=False)):
        assert one.enacted is not None
        assert one.declared is not None
        x = _low_high([row.centred for row in one.declared.values])
        y = _low_high([row.enacted_share for row in one.enacted.values])
        axes.axhline(0.1, color=GREY, lw=0.8, ls=":")
        axes.axvline(0, color=GREY, lw=0.8, ls=":")
        axes.errorbar(
            x[0],
            y[0],
            xerr=_bars(*x),
            yerr=_bars(*y),
            fmt="o",
            ms=4,
            lw=0.8,
            color=_colour(place),
            ecolor=_colour(place) + "66",
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


def _forest_of_r(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    shown = [
        one for one in models if one.gaps and one.gaps[0].pearson.estimate.estimate is not None
    ]
    if not shown:
        return None
    found = reference.reference()
    names = [short(one.respondent) for one in shown] + list(found.pearson)
    figure = _figure(8, 1.2 + 0.26 * len(names))
    axes = figure.subplots()
    for place, one in enumerate(shown):
        middle, low, high = _low_high([one.gaps[0].pearson.estimate])
        colour = _colour(place)
        if fisher := one.gaps[0].pearson.fisher:
            axes.plot(fisher, [place, place], color=LIGHT, lw=5, solid_capstyle="butt")
        axes.errorbar(middle, [place], xerr=_bars(middle, low, high), fmt="o", color=colour, ms=5)
        top = one.ceiling.ceiling if one.ceiling else None
        if top is not None:
            axes.plot([top], [place], marker="|", ms=11, mew=2, color=colour)
    for place, (model, r) in enumerate(found.pearson.items(), start=len(shown)):
        axes.plot(found.fisher[model], [place, place], color=LIGHT, lw=5, solid_capstyle="butt")
        axes.plot([r], [place], "D", color=GREY, ms=4)
    axes.axvline(0, color=GREY, lw=0.8, ls=":")
    axes.axhline(len(shown) - 0.5, color=GREY, lw=0.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-1, 1)
    axes.set_xlabel("declared-enacted r over the ten values")
    return (
        "Declared-enacted r. Coloured bars: 95 % intervals over scenarios and questionnaire runs; "
        "upright marks: the noise ceiling. Wide grey bars: the interval if the ten values were a "
        "sample. Diamonds: the ten published models, of which only these can be had.",
        figure,
    )


def _heat(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    profiles = {
        short(one.respondent): np.array(
            [
                np.nan if row.enacted_share.estimate is None else row.enacted_share.estimate
                for row in one.enacted.values
            ]
        )
        for one in models
        if one.enacted
    }
    if not profiles:
        return None
    own = len(profiles)
    for model, shares in reference.profile("enacted_share").items():
        profiles[model if model not in profiles else f"{model} (published)"] = shares
    table = np.array(list(profiles.values()))
    r = correlate(table[:, None, :], table[None, :, :])
    figure = _figure(2.6 + 0.47 * len(r), 1.9 + 0.44 * len(r))
    _matrix(figure.subplots(), r, list(profiles), own, (-1.0, 1.0), "RdBu")
    return (
        "r between enacted profiles, model by model. Below the line: the ten published models. "
        "A profile r near 1 hides disagreement on single questions.",
        figure,
    )


def _agreement(models: list[RespondentResult], results: Results) -> tuple[str, Figure] | None:
    names = [one.respondent for one in models if one.enacted]
    if len(names) < 2:
        return None
    same = np.full((len(names), len(names)), np.nan)
    for pair in results.agreements:
        if pair.one in names and pair.two in names and pair.same_option.estimate is not None:
            a, b = names.index(pair.one), names.index(pair.two)
            same[a, b] = pair.same_option.estimate
            same[b, a] = np.nan if pair.by_profiles is None else pair.by_profiles
    figure = _figure(2.9 + 0.62 * len(names), 2.0 + 0.55 * len(names))
    labels = [short(name) for name in names]
    _matrix(figure.subplots(), same, labels, len(names), (0.0, 1.0), "Blues")
    return (
        "Share of questions on which two models take one option (above the diagonal; chance is "
        "0.25), and what their value profiles alone would predict (below).",
        figure,
    )


def _matrix(
    axes: Axes, cells: Floats, names: list[str], own: int, span: tuple[float, float], colours: str
) -> None:
    axes.imshow(cells, cmap=colours, vmin=span[0], vmax=span[1])
    axes.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    for (row, column), cell in np.ndenumerate(cells):
        if np.isfinite(cell):
            depth = (cell - span[0]) / (span[1] - span[0])
            dark = depth > 0.75 or (colours == "RdBu" and depth < 0.2)
            axes.text(
                column,
                row,
                f"{cell:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    if own < len(names):
        axes.axhline(own - 0.5, color="black", lw=1)
        axes.axvline(own - 0.5, color="black", lw=1)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def _role_play(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    shown = [one for one in models if one.role_play]
    if not shown:
        return None
    selected = reference.profile("selection_accuracy")
    acted = reference.profile("adoption_accuracy")
    drops = np.array([acted[model] - selected[model] for model in selected])
    names = ["All values", *(titled(value) for value in VALUES)]
    figure = _figure(8, 1.4 + len(names) * max(0.34, 0.17 * len(shown)))
    axes = figure.subplots()
    for k, row in enumerate(np.column_stack([drops.mean(axis=1), drops]).T):
        axes.plot(row, np.full(row.size, k), "|", color=GREY, ms=8, alpha=0.7)
    step = 0.7 / len(shown)
    for place, one in enumerate(shown):
        assert one.role_play is not None
        rows = [one.role_play.overall, *one.role_play.values]
        middle, low, high = _low_high([row.difference for row in rows])
        y = np.arange(len(rows)) + (place - (len(shown) - 1) / 2) * step
        sure = np.array([row.p_holm is not None and row.p_holm < 0.05 for row in rows])
        colour = _colour(place)
        axes.errorbar(middle, y, xerr=_bars(middle, low, high), fmt="none", ecolor=colour, lw=1.2)
        axes.plot(middle, y, "o", mfc="white", color=colour, ms=5, label=short(one.respondent))
        axes.plot(middle[sure], y[sure], "o", color=colour, ms=5)
    axes.axvline(0, color=GREY, lw=0.8, ls=":")
    axes.axhline(0.5, color=LIGHT, lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("adoption - selection accuracy")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)
    return (
        "Role-play: accuracy in adoption less that in selection on the same items, by target "
        "value. Bars are 95 % intervals over scenarios; filled where Holm's p is below 0.05. "
        f"Grey strokes: the {len(drops)} published models with such tables.",
        figure,
    )


def _letters(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    shown = [one for one in models if one.bias]
    if not shown:
        return None
    figure = _figure(8, 3.2)
    axes = figure.subplots()
    step = 0.7 / len(shown)
    for place, one in enumerate(shown):
        assert one.bias is not None
        middle, low, high = _low_high([row.share for row in one.bias.letters])
        x = np.arange(4) + (place - (len(shown) - 1) / 2) * step
        axes.bar(x, middle, 0.9 * step, color=_colour(place), label=short(one.respondent))
        axes.errorbar(x, middle, yerr=_bars(middle, low, high), fmt="none", ecolor="black", lw=0.9)
    axes.axhline(0.25, color="black", lw=0.9, ls=":")
    axes.set_xticks(
        range(4), [row.letter for row in shown[0].bias.letters] if shown[0].bias else []
    )
    axes.set_ylabel("share of valid choices")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)
    return (
        "How often each letter was picked in the task default; balanced letters give 0.25 "
        "(dotted). Bars are 95 % intervals.",
        figure,
    )


def _domains(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    shown = [one for one in models if len(one.domains) > 1]
    if not shown:
        return None
    names = sorted({part.domain for one in shown for part in one.domains})
    rows, columns = _grid(len(names))
    figure = _figure(9.5, 3.2 * rows + 0.3 + 0.2 * len(shown))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    step = 0.7 / len(shown)
    for axes, name in zip(panels.ravel(), names, strict=False):
        axes.axvline(0.1, color=GREY, lw=0.8, ls=":")
        for place, one in enumerate(shown):
            part = next((part for part in one.domains if part.domain == name), None)
            if part is None:
                continue
            y = np.arange(10) + (place - (len(shown) - 1) / 2) * step
            middle, low, high = _low_high([row.enacted_share for row in part.enacted.values])
            colour = _colour(place)
            axes.errorbar(
                middle, y, xerr=_bars(middle, low, high), fmt="o", ms=3, lw=1, color=colour
            )
        axes.set_title(short(name))
        axes.set_ylim(9.6, -0.6)
        axes.set_yticks(range(10), [titled(value) for value in VALUES], fontsize=7.5)
        axes.grid(axis="y", color=LIGHT, lw=0.4)
    for axes in panels.ravel()[len(names) :]:
        axes.set_visible(False)
    for place, one in enumerate(shown):
        panels[0, 0].plot([], [], "o", color=_colour(place), label=short(one.respondent))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return (
        "Enacted shares (horizontal) in each domain; bars are 95 % intervals, dotted is chance. A "
        "domain has only its part of the questions, so its intervals are wider.",
        figure,
    )


def _people(results: Results) -> tuple[str, Figure] | None:
    shown = [row for row in results.contrasts if row.people_r and row.model_r]
    if not shown:
        return None
    figure = _figure(8, 1.3 + 0.45 * (len(shown) + 1))
    axes = figure.subplots()
    spreads = [(f"{shown[0].people} people", shown[0].people_r, GREY)]
    spreads += [(short(row.model), row.model_r, _colour(k)) for k, row in enumerate(shown)]
    for y, (_, spread, colour) in enumerate(spreads):
        if spread is not None:
            axes.plot([spread.low, spread.high], [y, y], color=colour, lw=3, alpha=0.6)
            axes.plot([spread.mean], [y], "o", color=colour)
    axes.axvline(0, color=GREY, lw=0.8, ls=":")
    axes.set_yticks(range(len(spreads)), [name for name, _, _ in spreads])
    axes.set_ylim(len(spreads) - 0.4, -0.6)
    axes.set_xlim(-1, 1)
    axes.set_xlabel(f"declared-enacted r at {shown[0].items} questions")
    return (
        "People beside models cut to the same number of questions: mean and where 95 % lie, of "
        "people and of a model's short forms.",
        figure,
    )
