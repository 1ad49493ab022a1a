"""The commands of what an annotation will give and cost, and of what its reviews say."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli_options import DEMO, ConfigFile, Sets, Source, Workspace, read_config
from pipeline.cli_rounds import (
    AsJson,
    Folder,
    PlanFile,
    drawn_rounds,
    ids_in,
    population_of,
    read_plan,
    rounds_folder,
)
from pipeline.errors import StageError, WaitingError
from pipeline.progress import say

if TYPE_CHECKING:
    import polars as pl

    from pipeline.annotation.findings import Findings
    from pipeline.annotation.plan import Plan
    from pipeline.annotation.precision import Effort, Width


def annotation_plan(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Say how wide the intervals will be, and what the rounds take in hours and money."""
    from pipeline.annotation import precision, store
    from pipeline.annotation.sample import planned_population

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, known = read_plan(config, plan_file)
    place = rounds_folder(config, folder)
    drawn = {each.number: each for each in store.load_rounds(place, plan)}
    reviews = store.load_reviews(place)
    try:
        people = population_of(config)
    except StageError:  # not built yet: what the configuration asks for
        people = planned_population(
            list(config.domains), config.select.scenarios, config.generate.generators
        )
    told = []
    for number in range(1, len(plan.rounds) + 1):
        if number in drawn:
            sealed = drawn[number].sealed.filter(kind="sample")
            effort = precision.effort(plan, drawn[number].items, reviews)
            widths = precision.widths(plan, sealed.height, sealed["scenario_id"].n_unique())
        else:
            effort, widths = precision.forecast(plan, number, people, known, reviews)
        told.append((number, number in drawn, effort, widths))
    scenarios = sum(map(len, people.domains.values()))
    if as_json:
        rows = [
            {
                "round": number,
                "drawn": is_drawn,
                "effort": dataclasses.asdict(effort),
                "widths": [dataclasses.asdict(width) for width in widths],
            }
            for number, is_drawn, effort, widths in told
        ]
        typer.echo(json.dumps({"scenarios": scenarios, "rounds": rows}))
        return
    say(f"{plan.file}: {plan.experts} experts, {plan.overlap} an item; {scenarios:,} scenarios")
    for number, is_drawn, effort, widths in told:
        _say_round(plan, number, is_drawn, effort, widths)


def _say_round(
    plan: Plan, number: int, is_drawn: bool, effort: Effort, widths: list[Width]
) -> None:
    items = ", ".join(f"{kind} {n:,}" for kind, n in effort.items.items())
    say(f"round {number} ({'drawn' if is_drawn else 'to be drawn'}): items: {items}")
    for width in widths:
        label = "accuracy, all" if width.group == "all" else "accuracy, a value"
        say(
            f"    {label:<18} +/- {100 * width.half_width:.1f} points: {width.reviews:,} reviews "
            f"of {width.actions:,} actions, {plan.expected.accuracy:.1%} assumed, design effect "
            f"{width.design_effect:.2f} (+/- {100 * width.independent:.1f} if independent)"
        )
    known = effort.measured_items
    times = f"mean of {known:,} items so far" if known else "assumed"
    say(
        f"    {effort.sittings:,} items to answer, {effort.reviews:,} reviews: "
        f"{effort.hours:.1f} hours, {effort.cost:,.0f} {plan.expected.currency} "
        f"({effort.seconds_per_item:.0f} s an item, {times})"
    )


def adjudicate(
    repaired: Annotated[
        Path | None, typer.Option(help="File of action ids that count as written again.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report; else report/ beside the rounds.")
    ] = None,
    so_far: Annotated[bool, typer.Option("--so-far", help="Do not wait for all reviews.")] = False,
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Say what the reviews say: accuracy, agreement, decisions; write a report."""
    from pipeline.annotation import answers, store
    from pipeline.annotation.findings import judge
    from pipeline.annotation.page import write_page
    from pipeline.annotation.rounds import all_items
    from pipeline.artifacts import write_json, write_text
    from pipeline.workspace import load_table

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, _ = read_plan(config, plan_file)
    place = rounds_folder(config, folder)
    rounds, reviews = drawn_rounds(place, plan), store.load_reviews(place)
    state = answers.progress(all_items(rounds), reviews, plan.excluded)
    if state.left and not so_far:
        raise WaitingError(f"{state.line}; --so-far shows what is there")
    found = judge(
        plan,
        rounds,
        reviews,
        load_table(Path(config.build.workspace), "generate.actions"),
        repaired=ids_in(repaired),
        rule_changes=store.rule_changes(place, plan, plan.expert_checked.round),
    )
    target = out or place / "report"
    write_page(found, target / "report.html", config.build.name)
    write_json(found.as_json(), target / "figures.json")
    write_text(_decisions_csv(found.decisions), target / "decisions.csv")
    if as_json:
        typer.echo(json.dumps(found.as_json()))
        return
    _say_findings(found)
    say(f"report: {target / 'report.html'}")


def _decisions_csv(decisions: pl.DataFrame) -> str:
    from pipeline.annotation.csv_forms import cell

    out = io.StringIO()
    writer = csv.DictWriter(out, decisions.columns, lineterminator="\n")
    writer.writeheader()
    for row in decisions.iter_rows(named=True):
        told: dict[str, Any] = {"reasons": "; ".join(row["reasons"]), "notes": cell(row["notes"])}
        writer.writerow(row | told)
    return out.getvalue()


def _say_findings(found: Findings) -> None:
    level = f"{found.plan.intervals.confidence:.0%}"
    for row in found.accuracy.filter(group="all").iter_rows(named=True):
        ends = "" if row["low"] is None else f" ({level}: {row['low']:.1%} to {row['high']:.1%})"
        say(
            f"round {row['round']}, {row['kind']}: accuracy {row['accuracy']:.1%}{ends}, "
            f"{row['reviews']:,} reviews; first or second choice {row['either']:.1%}"
        )
    for row in found.accuracy.filter(kind="sample", group="value").iter_rows(named=True):
        say(
            f"    {row['level']:<16} {row['accuracy']:>6.1%}  {row['low']:.1%} to {row['high']:.1%}"
        )
    for row in found.alpha.iter_rows(named=True):
        shown = "not defined" if row["alpha"] is None else f"{row['alpha']:.3f}"
        ends = "" if row["low"] is None else f" ({level}: {row['low']:.3f} to {row['high']:.3f})"
        say(f"round {row['round']}, {row['kind']}: Krippendorff's alpha {shown}{ends}")
    for row in found.experts.iter_rows(named=True):
        gold = "none" if row["gold_accuracy"] is None else f"{row['gold_accuracy']:.1%}"
        seconds = row["median_seconds"]
        say(
            f"    {row['annotator']}: {row['submitted']:,} reviews, gold {gold}, attention "
            f"{row['attention_passed']} of {row['attention']}"
            + ("" if seconds is None else f", median {seconds:.0f} s an item")
            + ("" if row["counted"] else " (left out)")
        )
    counts = dict(found.decisions.group_by("decision").len().iter_rows())
    told = ", ".join(f"{name} {counts.get(name, 0):,}" for name in ("accept", "regenerate", "drop"))
    say(f"actions: {told}")
    for change in found.rule_changes:
        say(f"warning: the rule was changed after the round was drawn: {change}")
    say(found.state.line)
    say("expert-checked: " + ("yes" if found.verdict.allowed else "no"))
    for reason in found.verdict.reasons:
        say(f"    {reason}")
    if found.verdict.figure:
        say(found.verdict.figure)
