"""What commands print beside their progress: the funnel, the estimate, the next steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rich.console import Console
from rich.table import Table

from pipeline import reserve
from pipeline.config import Config
from pipeline.estimate import Estimate, Whole, estimate, whole
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


def print_estimate(config: Config, done: Collection[str]) -> None:
    """Print what the build's model calls may cost; see estimate.estimate."""
    found = estimate(config, done)
    say()
    say("model calls that are left:")
    for row in found:
        known = f" ({row.answered:,} more are in the ledger)" if row.answered else ""
        chosen = "by batch, as configured" if row.by_batch else "online, as configured"
        say(f"    {row.stage}, {row.model}: {row.calls:,} calls{known}, {chosen}")
        say(
            f"        at most {row.prompt_tokens:,} prompt and {row.completion_tokens:,} "
            f"completion tokens: {dollars(row.online_micro)} online, "
            f"{dollars(row.batch_micro)} by batch"
        )
        say(f"        {_expectation(row)}")
        say(f"        {_duration(row)}")
    for line in totals(whole(found), round(config.budget.cap_usd * MICRO)):
        say(f"    {line}")
    say("    (prompt tokens are bounded by bytes, so real ones are fewer; re-askings come on top)")
    for line in reserve.lines(config):
        say(f"    {line}")
    if any(row.assumed for row in found):
        say(
            "    an assumption: no scenario is drawn yet, and each is taken to be as long as "
            "screen.max_words allows"
        )
    if any(row.unwritten for row in found):
        say("    actions that are not written yet are taken to have 60 words each")


def totals(all_calls: Whole, cap: int) -> list[str]:
    """Return lines that say what all calls come to.

    Args:
        all_calls: What they come to.
        cap: The configured cap in micro-dollars.
    """
    days = f"{all_calls.batch_rounds:,} rounds of batches of up to a day each"
    hours = f"{all_calls.minutes / 60:,.1f} hours at the configured limits"
    took = [hours] if all_calls.minutes else []
    took += [days] if all_calls.batch_rounds else []
    return [
        f"together {all_calls.calls:,} calls: at most {all_calls.prompt_tokens:,} prompt and "
        f"{all_calls.completion_tokens:,} completion tokens",
        f"together at most {dollars(all_calls.configured_micro)} as configured; the cap is "
        f"{dollars(cap)}",
        f"if all were online {dollars(all_calls.online_micro)}, if all were by batch "
        f"{dollars(all_calls.batch_micro)}",
        f"time: {' and '.join(took) or 'not known, no limit is configured'}",
        f"disk: the ledger grows by at most {all_calls.ledger_bytes / 1e6:,.0f} MB; docs/scale.md "
        "tells what posts take",
    ]


def _expectation(row: Estimate) -> str:
    usage = row.measured
    if usage is None:
        return "expected: not known yet, too few replies of this model are in the ledger"
    return (
        f"expected from {usage.replies:,} replies in the ledger "
        f"({usage.prompt_tokens / usage.replies:,.0f} prompt and "
        f"{usage.completion_tokens / usage.replies:,.0f} completion tokens each, "
        f"{100 * usage.unusable / usage.replies:.1f} % unusable): "
        f"{dollars(row.expected_online_micro)} online, {dollars(row.expected_batch_micro)} by batch"
    )


def _duration(row: Estimate) -> str:
    if row.by_batch:
        return "time: up to a day a round of batches"
    if not row.minutes:
        return "time: not known, no limit is configured"
    if row.minutes < 1:
        return "time: less than a minute at the configured limits, if the provider keeps up"
    return f"time: {row.minutes:,.0f} min at the configured limits, if the provider keeps up"


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
