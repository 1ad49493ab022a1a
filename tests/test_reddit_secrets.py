"""Signing in at Reddit: reading only, one line if it fails, secrets nowhere.

Real PRAW against a loopback Reddit; what waits between tries does so in milliseconds.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from pipeline.errors import BadInputError, StageError
from tests.conftest import command
from tests.loopback_reddit import RedditServer
from tests.reddit_world import AGENT, World, as_options, read, sweep
from tests.test_cli import fails


def test_credentials_are_for_reading_only_whatever_lies_about(
    reddit: RedditServer, reddit_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reddit.fill("AskHR", 1)
    for name in ("username", "password", "refresh_token", "site", "user_agent"):
        monkeypatch.setenv(f"praw_{name}", "somebody")
    assert sweep(reddit_world(reddit__subreddits=["AskHR"])).posts == 1
    assert all(agent.startswith(AGENT) for agent in reddit.agents)


@pytest.mark.parametrize("name", ["REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET"])
def test_a_missing_credential_is_named(reddit_world: World, tmp_path: Path, name: str) -> None:
    said = fails(2, "sweep", *as_options(reddit_world()), env={name: " "})
    assert f"{name}: not set" in said
    assert not (tmp_path / "posts").exists()


def test_wrong_credentials_are_one_line_and_change_nothing(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 1)
    sweep(reddit_world(reddit__subreddits=["AskHR"]))
    before = read(reddit_world())
    wrong = {"REDDIT_CLIENT_SECRET": "wrong-secret-never-seen"}
    said = fails(2, "sweep", "--fresh", *as_options(reddit_world()), env=wrong)
    assert "check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET" in said
    assert "never-seen" not in said
    assert read(reddit_world()) == before


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_sign_in_is_one_line(
    reddit: RedditServer, reddit_world: World, status: int
) -> None:
    reddit.token_faults.append(status)
    with pytest.raises(StageError, match=f"refuses with status {status}"):
        sweep(reddit_world())


def test_secrets_and_names_are_nowhere(
    reddit: RedditServer,
    reddit_world: World,
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
            sweep(reddit_world(reddit__timeout_s=0.3), fresh=True)
        except StageError as error:
            said += traceback.format_exception(error)
    reddit.faults.extend([503] * 8)
    done = command("sweep", "--fresh", *as_options(reddit_world()))
    assert done.returncode == 1
    sweep(reddit_world())
    monkeypatch.setenv("REDDIT_CLIENT_SECRET", "wrong-ünd-never-seen\u20ac")  # not even latin-1
    with pytest.raises(StageError, match="could not be sent") as caught:
        sweep(reddit_world())
    said += [*traceback.format_exception(caught.value), done.stdout, done.stderr, caplog.text]
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    shown = files.decode().lower() + "".join(said).lower()
    assert "course 1?" in shown
    hidden = ("never-seen", reddit.client_id, *reddit.tokens, "writer_", "t2_0000")
    assert [word for word in hidden if word in shown] == []


@pytest.mark.slow
def test_a_token_that_is_refused_for_good_is_one_line(
    reddit: RedditServer, reddit_world: World
) -> None:
    """prawcore asks three times, with waits of its own; the header that it looks up is missing."""
    reddit.fill("AskHR", 1)
    reddit.faults.extend([401] * 3)
    with pytest.raises(BadInputError, match="refuses the app's id and secret"):
        sweep(reddit_world(reddit__subreddits=["AskHR"]))
