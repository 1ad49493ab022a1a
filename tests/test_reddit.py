"""A sweep of Reddit: every post once, listings as configured, texts as data.

Real PRAW against a loopback Reddit; what waits between tries does so in milliseconds.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline import scrape
from pipeline.errors import BadInputError
from pipeline.sources.authors import author_hash
from pipeline.stage import Context
from tests.conftest import command
from tests.loopback_reddit import NOW, RedditServer, make_post
from tests.reddit_world import AGENT, KEY, World, ends, posts, read, sweep


def test_each_listing_costs_its_pages_and_each_post_is_kept_once(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 250)
    reddit.fill("Frugal", 7)
    report = sweep(reddit_world())
    assert len(reddit.asked) == report.requests == 3 + 3 + 1 + 1  # pages, and nothing a post
    assert len(reddit.tokens) == 1
    paths = [path for path, _ in reddit.asked]
    assert paths == ["/r/AskHR/new"] * 3 + ["/r/AskHR/top"] * 3 + ["/r/Frugal/new", "/r/Frugal/top"]
    assert [asked.get("after") for _, asked in reddit.asked[:3]] == [
        None,
        "t3_askhr0100",
        "t3_askhr0200",
    ]
    assert {asked["limit"] for _, asked in reddit.asked} == {"100"}
    assert {asked.get("t") for _, asked in reddit.asked[3:6]} == {"year"}
    assert all(agent.startswith(AGENT) and "prawcore" in agent for agent in reddit.agents)
    ids = [post["id"] for post in posts(reddit_world())]
    assert len(set(ids)) == len(ids) == report.posts == report.added == 257
    assert [(row.progress.items, row.new) for row in report.rows] == [
        (250, 250),
        (250, 0),
        (7, 7),
        (7, 0),
    ]
    assert set(ends(report).values()) == {"complete"}


def test_a_finished_sweep_is_not_asked_again(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 150)
    reddit.fill("Frugal", 1)
    first = sweep(reddit_world())
    before = read(reddit_world())
    reddit.asked.clear()
    again = sweep(reddit_world())
    assert reddit.asked == []
    assert (again.requests, again.added, again.posts) == (0, 0, 151)
    assert again.rows == first.rows
    assert read(reddit_world()) == before


def test_the_end_near_a_thousand_is_reported(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 1050)
    reddit.fill("Frugal", 300)
    reddit.unlisted = {f"askhr{n:04d}" for n in range(1, 31)}  # Reddit leaves some out of pages
    report = sweep(reddit_world(reddit__listings=["new", "top:all", "top:month"]))
    assert ends(report) == {
        "AskHR/new": "near_1000",
        "AskHR/top:all": "near_1000",
        "AskHR/top:month": "complete",
        "Frugal/new": "complete",
        "Frugal/top:all": "complete",
        "Frugal/top:month": "complete",
    }
    newest, top = report.rows[0], report.rows[1]
    assert newest.progress.items == 970
    assert 0 < top.new < 60
    assert newest.progress.newest == NOW - 31 * 43200
    assert newest.progress.oldest == NOW - 1000 * 43200


def test_short_pages_lose_nothing(reddit: RedditServer, reddit_world: World) -> None:
    """PRAW's own listings would fill a short page from the next one, and lose the rest of it."""
    reddit.fill("AskHR", 350)
    reddit.unlisted = {"askhr0003", "askhr0101", "askhr0102"}
    report = sweep(reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["new"]))
    assert report.posts == 347
    assert len(reddit.asked) == 4


def test_an_empty_page_in_the_middle_is_not_the_end(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 350)
    reddit.unlisted = {f"askhr{n:04d}" for n in range(101, 201)}
    few = reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["new"])
    assert sweep(few).posts == 250
    reddit.unlisted |= {f"askhr{n:04d}" for n in range(201, 301)}
    assert ends(sweep(few, fresh=True)) == {"AskHR/new": "complete"}  # two in a row are
    assert len(reddit.asked) == 4 + 3


def test_listings_are_asked_as_configured(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 5)
    listings = ["hot", "controversial", "controversial:all", "search:month take course 3", "top"]
    report = sweep(reddit_world(reddit__subreddits=["AskHR", "askhr"], reddit__listings=listings))
    assert list(ends(report)) == [
        "AskHR/hot",
        "AskHR/controversial:all",
        "AskHR/search:month take course 3",
        "AskHR/top:all",
    ]
    asked = dict(reddit.asked)
    assert len(reddit.asked) == 4
    assert asked["/r/AskHR/search/"] == {
        "q": "take course 3",
        "restrict_sr": "true",
        "sort": "relevance",
        "syntax": "lucene",
        "t": "month",
        "limit": "100",
        "raw_json": "1",
    }
    assert asked["/r/AskHR/controversial"]["t"] == "all"
    assert "t" not in asked["/r/AskHR/hot"]


def test_the_subreddits_of_the_domains_are_asked_if_none_are_named(
    reddit: RedditServer, reddit_world: World
) -> None:
    config = reddit_world(reddit__subreddits=[], reddit__listings=["new"])
    for names in config.domains.values():
        for name in names:
            reddit.fill(name, 1)
    sweep(config)
    wanted = [name for names in config.domains.values() for name in names]
    assert [post["subreddit"] for post in posts(config)] == wanted


def test_authors_are_hashed_with_the_key_and_never_named(
    reddit: RedditServer, reddit_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Some_Body", "SOME_body", "[deleted]", None, "", "Other", 7]
    reddit.posts["AskHR"] = [make_post("AskHR", n, author=name) for n, name in enumerate(names)]
    config = reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["new"])
    sweep(config)
    hashes = {post["id"]: post["author_hash"] for post in posts(config)}
    one, two, *nobody, other, _ = (hashes[f"askhr{n:04d}"] for n in range(7))
    assert one == two == author_hash("some_body", KEY.encode())
    assert other != one
    assert len(one) == len(other) == 16
    assert nobody == [None, None, None]
    assert b"body" not in read(config).lower()
    monkeypatch.setenv("VALACT_AUTHOR_KEY", "another")
    with pytest.raises(BadInputError, match="another key for authors' names"):
        sweep(config)
    monkeypatch.delenv("VALACT_AUTHOR_KEY")
    sweep(config, fresh=True)
    assert {post["author_hash"] for post in posts(config)} == {None}


TEXTS = {
    "markdown": "**bold** [link](https://example.org) \\*not\\* > quote\n\n* item\n\n&amp; ~~x~~",
    "html": "<b>A & B</b> &lt;script&gt; &#x200B; \"quoted\" 'single'",
    "control": "a\x00b\x01c\x1b[31m\u2028\u2029\x85\r\n\ttab\x7f",
    "wide": "👩‍👩‍👧 — ünïcödé \U0001f600 العربية",
    "template": "{{ jinja }} {0} %s ${HOME} \\n \\u0041",
}


def test_texts_survive_to_the_build_as_data(
    reddit: RedditServer, reddit_world: World, tmp_path: Path
) -> None:
    reddit.posts["AskHR"] = [
        make_post("AskHR", n, title=f"T {text}", selftext=text, link_flair_text=text[:20])
        for n, text in enumerate(TEXTS.values())
    ]
    reddit.posts["Frugal"] = [
        make_post("Frugal", 0, selftext="[removed]", removed_by_category="moderator"),
        make_post("Frugal", 1, selftext="[deleted]", author="[deleted]"),
        make_post("frugal", 2, selftext="half \ud83d of a pair"),
    ]
    config = reddit_world(reddit__listings=["new"])
    sweep(config)
    built = reddit_world(source__path=config.reddit.out, source__html_escaped=False)
    result = scrape.run(Context(config=built, tables={}, out=tmp_path, manifests={}))
    assert result.dropped.is_empty()
    rows = {row["post_id"]: row for row in result.tables["posts"].iter_rows(named=True)}
    for n, text in enumerate(TEXTS.values()):
        row = rows[f"askhr{n:04d}"]
        assert (row["body"], row["title"], row["flair"]) == (text, f"T {text}", text[:20])
        assert row["domain"] == "career"
    frugal = [rows[f"frugal{n:04d}"] for n in range(3)]
    assert [row["removal"] for row in frugal] == ["removed", "deleted", "none"]
    assert [row["title"] for row in frugal][:2] == ["", ""]
    assert frugal[2]["body"] == "half ? of a pair"
    assert {row["domain"] for row in frugal} == {"finance"}
    done = command(
        *("build", f"--source={config.reddit.out}", "--set=source.html_escaped=false"),
        *("--until=scrape", f"--workspace={tmp_path / 'work'}", f"--dist={tmp_path / 'dist'}"),
    )
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet(tmp_path / "work" / "scrape" / "posts.parquet")
    assert table.drop("source_file").equals(result.tables["posts"].drop("source_file"))
