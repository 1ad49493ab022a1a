"""A page on a finished build: what each stage kept, domain by domain, and why not more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import figures
from pipeline.artifacts import write_text
from pipeline.confusion import Counts
from pipeline.funnel import NO_DOMAIN, Funnel
from pipeline.pages import environment

PAGE = "report.html"


def write_report(
    workspace: Path,
    name: str,
    funnels: Mapping[str, Funnel],
    lines: Mapping[str, Sequence[str]],
    warnings: Sequence[str],
    confusion: Mapping[str, Counts],
) -> Path:
    """Write the page of a build.

    Args:
        workspace: Its folder; the page is put there.
        name: Its name.
        funnels: Funnel of each finished stage, in order.
        lines: What each stage notes beside its funnel.
        warnings: What all stages warn of.
        confusion: What the blind recogniser said of each generator's actions; empty without one.

    Returns:
        Path of the page.
    """
    domains = sorted({domain for f in funnels.values() for domain, _, _ in f.cells} - {NO_DOMAIN})
    page = environment().get_template("report.html.j2")
    path = workspace / PAGE
    text = page.render(
        name=name,
        figure=figures.funnel(funnels, domains),
        figures={"recognise": figures.confusion(confusion)} if confusion else {},
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
