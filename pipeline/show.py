"""What commands print beside their progress: the funnel, the estimate, the next steps."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from pipeline.config import Config
from pipeline.estimate import estimate
from pipeline.funnel import Funnel
from pipeline.llm.prices import MICRO, dollars
from pipeline.progress import say


def print_funnel(funnels: Mapping[str, Funnel]) -> None:
    """Print one line a stage."""
    table = Table(title="Funnel", title_justify="left")
    table.add_column("stage")
    table.add_column("unit")
    table.add_column("in", justify="right")
    table.add_column("kept", justify="right")
    table.add_column("dropped, by reason")
    for name, found in funnels.items():
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in found.reasons().items())
        table.add_row(name, found.unit, f"{found.entered:,}", f"{found.kept:,}", reasons)
    Console().print(table)


def print_cells(name: str, found: Funnel) -> None:
    """Print a stage's funnel by domain, outcome and reason."""
    table = Table(title=f"{name} ({found.unit}s)", title_justify="left")
    table.add_column("domain")
    table.add_column("outcome")
    table.add_column("reason")
    table.add_column("n", justify="right")
    for (domain, outcome, reason), n in found.cells.items():
        table.add_row(domain, outcome, reason, f"{n:,}")
    Console().print(table)


def print_estimate(config: Config, *, selected: bool) -> None:
    """Print what the build's model calls may cost; see estimate.estimate."""
    found = estimate(config, selected=selected)
    say()
    say("model calls, at most (what is asked again comes on top):")
    for row in found:
        known = f", {row.answered:,} more in the ledger" if row.answered else ""
        say(
            f"    {row.generator}: {row.calls:,} calls{known}, {row.prompt_tokens:,} prompt and "
            f"{row.completion_tokens:,} completion tokens, {dollars(row.online_micro)} online, "
            f"{dollars(row.batch_micro)} at batch prices"
        )
    total = sum(row.online_micro for row in found)
    say(
        f"    together {dollars(total)} online; cap {dollars(round(config.budget.cap_usd * MICRO))}"
    )
    if any(row.assumed for row in found):
        say(
            "    an assumption: no scenario is drawn yet, and each is taken to be as long as "
            "screen.max_words allows"
        )


def print_next_steps(dist: str) -> None:
    """Print how to load, look at and evaluate a release."""
    load_line = (
        "from datasets import load_dataset; "
        f"print(load_dataset({dist!r}, 'questions', split='test'))"
    )
    say(f"The release is in {dist}.")
    say(f'  load it:     .venv/bin/python -c "{load_line}"')
    say(f"  look at it:  .venv/bin/python -m pipeline preview --dist {dist}")
    say(f"  evaluate:    make evaluate DIST={dist}")
