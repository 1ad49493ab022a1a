"""A sweep of the loopback Reddit: its configuration, and what a sweep gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config
from pipeline.config_file import load
from pipeline.paths import ROOT
from pipeline.sources import reddit_retry
from pipeline.sources.sweep import Report, opened
from tests.loopback_reddit import RedditServer

DEMO = ROOT / "configs" / "demo.toml"
KEY = "author-key-never-seen"
AGENT = "linux:valact-tests:v1 (by /u/nobody)"
World = Callable[..., Config]


def reddit_world(reddit: RedditServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
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


def as_options(config: Config, *names: str) -> list[str]:
    """Return the settings of [reddit] as a command line."""
    wanted = ("user_agent", "subreddits", "listings", "out", "reddit_url", "oauth_url", "short_url")
    given = {name: getattr(config.reddit, name) for name in wanted}
    return [
        part
        for name, value in given.items()
        for part in ("--set", f"reddit.{name}={json.dumps(value)}")
    ]
