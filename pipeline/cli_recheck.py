"""The commands that look at posts again (sync, hydrate), and what a publication waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli_options import DEMO, ConfigFile, Dist, LedgerFile, Sets, Source, read_config
from pipeline.errors import BadInputError, StageError
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.recheck import Seen

_NAMED = 12
From = Annotated[
    str, typer.Option("--from", help="A dump or export to look in; Reddit's API if left out.")
]


def sync(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Annotated[str, typer.Option(help="Folder of the artifacts.")] = "",
    ledger: LedgerFile = "",
    look_in: From = "",
    repo: Annotated[str, typer.Option(help="Dataset on the Hub that holds it: org/name.")] = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Re-check every post behind a build; note what is gone and name the rows that have to go.

    With --repo it says what of these is published. It takes nothing back: it names the command.
    """
    from pipeline import tombstones
    from pipeline.recheck import SAME, state_of
    from pipeline.workspace import load_table

    config = read_config(config_file, source, workspace=workspace, ledger=ledger, sets=sets)
    place = Path(config.build.workspace)
    used = load_table(place, "generate.slots")["scenario_id"]
    scenarios = load_table(place, "rewrite.scenarios")
    stored = {row["post_id"]: row for row in scenarios.iter_rows(named=True)}
    counts: Counter[str] = Counter()
    stones, rows = [], []
    today = datetime.now(UTC).date().isoformat()
    for seen in _look(config, look_in, sorted(stored)):
        row = stored[seen.post_id]
        state = state_of(seen, row["body_sha256"])
        counts[state] += 1
        if state in tombstones.REASONS:
            stones.append(
                tombstones.Tombstone(
                    seen.post_id, state, today, row["scenario_id"], row["body_sha256"]
                )
            )
            rows += [row["scenario_id"]] if row["scenario_id"] in set(used) else []
    new = tombstones.add(Path(config.source.tombstones), stones) if stones else 0
    order = [SAME, "edited", *tombstones.REASONS]
    told = ", ".join(f"{state} {counts[state]:,}" for state in order if counts[state])
    say(f"{len(stored):,} posts looked at: {told or 'none'}")
    say(f"{config.source.tombstones}: {new:,} new tombstones")
    questions = load_table(place, "compose.questions")
    actions = load_table(place, "generate.actions")
    for scenario in sorted(rows):
        mine = questions.filter(scenario_id=scenario)["question_id"].to_list()
        count = actions.filter(scenario_id=scenario).height
        say(f"    has to go: {scenario}, its questions {', '.join(mine)}, its {count} actions")
    if rows:
        say("build again to replace them: tombstoned posts do not come back")
    # What was noted before and is still here has to go too.
    due = sorted(tombstones.load(Path(config.source.tombstones)).keys() & stored.keys())
    if repo:
        say(_published(repo, {stored[post]["scenario_id"] for post in due}))
    if due:
        named = f' IDS="{" ".join(due)}"' if len(due) <= _NAMED else ""
        given = f" SOURCE={source}" if source else ""
        where = f" REPO={repo}" if repo else ""
        say(f"{len(due):,} posts have to be taken back from what is built:")
        say(f"    make take-back CONFIG={config_file}{given}{named}{where} YES=1")


def _published(repo: str, gone: set[str]) -> str:
    """Return in a line what of these scenarios a dataset on the Hub still gives out."""
    import polars as pl

    from pipeline.dist import SLOTS
    from pipeline.publishing.hub import MAIN, Hub

    hub = Hub(repo)
    if not hub.exists():
        raise BadInputError(f"{repo}: not there, or not open to this token; check --repo")
    place = SLOTS.as_posix()
    if place not in hub.files(MAIN):
        return f"{repo}: holds no {place}; it cannot be told what of them is published"
    with hub.fetched(MAIN, [place]) as folder:
        held = set(pl.read_parquet(folder / place)["scenario_id"])
    return f"{repo}: {len(gone & held):,} of their {len(gone):,} scenarios are published"


def hydrate(
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    config_file: ConfigFile = DEMO,
    dist: Dist = "",
    look_in: From = "",
    sets: Sets = [],  # noqa: B006
) -> None:
    """Fill in the texts of a release that holds ids alone, where a post is still the same."""
    from pipeline import recheck
    from pipeline.artifacts import write_parquet
    from pipeline.dist import read_table

    config = read_config(config_file, dist=dist, sets=sets)
    scenarios = read_table(Path(config.build.dist), "scenarios")
    if "post_id" not in scenarios.columns:
        raise BadInputError(
            f"{config.build.dist}: not a release of ids; its texts are in it, or are retold"
        )
    table = recheck.hydrate(scenarios, _look(config, look_in, sorted(scenarios["post_id"])))
    if not out.parent.is_dir():
        raise BadInputError(f"{out.parent}: no such folder; make it first")
    write_parquet(table, out)
    counts = Counter(table["state"].to_list())
    told = ", ".join(f"{state} {n:,}" for state, n in sorted(counts.items()))
    say(f"{out}: {table.height:,} scenarios: {told}")


def check_publish(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Annotated[str, typer.Option(help="Folder of the artifacts.")] = "",
    sets: Sets = [],  # noqa: B006
) -> None:
    """Say what stands between a finished build and its publication."""
    from pipeline.gate import obstacles
    from pipeline.workspace import load_table

    config = read_config(config_file, source, workspace=workspace, sets=sets)
    found = obstacles(config, load_table(Path(config.build.workspace), "rewrite.pairs"))
    for line in found:
        say(f"    {line}")
    if found:
        raise StageError(f"{config.build.name} may not be published: {len(found)} obstacles")
    say(f"{config.build.name} may be published")


def _look(config: Config, look_in: str, ids: list[str]) -> Iterator[Seen]:
    from pipeline import recheck

    if not look_in:
        return recheck.by_api(config, ids)
    if not Path(look_in).is_file():
        raise BadInputError(f"{look_in}: no such file")
    return recheck.by_dump(config, Path(look_in), ids)
