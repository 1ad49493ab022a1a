"""The `ledger` commands: verify, export, why, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_options import DEMO, ConfigFile, LedgerFile
from pipeline.config_file import load
from pipeline.errors import StageError
from pipeline.progress import say

ledger_app = typer.Typer(no_args_is_help=True, help="Look into the ledger of model replies.")


@ledger_app.command("verify")
def ledger_verify(config_file: ConfigFile = DEMO, ledger: LedgerFile = "") -> None:
    """Derive every key and every outcome again from what was recorded."""
    from pipeline.llm.audit import purged_requests, verify_ledger

    path = _path(config_file, ledger)
    requests, attempts, problems = verify_ledger(path)
    for problem in problems[:20]:
        say(problem)
    if problems:
        raise StageError(f"{path}: {len(problems)} problems in {attempts:,} attempts")
    say(f"{path}: {requests:,} requests and {attempts:,} attempts are as recorded")
    purged = purged_requests(path)
    if purged:
        say(f"    {purged:,} of the requests were purged: key, hashes and cost are left of them")


@ledger_app.command("export")
def ledger_export(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    config_file: ConfigFile = DEMO,
    ledger: LedgerFile = "",
) -> None:
    """Write one row an attempt to a Parquet file."""
    from pipeline.llm.audit import export_ledger

    path = _path(config_file, ledger)
    say(f"{out}: {export_ledger(path, out):,} attempts")


@ledger_app.command("why")
def ledger_why(
    key: Annotated[str, typer.Argument(help="Key of a request, or its beginning.")],
    config_file: ConfigFile = DEMO,
    ledger: LedgerFile = "",
) -> None:
    """Say which component of a request differs from the nearest other request."""
    from pipeline.llm.audit import why

    nearest_key, lines = why(_path(config_file, ledger), key)
    say(f"nearest: {nearest_key}")
    for line in lines:
        say(f"    {line}")


@ledger_app.command("merge")
def ledger_merge(
    shards: Annotated[list[Path], typer.Argument(help="Ledgers of shards; only read.")],
    into: Annotated[Path, typer.Option(help="Ledger to write; must not be there yet.")],
) -> None:
    """Make one ledger of several: each request once, spending added up."""
    from pipeline.llm.merge import merge_ledgers
    from pipeline.llm.prices import dollars

    merged = merge_ledgers(shards, into)
    say(f"{into}: {merged.requests:,} requests and {merged.attempts:,} attempts")
    say(f"    {merged.repeated:,} attempts stood in several of the {len(shards)} ledgers")
    money = merged.money
    say(f"    {dollars(money.measured)} measured from usage, {dollars(money.unknown)} lost answers")
    if money.open_requests:
        say(f"    {dollars(money.open)} still reserved by {money.open_requests:,} requests")


def _path(config_file: Path, ledger: str) -> Path:
    return Path(ledger or load(config_file).build.ledger)
