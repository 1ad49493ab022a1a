"""Reviews by CSV: blind forms, every wrong row named, nothing dropped in silence."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.annotation import csv_reviews
from pipeline.annotation.csv_forms import FORM, form, write_forms
from pipeline.annotation.csv_reviews import Imported, read_reviews
from pipeline.annotation.gold import load_gold
from pipeline.annotation.plan import PlannedRound
from pipeline.annotation.rounds import draw_round
from pipeline.annotation.tables import OPINIONS
from pipeline.errors import BadInputError
from pipeline.values import value_ids
from tests.simulated import GENERATORS, NOON, people, plan_of, simulate

PLAN = plan_of(rounds=(PlannedRound(20),))
ROUND = draw_round(PLAN, 1, people(2), load_gold(Path("annotations/gold.toml")))
ITEM = ROUND.items.filter(kind="sample").row(0, named=True)
NAME = f"expert-{ITEM['experts'][0]}"
OTHER = next(f"expert-{n}" for n in (1, 2, 3) if n not in ITEM["experts"])
NO_OPINIONS = schema.frame([], OPINIONS)
GOOD = {
    "item_id": ITEM["item_id"],
    "action_number": "1",
    "annotator": NAME,
    "first_value": "power",
    "second_value": "",
    "naturalness": "4",
    "updated_utc": "2026-01-31T12:00:00Z",
}


def written(folder: Path, *rows: dict[str, str], delimiter: str = ",") -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, delimiter=delimiter, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path = folder / "reviews.csv"
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return path


def read(path: Path, **options: Any) -> Imported:
    return read_reviews(path, ROUND.items, PLAN, **options)


def test_a_form_is_blind_and_holds_each_of_the_experts_actions_once() -> None:
    orders = []
    for number in (1, 2, 3):
        text = form(ROUND.items, NO_OPINIONS, number, "seed")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert tuple(rows[0]) == FORM
        mine = [row for row in ROUND.items.iter_rows(named=True) if number in row["experts"]]
        texts = {(i["item_id"], str(n)): t for i in mine for n, t in enumerate(i["actions"], 1)}
        assert {(r["item_id"], r["action_number"]): r["action"] for r in rows} == texts
        assert len(rows) == 4 * len(mine)
        assert "a_" not in text  # an action id is a hash of its claim, among others
        assert {row["annotator"] for row in rows} == {f"expert-{number}"}
        assert not any(row[name] for row in rows for name in csv_reviews.REQUIRED[3:])
        for word in (*value_ids(), *GENERATORS, "gold", "attention", "sample"):
            assert word not in text.partition("\n")[2]
        assert text == form(ROUND.items, NO_OPINIONS, number, "seed")
        orders.append([row["item_id"] for row in rows])
        # The four actions of an item stand together.
        assert all(len(set(orders[-1][n : n + 4])) == 1 for n in range(0, len(rows), 4))
    everyone = [item for item in orders[0] if item in orders[1] and item in orders[2]]
    assert everyone != [
        item for item in orders[1] if item in set(everyone)
    ]  # an order of their own


def test_text_that_a_spreadsheet_would_compute_is_shown_as_text(tmp_path: Path) -> None:
    evil = ROUND.items.with_columns(
        scenario=pl.lit('=HYPERLINK("http://x")'),
        actions=pl.lit(["+1", "-1", "@x", 'a "quoted", word']),
    )
    rows = list(csv.DictReader(io.StringIO(form(evil, NO_OPINIONS, 1, "seed"))))
    assert {row["scenario"] for row in rows} == {'\'=HYPERLINK("http://x")'}
    assert {row["action"] for row in rows} == {"'+1", "'-1", "'@x", 'a "quoted", word'}


def test_forms_are_not_written_over(tmp_path: Path) -> None:
    paths = write_forms(tmp_path, ROUND.items, NO_OPINIONS, "seed")
    assert [path.name for path in paths] == [f"round-1-expert-{n}.csv" for n in (1, 2, 3)]
    with pytest.raises(BadInputError, match="is there already; move it away"):
        write_forms(tmp_path, ROUND.items, NO_OPINIONS, "seed")


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(",;\t"), st.booleans(), st.integers(0, 10**6))
def test_filled_forms_give_the_reviews_that_were_meant(
    tmp_path_factory: pytest.TempPathFactory, delimiter: str, names: bool, seed: int
) -> None:
    meant = simulate([ROUND], {1: 0.9, 2: 0.9, 3: 0.9}, seed=str(seed))
    said = by_number(meant)
    folder = tmp_path_factory.mktemp("forms")
    found = []
    for path in write_forms(folder, ROUND.items, NO_OPINIONS, "seed"):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        for row in rows:
            told = said[(row["item_id"], row["action_number"], row["annotator"])]
            for column in ("first_value", "second_value", "naturalness", "lead_seconds"):
                row[column] = str(told[column])
            if names:  # people write "Self-direction"
                row["first_value"] = row["first_value"].replace("_", "-").capitalize()
                row["naturalness"] += ".0"
            row["updated_utc"] = told["updated_utc"].isoformat()
        found.append(read(written(folder, *rows, delimiter=delimiter)))
    every = pl.concat([each.reviews for each in found]).sort("review_id")
    assert sum(each.empty + each.replaced for each in found) == 0
    expected = meant.with_columns(source=pl.lit("csv"), notes=pl.lit(""))
    assert every.equals(expected)


def by_number(reviews: pl.DataFrame) -> dict[tuple[str, str, str], dict[str, Any]]:
    ids = {row["item_id"]: row["action_ids"] for row in ROUND.items.iter_rows(named=True)}
    return {
        (r["item_id"], str(ids[r["item_id"]].index(r["action_id"]) + 1), r["annotator"]): r
        for r in reviews.iter_rows(named=True)
    }


def test_an_empty_form_holds_no_review_and_says_so(tmp_path: Path) -> None:
    (path, *_) = write_forms(tmp_path, ROUND.items, NO_OPINIONS, "seed")
    found = read(path)
    assert found.reviews.is_empty()
    assert found.empty == ROUND.items.filter(pl.col("experts").list.contains(1)).height * 4


def test_what_is_said_of_an_item_stands_in_its_rows(tmp_path: Path) -> None:
    rows = [GOOD | {"action_number": str(number), "flags": "", "notes": "", "lead_seconds": ""}
            for number in range(1, 5)]  # fmt: skip
    rows[1] |= {
        "flags": "too alike, Needs-expertise",
        "notes": "Same\x07 thing.\u202e",
        "lead_seconds": "61.5",
    }
    found = read(written(tmp_path, *rows)).reviews
    assert found["flags"].to_list() == [["needs_expertise", "too_alike"]] * 4
    assert set(found["notes"]) == {"Same thing."}
    assert set(found["lead_seconds"]) == {61.5}
    rows[2]["lead_seconds"] = "70"
    with pytest.raises(BadInputError, match=r"different lead_seconds \(61.5 and 70\)"):
        read(written(tmp_path, *rows))


def test_the_newest_row_counts_and_a_skipped_item_is_a_review(tmp_path: Path) -> None:
    later = GOOD | {"first_value": "security", "updated_utc": "2026-01-31T14:00:00+01:00"}
    found = read(written(tmp_path, later | {"updated_utc": "2026-01-31T13:30:00+01:00"},
                         GOOD | {"updated_utc": "2026-01-31T12:00:00"}))  # fmt: skip
    assert found.reviews["first_value"].to_list() == ["security"]
    assert found.replaced == 1
    skipped = GOOD | {"first_value": "", "naturalness": "", "state": "Skipped"}
    row = read(written(tmp_path, skipped)).reviews.row(0, named=True)
    assert (row["state"], row["first_value"], row["naturalness"]) == ("skipped", "", None)


def test_a_time_is_needed_from_the_row_or_for_all_rows(tmp_path: Path) -> None:
    path = written(tmp_path, {k: v for k, v in GOOD.items() if k != "updated_utc"})
    with pytest.raises(BadInputError, match="row 2: updated_utc: empty; fill it in, or give --up"):
        read(path)
    assert read(path, updated=NOON).reviews["updated_utc"].to_list() == [NOON]
    assert csv_reviews.parse_time("2026-02-01") == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_value": "powr"}, "first_value: 'powr' is no value; did you mean 'power'?"),
        ({"first_value": "power; security"}, "first_value: 'power;_security' is no value;"),
        (
            {"first_value": ""},
            "first_value: missing; name the value that the action expresses most",
        ),
        ({"second_value": "Power"}, "second_value: 'power' again; name another value, or none"),
        ({"second_value": "calm"}, "second_value: 'calm' is no value; valid: achievement"),
        ({"naturalness": ""}, "naturalness: missing; give 1 to 5"),
        ({"naturalness": "6"}, "naturalness: '6'; give 1 to 5"),
        ({"naturalness": "0"}, "naturalness: '0'; give 1 to 5"),
        ({"naturalness": "4,5"}, "naturalness: '4,5'; give 1 to 5"),
        ({"naturalness": "nan"}, "naturalness: 'nan'; give 1 to 5"),
        ({"flags": "harmfull"}, "flags: 'harmfull' is no flag; did you mean 'harmful'?"),
        ({"state": "done"}, "state: 'done'; valid: skipped, submitted"),
        ({"state": "skipped"}, "state: skipped, but there is an answer; clear one of the two"),
        ({"lead_seconds": "1:30"}, "lead_seconds: '1:30'; give seconds with a point, or nothing"),
        ({"lead_seconds": "-1"}, "lead_seconds: '-1'; give seconds"),
        ({"updated_utc": "31.1.2026"}, "updated_utc: '31.1.2026'; write 2026-01-31T12:00:00Z"),
        ({"item_id": "i_0"}, "item_id: no item 'i_0' was drawn; take it from the form"),
        ({"action_number": "5"}, "action_number: '5'; give 1 to 4"),
        ({"action_number": ""}, "action_number: missing; take it from the form"),
        ({"annotator": "expert-9"}, "annotator: 'expert-9' is no expert of the plan; did you mean"),
        ({"annotator": "\x1b[31mme"}, r"annotator: '\x1b[31mme' is no expert of the plan"),
        ({"annotator": OTHER}, f"annotator: {ITEM['item_id']} was not given to {OTHER}"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_read(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    fine = GOOD | {"action_number": "2"}
    path = written(tmp_path, fine, GOOD | change)
    with pytest.raises(BadInputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: row 3: {message}")
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            "row 1: no column item_id, action_number, annotator, first_value, second_value",
        ),
        (b"item_id,action_number\n", "row 1: no column annotator, first_value"),
        (b"item_id,item_id\n", "row 1: column item_id stands there twice; cut one"),
        (b"item_id,value\n", "row 1: unknown column 2 'value'; did you mean 'first_value'?"),
        (b"item_id\xff\n", "line 1: not UTF-8; save it as CSV UTF-8"),
        (b'HEAD\n"open', "row 2: unexpected end of data; close every quote"),
        (b"HEAD\nonly,two\n", "row 2: 2 cells, and 6 columns; put cells that hold a comma"),
        (b"HEAD\n\n\n" + b"x," * 5 + b'"a"b"\n', "row 4: "),
    ],
)
def test_a_broken_file_is_refused_with_its_row(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content.replace(b"HEAD", ",".join(csv_reviews.REQUIRED).encode()))
    with pytest.raises(BadInputError, match=re.escape(f"{path}: {message}")):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="No such file or directory; name a CSV file"):
        read(tmp_path / "none.csv")
