"""Rows become tables of declared columns and types, times among them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import schema

ZONES = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=ZONES)
VALUES: dict[pl.DataType, st.SearchStrategy[Any]] = {
    pl.String(): st.text(),
    pl.Int64(): st.integers(-(2**63), 2**63 - 1),
    pl.Boolean(): st.booleans(),
    schema.TIME: TIMES,
}
ROW = st.fixed_dictionaries(
    {}, optional={name: st.none() | VALUES[kind] for name, kind in schema.POSTS.items()}
)


@given(st.lists(ROW, max_size=5))
def test_a_table_holds_what_its_rows_hold(rows: list[dict[str, Any]]) -> None:
    table = schema.frame(rows, schema.POSTS)
    assert dict(table.schema) == schema.POSTS
    expected = [dict.fromkeys(schema.POSTS) | row for row in rows]
    assert table.to_dicts() == expected


def test_nothing_is_a_table_too() -> None:
    assert dict(schema.frame([], schema.POSTS).schema) == schema.POSTS


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("score", "3"),
        ("post_id", 3),
        ("over_18", "yes"),
        ("created_utc", "2026-01-01"),
        ("created_utc", datetime(2026, 1, 1)),  # in no zone
    ],
)
def test_a_value_of_another_type_is_refused(column: str, wrong: object) -> None:
    good = {"created_utc": datetime(2026, 1, 1, tzinfo=UTC)}
    with pytest.raises(TypeError):
        schema.frame([good, {column: wrong}], schema.POSTS)
