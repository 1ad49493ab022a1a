"""The commands `annotate` and `collect`: experts' work in Label Studio, and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli_options import check_out
from pipeline.errors import BadInputError, StageError
from pipeline.progress import say

if TYPE_CHECKING:
    import polars as pl

    from pipeline.labelstudio.connect import Connection
    from pipeline.labelstudio.route import Routed
    from pipeline.labelstudio.server import Server

FOLDER = Path("annotations/private")
TITLE = "Values in actions"

Items = Annotated[Path, typer.Option(help="Parquet file of the items that experts are given.")]
Opinions = Annotated[
    Path | None, typer.Option(help="Parquet file of earlier opinions, for an adjudication.")
]
Folder = Annotated[Path, typer.Option(help="Keeps database, accounts and raw answers; private.")]
Title = Annotated[str, typer.Option(help="Projects belong together by it; keep it.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Of our own server, on 127.0.0.1.")]
Account = Annotated[
    list[str],
    typer.Option(help="NUMBER=E-MAIL of an expert on a server of yours; repeatable."),
]

_RESTARTS = 3
_STEADY_SECONDS = 60.0


def annotate(
    items: Items,
    opinions: Opinions = None,
    folder: Folder = FOLDER,
    title: Title = TITLE,
    port: Port = 8080,
    once: Annotated[bool, typer.Option("--once", help="Do not keep the server running.")] = False,
) -> None:
    """Give the items to the experts in Label Studio, and serve it until Ctrl-C.

    Running it again makes no task twice. With LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY it uses
    that server, and ends when the tasks are there.
    """
    from pipeline.labelstudio.connect import connect
    from pipeline.labelstudio.route import SETTLE_SECONDS, route

    table, said = read_items(items), read_opinions(opinions)
    experts = experts_of(table)
    with connect(folder, experts, port) as connection:
        settle = 0.0 if connection.server else SETTLE_SECONDS
        routed = route(connection.studio, table, title, folder, said, settle)
        show_routed(routed, connection, folder)
        if connection.server is not None and not once:
            say("serving until Ctrl-C; `make collect` in another window reads the answers")
            serve(connection.server)


def collect(
    items: Items,
    out: Annotated[Path, typer.Option(help="Parquet file to write: the reviews.")],
    opinions: Opinions = None,
    folder: Folder = FOLDER,
    title: Title = TITLE,
    port: Port = 8080,
    account: Account = [],  # noqa: B006 - typer copies it
) -> None:
    """Read every answer from Label Studio; exit status 3 while some are missing."""
    from pipeline.artifacts import write_parquet
    from pipeline.labelstudio import collect as collecting
    from pipeline.labelstudio.connect import connect

    check_out(out)
    table, said = read_items(items), read_opinions(opinions)
    given = accounts_of(account)
    before = collecting.read_reviews(out)
    with connect(folder, port=port) as connection:
        found = collecting.collect(
            connection.studio, table, title, folder / "raw", said, given or connection.emails
        )
    fresh = out.with_name(f".{out.name}.new")
    try:
        write_parquet(found.reviews, fresh)
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)
    for problem in found.problems:
        say(f"    {problem}")
    counts = collecting.changes(before, found.reviews)
    what = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n) or "nothing new"
    say(f"{out}: {found.reviews.height:,} reviews, {what}")
    found.check_complete()


def label_config(
    opinions: Annotated[bool, typer.Option("--opinions", help="As for an adjudication.")] = False,
) -> None:
    """Print the annotation page's configuration, for a project of your own making."""
    from pipeline.labelstudio.check_page import check_page
    from pipeline.labelstudio.page import page

    config = page(opinions=opinions)
    check_page(config, opinions=opinions)
    typer.echo(config)


def read_items(path: Path) -> pl.DataFrame:
    """Read a file of items.

    Raises:
        BadInputError: It is no such table.
    """
    import polars as pl

    from pipeline import schema

    try:
        return schema.check(pl.read_parquet(path), schema.ITEMS, "items")
    except (OSError, TypeError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(f"{path}: not a table of items ({what}); name another") from None


def read_opinions(path: Path | None) -> pl.DataFrame | None:
    """Read a file of opinions.

    Raises:
        BadInputError: It is no such table.
    """
    import polars as pl

    if path is None:
        return None
    columns = ["item_id", "action_id", "first_values", "second_values"]
    try:
        return pl.read_parquet(path, columns=columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(f"{path}: not a table of opinions ({what}); name another") from None


def experts_of(items: pl.DataFrame) -> list[int]:
    """Return the numbers of all experts that items are given to."""
    return sorted(items["experts"].explode().drop_nulls().unique().to_list())


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
