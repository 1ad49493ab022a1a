"""Figures that set models beside each other, beside people and beside chance."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from valact_eval.key import VALUES
from valact_eval.plot_style import GREY, LIGHT, bars, colour_of, low_high, new_figure, short, titled
from valact_eval.stats import reference
from valact_eval.stats.analyse import Results
from valact_eval.stats.enacted import correlate
from valact_eval.stats.estimate import Floats
from valact_eval.stats.respondent import RespondentResult


def forest_of_r(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """Declared-enacted r with its intervals and ceiling, model by model; None without one."""
    shown = [
        one for one in models if one.gaps and one.gaps[0].pearson.estimate.estimate is not None
    ]
    if not shown:
        return None
    found = reference.reference()
    names = [short(one.respondent) for one in shown] + list(found.pearson)
    figure = new_figure(8, 1.2 + 0.26 * len(names))
    axes = figure.subplots()
    for place, one in enumerate(shown):
        middle, low, high = low_high([one.gaps[0].pearson.estimate])
        colour = colour_of(place)
        if fisher := one.gaps[0].pearson.fisher:
            axes.plot(fisher, [place, place], color=LIGHT, lw=5, solid_capstyle="butt")
        axes.errorbar(middle, [place], xerr=bars(middle, low, high), fmt="o", color=colour, ms=5)
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


def heat(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """Pearson r between enacted profiles; None without one."""
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
    figure = new_figure(2.6 + 0.47 * len(r), 1.9 + 0.44 * len(r))
    _matrix(figure.subplots(), r, list(profiles), own, (-1.0, 1.0), "RdBu")
    return (
        "r between enacted profiles, model by model. Below the line: the ten published models. "
        "A profile r near 1 hides disagreement on single questions.",
        figure,
    )


def agreement(models: list[RespondentResult], results: Results) -> tuple[str, Figure] | None:
    """Share of questions on which two models agree; None with fewer than two."""
    names = [one.respondent for one in models if one.enacted]
    if len(names) < 2:
        return None
    same = np.full((len(names), len(names)), np.nan)
    for pair in results.agreements:
        if pair.one in names and pair.two in names and pair.same_option.estimate is not None:
            a, b = names.index(pair.one), names.index(pair.two)
            same[a, b] = pair.same_option.estimate
            same[b, a] = np.nan if pair.by_profiles is None else pair.by_profiles
    figure = new_figure(2.9 + 0.62 * len(names), 2.0 + 0.55 * len(names))
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


def role_play(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """Adoption less selection accuracy by value; None where none was asked."""
    shown = [one for one in models if one.role_play]
    if not shown:
        return None
    selected = reference.profile("selection_accuracy")
    acted = reference.profile("adoption_accuracy")
    drops = np.array([acted[model] - selected[model] for model in selected])
    names = ["All values", *(titled(value) for value in VALUES)]
    figure = new_figure(8, 1.4 + len(names) * max(0.34, 0.17 * len(shown)))
    axes = figure.subplots()
    for k, row in enumerate(np.column_stack([drops.mean(axis=1), drops]).T):
        axes.plot(row, np.full(row.size, k), "|", color=GREY, ms=8, alpha=0.7)
    step = 0.7 / len(shown)
    for place, one in enumerate(shown):
        assert one.role_play is not None
        rows = [one.role_play.overall, *one.role_play.values]
        middle, low, high = low_high([row.difference for row in rows])
        y = np.arange(len(rows)) + (place - (len(shown) - 1) / 2) * step
        sure = np.array([row.p_holm is not None and row.p_holm < 0.05 for row in rows])
        colour = colour_of(place)
        axes.errorbar(middle, y, xerr=bars(middle, low, high), fmt="none", ecolor=colour, lw=1.2)
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


def letters(models: list[RespondentResult]) -> tuple[str, Figure] | None:
    """How often each letter was picked; None where nothing was."""
    shown = [one for one in models if one.bias]
    if not shown:
        return None
    figure = new_figure(8, 3.2)
    axes = figure.subplots()
    step = 0.7 / len(shown)
    for place, one in enumerate(shown):
        assert one.bias is not None
        middle, low, high = low_high([row.share for row in one.bias.letters])
        x = np.arange(4) + (place - (len(shown) - 1) / 2) * step
        axes.bar(x, middle, 0.9 * step, color=colour_of(place), label=short(one.respondent))
        axes.errorbar(x, middle, yerr=bars(middle, low, high), fmt="none", ecolor="black", lw=0.9)
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


def people(results: Results) -> tuple[str, Figure] | None:
    """People beside models cut to the same length; None without them."""
    shown = [row for row in results.contrasts if row.people_r and row.model_r]
    if not shown:
        return None
    figure = new_figure(8, 1.3 + 0.45 * (len(shown) + 1))
    axes = figure.subplots()
    spreads = [(f"{shown[0].people} people", shown[0].people_r, GREY)]
    spreads += [(short(row.model), row.model_r, colour_of(k)) for k, row in enumerate(shown)]
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
