"""A page on a finished build: what each stage kept, domain by domain, and why not more."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.artifacts import write_text
from pipeline.funnel import NO_DOMAIN, Funnel
from pipeline.pages import environment

PAGE = "report.html"


def write_report(
    workspace: Path,
    name: str,
    funnels: Mapping[str, Funnel],
    lines: Mapping[str, Sequence[str]],
    warnings: Sequence[str],
) -> Path:
    """Write the page of a build.

    Args:
        workspace: Its folder; the page is put there.
        name: Its name.
        funnels: Funnel of each finished stage, in order.
        lines: What each stage notes beside its funnel.
        warnings: What all stages warn of.

    Returns:
        Path of the page.
    """
    domains = sorted({domain for f in funnels.values() for domain, _, _ in f.cells} - {NO_DOMAIN})
    page = environment().get_template("report.html.j2")
    path = workspace / PAGE
    text = page.render(
        name=name,
        figure=figure(funnels, domains),
        domains=[*domains, NO_DOMAIN],
        stages=[(stage, funnel, _rows(funnel, domains)) for stage, funnel in funnels.items()],
        lines=lines,
        warnings=warnings,
    )
    write_text(text, path)
    return path


def _rows(funnel: Funnel, domains: Sequence[str]) -> list[tuple[str, list[int], int]]:
    """Return (kept or reason, count in each domain and in none, sum), the most frequent first."""
    names = sorted({(outcome, reason) for _, outcome, reason in funnel.cells})
    rows = []
    for outcome, reason in names:
        counts = [funnel.cells.get((d, outcome, reason), 0) for d in [*domains, NO_DOMAIN]]
        rows.append((reason or outcome, counts, sum(counts)))
    return sorted(rows, key=lambda row: (row[0] != "kept", -row[2], row[0]))


def figure(funnels: Mapping[str, Funnel], domains: Sequence[str]) -> str:
    """Return an SVG of the items that each stage kept, one line a domain, on a log scale."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    kept = {
        domain: [funnel.cells.get((domain, "kept", ""), 0) for funnel in funnels.values()]
        for domain in domains
    }
    # The same funnel gives the same bytes: no date, no random ids.
    with mpl.rc_context({"svg.hashsalt": "valact", "font.size": 9, "svg.fonttype": "none"}):
        canvas = FigureCanvasSVG(Figure(figsize=(8.5, 4.2), layout="constrained"))
        axes = canvas.figure.subplots()
        places = range(len(funnels))
        for domain, counts in kept.items():
            axes.plot(places, [n or float("nan") for n in counts], marker="o", ms=4, label=domain)
        axes.set_yscale("log")
        axes.set_xticks(places, list(funnels))
        axes.set_ylabel("items kept")
        axes.grid(axis="y", which="major", alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.legend(frameon=False, loc="upper right")
        out = io.StringIO()
        canvas.figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
