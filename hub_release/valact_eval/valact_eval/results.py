"""From predictions files to results: what ``score``, ``report`` and the first experiments share."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from valact_eval.errors import ValactError
from valact_eval.instrument import NOT_VALIDATED
from valact_eval.predictions import Predictions, read_predictions

if TYPE_CHECKING:
    from valact_eval.stats.analyse import Results
    from valact_eval.stats.respondent import Settings

_LONG = 50_000  # rows above which it takes seconds, and says so

Files = Annotated[
    list[Path], typer.Argument(help="Predictions files (JSONL, Parquet) or folders of `run`.")
]
PeopleOption = Annotated[
    list[Path] | None, typer.Option("--people", help="Predictions of persons; repeatable.")
]
MatchOption = Annotated[
    int | None,
    typer.Option("--match-length", help="Questions a person answered: models are cut to so many."),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option("--group", help="RESPONDENT=GROUP, to compare groups; repeatable."),
]
FamilyOption = Annotated[
    list[str] | None,
    typer.Option("--family", help="RESPONDENT=FAMILY whose options are its own; repeatable."),
]
DrawsOption = Annotated[int, typer.Option("--draws", help="Bootstrap draws, 100 or more.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the bootstrap.")]


@dataclass(frozen=True)
class Wanted:
    """What is to be analysed, as given on the command line."""

    files: Sequence[Path]
    people: Sequence[Path] = ()
    match_length: int | None = None
    groups: Sequence[str] = ()
    families: Sequence[str] = ()
    draws: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class Analysed:
    """Predictions with what was found in them."""

    predictions: Predictions
    results: "Results"

    @property
    def not_validated(self) -> tuple[str, ...]:
        """Names of questionnaires that were used and are not validated."""
        names = self.predictions.answers["instrument"].unique().sort().to_list()
        return tuple(name for name in names if NOT_VALIDATED in name)


def analysed(wanted: Wanted) -> Analysed:
    """Reads the files and analyses them.

    Raises:
        ValactError: a file or an option is bad, or files contradict each other.
    """
    from valact_eval.stats.respondent import Settings

    models = read_predictions(wanted.files)
    people = read_predictions(wanted.people)
    names = _names(people)
    if both := sorted(names & _names(models)):
        raise ValactError(f"--people: {both[0]!r} is also among the other files; name it otherwise")
    # read together, so that what contradicts itself between the files is found
    found = read_predictions([*wanted.files, *wanted.people]) if names else models
    return analysed_tables(
        found,
        Settings(
            people=sorted(names),
            groups=pairs(wanted.groups, "--group") or None,
            families=pairs(wanted.families, "--family") or None,
            match_length=wanted.match_length,
            draws=wanted.draws,
            seed=wanted.seed,
        ),
    )


def analysed_tables(found: Predictions, settings: "Settings | None" = None) -> Analysed:
    """Analyses predictions that are read already."""
    from valact_eval.stats.analyse import analyse  # scipy takes a second to import

    tell = _tell if found.choices.height > _LONG else None
    return Analysed(found, analyse(found.choices, found.answers, settings, tell))


def said(found: Analysed) -> list[str]:
    """The printed report, in lines."""
    from valact_eval.stats.text import lines

    return lines(found.results)


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=OTHER`` options; a name may hold ``=``, what it is set to may not."""
    found: dict[str, str] = {}
    for text in given:
        name, mark, other = text.rpartition("=")
        if not mark or not name or not other:
            raise ValactError(f"{option} {text}: give RESPONDENT=NAME")
        found[name] = other
    return found


def _names(tables: Predictions) -> set[str]:
    columns: list[pl.Series] = [tables.choices["respondent"], tables.answers["respondent"]]
    return {name for column in columns for name in column.unique()}


def _tell(line: str) -> None:
    print(f"valact-eval: {line}", file=sys.stderr, flush=True)
