"""Questions of a release as a respondent sees them, and apart from that what stands behind them.

The question is that of the default task: what the respondent would do. Values, generators and the
target are kept out of sight: below the question on a terminal, closed on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.artifacts import unit_interval, write_text
from pipeline.card import letter_rows
from pipeline.dist import TEST, table_paths
from pipeline.errors import BadInputError
from pipeline.escape import escaped, on_one_line
from pipeline.pages import environment

ASKED = "What do you do?"
_NO_TEXT = "(This release holds no texts of posts; `python -m pipeline hydrate` fills them in.)"
_COLUMNS = (
    "question_id",
    "domain",
    "slot",
    "scenario",
    "options",
    "option_values",
    "option_generators",
    "target_value",
)


@dataclass(frozen=True)
class Option:
    """One option of a question.

    Attributes:
        letter: "A" to "D".
        text: The action.
        value: The value it was written for.
        generator: The model that wrote it.
        target: True if a selection or adoption item asks for it.
    """

    letter: str
    text: str
    value: str
    generator: str
    target: bool


@dataclass(frozen=True)
class Question:
    """One question; unseen characters of its texts are spelt out.

    Attributes:
        question_id: Its id.
        facts: Its id, domain and slot, on one line.
        scenario: The situation, or a note that the release holds no texts.
        options: Its four options in letter order.
    """

    question_id: str
    facts: str
    scenario: str
    options: tuple[Option, ...]


def choose(dist: Path, question_id: str = "", count: int | None = None) -> list[Question]:
    """Return the question of this id, or `count` questions, or the first one.

    Args:
        dist: Folder of a release.
        question_id: Id of a question; "" for none in particular.
        count: So many, drawn by a hash of their ids: more are drawn beside the same ones.

    Raises:
        BadInputError: There is no such question, or the table is none of questions.
        StageError: The folder is no release.
    """
    paths = table_paths(dist, "questions")
    path = paths[TEST]
    try:
        parts = [pl.read_parquet(each, columns=list(_COLUMNS)) for each in paths.values()]
        table = pl.concat(parts)
        rows = table.to_dicts()
        questions = {row["question_id"]: row for row in rows}
        if question_id:
            chosen = [questions[question_id]] if question_id in questions else []
        elif count is None:
            chosen = rows[:1]
        else:
            drawn = sorted(questions, key=lambda name: (unit_interval("preview", name), name))
            chosen = [questions[name] for name in drawn[:count]]
        found = [_question(row) for row in chosen]
    except (OSError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"{path}: not a table of questions ({what}); build the release again"
        ) from None
    if not found:
        raise BadInputError(f"{on_one_line(question_id) or 'question'}: no such question in {path}")
    return found


def _question(row: dict[str, Any]) -> Question:
    options = tuple(
        Option(
            letter=letter,
            text=on_one_line(text),
            value=on_one_line(value),
            generator=on_one_line(generator),
            target=value == row["target_value"],
        )
        for letter, text, value, generator in letter_rows(row)
    )
    return Question(
        question_id=on_one_line(row["question_id"]),
        facts=on_one_line(f"{row['question_id']} · {row['domain']} · slot {row['slot']}"),
        scenario=escaped(row["scenario"]) or _NO_TEXT,
        options=options,
    )


def print_question(question: Question, console: Console) -> None:
    """Print a question as a respondent sees it, then what stands behind its options."""
    # Text, not markup: a post that holds "[red]" is shown, not obeyed.
    console.print(Text(question.facts, "dim"))
    console.print(Padding(Text(question.scenario), (1, 2)))
    console.print(Text(ASKED, "bold"))
    table = Table(show_header=False, box=None, padding=(0, 1))
    for option in question.options:
        table.add_row(Text(option.letter, "bold"), Text(option.text))
    console.print(Padding(table, (0, 2)))
    console.print(Text("\nBehind the options (a respondent does not see this):", "dim"))
    for option in question.options:
        target = " · target" if option.target else ""
        behind = f"{option.letter}  {option.value} · {option.generator}{target}"
        console.print(Padding(Text(behind, "dim"), (0, 2, 0, 3)))
    console.print()


def write_page(questions: Sequence[Question], path: Path) -> None:
    """Write a page with these questions; it needs no other file and runs no script."""
    page = environment().get_template("preview.html.j2")
    write_text(page.render(questions=questions, asked=ASKED), path)
