"""Sweeps that were killed, asked again, or meet files of others; and their report.

Real PRAW against a loopback Reddit; what waits between tries does so in milliseconds.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline.errors import BadInputError, BusyError, StageError
from pipeline.paths import ROOT
from pipeline.sources.sweep import opened
from pipeline.sources.sweep_book import Book
from tests.conftest import command
from tests.loopback_reddit import RedditServer, make_post
from tests.reddit_world import KEY, World, as_options, ends, posts, read, sweep

KILLS = [(1, "before"), (1, "middle"), (2, "before"), (2, "middle"), (1, "after"), (3, "after")]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [KILLS, KILLS[::-1], [(1, "after")] * 9])
def test_killed_sweeps_end_with_the_bytes_of_an_undisturbed_one(
    reddit: RedditServer, reddit_world: World, tmp_path: Path, kills: list[tuple[int, str]]
) -> None:
    reddit.fill("AskHR", 520)
    reddit.fill("Frugal", 150)
    reddit.closed["investing"] = "private"
    names = {"reddit__subreddits": ["AskHR", "investing", "Frugal"]}
    undisturbed = reddit_world(reddit__out=str(tmp_path / "undisturbed.ndjson"), **names)
    expected = sweep(undisturbed)
    reddit.asked.clear()
    options = as_options(reddit_world(**names))
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
    report = sweep(reddit_world(**names))
    assert read(reddit_world()) == read(undisturbed)
    assert report.rows == expected.rows
    asked_twice = len(reddit.asked) - expected.requests
    assert asked_twice <= len(kills)


def test_a_page_that_was_written_and_not_noted_is_not_doubled(
    reddit: RedditServer, reddit_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reddit.fill("AskHR", 350)
    undisturbed = reddit_world(reddit__out=str(tmp_path / "undisturbed.ndjson"))
    reddit.fill("Frugal", 3)
    expected = sweep(undisturbed)
    with monkeypatch.context() as broken, opened(reddit_world()) as it:
        broken.setattr(Book, "put", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            it.run(lambda _: None)
    assert len(posts(reddit_world())) == 100
    for cut in (7, 0, 1):  # a torn last line, a whole one, one that lacks its end
        path = Path(reddit_world().reddit.out)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - cut] + (content[:50] if cut == 0 else b""))
        with opened(reddit_world()):
            pass
    assert 98 <= len(posts(reddit_world())) <= 100
    report = sweep(reddit_world())
    assert read(reddit_world()) == read(undisturbed)
    assert report.rows == expected.rows


def test_a_listing_whose_place_is_lost_is_asked_from_its_start(
    reddit: RedditServer, reddit_world: World
) -> None:
    """Reddit shows an empty page behind a post that has left the listing meanwhile."""
    reddit.fill("AskHR", 350)
    config = reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["new"])
    with opened(config) as it, pytest.raises(StageError):
        it.run(lambda _: reddit.faults.extend([503] * 8))
    reddit.posts["AskHR"] = [post for post in reddit.posts["AskHR"] if post["id"] != "askhr0100"]
    report = sweep(config)
    assert report.posts == 350  # the lost one was seen before it left
    assert report.rows[0].progress.items == 349


def test_again_adds_what_is_new_and_fresh_begins_anew(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 3)
    config = reddit_world(reddit__subreddits=["AskHR"])
    sweep(config)
    old = read(config)
    reddit.posts["AskHR"] = [make_post("AskHR", n) for n in (0, 1, 2)]
    report = sweep(config, again=True)
    assert read(config).startswith(old)
    assert (report.posts, report.added) == (4, 1)
    report = sweep(config, fresh=True)
    assert sorted(post["id"] for post in posts(config)) == ["askhr0000", "askhr0001", "askhr0002"]
    assert report.posts == 3


def test_fewer_items_can_be_asked_for_and_more_later(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 300)
    few = {"reddit__subreddits": ["AskHR"], "reddit__listings": ["new"]}
    report = sweep(reddit_world(reddit__max_per_listing=130, **few))
    assert (report.posts, ends(report)) == (130, {"AskHR/new": "max_per_listing"})
    assert [asked["limit"] for _, asked in reddit.asked] == ["100", "30"]
    report = sweep(reddit_world(**few))
    assert (report.posts, ends(report)) == (300, {"AskHR/new": "complete"})


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
def test_a_wrong_setting_is_named(reddit_world: World, key: str, value: Any, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        sweep(reddit_world(**{key.replace(".", "__"): value}))
    assert said in str(caught.value)


def test_files_that_are_not_a_sweeps_are_named(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 2)
    config = reddit_world(reddit__subreddits=["AskHR"])
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


def test_a_file_that_cannot_be_written_is_named(reddit_world: World, tmp_path: Path) -> None:
    (tmp_path / "posts" / "reddit.ndjson").mkdir(parents=True)
    with pytest.raises(BadInputError, match=r"reddit\.ndjson: Is a directory; name another file"):
        sweep(reddit_world())
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"name another file by reddit\.out"):
        sweep(reddit_world(reddit__out=str(tmp_path / "file" / "reddit.ndjson")))


def test_two_sweeps_into_one_file_are_refused(reddit_world: World) -> None:
    out = Path(reddit_world().reddit.out)
    out.parent.mkdir()
    with (
        FileLock(out.with_name(f".{out.name}.lock")),
        pytest.raises(BusyError, match="another sweep is at work"),
    ):
        sweep(reddit_world())


def test_the_report_as_lines_and_as_json(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 1010)
    reddit.closed["investing"] = "private"
    options = as_options(reddit_world(reddit__subreddits=["AskHR", "investing"]))
    done = command("sweep", *options)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "r/AskHR new: 1,000 items, 1,000 new, 2023-06-19 to 2024-10-31, 1,000 end" in lines
    assert "r/investing new: 0 items, 0 new, - to -, unavailable: private" in lines
    assert "1 of 4 listings ended near 1,000 items" in done.stdout
    assert "unavailable: r/investing (private)" in lines
    assert f"--source {reddit_world().reddit.out} --set source.html_escaped=false" in lines[-1]
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
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 120)
    reddit.faults.extend([503] * 8)
    done = command("sweep", *as_options(reddit_world(reddit__subreddits=["AskHR"])))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "error: r/AskHR/new: no usable answer of Reddit in 8 tries, last status 503" in (
        done.stderr
    )
    assert "2 of 2 listings are not finished; the same command goes on" in done.stdout


def test_the_report_is_a_table_on_a_terminal(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 120)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "sweep", *as_options(reddit_world())],
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
