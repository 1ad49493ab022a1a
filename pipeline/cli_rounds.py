"""What the commands of expert annotation share: their options, the plan, the rounds' folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import BadInputError

if TYPE_CHECKING:
    from pipeline.annotation.gold import KnownItem
    from pipeline.annotation.plan import Plan
    from pipeline.annotation.rounds import Round
    from pipeline.annotation.sample import Population
    from pipeline.config import Config

PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="The annotation's plan (TOML), not annotation.plan.")
]
Folder = Annotated[
    Path | None, typer.Option("--rounds", help="Folder of rounds and reviews: private, and kept.")
]
Number = Annotated[int, typer.Option("--round", min=1, help="Round, from 1.")]
Active = Annotated[
    Path | None, typer.Option(help="File of action ids, one a line, the most wanted first.")
]
Missed = Annotated[
    bool, typer.Option("--missed", help="And the actions that the blind recogniser missed.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


def read_plan(config: Config, file: Path | None) -> tuple[Plan, tuple[KnownItem, ...]]:
    """Return the plan, and the gold items and attention checks that it names."""
    from pipeline.annotation.gold import load_gold
    from pipeline.annotation.plan import load_plan

    plan = load_plan(file or Path(config.annotation.plan))
    return plan, load_gold(Path(plan.checks.gold))


def rounds_folder(config: Config, given: Path | None) -> Path:
    """Return the folder of the annotation: not in the workspace, which can be made again."""
    from pipeline.annotation.store import place_of

    return given or place_of(config)


def drawn_rounds(folder: Path, plan: Plan) -> list[Round]:
    """Return the rounds that were drawn.

    Raises:
        BadInputError: There is none.
    """
    from pipeline.annotation.store import load_rounds

    if rounds := load_rounds(folder, plan):
        return rounds
    raise BadInputError(f"{folder}: no round is drawn; `annotate` or `reviews-form` draws one")


def population_of(config: Config) -> Population:
    """Return the actions of a finished build that can be drawn.

    Raises:
        StageError: It has not got so far.
    """
    from pipeline.annotation.sample import population
    from pipeline.workspace import load_table

    place = Path(config.build.workspace)
    names = ("generate.slots", "generate.actions", "rewrite.scenarios")
    return population(*(load_table(place, name) for name in names))


def draw(
    config: Config, plan_file: Path | None, folder: Path, number: int, active: Path | None,
    missed: bool,
) -> tuple[Plan, Round]:  # fmt: skip
    """Return the plan and a round of it, as it was drawn or drawn now."""
    from pipeline.annotation.draw import open_drawn

    plan, known = read_plan(config, plan_file)
    drawn = open_drawn(
        folder,
        plan,
        number,
        known,
        lambda: population_of(config),
        lambda: [*ids_in(active), *(_missed(config) if missed else [])],
    )
    return plan, drawn


def ids_in(file: Path | None) -> list[str]:
    """Return the action ids of a file, one a line; none without a file.

    Raises:
        BadInputError: It cannot be read.
    """
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file}: {error}; name a file of action ids, one a line") from None
    return [line.strip() for line in lines if line.strip()]


def _missed(config: Config) -> list[str]:
    from pipeline.confusion import missed
    from pipeline.workspace import load_table

    return missed(load_table(Path(config.build.workspace), "recognise.actions"))
