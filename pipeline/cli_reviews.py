"""The commands of expert annotation: what it will give and cost, forms, reviews, what they say."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli_options import DEMO, ConfigFile, Sets, Source, Workspace, read_config
from pipeline.errors import BadInputError, StageError, WaitingError
from pipeline.progress import say

if TYPE_CHECKING:
    import polars as pl

    from pipeline.annotation.findings import Findings
    from pipeline.annotation.gold import KnownItem
    from pipeline.annotation.plan import Plan
    from pipeline.annotation.precision import Effort, Width
    from pipeline.annotation.sample import Population
    from pipeline.config import Config

PlanFile = Annotated[Path, typer.Option("--plan", help="The annotation's plan (TOML).")]
Folder = Annotated[
    Path | None, typer.Option("--rounds", help="Folder of rounds and reviews: private, and kept.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
PLAN = Path("annotations/plan.toml")


def annotation_plan(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = PLAN,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Say how wide the intervals will be, and what the rounds take in hours and money."""
    from pipeline.annotation import precision, store
    from pipeline.annotation.sample import planned_population

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, known = _plan(plan_file)
    place = _folder(config, folder)
    drawn = {each.number: each for each in store.load_rounds(place, plan)}
    reviews = store.load_reviews(place)
    try:
        people = _population(config)
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


def reviews_form(
    out: Annotated[Path, typer.Option(help="Folder for one CSV an expert.")],
    number: Annotated[int, typer.Option("--round", min=1, help="Round, from 1.")] = 1,
    active: Annotated[
        Path | None, typer.Option(help="File of action ids, one a line, the most wanted first.")
    ] = None,
    missed: Annotated[
        bool, typer.Option("--missed", help="And the actions that the blind recogniser missed.")
    ] = False,
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = PLAN,
    folder: Folder = None,
) -> None:
    """Draw a round and write a blind CSV to fill in for each expert; a drawn round stays."""
    from pipeline.annotation import csv_reviews, store
    from pipeline.annotation.rounds import draw_round

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, known = _plan(plan_file)
    place = _folder(config, folder)
    earlier = [each for each in store.load_rounds(place, plan) if each.number < number]
    if len(earlier) < number - 1:
        raise BadInputError(f"round {number}: draw round {len(earlier) + 1} first")
    drawn = store.open_round(
        place,
        plan,
        number,
        lambda: draw_round(
            plan,
            number,
            _population(config),
            known,
            earlier=earlier,
            reviews=store.load_reviews(place),
            named=[*_ids(active), *(_missed(config) if missed else [])],
        ),
    )
    for note in drawn.notes:
        say(f"warning: {note}")
    for path in csv_reviews.write_forms(out, drawn.items, drawn.opinions, plan.seed):
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
    plan_file: PlanFile = PLAN,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Read reviews from CSV: all of the files, or nothing if a row is wrong."""
    from pipeline.annotation import answers, csv_reviews, store
    from pipeline.annotation.rounds import all_items

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, _ = _plan(plan_file)
    place = _folder(config, folder)
    rounds = store.load_rounds(place, plan)
    if not rounds:
        raise BadInputError(f"{place}: no round is drawn; `reviews-form` draws one")
    items = all_items(rounds)
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
    plan_file: PlanFile = PLAN,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Say what the reviews say: accuracy, agreement, decisions; write a report."""
    from pipeline.annotation import answers, store
    from pipeline.annotation.findings import judge
    from pipeline.annotation.page import write_page
    from pipeline.annotation.rounds import all_items
    from pipeline.artifacts import write_json, write_text
    from pipeline.build import load_table

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, _ = _plan(plan_file)
    place = _folder(config, folder)
    rounds, reviews = store.load_rounds(place, plan), store.load_reviews(place)
    if not rounds:
        raise BadInputError(f"{place}: no round is drawn; `reviews-form` draws one")
    state = answers.progress(all_items(rounds), reviews, plan.excluded)
    if state.left and not so_far:
        raise WaitingError(f"{state.line}; --so-far shows what is there")
    found = judge(
        plan,
        rounds,
        reviews,
        load_table(Path(config.build.workspace), "generate.actions"),
        repaired=_ids(repaired),
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


def annotation_forget(
    scenarios: Annotated[list[str], typer.Argument(help="Scenario ids, as `sync` names them.")],
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    plan_file: PlanFile = PLAN,
    folder: Folder = None,
) -> None:
    """Blank the texts of scenarios whose posts are gone; ids, claims and reviews stay."""
    from pipeline.annotation import store

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    plan, _ = _plan(plan_file)
    count = store.forget_texts(_folder(config, folder), plan, scenarios)
    say(f"{count:,} items lost their text; forms and Label Studio hold copies of their own")


def _plan(file: Path) -> tuple[Plan, tuple[KnownItem, ...]]:
    from pipeline.annotation.gold import load_gold
    from pipeline.annotation.plan import load_plan

    plan = load_plan(file)
    return plan, load_gold(Path(plan.checks.gold))


def _folder(config: Config, given: Path | None) -> Path:
    """Return the folder of the annotation: not in the workspace, which can be made again."""
    return given or Path("annotations/rounds") / Path(config.build.workspace).name


def _population(config: Config) -> Population:
    from pipeline.annotation.sample import population
    from pipeline.build import load_table

    place = Path(config.build.workspace)
    names = ("generate.slots", "generate.actions", "rewrite.scenarios")
    return population(*(load_table(place, name) for name in names))


def _missed(config: Config) -> list[str]:
    from pipeline.build import load_table
    from pipeline.confusion import missed

    return missed(load_table(Path(config.build.workspace), "recognise.actions"))


def _ids(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file}: {error}; name a file of action ids, one a line") from None
    return [line.strip() for line in lines if line.strip()]


def _decisions_csv(decisions: pl.DataFrame) -> str:
    from pipeline.annotation.csv_reviews import cell

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
