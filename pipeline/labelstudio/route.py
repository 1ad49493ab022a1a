"""Gives items to experts: one project an expert and round, one task an item, however often it runs.

A task is known by its item's id, a project by a key in its description. What is there stays; what
is missing is added; nothing that somebody has touched is removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from pipeline import progress
from pipeline.artifacts import read_json, write_json
from pipeline.errors import BusyError, StageError
from pipeline.labelstudio.check_page import check_page
from pipeline.labelstudio.instructions import instructions
from pipeline.labelstudio.page import page
from pipeline.labelstudio.studio import Project, Studio, Task
from pipeline.labelstudio.tasks import Desk, desks

CHUNK = 500
"""Tasks an import: a second or less, so that little is in the air when a run is killed."""

SETTLE_SECONDS = 30.0
"""How long an import whose sender was killed may still be at work on a server."""

_OPEN = "import.json"
_LOCK = "route.lock"
_TITLE = 50  # characters that a project's title may have


@dataclass(frozen=True)
class Routed:
    """A desk and its project.

    Attributes:
        desk: What the expert is given.
        project: The server's id.
        url: Where the expert begins.
        added: Tasks made by this run.
        removed: Tasks that nobody had touched and that are no longer wanted, or were there twice.
        notes: What a person should look at, one line each.
    """

    desk: Desk
    project: int
    url: str
    added: int
    removed: int
    notes: tuple[str, ...]


def route(
    studio: Studio,
    items: pl.DataFrame,
    title: str,
    folder: Path,
    opinions: pl.DataFrame | None = None,
    settle_seconds: float = SETTLE_SECONDS,
) -> list[Routed]:
    """Make or complete the projects of all rounds and experts.

    Args:
        studio: The server.
        items: Rows of schema.ITEMS.
        title: Of the annotation: projects belong together by it, so never change it half-way.
        folder: Keeps what is needed to go on after a crash.
        opinions: As in tasks.desks.
        settle_seconds: How long to wait for an import whose sender was killed; 0 if the server was
            started since.

    Raises:
        BusyError: Another run is at it.
        BadInputError: An item cannot be shown.
        StageError: The server refuses something, or goes away; run it again.
    """
    wanted = desks(items, opinions)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"{folder}: another run gives items to experts; wait for it") from None
    try:
        _settle(studio, folder / _OPEN, settle_seconds)
        there = by_key(studio.projects(), (desk.key(title) for desk in wanted))
        total = sum(len(desk.items) for desk in wanted)
        with progress.task("tasks", total) as shown:
            return [
                _desk(studio, desk, title, there[desk.key(title)], folder, shown) for desk in wanted
            ]
    finally:
        lock.release()


def by_key(projects: Iterable[Project], keys: Iterable[str]) -> dict[str, list[Project]]:
    """Return for each key the projects that bear it, the oldest first."""
    found: dict[str, list[Project]] = {key: [] for key in keys}
    for project in projects:
        for key in found.keys() & set(project.description.split()):
            found[key].append(project)
    return found


def fullest_first(studio: Studio, projects: Sequence[Project]) -> list[Project]:
    """Return the projects of one desk (there should be one), that with the most answers first."""
    if len(projects) == 1:
        return list(projects)
    touched = {
        project.id: sum(task.touched for task in studio.tasks(project.id)) for project in projects
    }
    return sorted(projects, key=lambda project: (-touched[project.id], project.id))


def project_url(studio: Studio, project: int) -> str:
    """Return the address of a project's labeling page."""
    return f"{studio.url}/projects/{project}/data?labeling=1"


def settings(desk: Desk, title: str) -> dict[str, Any]:
    """Return a project's settings: all that decides what an expert sees, and in which order."""
    config = page(opinions=desk.adjudicates)
    check_page(config, opinions=desk.adjudicates)
    ending = f", round {desk.round}, expert {desk.expert}"
    return {
        "title": title[: _TITLE - len(ending)].rstrip() + ending,
        "description": f"Made by the pipeline; leave this line as it is: {desk.key(title)}",
        "label_config": config,
        "expert_instruction": instructions(),
        "show_instruction": True,
        "show_skip_button": True,
        "skip_queue": "IGNORE_SKIPPED",  # a skipped page does not come back
        "enable_empty_annotation": False,
        "show_annotation_history": False,
        "show_collab_predictions": False,
        "maximum_annotations": 1,  # one expert, one answer; overlap is several projects
        "sampling": "Sequential sampling",  # the order is ours
    }


def _desk(
    studio: Studio,
    desk: Desk,
    title: str,
    there: Sequence[Project],
    folder: Path,
    shown: progress.Task,
) -> Routed:
    notes: list[str] = []
    project = _project(studio, desk, title, there, notes)
    tasks = {data["item"]: data for data in desk.tasks()}
    mark = folder / _OPEN
    kept, removed = _tidy(studio, desk, project, tasks, notes)
    missing = [data for item, data in tasks.items() if item not in kept]
    shown.advance(len(kept), desk.name())
    for start in range(0, len(missing), CHUNK):
        part = missing[start : start + CHUNK]
        write_json({"url": studio.url, "project": project, "items": _ids(part)}, mark)
        studio.import_tasks(project, part)
        mark.unlink()
        shown.advance(len(part), desk.name())
    if missing:
        # A copy of a killed run's import may have come in meanwhile.
        kept, more = _tidy(studio, desk, project, tasks, [])
        removed += more
        if lost := tasks.keys() - kept.keys():
            raise StageError(
                f"{desk.name()}: {len(lost)} of {len(missing)} tasks did not arrive; run it again"
            )
    url = project_url(studio, project)
    return Routed(desk, project, url, len(missing), removed, tuple(notes))


def _project(
    studio: Studio, desk: Desk, title: str, there: Sequence[Project], notes: list[str]
) -> int:
    """Return the desk's project, made or brought up to date."""
    has = settings(desk, title)
    if not there:
        studio.create_project(has)
        # Looked up again: a killed run's request may have made one, too.
        there = by_key(studio.projects(), [desk.key(title)])[desk.key(title)]
        if not there:
            raise StageError(f"{desk.name()}: the server does not show the project it just made")
    first, *others = fullest_first(studio, there)
    for other in others:
        if studio.tasks(other.id):
            notes.append(
                f"{desk.name()}: project {other.id} is a second one beside {first.id}; nothing "
                "in it is read: look into it and delete it"
            )
        else:
            studio.delete_project(other.id)
    studio.update_project(first.id, has)
    return first.id


def _tidy(
    studio: Studio,
    desk: Desk,
    project: int,
    wanted: Mapping[str, Mapping[str, Any]],
    notes: list[str],
) -> tuple[dict[str, Task], int]:
    """Remove untouched tasks that are there twice, changed or not wanted.

    Returns:
        The task that stays for each item, and how many were removed.
    """
    kept: dict[str, Task] = {}
    removed = 0
    # Touched ones first: of two tasks of one item the annotated one stays.
    for task in sorted(studio.tasks(project), key=lambda task: (not task.touched, task.id)):
        item = str(task.data.get("item", ""))
        right = item in wanted and dict(task.data) == dict(wanted[item])
        if item not in kept and (right or (item in wanted and task.touched)):
            kept[item] = task
            if not right:
                notes.append(
                    f"{desk.name()}, task {task.id}: its texts are no longer those of item {item}, "
                    "and it was annotated as it was"
                )
        elif task.touched:
            why = f"a second one of item {item}" if item in kept else "no longer wanted"
            notes.append(f"{desk.name()}, task {task.id}: {why}, but annotated; it stays")
        else:
            studio.delete_task(task.id)
            removed += 1
    return kept, removed


def _settle(studio: Studio, mark: Path, seconds: float) -> None:
    """If an earlier run was killed during an import, wait until the import is through or lost."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        begun = read_json(mark)
        if begun["url"] == studio.url:
            with suppress(StageError):  # lost: it is made again
                _await(studio, int(begun["project"]), begun["items"], seconds)
    mark.unlink(missing_ok=True)


def _await(studio: Studio, project: int, items: Sequence[str], seconds: float) -> None:
    """Wait until tasks of all these items are there."""
    ends = time.monotonic() + seconds
    while True:
        there = {str(task.data.get("item", "")) for task in studio.tasks(project)}
        if there.issuperset(items):
            return
        if time.monotonic() > ends:
            raise StageError(f"project {project}: an import has not ended")
        time.sleep(0.5)


def _ids(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [task["item"] for task in tasks]
