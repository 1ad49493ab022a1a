"""The command `check-actions`, run as its users run it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.cli_actions import _read
from pipeline.errors import BadInputError
from tests.conftest import command

GOOD = "tests/actions_good.ndjson"
ROW = {"scenario_id": "s", "value": "power", "action": "I take the chair and open the meeting."}


def write(file: Path, *rows: object) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    return file


def test_counts_are_printed_by_reason_and_give_away_words_apart() -> None:
    done = command("check-actions", GOOD, "--words-only")
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.startswith(f"{GOOD}: 300 actions in 30 sets; something is wrong with ")
    assert any(line.split()[0] == "benefit_clause" for line in lines)
    assert lines[-3].startswith("form: ") and "of 300 actions (" in lines[-3]
    assert lines[-2].startswith("give-away words: ")
    assert lines[-1] == "not checked: distinct, on_scenario"


def test_json_holds_the_counts_and_the_csv_each_violation(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        ROW,
        "",
        {**ROW, "action": "I use my power. Yes. And I say, =1+1.", "generator": "g, h"},
        {**ROW, "value": "security", "action": ROW["action"].upper()},
    )
    out = tmp_path / "out.csv"
    done = command("check-actions", str(file), "--json", "--words-only", f"--out={out}")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["rows"], counts["sets"], counts["with_violation"]) == (3, 2, 3)
    seen = {code: n for code, n in counts["counts"].items() if n}
    assert seen == {"sentences": 1, "repeated": 1, "value_word": 1, "ten_values": 3}
    assert counts["form"] == {"rows": 2, "share": 0.6667}
    assert counts["value_word"] == {"rows": 1, "share": 0.3333}
    with out.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["line"], row["code"]) for row in rows if row["code"] != "ten_values"] == [
        ("3", "sentences"),
        ("3", "value_word"),
        ("4", "repeated"),
    ]
    assert rows[1]["generator"] == "g, h"


@pytest.mark.slow
def test_meanings_are_compared_unless_words_alone_are_wanted(tmp_path: Path) -> None:
    same = {**ROW, "value": "security", "action": "I take the chair and start the meeting."}
    file = write(tmp_path / "a.jsonl", ROW, same)
    done = command("check-actions", str(file), "--json", f'--set=build.cache="{tmp_path}"')
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["counts"]["distinct"] == 1
    assert counts["not_checked"] == ["on_scenario"]  # no row has its scenario


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([ROW, '{"scenario_id": "s", '], "line 2: "),
        ([ROW, "", "[1]"], "line 3: "),
        ([{"scenario_id": "s", "action": "I go."}], "line 1: .*`value`"),
        ([{**ROW, "action": 3}], "line 1: .*action"),
        ([{**ROW, "value": "powr"}], "line 1: 'powr' is no value; did you mean 'power'"),
        ([{**ROW, "scenario_id": ""}], "line 1: scenario_id is empty"),
        (['{"scenario_id": "\udcff"}'], "line 1: "),
        (["[" * 5000], "line 1: "),
        (["", " "], "there is no action in it"),
    ],
)
def test_bad_input_is_one_line_that_names_the_place(
    tmp_path: Path, rows: list[object], problem: str
) -> None:
    file = write(tmp_path / "a.jsonl", *rows)
    with pytest.raises(BadInputError, match=problem) as caught:
        _read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert caught.value.exit_code == 2


def test_the_command_ends_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ROW, {**ROW, "value": "powr"})
    for arguments, problem in (
        ([str(file)], f"error: {file}: line 2: 'powr' is no value; did you mean 'power'?"),
        ([str(tmp_path / "none.jsonl")], "No such file or directory; name a file of actions"),
        ([str(tmp_path)], "name a file of actions"),
        ([GOOD, f"--out={tmp_path}"], "is a folder; name a file"),
    ):
        done = command("check-actions", *arguments, "--words-only")
        assert (done.returncode, done.stdout) == (2, "")
        assert problem in done.stderr
        assert done.stderr.count("\n") == 1
