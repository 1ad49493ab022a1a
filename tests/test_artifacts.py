"""Files are whole or absent, and equal content gives equal bytes and equal ids."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import (
    ROW_GROUP,
    atomic_folder,
    canonical_json,
    content_id,
    folder_digest,
    mirror,
    unit_interval,
    write_parquet,
)

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32) | st.text()
)
JSON = st.recursive(
    SCALARS.filter(lambda v: v not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def backwards(value: Any) -> Any:
    """Return an equal value whose dictionaries hold their keys in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def fill(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


@given(JSON)
def test_canonical_json_is_one_text_for_equal_values_and_loses_nothing(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(backwards(value)) == text
    assert json.loads(text) == value
    assert "\n" not in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, {"a": float("-inf")}]])
def test_canonical_json_refuses_what_json_cannot_say(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@given(st.lists(st.text(), min_size=1, max_size=5), st.data())
def test_content_id_depends_on_prefix_parts_and_their_boundaries(
    parts: list[str], data: st.DataObject
) -> None:
    made = content_id("x", *parts)
    assert made == content_id("x", *parts)
    cut = data.draw(st.integers(0, len(parts[0])))
    others = {
        content_id("x", parts[0][:cut], parts[0][cut:], *parts[1:]),
        content_id("x", parts),
        content_id("x", *parts, ""),
        content_id("y", *parts),
        content_id("x", *parts[:-1], parts[-1] + "x"),
    }
    assert made not in others


def test_content_id_is_the_same_in_every_release() -> None:
    """Released ids must not move when the code does: one of them is written down here."""
    assert content_id("s", "A story with ünïcode.") == "s_427e6126e9d0bd85"


@given(st.lists(JSON, max_size=4))
def test_unit_interval_is_a_number_below_one_made_of_its_parts(parts: list[Any]) -> None:
    draw = unit_interval(*parts)
    assert 0 <= draw < 1
    assert draw == unit_interval(*backwards(parts))
    assert draw != unit_interval(*parts, "more")


def test_unit_interval_is_even() -> None:
    draws = [unit_interval("seed", number) for number in range(4000)]
    tenths = [sum(1 for d in draws if int(d * 10) == tenth) for tenth in range(10)]
    assert min(tenths) > 300
    assert max(tenths) < 500


def test_equal_frames_give_equal_bytes_however_they_are_held(tmp_path: Path) -> None:
    rows = ROW_GROUP + 100
    start = datetime(2020, 1, 1, tzinfo=UTC)
    whole = pl.DataFrame(
        {
            "text": [f"né {i % 977}" for i in range(rows)],
            "number": [None if i % 5 == 0 else i for i in range(rows)],
            "list": [["a", None, str(i)] for i in range(rows)],
            "time": [start + timedelta(seconds=i) for i in range(rows)],
        }
    )
    parts = pl.concat([whole[:7], whole[7:40_000], whole[40_000:]], rechunk=False)
    assert parts.n_chunks() > whole.n_chunks()
    for name, frame in (("a", whole), ("b", parts), ("c", whole.clone())):
        write_parquet(frame, tmp_path / name)
    first = (tmp_path / "a").read_bytes()
    assert first == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert pl.read_parquet(tmp_path / "a").equals(whole)
    write_parquet(whole.reverse(), tmp_path / "d")
    assert first != (tmp_path / "d").read_bytes()


def test_atomic_folder_replaces_the_old_folder_whole(tmp_path: Path) -> None:
    target = fill(tmp_path / "deep" / "stage", old="old")
    with atomic_folder(target) as fresh:
        fill(fresh, new="new")
        assert contents(target) == {"old": "old"}
    assert contents(target) == {"new": "new"}
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("before", [{"old": "old"}, None])
def test_atomic_folder_leaves_the_old_folder_when_the_work_fails(
    tmp_path: Path, before: dict[str, str] | None
) -> None:
    target = tmp_path / "stage"
    if before:
        fill(target, **before)
    with pytest.raises(KeyboardInterrupt), atomic_folder(target) as fresh:
        fill(fresh, new="half")
        raise KeyboardInterrupt
    assert (contents(target) if target.exists() else None) == before
    assert list(tmp_path.iterdir()) == ([target] if before else [])


def test_atomic_folder_clears_what_a_killed_process_left(tmp_path: Path) -> None:
    target = tmp_path / "stage"
    with atomic_folder(target) as fresh:
        fresh_name = fresh.name
    fill(tmp_path / fresh_name, stale="half")
    fill(tmp_path / fresh_name.replace("new", "old"), stale="older")
    with atomic_folder(target) as fresh:
        fill(fresh, new="new")
    assert contents(target) == {"new": "new"}
    assert list(tmp_path.iterdir()) == [target]


def test_mirror_copies_once_and_then_does_nothing(tmp_path: Path) -> None:
    source = fill(tmp_path / "from", a="1")
    fill(source / "sub", b="2")
    target = fill(tmp_path / "to", a="1", extra="not wanted")
    fill(target / "more", extra="not wanted")
    assert mirror(source, target) is True
    assert contents(target) == contents(source)
    assert folder_digest(target) == folder_digest(source)
    before = {p: p.stat() for p in [target, *target.rglob("*")]}
    assert mirror(source, target) is False
    assert {p: p.stat() for p in [target, *target.rglob("*")]} == before


@pytest.mark.parametrize("change", ["changed", "renamed", "removed", "added"])
def test_mirror_sees_every_difference(tmp_path: Path, change: str) -> None:
    source, target = fill(tmp_path / "from", a="1", b="2"), tmp_path / "to"
    mirror(source, target)
    if change == "changed":
        fill(target, a="3")
    elif change == "renamed":
        (target / "a").rename(target / "c")
    elif change == "removed":
        (target / "a").unlink()
    else:
        fill(source, c="3")
    assert mirror(source, target) is True
    assert contents(target) == contents(source)
