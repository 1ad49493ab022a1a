"""Commands that read finished predictions: ``report``, ``compare``, ``by-domain``."""

from pathlib import Path
from typing import Annotated

import typer

from valact_eval.results import (
    DrawsOption,
    FamilyOption,
    Files,
    GroupOption,
    MatchOption,
    PeopleOption,
    SeedOption,
    Wanted,
    analysed,
)


def register(app: typer.Typer) -> None:
    """Adds the commands to ``app``."""
    app.command()(report)


def report(
    files: Files,
    html: Annotated[Path, typer.Option(help="Folder for index.html, csv/ and figures/.")],
    people: PeopleOption = None,
    match_length: MatchOption = None,
    group: GroupOption = None,
    family: FamilyOption = None,
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
) -> None:
    """Write one page with all tables and figures of predictions; no model is asked."""
    found = analysed(
        Wanted(files, people or (), match_length, group or (), family or (), draws, seed)
    )
    from valact_eval.page import write_report  # matplotlib takes a second to import

    print(write_report(html, found))
