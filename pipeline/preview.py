"""A built question as a respondent sees it, and what stands behind its options."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.card import letter_rows
from pipeline.dist import table_path
from pipeline.errors import BadInputError


def preview(dist: Path, question_id: str, console: Console) -> None:
    """Print one question of a release; the first one if `question_id` is empty.

    Raises:
        BadInputError: There is no release, or no such question in it.
    """
    path = table_path(dist, "questions")
    questions = pl.read_parquet(path)
    found = questions.filter(question_id=question_id) if question_id else questions.head(1)
    if not found.height:
        raise BadInputError(f"{question_id}: no such question in {path}")
    row = found.row(0, named=True)
    # Text, not markup: a post that holds "[red]" or an escape sequence is shown, not obeyed.
    console.print(Text(f"{row['question_id']} · {row['domain']} · slot {row['slot']}", "dim"))
    console.print(Padding(Text(row["scenario"]), (1, 2)))
    console.print(Text("What do you do?", "bold"))
    table = Table(show_header=False, box=None, padding=(0, 1))
    for letter, text, value, generator in letter_rows(row):
        target = " · target" if value == row["target_value"] else ""
        table.add_row(
            Text(letter, "bold"), Text(text), Text(f"{value} · {generator}{target}", "dim")
        )
    console.print(Padding(table, (0, 2)))
