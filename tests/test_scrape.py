"""Stage scrape: one row a post id, and an account of every line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import schema, scrape
from pipeline.config_file import load
from pipeline.errors import BadInputError
from pipeline.paths import ROOT, SAMPLE_POSTS
from pipeline.stage import Context, Result

DEMO = ROOT / "configs" / "demo.toml"
Scrape = Callable[..., Result]
SUBREDDITS = {"AskHR": "career", "frugal": "finance", "MARRIAGE": "relationships"}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """Return a function that scrapes these lines."""
    folder = tmp_path_factory.mktemp("scrape")

    def run(lines: Sequence[str], **source: Any) -> Result:
        path = folder / "posts.ndjson"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        settings = {f"source.{key}": value for key, value in source.items()}
        config = load(DEMO, {"source.path": str(path)} | settings)
        return scrape.run(Context(config=config, tables={}, out=folder, manifests={}))

    return run


def post(post_id: str, body: str = "b", **fields: Any) -> str:
    return json.dumps(
        {"id": post_id, "subreddit": "AskHR", "title": "t", "selftext": body} | fields
    )


def without_line(result: Result) -> pl.DataFrame:
    return result.tables["posts"].drop("source_line")


SNAPSHOTS = st.builds(
    post,
    st.sampled_from("abc"),
    st.text("xyz", max_size=4),
    score=st.none() | st.integers(-3, 3),
    subreddit=st.sampled_from([*SUBREDDITS, "pics"]),
    num_comments=st.integers(0, 2),
)
LINES = st.lists(SNAPSHOTS | st.sampled_from(["", "{", "[]", '{"id":"c","link_id":"t3_x"}']))


@given(LINES, SNAPSHOTS)
@settings(deadline=None, max_examples=60)
def test_every_line_is_a_post_or_a_counted_reason(
    scraped: Scrape, lines: list[str], last: str
) -> None:
    lines = [*lines, last, post("always")]
    result = scraped(lines)
    posts, dropped, funnel = result.tables["posts"], result.dropped, result.funnel
    assert dict(posts.schema) == schema.POSTS
    assert dict(dropped.schema) == schema.DROPPED
    assert funnel.entered == len(lines) == sum(funnel.cells.values())
    assert funnel.kept == posts.height == posts["post_id"].n_unique()
    assert sum(funnel.reasons().values()) == dropped.height
    kept_at = {f"posts.ndjson:{number}" for number in posts["source_line"]}
    assert kept_at | set(dropped["id"]) == {f"posts.ndjson:{n + 1}" for n in range(len(lines))}
    assert kept_at.isdisjoint(dropped["id"])


@given(st.lists(SNAPSHOTS, max_size=12))
@settings(deadline=None, max_examples=60)
def test_of_several_snapshots_the_longest_body_stays_then_the_highest_score(
    scraped: Scrape, lines: list[str]
) -> None:
    ours = {name.lower(): domain for name, domain in SUBREDDITS.items()}
    wanted = [json.loads(text) for text in lines]
    wanted = [p for p in wanted if p["subreddit"].lower() in ours]
    best: dict[str, tuple[int, float]] = {"always": (1, float("-inf"))}
    for p in wanted:
        rank = (len(p["selftext"]), float("-inf") if p["score"] is None else p["score"])
        best[p["id"]] = max(best.get(p["id"], rank), rank)
    found = scraped([*lines, post("always")]).tables["posts"]
    assert found["post_id"].to_list() == sorted(best)
    for row in found.iter_rows(named=True):
        score = float("-inf") if row["score"] is None else row["score"]
        assert (len(row["body"]), score) == best[row["post_id"]]
        assert row["domain"] == ours[row["subreddit"].lower()]


def test_the_order_of_the_sample_changes_nothing_but_line_numbers(scraped: Scrape) -> None:
    lines = SAMPLE_POSTS.read_text(encoding="utf-8").splitlines()
    first = scraped(lines)
    for seed in range(3):
        mixed = random.Random(seed).sample(lines, len(lines))
        again = scraped(mixed)
        assert without_line(again).equals(without_line(first))
        assert again.funnel == first.funnel


@given(st.lists(SNAPSHOTS, max_size=6))
@settings(deadline=None, max_examples=60)
@example([post("a", num_comments=1), post("a", num_comments=2)])
@example([post("a", body="one"), post("a", body="two")])
def test_the_order_of_any_snapshots_changes_nothing_but_line_numbers(
    scraped: Scrape, lines: list[str]
) -> None:
    """Also where two snapshots tie in length and score and differ in another field."""
    lines = [*lines, post("always")]
    assert without_line(scraped(lines[::-1])).equals(without_line(scraped(lines)))


def test_bad_lines_are_tolerated_up_to_the_limit_and_the_next_one_is_named(scraped: Scrape) -> None:
    lines = ["{", post("a"), post("p", subreddit="pics"), "", "[]", post("b"), "nonsense"]
    reasons = {"not_json": 2, "bad_field": 1, "other_subreddit": 1, "blank_line": 1}
    assert scraped(lines, max_bad_lines=3).funnel.reasons() == reasons
    with pytest.raises(BadInputError, match=r"posts\.ndjson: line 7: not_json .*max_bad_lines = 2"):
        scraped(lines, max_bad_lines=2)
    assert scraped(lines, max_bad_lines=2, limit=6).tables["posts"].height == 2


@pytest.mark.parametrize("lines", [[post("a", subreddit="pics")], ["", "{"], [""]])
def test_a_source_without_a_usable_post_is_refused_by_name(
    scraped: Scrape, lines: list[str]
) -> None:
    with pytest.raises(BadInputError, match=rf"posts\.ndjson: no post .* in {len(lines)} lines"):
        scraped(lines)


def test_a_missing_source_is_refused_by_name(tmp_path: Path) -> None:
    config = load(DEMO, {"source.path": str(tmp_path / "absent.zst")})
    with pytest.raises(BadInputError, match=r"absent\.zst: No such file"):
        scrape.run(Context(config=config, tables={}, out=tmp_path, manifests={}))


def test_no_author_is_kept(scraped: Scrape) -> None:
    kept = scraped([post("a", author="somebody_real", author_fullname="t2_x")]).tables["posts"]
    assert "somebody_real" not in kept.write_json()
