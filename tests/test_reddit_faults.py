"""A sweep of Reddit through faults: what passes leaves no trace, what does not is one line.

Real PRAW against a loopback Reddit; what waits between tries does so in milliseconds.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.errors import StageError
from pipeline.sources import reddit_retry
from pipeline.sources.sweep import opened
from tests.loopback_reddit import RedditServer
from tests.reddit_world import World, ends, read, sweep


@pytest.mark.parametrize(
    "fault",
    [429, 408, 500, 502, 503, 504, 520, "drop", "cut", "page", "list", "silence"],
)
def test_a_fault_that_passes_leaves_no_trace(
    reddit: RedditServer, reddit_world: World, tmp_path: Path, fault: int | str
) -> None:
    reddit.fill("AskHR", 250)
    reddit.fill("Frugal", 3)
    undisturbed = reddit_world(reddit__out=str(tmp_path / "undisturbed.ndjson"))
    sweep(undisturbed)
    reddit.asked.clear()
    reddit.faults.extend([fault, fault])
    began, wait = time.monotonic(), 0.3 if fault == "silence" else 30.0
    report = sweep(reddit_world(reddit__timeout_s=wait))
    assert time.monotonic() - began < 15  # prawcore's own timeout is 16 seconds
    assert report.requests == len(reddit.asked) == 8 + 2
    assert read(reddit_world()) == read(undisturbed)


@pytest.mark.parametrize("retry_after", [None, "0.001", "Wed, 21 Oct 2026 07:28:00 GMT", "nan"])
def test_too_many_requests_is_survived_whatever_it_says_of_the_wait(
    reddit: RedditServer, reddit_world: World, retry_after: str | None
) -> None:
    reddit.fill("AskHR", 3)
    reddit.retry_after = retry_after
    reddit.faults.extend([429] * (reddit_retry.TRIES - 1))
    assert sweep(reddit_world(reddit__subreddits=["AskHR"])).posts == 3


def test_a_spent_rate_limit_is_waited_for(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 150)
    reddit.faults.append("spent")  # prawcore itself waits the second that the header says
    assert sweep(reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["new"])).posts == 150


@pytest.mark.parametrize("fault", [429, 503, "drop", "page"])
def test_what_does_not_pass_ends_with_one_line_and_the_next_sweep_goes_on(
    reddit: RedditServer, reddit_world: World, tmp_path: Path, fault: int | str
) -> None:
    reddit.fill("AskHR", 350)
    undisturbed = reddit_world(
        reddit__subreddits=["AskHR"], reddit__out=str(tmp_path / "other.ndjson")
    )
    sweep(undisturbed)
    config = reddit_world(reddit__subreddits=["AskHR"])
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
    reddit: RedditServer, reddit_world: World, header: str
) -> None:
    reddit.fill("AskHR", 3)
    reddit.retry_after = None
    setattr(reddit, header, "3600")
    reddit.faults.append(429)
    with pytest.raises(StageError, match="asks to wait 3,600 seconds"):
        sweep(reddit_world())
    assert len(reddit.asked) == 1


def test_what_is_not_shown_is_noted_with_its_reason_and_not_asked_again(
    reddit: RedditServer, reddit_world: World
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
    config = reddit_world(reddit__subreddits=[*why, "nonesuch", "AskHR"])
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
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 2)
    config = reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["search bad(", "new"])
    report = sweep(config)
    assert [row.progress.end for row in report.rows] == ["unavailable", "complete"]
    assert report.rows[0].progress.reason == "refused as it is asked"


def test_a_program_that_is_not_let_in_blames_no_subreddit(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 2)
    reddit.faults.append("refuse")
    with pytest.raises(StageError, match=r"status 403 and a web page; compare reddit\.user_agent"):
        sweep(reddit_world(reddit__subreddits=["AskHR"]))
    assert sweep(reddit_world(reddit__subreddits=["AskHR"])).posts == 2


@pytest.mark.parametrize("faults", [[500, 429], ["page", 503]])
def test_a_sign_in_that_fails_for_a_while_is_repeated(
    reddit: RedditServer, reddit_world: World, faults: list[int | str]
) -> None:
    reddit.fill("AskHR", 1)
    reddit.token_faults.extend(faults)
    assert sweep(reddit_world(reddit__subreddits=["AskHR"])).posts == 1


def test_a_token_that_runs_out_is_renewed(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 150)
    with opened(reddit_world(reddit__subreddits=["AskHR"], reddit__listings=["new"])) as it:
        it.run(lambda _: reddit.valid.clear())
        assert it.report().posts == 150
    assert len(reddit.tokens) == 2
