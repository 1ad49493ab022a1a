"""The commands that reach a Hub: publish, and take back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli_options import DEMO, ConfigFile, Dist, Sets, Source, Workspace, read_config
from pipeline.errors import BadInputError, StageError
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.publishing.hub import Hub
    from pipeline.publishing.publish import Plan

Repo = Annotated[str, typer.Option(help="Dataset on the Hub of HF_ENDPOINT: org/name.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; else it is only told.")]
_SHOWN = 12


def publish(
    repo: Repo,
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    dist: Dist = "",
    tag: Annotated[str, typer.Option(help="v1.2.3; the lowest true one if left out.")] = "",
    why: Annotated[str, typer.Option(help="A sentence for the changelog.")] = "",
    yes: Yes = False,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Say what publishing the release folder would change on a Hub; with --yes, do it.

    The token is read from HF_TOKEN alone.
    """
    from pipeline.checks.privacy import Place
    from pipeline.publishing import publish as publishing
    from pipeline.publishing.hub import Hub

    config = read_config(config_file, source, workspace=workspace, dist=dist, sets=sets)
    place = Path(config.build.dist)
    publishing.check_may_publish(config, place)
    hub = Hub(repo)
    known = Place(Path(config.build.workspace), Path(config.source.tombstones), names=True)
    rows = publishing.check_verified(place, config.dedup, Path(config.build.cache), known)
    say(f"{place}: verified; {', '.join(f'{name} {n:,}' for name, n in rows.items())} rows")
    found = publishing.plan(config, place, hub, tag, why)
    show_plan(found, hub)
    say(f"rights: {config.publish.rights}; text: {config.release.text}")
    if found.nothing:
        say(f"{repo}: {found.last} holds the same; nothing to publish")
        return
    if not yes:
        say("nothing was sent; the same command with --yes (make publish YES=1) sends it")
        return
    commit = publishing.publish(config, hub, found)
    say(f"{repo}: {found.tag} is commit {commit}, {hub.visibility()}")
    default = next(iter(found.diff.tables))
    say(f'    load_dataset("{repo}", "{default}", revision="{found.tag}")')


def show_plan(found: Plan, hub: Hub) -> None:
    """Print what a publication would change."""
    size = sum(file.size for file in found.files.values())
    state = "not there, or hidden from this token"
    if found.exists:
        release = f"last release {found.last}" if found.last else "no release yet"
        state = f"{release}, {hub.visibility()}"
    say(f"{hub.repo} at {hub.endpoint}: {state}")
    say(f"{len(found.files):,} files, {size:,} bytes; against the head of the repository:")
    for path, what in found.changes.items():
        bytes_ = f"{found.files[path].size:>12,}" if path in found.files else " " * 12
        say(f"    {what:<8}{bytes_}  {path}")
    same = len(found.files) - sum(path in found.files for path in found.changes)
    say(f"    the same: {same:,} files")
    say(f"rows against {found.last or 'nothing'}:")
    for name, table in found.diff.tables.items():
        say(
            f"    {name}: {table.before:,} -> {table.after:,}: {len(table.added):,} added, "
            f"{len(table.removed):,} removed, {len(table.changed):,} changed"
        )
        for what, ids in (("removed", table.removed), ("changed", table.changed)):
            if found.last and ids:
                more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
                say(f"        {what}: {', '.join(ids[:_SHOWN])}{more}")
    say(f"version: {found.tag} ({found.level}: {found.reason})")


def take_back(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of posts or of what is made of them; none: all with tombstones."),
    ] = None,
    repo: Annotated[str, typer.Option(help="Dataset that holds it too: org/name.")] = "",
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    dist: Dist = "",
    yes: Yes = False,
    sets: Sets = [],  # noqa: B006
) -> None:
    """Purge posts from build, ledger, release and Hub, and search for their words afterwards."""
    from pipeline.publishing import prove
    from pipeline.publishing import take_back as taking
    from pipeline.publishing.hub import Hub
    from pipeline.publishing.publish import check_closed

    config = read_config(config_file, source, workspace=workspace, dist=dist, sets=sets)
    job = taking.open_job(config, ids or [], on_hub=bool(repo))
    if job is None:
        say(f"{config.build.workspace}: holds nothing that has a tombstone; nothing to take back")
        return
    hub = Hub(repo or job.more.get("repo", "")) if repo or job.more.get("repo") else None
    if hub is not None and not hub.exists():
        raise BadInputError(f"{hub.repo}: not there, or not open to this token; check --repo")
    if hub is not None:
        job.more["repo"] = hub.repo
        check_closed(config, hub)
    gone = job.target
    say(
        f"{'goes on with' if job.goes_on else 'to be taken back:'} {len(gone.posts):,} posts "
        f"({', '.join(gone.posts[:_SHOWN])}), {len(gone.scenarios):,} scenarios, "
        f"{len(gone.questions):,} questions, {len(gone.actions):,} actions, "
        f"{len(gone.keys):,} model requests"
    )
    if gone.slots:
        say(f"slots that will be empty: {', '.join(map(str, gone.slots))}; no other moves")
    for line in taking.comparable(job):
        say(line)
    say(f"searched for: {len(gone.runs):,} runs of words that nothing else here has")
    for found in taking.places(job):
        say(f"    {found.line}")
    if not yes:
        say("nothing was changed; the same command with --yes (make take-back YES=1) does it")
        return
    for line in taking.take_back_here(job):
        say(line)
    if hub is not None:
        for line in taking.take_back_on_hub(job, hub):
            say(line)
    say("searched again:")
    searched = [*taking.places(job), *(prove.on_hub(hub, gone, job.more["commits"]) if hub else [])]
    for found in searched:
        say(f"    {found.line}")
    for line in taking.outside(job):
        say(f"not searched: {line}")
    left = [found.name for found in searched if found.found]
    if left:
        raise StageError(
            f"still found in {'; '.join(left)}; remove it there (docs/publish.md says how), then "
            "run the same command again"
        )
    taking.finish(job, on_hub=hub is not None)
    say(f"taken back: {', '.join(gone.posts)}")
    if hub is None and gone.scenarios:
        say("if it was published: `take-back --repo org/name --yes` takes it from the Hub too")
