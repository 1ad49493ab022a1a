"""The `batches` command: how a build's batches stand, and giving one up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli_options import DEMO, ConfigFile, LedgerFile, Sets, read_config
from pipeline.errors import BadInputError
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.llm.batch_book import Batch


def batches(
    config_file: ConfigFile = DEMO,
    ledger: LedgerFile = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    abandon: Annotated[int, typer.Option(help="Give up this batch; counts as charged.")] = 0,
) -> None:
    """List the batches that the ledger knows; the build itself looks after them."""
    from pipeline.llm.batch import BatchLane
    from pipeline.llm.batch_book import BatchBook
    from pipeline.llm.ledger import Ledger
    from pipeline.llm.purse import Purse

    config = read_config(config_file, ledger=ledger, sets=sets)
    path = Path(config.build.ledger)
    if not path.is_file():
        raise BadInputError(f"{path}: no such ledger; name one by --ledger")
    with Ledger(path) as opened:
        book = BatchBook(opened)
        found = {batch.id: batch for batch in book.all()}
        if not abandon:
            _print(list(found.values()))
            return
        if abandon not in found:
            raise BadInputError(f"{path}: no batch {abandon}; `python -m pipeline batches` lists")
        batch = found[abandon]
        if batch.closed:
            raise BadInputError(f"batch {batch.id} is closed already ({batch.closed})")
        if batch.model not in config.models:
            raise BadInputError(f"{config.file}: models.{batch.model}: not there; name its file")
        purse = Purse(opened, config.models, config.budget)
        BatchLane(batch.model, config.models[batch.model], opened, purse).abandon(batch)
    say(f"batch {batch.id} is given up; its {batch.items:,} requests count as charged")


def _print(found: list[Batch]) -> None:
    table = Table(title="Batches", title_justify="left")
    for column in ("batch", "model", "requests", "provider's id", "state"):
        table.add_column(column)
    for batch in found:
        state = batch.closed or ("on its way" if batch.handle else "not submitted yet")
        row = (str(batch.id), batch.model, f"{batch.items:,}", batch.handle, state)
        table.add_row(*map(Text, row))
    Console().print(table)
