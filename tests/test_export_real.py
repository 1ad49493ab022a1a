"""The real posts, as exports and as one dump: every row is read, and both are the same posts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipeline import schema
from pipeline.config_file import load
from pipeline.paths import ROOT
from pipeline.sources.dump import read_dump
from pipeline.sources.export import read_export
from pipeline.sources.mapping import load_mapping
from pipeline.sources.post import Wanted
from pipeline.sources.read import read_posts

DEMO = ROOT / "configs" / "demo.toml"
SHARED = ROOT.parent / "shared" / "data"

needs_real = [
    pytest.mark.real,
    pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real posts in ../shared/data"),
]
PF = "personalfinance-jinfei1125"
# File or folder, its mapping, and what the README of the real posts says of it: rows, removed,
# deleted. Two posts of an API listing have a body and are removed by their category alone.
REAL = [
    pytest.param(*case, marks=needs_real, id=case[0])
    for case in (
        ("umbrae-reddit-top-2.5-million", "umbrae", 49890, 1, 1),
        ("aita-phoolish-philomath-2019-06.tsv.zst", "aita", 28491, 13055, 4339),
        ("education-emorynlp-2021.ndjson.zst", "emorynlp", 33163, 0, 2),
        (f"{PF}/investing_2009-01-01_2010-01-01.csv.zst", "pushshift", 967, 10, 45),
        (f"{PF}/personalfinance_2009-01-01_2010-01-01.csv.zst", "pushshift", 102, 0, 2),
        (f"{PF}/personalfinance_2010-01-01_2011-01-01.csv.zst", "pushshift", 259, 14, 17),
        (f"{PF}/pf_2015.csv.zst", "personalfinance-by-year", 500, 48, 80),
        (f"{PF}/pf_2016.csv.zst", "personalfinance-by-year", 500, 56, 89),
        (f"{PF}/pf_2017.csv.zst", "personalfinance-by-year", 500, 0, 0),
        (f"{PF}/pf_2018.csv.zst", "personalfinance-by-year", 499, 45, 75),
        (f"{PF}/pf_2019.csv.zst", "personalfinance-by-year", 500, 68, 55),
        (f"{PF}/pf_hot.csv.zst", "personalfinance-listing", 894, 0, 0),
        (f"{PF}/pf_top.csv.zst", "personalfinance-listing", 991, 0, 0),
        ("careers-khar019-2026.csv.zst", "careers", 1897, 0, 0),
        ("relationship_advice-evolevelynli-2019.csv.zst", "relationship-advice", 960, 0, 0),
        ("api-listing-FranciscoKerche-2024-AmItheAsshole.json.zst", "reddit-listing", 497, 0, 0),
        ("api-listing-FranciscoKerche-2024-confessions.json.zst", "reddit-listing", 461, 2, 0),
        ("api-listing-FranciscoKerche-2024-tifu.json.zst", "reddit-listing", 496, 0, 0),
    )
]


def real_files(place: str) -> list[Path]:
    path = SHARED / place
    return sorted(path.iterdir()) if path.is_dir() else [path]


@pytest.mark.parametrize(("place", "mapping", "rows", "removed", "deleted"), REAL)
def test_real_exports_load_whole(
    place: str, mapping: str, rows: int, removed: int, deleted: int
) -> None:
    found = read_posts(
        real_files(place), load(DEMO, {"source.mapping": mapping}), all_subreddits=True
    )
    assert found.dropped.is_empty()
    assert found.entered == found.posts.height == rows
    states = dict(found.posts["removal"].value_counts().iter_rows())
    assert (states.get("removed", 0), states.get("deleted", 0)) == (removed, deleted)
    assert found.posts["created_utc"].null_count() == 0
    assert found.posts["title"].str.len_chars().min() > 0


@pytest.mark.real
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real posts in ../shared/data")
def test_the_real_exports_and_the_real_dump_are_the_same_posts() -> None:
    """Two ways to one table: field by field, but for bodies that the dump fills by the flags."""
    wanted = Wanted({}, False, all_subreddits=True)
    placeless = [name for name in schema.POSTS if not name.startswith("source_")]
    exported: dict[str, list[dict[str, Any]]] = {}
    for case in REAL:
        mapping = dataclasses.replace(load_mapping(str(case.values[1])), html_escaped=False)
        for path in real_files(str(case.values[0])):
            for item in read_export(path, mapping, wanted):
                assert isinstance(item, dict)
                if mapping.columns.removed and item["removal"] != "none":
                    item["body"] = f"[{item['removal']}]"
                exported.setdefault(item["post_id"], []).append(item)
    lines = 0
    for item in read_dump(SHARED / "reddit_advice.ndjson.zst", wanted):
        assert isinstance(item, dict)
        lines += 1
        same = [{name: e[name] for name in placeless} for e in exported[item["post_id"]]]
        assert {name: item[name] for name in placeless} in same
    assert lines == sum(map(len, exported.values())) == 121_567
