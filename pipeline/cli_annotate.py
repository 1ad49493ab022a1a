"""The commands `annotate` and `collect`: experts' work in Label Studio, and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli_options import DEMO, ConfigFile, Sets, Source, Workspace, read_config
from pipeline.cli_rounds import (
    Active,
    Folder,
    Missed,
    Number,
    PlanFile,
    draw,
    drawn_rounds,
    read_plan,
    rounds_folder,
)
from pipeline.errors import BadInputError, StageError, WaitingError
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.labelstudio.connect import Connection
    from pipeline.labelstudio.route import Routed
    from pipeline.labelstudio.server import Server
    from pipeline.labelstudio.work import Office

ServerFolder = Annotated[
    Path | None,
    typer.Option("--server", help="Keeps database, accounts and raw answers; private."),
]
Title = Annotated[str, typer.Option(help="Projects belong together by it; keep it.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Of our own server, on 127.0.0.1.")]
Account = Annotated[
    list[str],
    typer.Option(help="NUMBER=E-MAIL of an expert on a server of yours; repeatable."),
]

_RESTARTS = 3
_STEADY_SECONDS = 60.0


def annotate(
    number: Number = 1,
    active: Active = None,
    missed: Missed = False,
    once: Annotated[bool, typer.Option("--once", help="Do not keep the server running.")] = False,
    title: Title = "",
    port: Port = 0,
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
    server: ServerFolder = None,
) -> None:
    """Draw a round, give it to the experts in Label Studio, and serve their pages until Ctrl-C.

    A drawn round stays, and no task is made twice. With LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY
    it uses that server, and ends when the tasks are there.
    """
    from pipeline.annotation import store
    from pipeline.labelstudio.work import give

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    office = _office(config, folder, server, title, port)
    plan, drawn = draw(config, plan_file, office.rounds, number, active, missed)
    for note in drawn.notes:
        say(f"warning: {note}")
    rounds = store.load_rounds(office.rounds, plan)
    with office.connect(rounds) as connection:
        show_routed(give(connection, office, rounds), connection, office.server)
        if connection.server is not None and not once:
            say("serving until Ctrl-C; `make collect` in another window reads the answers")
            serve(connection.server)


def collect(
    account: Account = [],  # noqa: B006 - typer copies it
    title: Title = "",
    port: Port = 0,
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
    server: ServerFolder = None,
) -> None:
    """Read every answer from Label Studio; exit status 3 while some are missing."""
    from pipeline.labelstudio.work import take

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    office = _office(config, folder, server, title, port)
    plan, _ = read_plan(config, plan_file)
    emails = accounts_of(account)
    rounds = drawn_rounds(office.rounds, plan)
    with office.connect() as connection:
        taken = take(connection, office, plan, rounds, emails)
    for problem in taken.problems:
        say(f"    {problem}")
    what = ", ".join(f"{n:,} {name}" for name, n in taken.counts.items() if n) or "nothing new"
    say(f"{taken.reviews.height:,} reviews in {office.rounds}, {what}")
    if taken.state.left:
        raise WaitingError(taken.state.line)
    say(taken.state.line)


def label_config(
    opinions: Annotated[bool, typer.Option("--opinions", help="As for an adjudication.")] = False,
) -> None:
    """Print the annotation page's configuration, for a project of your own making."""
    from pipeline.labelstudio.check_page import check_page
    from pipeline.labelstudio.page import page

    config = page(opinions=opinions)
    check_page(config, opinions=opinions)
    typer.echo(config)


def _office(
    config: Config, folder: Path | None, server: Path | None, title: str, port: int
) -> Office:
    from pipeline.labelstudio.work import Office

    chosen = config.annotation
    return Office(
        rounds_folder(config, folder), server or Path(chosen.server), title, port or chosen.port
    )


def accounts_of(options: list[str]) -> dict[int, str]:
    """Return experts' e-mail addresses by number.

    Raises:
        BadInputError: One is not NUMBER=E-MAIL.
    """
    found: dict[int, str] = {}
    for option in options:
        number, _, email = option.partition("=")
        if not number.isdecimal() or "@" not in email:
            raise BadInputError(f"--account {option}: write it as 1=name@place.org")
        found[int(number)] = email
    return found


def show_routed(routed: list[Routed], connection: Connection, folder: Path) -> None:
    """Print where each expert goes."""
    from pipeline.labelstudio.accounts import FILE

    for each in routed:
        for note in each.notes:
            say(f"    {note}")
        more = f", {each.removed:,} removed" if each.removed else ""
        tasks = f"{len(each.desk.items):,} tasks ({each.added:,} new{more})"
        email = connection.emails.get(each.desk.expert, "")
        who = f" as {email}" if email else ""
        say(f"{each.desk.name()}: {tasks}: {each.url}{who}")
    if connection.emails:
        say(f"passwords, also that of manager@valact.local, stand in {folder / FILE}")


def serve(server: Server) -> None:
    """Keep the server running until Ctrl-C; start it again if it dies.

    Raises:
        StageError: It dies again and again.
    """
    deaths: list[float] = []
    try:
        while True:
            time.sleep(0.5)
            if server.exit_status is None:
                continue
            now = time.monotonic()
            deaths = [*(each for each in deaths if now - each < _STEADY_SECONDS), now]
            if len(deaths) > _RESTARTS:
                raise StageError("Label Studio dies again and again; its server.log says why")
            say(f"    Label Studio ended with status {server.exit_status}; starting it again")
            server.start()
    except KeyboardInterrupt:
        say("stopped; all answers are kept, and the same command goes on")
