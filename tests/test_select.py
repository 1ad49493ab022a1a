"""Stage select: an exact quota a domain, drawn by id alone."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline import schema, select
from pipeline.config_file import load
from pipeline.errors import StageError
from pipeline.paths import ROOT
from pipeline.stage import Context, Result

CONFIG = load(ROOT / "configs" / "demo.toml")
DOMAINS = tuple(CONFIG.domains)
Row = dict[str, Any]


def post(number: int, domain: str, subreddit: int = 0, year: int | None = 2020) -> Row:
    return {
        "post_id": f"p{number}",
        "domain": domain,
        "subreddit": CONFIG.domains[domain][subreddit],
        "created_utc": year and datetime(year, 6, 1, tzinfo=UTC),
        "text": f"story {number}",
    }


@st.composite
def sources(draw: st.DrawFn, least: int = 0) -> list[Row]:
    """Posts of every domain, at least so many each, unevenly over subreddits and years."""
    place = st.tuples(st.integers(0, 1), st.sampled_from([None, 2019, 2020]))
    rows: list[Row] = []
    for domain in DOMAINS:
        places = draw(st.lists(place, min_size=least, max_size=least + 6))
        rows += [post(len(rows) + i, domain, *where) for i, where in enumerate(places)]
    return draw(st.permutations(rows))


def run(rows: list[Row], quota: int = 2, reserve: int = 1, seed: str = "seed") -> Result:
    overrides = {
        "select.scenarios": quota * len(DOMAINS),
        "select.reserve": reserve,
        "build.seed": seed,
    }
    tables = {"dedup.posts": schema.frame(rows, schema.SCREENED)}
    config = load(Path(CONFIG.file), overrides)
    return select.run(Context(config=config, tables=tables, out=Path(), manifests={}))


def drawn(result: Result) -> pl.DataFrame:
    return result.tables["pool"]


SMALL = settings(deadline=None, max_examples=40)


@given(sources(least=3), st.integers(1, 3), st.integers(0, 4))
@SMALL
def test_each_domain_gives_its_quota_and_its_reserve(
    rows: list[Row], quota: int, reserve: int
) -> None:
    result = run(rows, quota, reserve)
    table, available = drawn(result), Counter(row["domain"] for row in rows)
    assert dict(table.schema) == schema.POOL
    for domain in DOMAINS:
        ranks = sorted(table.filter(domain=domain)["rank"])
        assert ranks == list(range(min(available[domain], quota + reserve)))
    assert result.funnel.entered == len(rows) == sum(result.funnel.cells.values())
    assert set(table["post_id"]) | set(result.dropped["id"]) == {row["post_id"] for row in rows}
    by_id = {row["post_id"]: row for row in rows}
    for row in table.iter_rows(named=True):
        source = by_id[row["post_id"]]
        assert row["text"] == source["text"]
        assert row["year"] == (source["created_utc"].year if source["created_utc"] else None)


@given(sources(least=3), st.randoms(use_true_random=False))
@SMALL
def test_row_order_changes_nothing(rows: list[Row], rng: random.Random) -> None:
    first, mixed = run(rows), run(rng.sample(rows, len(rows)))
    assert drawn(mixed).equals(drawn(first))
    assert mixed.dropped.equals(first.dropped)


@given(sources(least=4), st.randoms(use_true_random=False))
@SMALL
def test_taking_away_posts_that_were_not_drawn_changes_nothing(
    rows: list[Row], rng: random.Random
) -> None:
    first = run(rows)
    undrawn = set(first.dropped["id"])
    fewer = [row for row in rows if row["post_id"] not in undrawn or rng.random() < 0.5]
    assert drawn(run(fewer)).equals(drawn(first))


@given(sources(least=3), st.integers(0, 3))
@SMALL
def test_a_larger_reserve_only_adds_candidates(rows: list[Row], more: int) -> None:
    small, large = drawn(run(rows)), drawn(run(rows, reserve=1 + more))
    assert large.filter(pl.col("rank") < 3).equals(small)


@given(sources(least=3))
@SMALL
def test_no_forum_and_year_is_drawn_twice_before_every_other_was_drawn_once(
    rows: list[Row],
) -> None:
    def group(row: Row) -> tuple[str, str, int | None]:
        return row["domain"], row["subreddit"], row["created_utc"] and row["created_utc"].year

    chosen = set(drawn(run(rows))["post_id"])
    sizes = Counter(map(group, rows))
    taken = Counter(group(row) for row in rows if row["post_id"] in chosen)
    for one, size in sizes.items():
        most = max(n for other, n in taken.items() if other[0] == one[0])
        assert taken[one] >= min(size, most - 1)


@given(sources(), st.integers(1, 4))
@SMALL
def test_too_few_posts_name_each_short_domain_and_what_is_missing(
    rows: list[Row], quota: int
) -> None:
    available = Counter(row["domain"] for row in rows)
    missing = {d: quota - available[d] for d in DOMAINS if available[d] < quota}
    assume(missing)
    with pytest.raises(StageError) as caught:
        run(rows, quota)
    named = re.findall(r"(\w+) (\d+) \(has (\d+) of (\d+)\)", str(caught.value))
    assert {d: int(n) for d, n, _, _ in named} == missing
    assert all((int(h), int(q)) == (available[d], quota) for d, _, h, q in named)


def test_the_draw_depends_on_the_seed() -> None:
    rows = [post(i, DOMAINS[i % len(DOMAINS)]) for i in range(100)]
    assert not drawn(run(rows, seed="one")).equals(drawn(run(rows, seed="other")))
