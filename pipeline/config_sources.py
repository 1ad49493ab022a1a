"""Sections of the configuration that say where posts come from: files, and Reddit's API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.config_model import STRICT, Count, Positive

ListingName = Annotated[
    str,
    Field(
        pattern=r"^(new|hot|(top|controversial)(:(hour|day|week|month|year|all))?"
        r"|search(:(hour|day|week|month|year|all))? \S.*)$"
    ),
]


SafeUrl = Annotated[str, Field(pattern=r"^(https://[^/]+|http://127\.0\.0\.1(:\d+)?)$")]
"""Secrets go there: encrypted, or not off this machine."""


@dataclass(frozen=True, config=STRICT)
class SourceConfig:
    """Where posts come from.

    Attributes:
        path: A dump (`.ndjson`, plain, `.gz` or `.zst`), or "sample" for the bundled posts.
        mapping: Name of a column mapping (configs/mappings.toml) if `path` is an export in CSV,
            TSV or JSON; "" for a dump.
        html_escaped: True if a dump escapes `&`, `<`, `>` once (published ones do, PRAW does not);
            a mapping says it for itself.
        author_key_env: Environment variable with the private key that authors' names are hashed
            with; without it no hash is kept. Names in clear are never kept.
        tombstones: File of posts that must not be used; see tombstones.py.
        max_bad_lines: Unreadable lines after which the scrape stops.
        limit: Read only this many lines; 0 reads all.
    """

    path: str
    mapping: str = ""
    html_escaped: bool = True
    author_key_env: str = "VALACT_AUTHOR_KEY"
    tombstones: str = "tombstones.ndjson"
    max_bad_lines: Count = 10_000
    limit: Count = 0


@dataclass(frozen=True, config=STRICT)
class RedditConfig:
    """What `sweep` asks of Reddit's Data API; a build never reads it.

    Attributes:
        subreddits: Names without "r/"; none for those of [domains].
        listings: Asked in this order in every subreddit: "new", "hot", "top:TIME",
            "controversial:TIME", "search:TIME QUERY", with TIME one of hour, day, week, month,
            year, all ("all" if left out).
        out: Dump that the posts are added to; not HTML-escaped.
        max_per_listing: Most items read of one listing; Reddit itself ends near 1,000.
        user_agent: Who asks, as Reddit wants it: "<platform>:<app>:<version> (by /u/<you>)".
        client_id_env: Environment variable that holds the script app's id.
        client_secret_env: Environment variable that holds its secret.
        timeout_s: Seconds after which a request counts as unanswered.
        reddit_url: Where tokens come from.
        oauth_url: Where listings come from.
        short_url: Reddit's short links; PRAW wants to know them.
    """

    subreddits: tuple[str, ...] = ()
    listings: tuple[ListingName, ...] = ("new", "top:all", "top:year", "hot", "controversial:all")
    out: str = "posts/reddit.ndjson"
    max_per_listing: Positive = 1000
    user_agent: str = ""
    client_id_env: str = "REDDIT_CLIENT_ID"
    client_secret_env: str = "REDDIT_CLIENT_SECRET"  # noqa: S105 - a name, not a secret
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    reddit_url: SafeUrl = "https://www.reddit.com"
    oauth_url: SafeUrl = "https://oauth.reddit.com"
    short_url: SafeUrl = "https://redd.it"
