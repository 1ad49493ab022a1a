"""The commands. Each reads a configuration, calls one function and prints what came of it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_actions import check_actions
from pipeline.cli_annotate import annotate, collect, label_config
from pipeline.cli_batches import batches
from pipeline.cli_dedup import dedup, dedup_review
from pipeline.cli_findings import adjudicate, annotation_plan
from pipeline.cli_ledger import ledger_app
from pipeline.cli_look import preview, trace
from pipeline.cli_options import (
    DEMO,
    ConfigFile,
    Dist,
    EngineName,
    LedgerFile,
    Limit,
    Scenarios,
    Sets,
    Source,
    Workspace,
    read_config,
    with_engine,
)
from pipeline.cli_publish import publish, take_back
from pipeline.cli_recheck import check_publish, hydrate, sync
from pipeline.cli_reddit import sweep
from pipeline.cli_reviews import annotation_forget, reviews_form, reviews_import
from pipeline.cli_screen import screen
from pipeline.cli_sources import ingest
from pipeline.config import Config
from pipeline.errors import BadInputError, nearest
from pipeline.progress import say

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Builds VALACT-15K: posts in, a release that datasets.load_dataset opens out.",
)

app.add_typer(ledger_app, name="ledger")
app.command("check-actions")(check_actions)
app.command()(annotate)
app.command()(collect)
app.command("label-config")(label_config)
app.command()(batches)
app.command()(screen)
app.command()(dedup)
app.command("dedup-review")(dedup_review)
app.command()(sync)
app.command()(hydrate)
app.command("check-publish")(check_publish)
app.command()(publish)
app.command("take-back")(take_back)
app.command()(sweep)
app.command()(ingest)
app.command("annotation-plan")(annotation_plan)
app.command("reviews-form")(reviews_form)
app.command("reviews-import")(reviews_import)
app.command()(adjudicate)
app.command("annotation-forget")(annotation_forget)
app.command()(trace)
app.command()(preview)


@app.command()
def build(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    scenarios: Scenarios = 0,
    limit: Limit = 0,
    workspace: Workspace = "",
    ledger: LedgerFile = "",
    dist: Dist = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    until: Annotated[str, typer.Option(help="Last stage to run.")] = "",
    force_from: Annotated[str, typer.Option("--from", help="Run again from this stage.")] = "",
    replay_only: Annotated[bool, typer.Option(help="Ask no model: ledger only.")] = False,
    engine: EngineName = "",
) -> None:
    """Build the dataset: run every stage whose inputs, settings or code have changed."""
    from pipeline import build as runner
    from pipeline import show

    config = read_config(config_file, source, scenarios, limit, workspace, ledger, dist, sets)
    config = with_engine(config, engine)
    _known_stages(config, until, force_from)
    say(f"building {config.build.name} in {config.build.workspace}")
    funnels = runner.build(config, until=until, force_from=force_from, replay_only=replay_only)
    show.print_funnel(funnels)
    if not until:
        show.print_next_steps(config.build.dist)


@app.command()
def run(
    stage: Annotated[str, typer.Argument(help="Stage to run; earlier ones run if they must.")],
    config_file: ConfigFile = DEMO,
    source: Source = "",
    scenarios: Scenarios = 0,
    workspace: Workspace = "",
    ledger: LedgerFile = "",
    dist: Dist = "",
    sets: Sets = [],  # noqa: B006
    engine: EngineName = "",
) -> None:
    """Run one stage again, and what it needs before it."""
    from pipeline import build as runner
    from pipeline import show

    config = read_config(config_file, source, scenarios, 0, workspace, ledger, dist, sets)
    config = with_engine(config, engine)
    _known_stages(config, stage)
    show.print_funnel(runner.build(config, until=stage, force_from=stage))


@app.command()
def plan(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    scenarios: Scenarios = 0,
    limit: Limit = 0,
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006
) -> None:
    """Say what a build would run, and why, without running it."""
    from pipeline import planning, show

    config = read_config(config_file, source, scenarios, limit, workspace, sets=sets)
    items = planning.plan(config)
    for item in items:
        say(f"{item.stage.name:<9} {item.action:<26} {'; '.join(item.reasons[:3])}")
    done = {item.stage.name for item in items if item.action == "skip"}
    if not {"generate", "recognise"} <= done:
        show.print_estimate(config, done)


@app.command()
def budget(config_file: ConfigFile = DEMO, ledger: LedgerFile = "") -> None:
    """Say what the ledger knows of its spending, and what the cap leaves."""
    from pipeline.estimate import spent
    from pipeline.llm.prices import MICRO, dollars

    config = read_config(config_file, ledger=ledger)
    money = spent(config)
    cap = round(config.budget.cap_usd * MICRO)
    say(f"measured from usage   {dollars(money.measured)}")
    say(f"lost answers          {dollars(money.unknown)} at most")
    say(f"open reservations     {dollars(money.open)} at most, {money.open_requests:,} requests")
    left = cap - money.measured - money.unknown - money.open
    say(f"left under the cap    {dollars(max(0, left))} of {dollars(cap)}")


@app.command()
def explain(
    stage: Annotated[str, typer.Argument(help="Stage to explain; all if left out.")] = "",
    config_file: ConfigFile = DEMO,
    source: Source = "",
    scenarios: Scenarios = 0,
    limit: Limit = 0,
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006
) -> None:
    """Name every component that makes a stage run again, such as a changed threshold."""
    from pipeline import planning

    config = read_config(config_file, source, scenarios, limit, workspace, sets=sets)
    _known_stages(config, stage)
    for item in planning.plan(config):
        if stage in ("", item.stage.name):
            say(f"{item.stage.name}: {item.action}")
            for reason in item.reasons:
                say(f"    {reason}")


@app.command()
def funnel(config_file: ConfigFile = DEMO, source: Source = "", workspace: Workspace = "") -> None:
    """Print the funnel of a finished build, by stage and domain."""
    from pipeline import show
    from pipeline.stages import stage_names
    from pipeline.workspace import load_funnel, load_manifest, load_notes

    config = read_config(config_file, source, workspace=workspace)
    place = Path(config.build.workspace)
    done = [name for name in stage_names(config) if load_manifest(place, name)]
    if not done:
        raise BadInputError(f"{place}: no finished stage; run `python -m pipeline build` first")
    funnels = {name: load_funnel(place, name) for name in done}
    show.print_funnel(funnels)
    for name, found in funnels.items():
        show.print_cells(name, found)
        for line in load_notes(place, name, "lines"):
            say(f"    {line}")


@app.command("verify")
def verify_release(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    dist: Dist = "",
    earlier: Annotated[
        list[str], typer.Option(help="Release that no scenario may be like; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Check the release folder offline, in every respect that docs/release.md tells."""
    from pipeline.checks.privacy import Place
    from pipeline.verify import verify

    config = read_config(config_file, source, workspace=workspace, dist=dist)
    place = Place(Path(config.build.workspace), Path(config.source.tombstones), names=True)
    stories = dataclasses.replace(config.dedup, earlier=(*config.dedup.earlier, *earlier))
    cache = Path(config.build.cache)
    rows = verify(Path(config.build.dist), stories, cache, place=place, tell=say)
    for name, count in rows.items():
        say(f"{name}: {count:,} rows load as written")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(context: typer.Context) -> None:
    """Serve the bundled model on loopback; with a command behind `--`, only while it runs.

    The command finds the server by LOCAL_BASE_URL and LOCAL_API_KEY.
    """
    from pipeline.llm import local_server

    if not context.args:
        local_server.serve(quiet=False)
        return
    with local_server.LocalServer() as server:
        environment = os.environ | {"LOCAL_BASE_URL": server.base_url, "LOCAL_API_KEY": "none"}
        status = subprocess.run(context.args, env=environment, check=False).returncode
    raise typer.Exit(status)


def _known_stages(config: Config, *names: str) -> None:
    from pipeline.stages import stage_names

    known = stage_names(config)
    for name in filter(None, names):
        if name not in known:
            raise BadInputError(f"no stage '{name}'; {nearest(name, known)}")
