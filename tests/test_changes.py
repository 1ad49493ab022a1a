"""What a change of the data means for the version: every kind of change, and what it promises."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from pipeline.publishing.changes import (
    Diff,
    changelog_entry,
    diff,
    least_version,
    parse_version,
    ranges,
)
from pipeline.publishing.folder import item
from pipeline.publishing.hub import HubFile


def questions(slots: int = 3) -> pl.DataFrame:
    rows = [
        {
            "question_id": f"q_{slot}_{index}",
            "slot": slot,
            "question_index": index,
            "scenario": f"My case {slot}: what now?",
            "options": [f"I do {slot} {index} {n}." for n in range(4)],
            "option_ids": [f"a_{slot}_{index}_{n}" for n in range(4)],
            "option_values": ["power", "security", "tradition", "hedonism"],
            "option_generators": ["one", "two", "one", "two"],
            "target_value": "power",
            "target_index": 0,
        }
        for slot in range(slots)
        for index in range(2)
    ]
    return pl.DataFrame(rows)


def edited(column: str, value: object) -> pl.DataFrame:
    rows = questions().to_dicts()
    rows[0][column] = value
    return pl.DataFrame(rows, schema=questions().schema)


def changed(after: pl.DataFrame) -> Diff:
    files = {"a.parquet": item("a.parquet", b"new")}
    before = {"a.parquet": HubFile("a.parquet", 3, item("a.parquet", b"old").blob)}
    return diff(files, before, {"questions": after}, {"questions": questions()})


@pytest.mark.parametrize(
    ("after", "level", "version"),
    [
        (lambda: questions(), "patch", (1, 2, 4)),  # other files alone
        (lambda: questions(4), "minor", (1, 3, 0)),
        (lambda: questions(2), "patch", (1, 2, 4)),
        (lambda: pl.concat([questions(2), questions(4).tail(2)]), "minor", (1, 3, 0)),
        (lambda: edited("scenario", "My case 0 - what now"), "patch", (1, 2, 4)),
        (lambda: edited("scenario", "My case 0: what then?"), "major", (2, 0, 0)),
        (lambda: edited("options", [f"I do {n}." for n in range(4)]), "major", (2, 0, 0)),
        (lambda: edited("target_index", 1), "major", (2, 0, 0)),
        (lambda: edited("target_value", "security"), "major", (2, 0, 0)),
        (lambda: edited("option_generators", ["x"] * 4), "patch", (1, 2, 4)),
        (lambda: edited("question_id", "q_other"), "patch", (1, 2, 4)),
        (lambda: questions().with_columns(more=pl.lit(1)), "minor", (1, 3, 0)),
        (lambda: questions().drop("option_generators"), "major", (2, 0, 0)),
    ],
)
def test_a_version_says_whether_scores_compare(
    after: Callable[[], pl.DataFrame], level: str, version: tuple[int, int, int]
) -> None:
    found = changed(after())
    assert found.level()[0] == level, found.level()
    assert least_version((1, 2, 3), level, demonstration=False) == version


def test_rows_are_counted_by_id_and_files_by_their_bytes() -> None:
    found = changed(pl.concat([edited("scenario", "Other words."), questions(4).tail(2)]))
    table = found.tables["questions"]
    assert (table.before, table.after) == (6, 8)
    assert table.added == ("q_3_0", "q_3_1")
    assert table.removed == ()
    assert table.changed == ("q_0_0",)
    assert found.files_changed == ("a.parquet",)
    entry = changelog_entry(found, "v1.2.3", "Why.")
    assert entry.startswith("Why.\n\nScores do not compare with those on v1.2.3: 1 published")
    assert "- questions: 8 rows (2 added, 1 changed)\n" in entry
    assert "- Filled now: slots 3\n" in entry
    same = item("b", b"x")
    for digest in (same.sha256, same.blob):
        assert diff({"b": same}, {"b": HubFile("b", 1, digest)}, {}, {}).empty


def test_first_versions_and_those_before_one() -> None:
    assert least_version(None, "patch", demonstration=False) == (1, 0, 0)
    assert least_version(None, "patch", demonstration=True) == (0, 1, 0)
    assert least_version((0, 1, 4), "major", demonstration=True) == (0, 2, 0)
    assert least_version((0, 1, 4), "patch", demonstration=True) == (0, 1, 5)
    assert parse_version("v1.20.3") == (1, 20, 3)
    assert [parse_version(t) for t in ("1.2.3", "v1.2", "v01.2.3", "v1.2.3-rc")] == [None] * 4
    assert ranges([1, 2, 3, 5, 8, 9]) == "1-3, 5, 8-9"
