"""What differs between two releases, and what that means for scores and for the version.

A question is known again by its place: slot and index within the slot. It is the same question if
its situation, options and target have the same words in the same order; then scores on it compare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.dist import KEYS
from pipeline.publishing.folder import Item
from pipeline.publishing.hub import HubFile

_PLACE = ("slot", "question_index")
_DECIDES = re.compile(r"(scenario|options?|option_values|option_[a-d]|[a-d]|target\w*)")
_WORD = re.compile(r"[^\W_]+")
_VERSION = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
MAJOR, MINOR, PATCH = "major", "minor", "patch"

Version = tuple[int, int, int]
Place = tuple[int, int]


@dataclass(frozen=True)
class TableDiff:
    """How the rows of one config differ, by id.

    Attributes:
        before: Rows before; 0 if the config is new.
        after: Rows now; 0 if the config is gone.
        added: Ids that are new.
        removed: Ids that are gone.
        changed: Ids whose row is another.
        columns_added: Names.
        columns_removed: Names; loading code may need them.
    """

    before: int
    after: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diff:
    """What differs between a published revision and a folder.

    Attributes:
        files_added: Files that are new.
        files_changed: Files of other bytes.
        files_removed: Paths that are gone.
        tables: By config.
        places_added: Places of questions that were empty before.
        places_removed: Places of questions that are empty now.
        places_changed: Places that hold another question.
        places_reworded: Places whose question has the same words, written otherwise.
    """

    files_added: tuple[str, ...]
    files_changed: tuple[str, ...]
    files_removed: tuple[str, ...]
    tables: Mapping[str, TableDiff]
    places_added: tuple[Place, ...] = ()
    places_removed: tuple[Place, ...] = ()
    places_changed: tuple[Place, ...] = ()
    places_reworded: tuple[Place, ...] = ()

    @property
    def empty(self) -> bool:
        """True if nothing differs."""
        return not (self.files_added or self.files_changed or self.files_removed)

    def level(self) -> tuple[str, str]:
        """Return MAJOR, MINOR or PATCH, and why."""
        if self.places_changed:
            return MAJOR, (
                f"{len(self.places_changed):,} published questions are others (situation, options "
                "or target): scores on them do not compare"
            )
        for name, table in self.tables.items():
            if table.before and not table.after:
                return MAJOR, f"config {name} is gone"
            if table.columns_removed:
                return MAJOR, f"config {name} lacks columns {', '.join(table.columns_removed)}"
        if self.places_added:
            return MINOR, f"{len(self.places_added):,} questions are new"
        for name, table in self.tables.items():
            if table.after and not table.before:
                return MINOR, f"config {name} is new"
            if table.columns_added:
                return MINOR, f"config {name} has new columns {', '.join(table.columns_added)}"
        if self.places_removed:
            return PATCH, (
                f"{len(self.places_removed):,} questions are taken back, the others stay the same"
            )
        return PATCH, "no question is another"


def diff(
    files: Mapping[str, Item],
    published: Mapping[str, HubFile],
    tables: Mapping[str, pl.DataFrame],
    before: Mapping[str, pl.DataFrame],
    unlisted: frozenset[str] = frozenset(),
) -> Diff:
    """Compare a folder with a published revision.

    Args:
        files: The folder's files by path.
        published: The revision's.
        tables: The folder's rows by config.
        before: The revision's.
        unlisted: Paths that do not count.
    """
    mine = {path: file for path, file in files.items() if path not in unlisted}
    theirs = {path: file for path, file in published.items() if path not in unlisted}
    both = mine.keys() & theirs.keys()
    there = _questions(before.get("questions"))
    here = _questions(tables.get("questions"))
    shared = sorted(there.keys() & here.keys())
    changed = tuple(p for p in shared if _words(there[p]) != _words(here[p]))
    return Diff(
        files_added=tuple(sorted(mine.keys() - theirs.keys())),
        files_changed=tuple(p for p in sorted(both) if not mine[p].is_at(theirs[p].digest)),
        files_removed=tuple(sorted(theirs.keys() - mine.keys())),
        tables={
            name: _rows(before.get(name), tables.get(name), name)
            for name in [*tables, *(n for n in before if n not in tables)]
        },
        places_added=tuple(sorted(here.keys() - there.keys())),
        places_removed=tuple(sorted(there.keys() - here.keys())),
        places_changed=changed,
        places_reworded=tuple(p for p in shared if there[p] != here[p] and p not in set(changed)),
    )


def _rows(before: pl.DataFrame | None, after: pl.DataFrame | None, name: str) -> TableDiff:
    old = before if before is not None else pl.DataFrame()
    new = after if after is not None else pl.DataFrame()
    columns = [column for column in new.columns if column in old.columns]
    key = _key([t for t in (old, new) if t.height], name)
    one, other = _by_key(old, key, columns), _by_key(new, key, columns)
    both = before is not None and after is not None
    return TableDiff(
        old.height,
        new.height,
        tuple(sorted(other.keys() - one.keys())),
        tuple(sorted(one.keys() - other.keys())),
        tuple(sorted(k for k in one.keys() & other.keys() if one[k] != other[k])),
        tuple(c for c in new.columns if c not in old.columns) if both else (),
        tuple(c for c in old.columns if c not in new.columns) if both else (),
    )


def _key(tables: Sequence[pl.DataFrame], name: str) -> str:
    """Return the column that names rows: the known one, or the first that is different in each."""
    known = KEYS.get(name, "")
    for column in [known, *(tables[0].columns if tables else [])]:
        if tables and all(column in t.columns and t[column].n_unique() == t.height for t in tables):
            return column
    return ""


def _by_key(table: pl.DataFrame, key: str, columns: Sequence[str]) -> dict[str, str]:
    if not table.height:
        return {}
    shown = columns or table.columns
    rows = table.select(pl.struct(shown).struct.json_encode()).to_series().to_list()
    names = [str(each) for each in table[key]] if key else rows
    return dict(zip(names, rows, strict=True))


def _questions(table: pl.DataFrame | None) -> dict[Place, tuple[Any, ...]]:
    """Return what decides a question's score, by its place."""
    if table is None or not set(_PLACE) <= set(table.columns):
        return {}
    columns = sorted(
        c for c in table.columns if _DECIDES.fullmatch(c) and not c.endswith(("_id", "_ids"))
    )
    slots, indices = (table[c].to_list() for c in _PLACE)
    rows = table.select(columns).rows()
    return {(int(s), int(i)): row for s, i, row in zip(slots, indices, rows, strict=True)}


def _words(cell: Any) -> Any:
    """Return a value with nothing but the words of its texts."""
    if isinstance(cell, str):
        return " ".join(_WORD.findall(cell.casefold()))
    if isinstance(cell, list | tuple):
        return tuple(_words(each) for each in cell)
    return cell


def parse_version(text: str) -> Version | None:
    """Return (1, 2, 3) for "v1.2.3", None for anything else."""
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def version_text(version: Version) -> str:
    """Return "v1.2.3"."""
    return "v" + ".".join(map(str, version))


def least_version(last: Version | None, level: str, *, demonstration: bool) -> Version:
    """Return the lowest version that says truly what has changed.

    Before 1.0.0 (demonstrations) anything but a patch raises the middle number.
    """
    if last is None:
        return (0, 1, 0) if demonstration else (1, 0, 0)
    major, minor, patch = last
    if level == PATCH:
        return major, minor, patch + 1
    if level == MAJOR and major:
        return major + 1, 0, 0
    return major, minor + 1, 0


def changelog_entry(diff: Diff, last: str, why: str) -> str:
    """Return what a release's entry says below its heading, as Markdown.

    Args:
        diff: From the release before.
        last: Tag of that release; "" if this is the first.
        why: A sentence on the reason, or "".
    """
    lines = [why, ""] if why else []
    if not last:
        lines += [f"- {name}: {t.after:,} rows" for name, t in diff.tables.items()]
        return "\n".join(["First release.", "", *lines]) + "\n"
    level, reason = diff.level()
    if level == MAJOR:
        lines += [f"Scores do not compare with those on {last}: {reason}.", ""]
    elif diff.places_added or diff.places_removed:
        lines += [f"Scores compare with those on {last} over the questions that both hold.", ""]
    else:
        lines += [f"Scores compare with those on {last}.", ""]
    for name, table in diff.tables.items():
        counts = {"added": table.added, "removed": table.removed, "changed": table.changed}
        told = [f"{len(ids):,} {what}" for what, ids in counts.items() if ids]
        told += [f"new columns {', '.join(table.columns_added)}"] if table.columns_added else []
        if table.columns_removed:
            told.append(f"without columns {', '.join(table.columns_removed)}")
        lines.append(f"- {name}: {table.after:,} rows" + (f" ({', '.join(told)})" if told else ""))
    for what, places in (
        ("Empty now (taken back)", diff.places_removed),
        ("Filled now", diff.places_added),
        ("Another question now", diff.places_changed),
        ("Written otherwise, same words", diff.places_reworded),
    ):
        slots = sorted({slot for slot, _ in places})
        if slots:
            lines.append(f"- {what}: slots {ranges(slots)}")
    other = [p for p in (*diff.files_changed, *diff.files_added) if not p.endswith(".parquet")]
    if other:
        lines.append(f"- Other files: {', '.join(sorted(other))}")
    return "\n".join(lines) + "\n"


def ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers in short: "1-4, 7"."""
    told: list[str] = []
    start = end = None
    for number in [*numbers, None]:
        if end is not None and number == end + 1:
            end = number
            continue
        if start is not None:
            told.append(str(start) if start == end else f"{start}-{end}")
        start = end = number
    return ", ".join(told)
