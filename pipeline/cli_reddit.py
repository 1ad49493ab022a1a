"""The `sweep` command and what it prints."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.cli_options import DEMO, ConfigFile, Sets, read_config
from pipeline.progress import say, task

if TYPE_CHECKING:
    from pipeline.sources.sweep import Report, Row

_ENDS = {
    "": "not finished",
    "complete": "complete",
    "near_1000": "1,000 end",
    "max_per_listing": "max_per_listing",
}


def sweep(
    config_file: ConfigFile = DEMO,
    sets: Sets = [],  # noqa: B006 - typer copies it
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove earlier posts; begin anew.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Ask finished listings again.")] = False,
    retry_unavailable: Annotated[
        bool, typer.Option("--retry-unavailable", help="Ask for what was not shown.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read listings of subreddits from Reddit's Data API into a dump; see docs/reddit.md.

    The same command goes on where a killed sweep was; add --fresh or --again only the first time.
    """
    from pipeline.sources.sweep import opened

    config = read_config(config_file, sets=sets)
    with opened(config, fresh=fresh) as it:
        try:
            if as_json:
                it.run(lambda _: None, again=again, retry_unavailable=retry_unavailable)
            else:
                with task("pages", total=0) as bar:
                    it.run(
                        lambda row: bar.advance(
                            note=f"r/{row.subreddit} {row.listing}: {row.items:,} items"
                        ),
                        again=again,
                        retry_unavailable=retry_unavailable,
                    )
        finally:
            found = it.report()
            if as_json:
                say(json.dumps(_plain(found), indent=2))
            else:
                _show(found, config_file, bool(it.reddit.author_key), config.source.author_key_env)


def _show(found: Report, config_file: Path, hashed: bool, key_variable: str) -> None:
    if sys.stdout.isatty():
        table = Table(title="Sweep", title_justify="left")
        for name in ("subreddit", "listing"):
            table.add_column(name)
        for name in ("items", "new"):
            table.add_column(name, justify="right")
        for name in ("oldest", "newest", "end"):
            table.add_column(name)
        for row in found.rows:
            table.add_row(*_cells(row))
        Console().print(table)
    else:
        for row in found.rows:
            name, listing, items, new, oldest, newest, end = _cells(row)
            say(f"{name} {listing}: {items} items, {new} new, {oldest} to {newest}, {end}")
    _show_sums(found, config_file)
    if not hashed:
        say(f"{key_variable} is not set: no hashes of authors are kept")


def _show_sums(found: Report, config_file: Path) -> None:
    ends = [row.progress.end for row in found.rows]
    say(f"{found.out}: {found.posts:,} posts, {found.added:,} added by {found.requests:,} requests")
    if full := ends.count("near_1000"):
        say(
            f"{full} of {len(ends)} listings ended near 1,000 items: there may be older posts that "
            "Reddit does not list"
        )
    hidden: dict[str, str] = {}
    for row in found.rows:
        if row.progress.end == "unavailable":
            hidden.setdefault(f"r/{row.progress.subreddit}", row.progress.reason)
    if hidden:
        say("unavailable: " + ", ".join(f"{name} ({reason})" for name, reason in hidden.items()))
    if "" in ends:
        say(f"{ends.count('')} of {len(ends)} listings are not finished; the same command goes on")
    elif found.posts:
        say(
            f"build from it: python -m pipeline build --config {config_file} --source {found.out} "
            "--set source.html_escaped=false"
        )


def _cells(row: Row) -> tuple[str, ...]:
    it = row.progress
    return (
        f"r/{it.subreddit}",
        it.listing,
        f"{it.items:,}",
        f"{row.new:,}",
        _date(it.oldest) or "-",
        _date(it.newest) or "-",
        _ENDS.get(it.end, f"unavailable: {it.reason}"),
    )


def _plain(found: Report) -> dict[str, Any]:
    listings = [
        {
            "subreddit": row.progress.subreddit,
            "listing": row.progress.listing,
            "items": row.progress.items,
            "new": row.new,
            "oldest": _date(row.progress.oldest),
            "newest": _date(row.progress.newest),
            "end": row.progress.end or None,
            "reached_1000": row.progress.end == "near_1000",
            "reason": row.progress.reason or None,
        }
        for row in found.rows
    ]
    return {
        "out": str(found.out),
        "posts": found.posts,
        "added": found.added,
        "requests": found.requests,
        "listings": listings,
    }


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d}"
