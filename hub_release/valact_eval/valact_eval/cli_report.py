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
    pairs,
)


def register(app: typer.Typer) -> None:
    """Adds the commands to ``app``."""
    app.command()(report)
    app.command()(compare)
    app.command("by-domain")(by_domain)


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


def compare(
    before: Annotated[Path, typer.Argument(help="Earlier predictions file or folder of `run`.")],
    after: Annotated[Path, typer.Argument(help="Later one, of another run or release.")],
    pair: Annotated[
        list[str] | None, typer.Option(help="BEFORE=AFTER respondents; else those in both.")
    ] = None,
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Say what changed between two runs or releases, and what makes them hard to compare."""
    from valact_eval import compare as comparing
    from valact_eval.stats.estimate import to_json

    found = comparing.compare(before, after, pairs(pair or (), "--pair"), draws, seed)
    print(to_json(found).rstrip() if as_json else "\n".join(comparing.lines(found)))


def by_domain(
    files: Files,
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Print enacted values and the declared-enacted r of each domain; no model is asked."""
    from valact_eval.stats.estimate import to_json
    from valact_eval.stats.text import domain_lines

    found = analysed(Wanted(files, draws=draws, seed=seed)).results
    if as_json:
        print(to_json({one.respondent: one.domains for one in found.respondents}).rstrip())
    else:
        print("\n".join(domain_lines(found)))
