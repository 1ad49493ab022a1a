"""Sending a verified folder to a Hub: what would change, and doing it as one commit and a tag."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pipeline import schema
from pipeline.artifacts import read_json
from pipeline.checks.privacy import NOWHERE, Place
from pipeline.config import Config, DedupConfig
from pipeline.errors import BadInputError, StageError
from pipeline.gate import obstacles
from pipeline.publishing.changes import (
    Diff,
    Version,
    changelog_entry,
    diff,
    least_version,
    parse_version,
    version_text,
)
from pipeline.publishing.folder import CARD, Item, configs, files_of, item, items, tables, tables_of
from pipeline.publishing.hub import MAIN, Hub, HubFile
from pipeline.verify import SUMS, verify
from pipeline.workspace import load_table

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

CHANGELOG = "CHANGELOG.md"
_ATTRIBUTES = ".gitattributes"  # the Hub's own, and none of the folder's
_WRITTEN_HERE = frozenset({CHANGELOG, SUMS, _ATTRIBUTES})


@dataclass(frozen=True)
class Plan:
    """What a publication would do.

    Attributes:
        dist: The folder.
        files: What is sent, by path: the folder, the changelog, and the checksums of both.
        exists: True if the repository is there already.
        head: Its commit; "" if it does not exist.
        last: Tag of the last release; "" if there is none.
        diff: From the last release (or from nothing) to the folder.
        level: "major", "minor" or "patch".
        reason: Why that level.
        tag: Tag of the new release.
        changes: What differs from the head, by path; empty if the commit is made already.
    """

    dist: Path
    files: Mapping[str, Item]
    exists: bool
    head: str
    last: str
    diff: Diff
    level: str
    reason: str
    tag: str
    changes: Mapping[str, str]

    @property
    def nothing(self) -> bool:
        """True if the last release holds the same."""
        return bool(self.last) and self.diff.empty


def check_may_publish(config: Config, dist: Path) -> None:
    """Check that a folder was built with a configuration that allows it to be published.

    Raises:
        StageError: It was not; the line names the keys.
    """
    for stage, key, value in (
        ("rewrite", "config.release.text", config.release.text),
        ("compose", "config.release.canary", config.release.canary),
    ):
        path = dist / "provenance" / "manifests" / f"{stage}.json"
        try:
            built = json.loads(read_json(path)["components"][key])
        except (OSError, ValueError, KeyError, TypeError):
            raise StageError(
                f"{path}: does not say {key}; build the release with `make build-dataset`"
            ) from None
        if built != value:
            raise StageError(
                f"{dist}: was built with {key.removeprefix('config.')} = {built!r}, and "
                f"{config.file} says {value!r}; name the configuration it was built with (CONFIG=)"
            )
    pairs = schema.frame([], schema.PAIRS)
    if config.release.text == "rewritten":
        pairs = load_table(Path(config.build.workspace), "rewrite.pairs")
    found = obstacles(config, pairs)
    if found:
        raise StageError(f"{config.build.name} may not be published: {'; '.join(found)}")


def check_verified(
    dist: Path, stories: DedupConfig, cache: Path, place: Place = NOWHERE
) -> dict[str, int]:
    """Run `verify` on a folder, all of it; return the rows of each config.

    In a process of its own: it reads offline, which the client of a Hub cannot undo.

    Raises:
        StageError: The folder does not verify.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(verify, dist, stories, cache, place=place).result()


def plan(config: Config, dist: Path, hub: Hub, tag: str = "", why: str = "") -> Plan:
    """Say what publishing a verified folder would do; nothing is changed.

    Args:
        config: The build, for who may read and for the first version.
        dist: The folder.
        hub: Where to.
        tag: The tag that is wanted; "" for the lowest that is true.
        why: A sentence for the changelog.

    Raises:
        BadInputError: The tag is none, is there already, or promises too much.
        HubError: The Hub refuses or does not answer.
    """
    wanted = parse_version(tag) if tag else None
    if tag and wanted is None:
        raise BadInputError(f"--tag {tag}: write it as v1.2.3")
    exists = hub.exists()
    tags = hub.tags() if exists else {}
    versions = {v: name for name in tags if (v := parse_version(name))}
    newest = max(versions, default=None)
    last = versions[newest] if newest else ""
    head = hub.head() if exists else ""
    at_head = hub.files(MAIN) if exists else {}
    published = hub.files(last) if last else {}
    mine = items(dist)
    if CHANGELOG in mine:
        raise StageError(f"{dist / CHANGELOG}: is written by publishing; remove it from the folder")
    found = diff(mine, published, tables_of(dist), _tables_at(hub, last, published), _WRITTEN_HERE)
    level, reason = found.level()
    if not last:
        reason = "it is the first release"
    if tag in tags:
        raise BadInputError(f"--tag {tag}: is there already, and a tag is never moved")
    lowest = least_version(newest, level, demonstration=config.build.demonstration)
    version = _version(wanted, lowest, newest, level, reason)
    history = _changelog_at(hub, last, published)
    name = version_text(version)
    day = datetime.now(UTC).date().isoformat()
    entry = f"## {name} ({day})\n\n{changelog_entry(found, last, why)}"
    mark = config.release.canary  # before the first blank line: history begins after it
    files = _with_changelog(mine, f"# Changes\n<!-- {mark} -->\n\n{entry}{history}".encode())
    changes = dict(_changes(files, at_head))
    if exists and set(changes) <= _WRITTEN_HERE and _is_committed(hub, name, at_head):
        changes = {}  # by a run that was interrupted before it could set the tag
    return Plan(dist, files, exists, head, last, found, level, reason, name, changes)


def publish(config: Config, hub: Hub, found: Plan) -> str:
    """Do what a plan says; return the commit.

    Raises:
        BadInputError: The repository is more open than the configuration says.
        HubError: The Hub refuses or does not answer; the same command goes on.
    """
    commit = commit_files(config, hub, found)
    hub.tag(found.tag, commit)
    return commit


def commit_files(config: Config, hub: Hub, found: Plan) -> str:
    """Send the files of a plan as one commit, without a tag; return the commit."""
    head = found.head
    if not found.exists:
        gated = False if config.publish.gated == "no" else config.publish.gated
        hub.create(private=config.publish.private, gated=gated)
        head = hub.head()
    check_closed(config, hub)
    if not found.changes:
        return head
    return hub.commit(list(_operations(found)), f"{found.tag}: {found.reason}"[:200], head)


def check_closed(config: Config, hub: Hub) -> None:
    """Check that a repository is not more open than its configuration says.

    Raises:
        BadInputError: It is.
    """
    seen = hub.visibility()
    for key, open_to in (("private", "public"), ("gated", "not gated")):
        asked = config.publish.private if key == "private" else config.publish.gated != "no"
        if asked and open_to in seen:
            value = "false" if key == "private" else '"no"'
            raise BadInputError(
                f"{hub.repo}: is {seen}; close it in its settings on the Hub, or set "
                f"publish.{key} = {value}"
            )


def _version(
    wanted: Version | None, lowest: Version, newest: Version | None, level: str, reason: str
) -> Version:
    if wanted is None:
        return lowest
    if newest is not None and wanted < lowest:
        raise BadInputError(
            f"--tag {version_text(wanted)}: promises more than is true after "
            f"{version_text(newest)}: {reason} ({level}); the lowest is {version_text(lowest)}"
        )
    return wanted


def _tables_at(hub: Hub, revision: str, files: Mapping[str, HubFile]) -> dict[str, pl.DataFrame]:
    """Return the rows of a published revision by config."""
    if CARD not in files:
        return {}
    with hub.fetched(revision, [CARD]) as folder:
        card = (folder / CARD).read_text(encoding="utf-8")
    wanted = files_of(configs(card, f"{hub.repo}@{revision}"), files)
    with hub.fetched(revision, sorted({p for paths in wanted.values() for p in paths})) as folder:
        return tables(folder, wanted)


def _changelog_at(hub: Hub, revision: str, files: Mapping[str, HubFile]) -> str:
    """Return the entries of a published changelog."""
    if CHANGELOG not in files:
        return ""
    with hub.fetched(revision, [CHANGELOG]) as folder:
        text = (folder / CHANGELOG).read_text(encoding="utf-8")
    return "\n" + text.partition("\n\n")[2]


def _is_committed(hub: Hub, tag: str, files: Mapping[str, HubFile]) -> bool:
    return _changelog_at(hub, MAIN, files).startswith(f"\n## {tag} (")


def _with_changelog(files: Mapping[str, Item], changelog: bytes) -> dict[str, Item]:
    """Return the files with the changelog and with checksums that count it."""
    every = {**files, CHANGELOG: item(CHANGELOG, changelog)}
    every.pop(SUMS)
    lines = [f"{every[path].sha256}  {path}\n" for path in sorted(every)]
    return {**every, SUMS: item(SUMS, "".join(lines).encode())}


def _changes(files: Mapping[str, Item], head: Mapping[str, HubFile]) -> Iterator[tuple[str, str]]:
    for path in sorted(files.keys() | head.keys() - {_ATTRIBUTES}):
        if path not in files:
            yield path, "removed"
        elif path not in head:
            yield path, "added"
        elif not files[path].is_at(head[path].digest):
            yield path, "changed"


def _operations(found: Plan) -> Iterator[CommitOperationAdd | CommitOperationDelete]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    for path, what in found.changes.items():
        if what == "removed":
            yield CommitOperationDelete(path_in_repo=path)
        else:
            content = found.files[path].content
            source = content if isinstance(content, bytes) else str(content)
            yield CommitOperationAdd(path_in_repo=path, path_or_fileobj=source)
