"""Searching for words that must be gone: in files, in a ledger's free pages, on a Hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.publishing.hub import Hub
from pipeline.publishing.target import HERE_ONLY, JOURNAL, Target, cells

_NOTES = {JOURNAL, HERE_ONLY}  # ids, and words as hashes
_BLOCK, _OVERLAP = 8 << 20, 8 << 10


@dataclass(frozen=True)
class Place:
    """A place that was searched.

    Attributes:
        name: For people.
        searched: Number of files.
        found: Files that hold something, or that could not be searched, one line each.
    """

    name: str
    searched: int
    found: tuple[str, ...]

    @property
    def line(self) -> str:
        """The place in one line."""
        if not self.found:
            return f"{self.name}: nothing in {self.searched:,} files"
        shown = "; ".join(self.found[:5]) + ("; ..." if len(self.found) > 5 else "")
        return f"{self.name}: FOUND in {len(self.found):,} of {self.searched:,} files: {shown}"


def holds(path: Path, target: Target, *, names: bool = True) -> bool:
    """Return True if a file holds a text of what was taken back, or `names` its post."""
    posts = re.compile(r"\b(?:" + "|".join(map(re.escape, target.posts)) + r")\b")
    return any((names and posts.search(text)) or target.runs.within(text) for text in _texts(path))


def _texts(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        yield from cells(pl.read_parquet(path))
        return
    with path.open("rb") as data:  # SQLite files too: free pages hold what no query shows
        tail = b""
        while block := data.read(_BLOCK):
            yield (tail + block).decode("utf-8", "replace")
            tail = block[-_OVERLAP:]


def in_files(
    name: str, paths: Iterable[Path], target: Target, beside: Path, *, names: bool = True
) -> Place:
    """Search files.

    Args:
        name: What they are, for people.
        paths: The files; folders among them are passed over.
        target: What to search for.
        beside: What is found is named as seen from this folder.
        names: Also search for the ids of posts.
    """
    files = sorted(path for path in set(paths) if path.is_file() and path.name not in _NOTES)
    found = [path for path in files if holds(path, target, names=names)]
    told = (p.relative_to(beside) if p.is_relative_to(beside) else p for p in found)
    return Place(name, len(files), tuple(map(str, told)))


def below(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return list(folder.rglob("*")) if folder.is_dir() else []


def beside(file: Path) -> list[Path]:
    """Return a SQLite file with its log and its shared memory."""
    return [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal"))]


def on_hub(hub: Hub, target: Target, earlier: Iterable[str]) -> Iterator[Place]:
    """Search every revision that a Hub still gives out, and every large file that it stores.

    Args:
        hub: The repository.
        target: What to search for.
        earlier: Commits that it had before.
    """
    clean: set[str] = set()
    bad: dict[str, bool] = {}

    def search(revision: str) -> Place:
        files = hub.files(revision)
        new = [f for f in files.values() if f.digest not in bad]
        with hub.fetched(revision, [f.path for f in new]) as folder:
            for file in new:
                bad[file.digest] = holds(folder / file.path, target)
        clean.update(f.digest for f in files.values())
        found = tuple(path for path, file in files.items() if bad[file.digest])
        return Place(f"{hub.repo}@{revision[:12]}", len(files), found)

    refs = {**hub.branches(), **hub.tags()}
    commits = {commit for name in refs for commit in hub.commits(name)}
    for name in sorted(refs):
        for commit in hub.commits(name):
            place = search(commit)
            yield Place(f"{hub.repo} {name} ({commit[:12]})", place.searched, place.found)
    still = [c for c in earlier if c not in commits and hub.resolves(c)]
    for commit in still:
        place = search(commit)
        yield Place(f"{hub.repo} unlisted commit {commit}", place.searched, place.found)
    gone = len(set(earlier) - commits) - len(still)
    if gone:
        yield Place(f"{hub.repo}: {gone:,} earlier commits, which it no longer gives out", 0, ())
    stored = hub.large_files()
    left = tuple(f"{path} ({oid[:12]})" for oid, path in stored.items() if oid not in clean)
    yield Place(f"{hub.repo} large files that no revision names", len(stored), left)
