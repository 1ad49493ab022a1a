"""The commands of annotation by CSV: forms, what comes back, and texts that must be forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_options import DEMO, ConfigFile, Sets, Source, Workspace, read_config
from pipeline.cli_rounds import (
    Active,
    AsJson,
    Folder,
    Missed,
    Number,
    PlanFile,
    draw,
    drawn_rounds,
    read_plan,
    rounds_folder,
)
from pipeline.errors import BadInputError
from pipeline.progress import say


def reviews_form(
    out: Annotated[Path, typer.Option(help="Folder for one CSV an expert.")],
    number: Number = 1,
    active: Active = None,
    missed: Missed = False,
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
) -> None:
    """Draw a round and write a blind CSV to fill in for each expert; a drawn round stays."""
    from pipeline.annotation import csv_forms

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    place = rounds_folder(config, folder)
    plan, drawn = draw(config, plan_file, place, number, active, missed)
    for note in drawn.notes:
        say(f"warning: {note}")
    for path in csv_forms.write_forms(out, drawn.items, drawn.opinions, plan.seed):
        say(f"{path}")
    say(f"round {number}: {drawn.items.height:,} items, kept in {place}")


def reviews_import(
    files: Annotated[list[Path], typer.Argument(help="Filled-in CSV files.")],
    updated: Annotated[
        str, typer.Option(help="When rows without updated_utc were written (ISO 8601).")
    ] = "",
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Read reviews from CSV: all of the files, or nothing if a row is wrong."""
    from pipeline.annotation import answers, csv_reviews, store
    from pipeline.annotation.rounds import all_items

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, _ = read_plan(config, plan_file)
    place = rounds_folder(config, folder)
    items = all_items(drawn_rounds(place, plan))
    try:
        when = csv_reviews.parse_time(updated) if updated else None
    except ValueError:
        raise BadInputError(f"--updated {updated}: write 2026-01-31T12:00:00Z") from None
    reviews = store.load_reviews(place)
    before, read, empty, replaced = reviews.height, 0, 0, 0
    for file in files:
        found = csv_reviews.read_reviews(file, items, plan, when)
        reviews, changed = answers.merge(reviews, found.reviews)
        read += found.reviews.height
        empty += found.empty
        replaced += found.replaced + changed
    state = answers.progress(items, reviews, plan.excluded)
    store.save_reviews(place, reviews)
    counts = {
        "read": read,
        "new": reviews.height - before,
        "replaced": replaced,
        "empty": empty,
        "expected": state.expected,
        "done": state.done,
        "left": dict(state.left),
    }
    if as_json:
        typer.echo(json.dumps(counts))
        return
    say(f"{read:,} reviews read, {counts['new']:,} of them new; {empty:,} rows are not filled in")
    if replaced:
        say(f"{replaced:,} reviews were replaced by newer ones of the same expert and action")
    say(state.line)


def annotation_forget(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario ids, as `sync` names them.")],
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
) -> None:
    """Blank the texts of scenarios whose posts are gone; ids, claims and reviews stay."""
    from pipeline.annotation import store

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, _ = read_plan(config, plan_file)
    count = store.forget_texts(rounds_folder(config, folder), plan, scenarios)
    say(f"{count:,} items lost their text; forms and Label Studio hold copies of their own")
