"""Purging Label Studio, ours or one that the environment names, of what experts were shown."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from pipeline.annotation import store
from pipeline.annotation.plan import load_plan
from pipeline.annotation.rounds import all_items
from pipeline.config import Config
from pipeline.labelstudio.accounts import FILE
from pipeline.labelstudio.connect import URL, connect
from pipeline.labelstudio.forget import compact, forget_files, forget_tasks, still_shown
from pipeline.publishing.prove import Place


def items_of(config: Config, scenarios: Collection[str]) -> frozenset[str]:
    """Return the ids of what experts were shown of some scenarios, in all rounds."""
    rounds = store.load_rounds(store.place_of(config), load_plan(Path(config.annotation.plan)))
    if not rounds:
        return frozenset()
    shown = all_items(rounds).select("item_id", "scenario_id").rows()
    return frozenset(item for item, scenario in shown if scenario in scenarios)


def purge_studio(config: Config, items: Collection[str]) -> Iterator[str]:
    """Delete the items' tasks and answers; yield what was done, a line each.

    Our own server is started for that, unless it runs.

    Raises:
        PipelineError: The server refuses, does not start or holds its database; run it again.
    """
    folder = Path(config.annotation.server)
    if not items:
        return
    if os.environ.get(URL) or (folder / FILE).is_file():
        with connect(folder, port=config.annotation.port) as connection:
            count = forget_tasks(connection.studio, items)
            yield f"Label Studio {connection.studio.url}: {count:,} tasks deleted"
    yield from forget_files(folder, items)
    if compact(folder):
        yield f"Label Studio {folder}: its database was written anew"


def named_server(config: Config, items: Collection[str]) -> Iterator[Place]:
    """Search the server that the environment names, if it names one, for tasks of the items."""
    if not os.environ.get(URL) or not items:
        return
    with connect(Path(config.annotation.server)) as connection:
        left = still_shown(connection.studio, items)
        found = (f"{left:,} tasks",) if left else ()
        yield Place(f"Label Studio {connection.studio.url}, tasks of", len(items), found)
