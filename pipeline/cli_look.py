"""The commands `trace` and `preview`: where an item came from, and what a respondent sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.cli_options import (
    DEMO,
    ConfigFile,
    Dist,
    LedgerFile,
    Source,
    Workspace,
    check_out,
    read_config,
)
from pipeline.errors import BadInputError
from pipeline.progress import say


def trace(
    item: Annotated[
        str,
        typer.Argument(help="Id of a question, option, scenario or post, or FILE:LINE."),
    ],
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    ledger: LedgerFile = "",
    full: Annotated[bool, typer.Option("--full", help="Cut no text.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as data; no text is cut.")
    ] = False,
) -> None:
    """Print the way back from an id to the source line and the model calls behind it."""
    from pipeline.trace import trace as find
    from pipeline.trace.view import print_trace

    found = find(read_config(config_file, source, workspace=workspace, ledger=ledger), item)
    if as_json:
        # In ASCII, so that no control character reaches a terminal.
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_trace(found, Console(), full=full)


def preview(
    question: Annotated[str, typer.Argument(help="Question id; the first if left out.")] = "",
    config_file: ConfigFile = DEMO,
    dist: Dist = "",
    count: Annotated[
        int | None, typer.Option(min=1, help="So many questions, drawn by a hash of their ids.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="HTML page to write instead.")] = None,
) -> None:
    """Show questions of the release as a respondent sees them."""
    from pipeline.preview import choose, print_question, write_page

    if question and count is not None:
        raise BadInputError(f"{question}: give a question id or --count, not both")
    check_out(html)
    place = Path(read_config(config_file, dist=dist).build.dist)
    questions = choose(place, question, count)
    if html is None:
        console = Console()
        for chosen in questions:
            print_question(chosen, console)
        return
    write_page(questions, html)
    n = len(questions)
    say(f"{html}: {n:,} question{'s' if n != 1 else ''} of {place}")
