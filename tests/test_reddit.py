"""A sweep of Reddit: every post once, nothing lost by faults and kills, secrets nowhere.

Real PRAW against a loopback Reddit; what waits between tries does so in milliseconds.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock

from pipeline import recheck, scrape
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.errors import BadInputError, BusyError, StageError
from pipeline.paths import ROOT
from pipeline.sources import reddit_retry
from pipeline.sources.authors import author_hash
from pipeline.sources.reddit import Found, Reddit, fetch_by_ids
from pipeline.sources.sweep import Report, opened
from pipeline.sources.sweep_book import Book
from pipeline.stage import Context
from tests.conftest import command
from tests.loopback_reddit import NOW, RedditServer, make_post, reddit_server
from tests.test_cli import fails

DEMO = ROOT / "configs" / "demo.toml"
KEY = "author-key-never-seen"
AGENT = "linux:valact-tests:v1 (by /u/nobody)"
World = Callable[..., Config]


@pytest.fixture
def reddit() -> Iterator[RedditServer]:
    with reddit_server() as running:
        yield running


@pytest.fixture
def world(reddit: RedditServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a function that gives a configuration for the loopback Reddit, with keys changed."""
    monkeypatch.setattr(reddit_retry, "FIRST_WAIT_S", 0.001)
    monkeypatch.setenv("REDDIT_CLIENT_ID", reddit.client_id)
    monkeypatch.setenv("REDDIT_CLIENT_SECRET", reddit.client_secret)
    monkeypatch.setenv("VALACT_AUTHOR_KEY", KEY)
    base = reddit.address() | {
        "reddit.user_agent": AGENT,
        "reddit.subreddits": ["AskHR", "Frugal"],
        "reddit.listings": ["new", "top:year"],
        "reddit.out": str(tmp_path / "posts" / "reddit.ndjson"),
    }

    def make(**changes: Any) -> Config:
        return load(DEMO, base | {k.replace("__", "."): v for k, v in changes.items()})

    return make


def sweep(config: Config, *, fresh: bool = False, **asked: bool) -> Report:
    with opened(config, fresh=fresh) as it:
        it.run(lambda _: None, **asked)
        return it.report()


def ends(report: Report) -> dict[str, str]:
    return {
        f"{row.progress.subreddit}/{row.progress.listing}": row.progress.end or "unfinished"
        for row in report.rows
    }


def read(config: Config) -> bytes:
    return Path(config.reddit.out).read_bytes()


def posts(config: Config) -> list[dict[str, Any]]:
    return [json.loads(text) for text in read(config).splitlines()]


def test_each_listing_costs_its_pages_and_each_post_is_kept_once(
    reddit: RedditServer, world: World
) -> None:
    reddit.fill("AskHR", 250)
    reddit.fill("Frugal", 7)
    report = sweep(world())
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
    ids = [post["id"] for post in posts(world())]
    assert len(set(ids)) == len(ids) == report.posts == report.added == 257
    assert [(row.progress.items, row.new) for row in report.rows] == [
        (250, 250),
        (250, 0),
        (7, 7),
        (7, 0),
    ]
    assert set(ends(report).values()) == {"complete"}


def test_a_finished_sweep_is_not_asked_again(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 150)
    reddit.fill("Frugal", 1)
    first = sweep(world())
    before = read(world())
    reddit.asked.clear()
    again = sweep(world())
    assert reddit.asked == []
    assert (again.requests, again.added, again.posts) == (0, 0, 151)
    assert again.rows == first.rows
    assert read(world()) == before


def test_the_end_near_a_thousand_is_reported(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 1050)
    reddit.fill("Frugal", 300)
    reddit.unlisted = {f"askhr{n:04d}" for n in range(1, 31)}  # Reddit leaves some out of pages
    report = sweep(world(reddit__listings=["new", "top:all", "top:month"]))
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


def test_short_pages_lose_nothing(reddit: RedditServer, world: World) -> None:
    """PRAW's own listings would fill a short page from the next one, and lose the rest of it."""
    reddit.fill("AskHR", 350)
    reddit.unlisted = {"askhr0003", "askhr0101", "askhr0102"}
    report = sweep(world(reddit__subreddits=["AskHR"], reddit__listings=["new"]))
    assert report.posts == 347
    assert len(reddit.asked) == 4


def test_an_empty_page_in_the_middle_is_not_the_end(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 350)
    reddit.unlisted = {f"askhr{n:04d}" for n in range(101, 201)}
    few = world(reddit__subreddits=["AskHR"], reddit__listings=["new"])
    assert sweep(few).posts == 250
    reddit.unlisted |= {f"askhr{n:04d}" for n in range(201, 301)}
    assert ends(sweep(few, fresh=True)) == {"AskHR/new": "complete"}  # two in a row are
    assert len(reddit.asked) == 4 + 3


def test_listings_are_asked_as_configured(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 5)
    listings = ["hot", "controversial", "controversial:all", "search:month take course 3", "top"]
    report = sweep(world(reddit__subreddits=["AskHR", "askhr"], reddit__listings=listings))
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
    reddit: RedditServer, world: World
) -> None:
    config = world(reddit__subreddits=[], reddit__listings=["new"])
    for names in config.domains.values():
        for name in names:
            reddit.fill(name, 1)
    sweep(config)
    wanted = [name for names in config.domains.values() for name in names]
    assert [post["subreddit"] for post in posts(config)] == wanted


@pytest.mark.parametrize(
    "fault",
    [429, 408, 500, 502, 503, 504, 520, "drop", "cut", "page", "list", "silence"],
)
def test_a_fault_that_passes_leaves_no_trace(
    reddit: RedditServer, world: World, tmp_path: Path, fault: int | str
) -> None:
    reddit.fill("AskHR", 250)
    reddit.fill("Frugal", 3)
    undisturbed = world(reddit__out=str(tmp_path / "undisturbed.ndjson"))
    sweep(undisturbed)
    reddit.asked.clear()
    reddit.faults.extend([fault, fault])
    began, wait = time.monotonic(), 0.3 if fault == "silence" else 30.0
    report = sweep(world(reddit__timeout_s=wait))
    assert time.monotonic() - began < 15  # prawcore's own timeout is 16 seconds
    assert report.requests == len(reddit.asked) == 8 + 2
    assert read(world()) == read(undisturbed)


@pytest.mark.parametrize("retry_after", [None, "0.001", "Wed, 21 Oct 2026 07:28:00 GMT", "nan"])
def test_too_many_requests_is_survived_whatever_it_says_of_the_wait(
    reddit: RedditServer, world: World, retry_after: str | None
) -> None:
    reddit.fill("AskHR", 3)
    reddit.retry_after = retry_after
    reddit.faults.extend([429] * (reddit_retry.TRIES - 1))
    assert sweep(world(reddit__subreddits=["AskHR"])).posts == 3


def test_a_spent_rate_limit_is_waited_for(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 150)
    reddit.faults.append("spent")  # prawcore itself waits the second that the header says
    assert sweep(world(reddit__subreddits=["AskHR"], reddit__listings=["new"])).posts == 150


@pytest.mark.parametrize("fault", [429, 503, "drop", "page"])
def test_what_does_not_pass_ends_with_one_line_and_the_next_sweep_goes_on(
    reddit: RedditServer, world: World, tmp_path: Path, fault: int | str
) -> None:
    reddit.fill("AskHR", 350)
    undisturbed = world(reddit__subreddits=["AskHR"], reddit__out=str(tmp_path / "other.ndjson"))
    sweep(undisturbed)
    config = world(reddit__subreddits=["AskHR"])
    with opened(config) as it:
        with pytest.raises(StageError, match=r"r/AskHR/new: no usable answer .* 8 tries") as caught:
            it.run(lambda row: reddit.faults.extend([fault] * 8 if row.items == 200 else []))
        assert set(ends(it.report()).values()) == {"unfinished"}
        assert it.report().added == 200
    assert "\n" not in str(caught.value)
    reddit.asked.clear()
    report = sweep(config)
    assert reddit.asked[0][1]["after"] == "t3_askhr0200"
    assert report.rows[0].progress.items == 350
    assert read(config) == read(undisturbed)


@pytest.mark.parametrize("header", ["retry_after", "window_ends"])
def test_a_wait_too_long_to_sit_out_is_said_at_once(
    reddit: RedditServer, world: World, header: str
) -> None:
    reddit.fill("AskHR", 3)
    reddit.retry_after = None
    setattr(reddit, header, "3600")
    reddit.faults.append(429)
    with pytest.raises(StageError, match="asks to wait 3,600 seconds"):
        sweep(world())
    assert len(reddit.asked) == 1


def test_what_is_not_shown_is_noted_with_its_reason_and_not_asked_again(
    reddit: RedditServer, world: World
) -> None:
    why = {
        "personalfinance": "private",
        "investing": "banned",
        "college": "quarantined",
        "family": "forbidden",
        "Marriage": "legal",
    }
    reddit.closed = why
    reddit.fill("AskHR", 2)
    config = world(reddit__subreddits=[*why, "nonesuch", "AskHR"])
    report = sweep(config)
    reasons = {row.progress.subreddit: row.progress.reason for row in report.rows}
    assert reasons == {**why, "nonesuch": "does not exist", "AskHR": ""}
    assert len(reddit.asked) == 5 + 1 + 2  # one request tells it of all listings
    assert report.posts == 2
    reddit.asked.clear()
    assert sweep(config).rows == report.rows
    assert reddit.asked == []
    reddit.closed = {"investing": "banned"}
    for name in why:
        reddit.fill(name, 1)
    after = sweep(config, retry_unavailable=True)
    assert after.posts == 2 + 4
    assert {r.progress.subreddit for r in after.rows if r.progress.reason} == {
        "investing",
        "nonesuch",
    }


def test_a_listing_that_reddit_cannot_read_is_left_out_alone(
    reddit: RedditServer, world: World
) -> None:
    reddit.fill("AskHR", 2)
    config = world(reddit__subreddits=["AskHR"], reddit__listings=["search bad(", "new"])
    report = sweep(config)
    assert [row.progress.end for row in report.rows] == ["unavailable", "complete"]
    assert report.rows[0].progress.reason == "refused as it is asked"


def test_a_program_that_is_not_let_in_blames_no_subreddit(
    reddit: RedditServer, world: World
) -> None:
    reddit.fill("AskHR", 2)
    reddit.faults.append("refuse")
    with pytest.raises(StageError, match=r"status 403 and a web page; compare reddit\.user_agent"):
        sweep(world(reddit__subreddits=["AskHR"]))
    assert sweep(world(reddit__subreddits=["AskHR"])).posts == 2


@pytest.mark.parametrize("faults", [[500, 429], ["page", 503]])
def test_a_sign_in_that_fails_for_a_while_is_repeated(
    reddit: RedditServer, world: World, faults: list[int | str]
) -> None:
    reddit.fill("AskHR", 1)
    reddit.token_faults.extend(faults)
    assert sweep(world(reddit__subreddits=["AskHR"])).posts == 1


def test_a_token_that_runs_out_is_renewed(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 150)
    with opened(world(reddit__subreddits=["AskHR"], reddit__listings=["new"])) as it:
        it.run(lambda _: reddit.valid.clear())
        assert it.report().posts == 150
    assert len(reddit.tokens) == 2


def test_credentials_are_for_reading_only_whatever_lies_about(
    reddit: RedditServer, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reddit.fill("AskHR", 1)
    for name in ("username", "password", "refresh_token", "site", "user_agent"):
        monkeypatch.setenv(f"praw_{name}", "somebody")
    assert sweep(world(reddit__subreddits=["AskHR"])).posts == 1
    assert all(agent.startswith(AGENT) for agent in reddit.agents)


def as_options(config: Config, *names: str) -> list[str]:
    """Return the settings of [reddit] as a command line."""
    wanted = ("user_agent", "subreddits", "listings", "out", "reddit_url", "oauth_url", "short_url")
    given = {name: getattr(config.reddit, name) for name in wanted}
    return [
        part
        for name, value in given.items()
        for part in ("--set", f"reddit.{name}={json.dumps(value)}")
    ]


@pytest.mark.parametrize("name", ["REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET"])
def test_a_missing_credential_is_named(world: World, tmp_path: Path, name: str) -> None:
    said = fails(2, "sweep", *as_options(world()), env={name: " "})
    assert f"{name}: not set" in said
    assert not (tmp_path / "posts").exists()


def test_wrong_credentials_are_one_line_and_change_nothing(
    reddit: RedditServer, world: World
) -> None:
    reddit.fill("AskHR", 1)
    sweep(world(reddit__subreddits=["AskHR"]))
    before = read(world())
    wrong = {"REDDIT_CLIENT_SECRET": "wrong-secret-never-seen"}
    said = fails(2, "sweep", "--fresh", *as_options(world()), env=wrong)
    assert "check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET" in said
    assert "never-seen" not in said
    assert read(world()) == before


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_sign_in_is_one_line(reddit: RedditServer, world: World, status: int) -> None:
    reddit.token_faults.append(status)
    with pytest.raises(StageError, match=f"refuses with status {status}"):
        sweep(world())


def test_secrets_and_names_are_nowhere(
    reddit: RedditServer,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reddit.fill("AskHR", 120)
    caplog.set_level("DEBUG")
    said = []
    for faults in ([429], ["drop", "silence"], ["cut"], ["list"] * 8, ["refuse"]):
        reddit.faults.extend(faults)
        try:
            sweep(world(reddit__timeout_s=0.3), fresh=True)
        except StageError as error:
            said += traceback.format_exception(error)
    reddit.faults.extend([503] * 8)
    done = command("sweep", "--fresh", *as_options(world()))
    assert done.returncode == 1
    sweep(world())
    monkeypatch.setenv("REDDIT_CLIENT_SECRET", "wrong-ünd-never-seen\u20ac")  # not even latin-1
    with pytest.raises(StageError, match="could not be sent") as caught:
        sweep(world())
    said += [*traceback.format_exception(caught.value), done.stdout, done.stderr, caplog.text]
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    shown = files.decode().lower() + "".join(said).lower()
    assert "course 1?" in shown
    hidden = ("never-seen", reddit.client_id, *reddit.tokens, "writer_", "t2_0000")
    assert [word for word in hidden if word in shown] == []


@pytest.mark.slow
def test_a_token_that_is_refused_for_good_is_one_line(reddit: RedditServer, world: World) -> None:
    """prawcore asks three times, with waits of its own; the header that it looks up is missing."""
    reddit.fill("AskHR", 1)
    reddit.faults.extend([401] * 3)
    with pytest.raises(BadInputError, match="refuses the app's id and secret"):
        sweep(world(reddit__subreddits=["AskHR"]))


KILLS = [(1, "before"), (1, "middle"), (2, "before"), (2, "middle"), (1, "after"), (3, "after")]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [KILLS, KILLS[::-1], [(1, "after")] * 9])
def test_killed_sweeps_end_with_the_bytes_of_an_undisturbed_one(
    reddit: RedditServer, world: World, tmp_path: Path, kills: list[tuple[int, str]]
) -> None:
    reddit.fill("AskHR", 520)
    reddit.fill("Frugal", 150)
    reddit.closed["investing"] = "private"
    names = {"reddit__subreddits": ["AskHR", "investing", "Frugal"]}
    undisturbed = world(reddit__out=str(tmp_path / "undisturbed.ndjson"), **names)
    expected = sweep(undisturbed)
    reddit.asked.clear()
    options = as_options(world(**names))
    for kill in kills:
        reddit.kill = kill
        reddit.victim_known.clear()
        child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "sweep", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        reddit.victim = child.pid
        reddit.victim_known.set()
        _, said = child.communicate(timeout=60)
        assert child.returncode == -9, said
    report = sweep(world(**names))
    assert read(world()) == read(undisturbed)
    assert report.rows == expected.rows
    asked_twice = len(reddit.asked) - expected.requests
    assert asked_twice <= len(kills)


def test_a_page_that_was_written_and_not_noted_is_not_doubled(
    reddit: RedditServer, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reddit.fill("AskHR", 350)
    undisturbed = world(reddit__out=str(tmp_path / "undisturbed.ndjson"))
    reddit.fill("Frugal", 3)
    expected = sweep(undisturbed)
    with monkeypatch.context() as broken, opened(world()) as it:
        broken.setattr(Book, "put", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            it.run(lambda _: None)
    assert len(posts(world())) == 100
    for cut in (7, 0, 1):  # a torn last line, a whole one, one that lacks its end
        path = Path(world().reddit.out)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - cut] + (content[:50] if cut == 0 else b""))
        with opened(world()):
            pass
    assert 98 <= len(posts(world())) <= 100
    report = sweep(world())
    assert read(world()) == read(undisturbed)
    assert report.rows == expected.rows


def test_a_listing_whose_place_is_lost_is_asked_from_its_start(
    reddit: RedditServer, world: World
) -> None:
    """Reddit shows an empty page behind a post that has left the listing meanwhile."""
    reddit.fill("AskHR", 350)
    config = world(reddit__subreddits=["AskHR"], reddit__listings=["new"])
    with opened(config) as it, pytest.raises(StageError):
        it.run(lambda _: reddit.faults.extend([503] * 8))
    reddit.posts["AskHR"] = [post for post in reddit.posts["AskHR"] if post["id"] != "askhr0100"]
    report = sweep(config)
    assert report.posts == 350  # the lost one was seen before it left
    assert report.rows[0].progress.items == 349


def test_again_adds_what_is_new_and_fresh_begins_anew(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 3)
    config = world(reddit__subreddits=["AskHR"])
    sweep(config)
    old = read(config)
    reddit.posts["AskHR"] = [make_post("AskHR", n) for n in (0, 1, 2)]
    report = sweep(config, again=True)
    assert read(config).startswith(old)
    assert (report.posts, report.added) == (4, 1)
    report = sweep(config, fresh=True)
    assert sorted(post["id"] for post in posts(config)) == ["askhr0000", "askhr0001", "askhr0002"]
    assert report.posts == 3


def test_fewer_items_can_be_asked_for_and_more_later(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 300)
    few = {"reddit__subreddits": ["AskHR"], "reddit__listings": ["new"]}
    report = sweep(world(reddit__max_per_listing=130, **few))
    assert (report.posts, ends(report)) == (130, {"AskHR/new": "max_per_listing"})
    assert [asked["limit"] for _, asked in reddit.asked] == ["100", "30"]
    report = sweep(world(**few))
    assert (report.posts, ends(report)) == (300, {"AskHR/new": "complete"})


def test_authors_are_hashed_with_the_key_and_never_named(
    reddit: RedditServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Some_Body", "SOME_body", "[deleted]", None, "", "Other", 7]
    reddit.posts["AskHR"] = [make_post("AskHR", n, author=name) for n, name in enumerate(names)]
    config = world(reddit__subreddits=["AskHR"], reddit__listings=["new"])
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
    reddit: RedditServer, world: World, tmp_path: Path
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
    config = world(reddit__listings=["new"])
    sweep(config)
    built = world(source__path=config.reddit.out, source__html_escaped=False)
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


def test_ids_are_looked_up_a_hundred_at_a_time(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 240)
    shown = reddit.posts["AskHR"]
    shown[0] |= {"selftext": "[removed]", "removed_by_category": "moderator"}
    shown[1] |= {"selftext": "[deleted]", "author": "[deleted]"}
    shown[2] |= {"selftext": "still here", "removed_by_category": "deleted"}
    shown[3] |= {"selftext": "[ Removed by Reddit ]", "removed_by_category": "content_takedown"}
    shown[4] |= {"selftext": "[removed]"}
    shown[5] |= {"author": None, "score": -3}
    ids = [f"t3_{post['id']}" for post in shown[:6]] + ["zzz"] + [p["id"] for p in shown[6:]]
    found = list(fetch_by_ids(Reddit(world()), iter(ids)))
    assert [it.post_id for it in found] == [name.removeprefix("t3_") for name in ids]
    assert len(reddit.asked) == 3
    assert [it.state for it in found[:7]] == [
        "removed",
        "deleted",
        "deleted",
        "removed",
        "removed",
        "present",
        "gone",
    ]
    assert {it.state for it in found[7:]} == {"present"}
    assert found[0].removal == "moderator"
    assert [it for it in found if it.state != "present" and it.record] == []
    kept = found[5].record
    assert kept is not None
    assert (kept["score"], kept["author_hash"], kept["title"]) == (-3, None, shown[5]["title"])
    assert found[6] == Found("zzz", "gone", "", None)


def test_posts_are_looked_up_again_through_the_api(reddit: RedditServer, world: World) -> None:
    """What `sync` and `hydrate` see without --from; bodies are told apart by their hash."""
    reddit.fill("AskHR", 4)
    shown = reddit.posts["AskHR"]
    first, second, third, fourth = shown
    hashes = {post["id"]: recheck.body_hash(post["selftext"]) for post in shown}
    second["selftext"] += " Edit: thanks."
    third |= {"selftext": "[removed]", "removed_by_category": "moderator"}
    fourth |= {"selftext": "[deleted]", "author": None}
    ids = [first["id"], second["id"], third["id"], fourth["id"], "zzz"]
    seen = list(recheck.by_api(world(), ids))
    assert [recheck.state_of(it, hashes.get(it.post_id, "")) for it in seen] == [
        "same",
        "edited",
        "removed",
        "deleted",
        "gone",
    ]


def test_an_answer_without_a_listing_makes_no_post_gone(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 1)
    client = Reddit(world())
    reddit.faults.extend(["list", "page", "cut"])
    assert [it.state for it in fetch_by_ids(client, ["askhr0001"])] == ["present"]
    for faults in (["list"] * 8, [404], ["refuse"]):
        reddit.faults.extend(faults)
        with pytest.raises(StageError):
            list(fetch_by_ids(client, ["askhr0001"]))
    with pytest.raises(BadInputError, match="'sample-1' is no id"):
        list(fetch_by_ids(client, ["askhr0001", "sample-1"]))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("reddit.listings", ["newest"], "reddit.listings.0: String should match"),
        ("reddit.listings", ["top:decade"], "reddit.listings.0"),
        ("reddit.listings", ["search:all"], "reddit.listings.0"),
        ("reddit.oauth_url", "http://oauth.reddit.com", "reddit.oauth_url"),
        ("reddit.max_per_listing", 0, "reddit.max_per_listing"),
        ("reddit.subreddits", ["r/AskHR"], "'r/AskHR' is no subreddit's name"),
        ("reddit.subreddits", ["AskHR+Frugal"], "'AskHR+Frugal' is no subreddit's name"),
        ("reddit.user_agent", "", "reddit.user_agent: missing"),
        ("reddit.user_agent", "linux:käse:v1 (by /u/x)", "reddit.user_agent: missing or unusable"),
    ],
)
def test_a_wrong_setting_is_named(world: World, key: str, value: Any, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        sweep(world(**{key.replace(".", "__"): value}))
    assert said in str(caught.value)


def test_files_that_are_not_a_sweeps_are_named(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 2)
    config = world(reddit__subreddits=["AskHR"])
    sweep(config)
    out = Path(config.reddit.out)
    notes = out.with_name(f"{out.name}.sweep.json")
    out.write_bytes(b"no json\n" + out.read_bytes())
    with pytest.raises(BadInputError, match=r"reddit\.ndjson: line 1: no post"):
        sweep(config)
    out.unlink()
    with pytest.raises(BadInputError, match=r"missing, but .*sweep\.json"):
        sweep(config)
    notes.write_text('{"format": 2}')
    with pytest.raises(BadInputError, match="no sweep's progress"):
        sweep(config)
    assert sweep(config, fresh=True).posts == 2


def test_a_file_that_cannot_be_written_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "posts" / "reddit.ndjson").mkdir(parents=True)
    with pytest.raises(BadInputError, match=r"reddit\.ndjson: Is a directory; name another file"):
        sweep(world())
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"name another file by reddit\.out"):
        sweep(world(reddit__out=str(tmp_path / "file" / "reddit.ndjson")))


def test_two_sweeps_into_one_file_are_refused(world: World) -> None:
    out = Path(world().reddit.out)
    out.parent.mkdir()
    with (
        FileLock(out.with_name(f".{out.name}.lock")),
        pytest.raises(BusyError, match="another sweep is at work"),
    ):
        sweep(world())


def test_the_report_as_lines_and_as_json(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 1010)
    reddit.closed["investing"] = "private"
    options = as_options(world(reddit__subreddits=["AskHR", "investing"]))
    done = command("sweep", *options)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "r/AskHR new: 1,000 items, 1,000 new, 2023-06-19 to 2024-10-31, 1,000 end" in lines
    assert "r/investing new: 0 items, 0 new, - to -, unavailable: private" in lines
    assert "1 of 4 listings ended near 1,000 items" in done.stdout
    assert "unavailable: r/investing (private)" in lines
    assert f"--source {world().reddit.out} --set source.html_escaped=false" in lines[-1]
    done = command("sweep", "--json", *options, env={"VALACT_AUTHOR_KEY": KEY})
    found = json.loads(done.stdout)
    assert (found["posts"], found["added"], found["requests"]) == (1000, 0, 0)
    first = found["listings"][0]
    assert (first["reached_1000"], first["end"], first["oldest"]) == (
        True,
        "near_1000",
        "2023-06-19",
    )
    assert found["listings"][2]["reason"] == "private"


def test_the_report_of_a_sweep_that_fails_comes_before_the_line(
    reddit: RedditServer, world: World
) -> None:
    reddit.fill("AskHR", 120)
    reddit.faults.extend([503] * 8)
    done = command("sweep", *as_options(world(reddit__subreddits=["AskHR"])))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "error: r/AskHR/new: no usable answer of Reddit in 8 tries, last status 503" in (
        done.stderr
    )
    assert "2 of 2 listings are not finished; the same command goes on" in done.stdout


def test_the_report_is_a_table_on_a_terminal(reddit: RedditServer, world: World) -> None:
    reddit.fill("AskHR", 120)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "sweep", *as_options(world())],
        cwd=ROOT,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"COLUMNS": "120", "TERM": "dumb"},
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:  # the way in which Linux says that the other side has closed
        pass
    os.close(ours)
    assert child.wait(60) == 0, shown
    assert "│ r/AskHR" in shown.decode()
    assert "does not exist" in shown.decode()
