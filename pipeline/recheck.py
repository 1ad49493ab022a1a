"""Looking again at posts that a build used: are they still there, and are they as they were?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import schema
from pipeline.artifacts import sha256_text
from pipeline.config import Config
from pipeline.rewrite import masked, scenario_id
from pipeline.sources.read import read_posts
from pipeline.sources.reddit import Reddit, fetch_by_ids
from pipeline.text import clean, mask

SAME, EDITED = "same", "edited"


@dataclass(frozen=True)
class Seen:
    """A post as a source shows it now.

    Attributes:
        post_id: Its id.
        state: "present", "removed", "deleted" or "gone".
        title: Its title, if present.
        body: Its text, if present.
    """

    post_id: str
    state: str
    title: str = ""
    body: str = ""


def by_api(config: Config, ids: Iterable[str]) -> Iterator[Seen]:
    """Ask Reddit about each id, a hundred at a time.

    Raises:
        PipelineError: See pipeline.sources.reddit.
    """
    reddit = Reddit(config)
    for found in fetch_by_ids(reddit, ids):
        fields = found.record or {}
        yield Seen(
            found.post_id,
            found.state,
            str(fields.get("title") or ""),
            str(fields.get("selftext") or ""),
        )


def by_dump(config: Config, path: Path, ids: Iterable[str]) -> Iterator[Seen]:
    """Look each id up in a dump or export; what is not in it is gone.

    Raises:
        BadInputError: See sources.read.read_posts.
    """
    wanted = list(ids)
    posts = read_posts([path], config, all_subreddits=True).posts
    rows = {
        row["post_id"]: row
        for row in posts.filter(pl.col("post_id").is_in(wanted)).iter_rows(named=True)
    }
    for post_id in wanted:
        row = rows.get(post_id)
        if row is None:
            yield Seen(post_id, "gone")
        elif row["removal"] != "none":
            yield Seen(post_id, row["removal"])
        else:
            yield Seen(post_id, "present", row["title"], row["body"])


def body_hash(body: str) -> str:
    """Return the hash by which a body is known again: of its text without invisible characters."""
    return sha256_text(clean(body))


def state_of(seen: Seen, stored_hash: str) -> str:
    """Return "same", "edited", or what became of the post."""
    if seen.state != "present":
        return seen.state
    return SAME if body_hash(seen.body) == stored_hash else EDITED


def hydrate(scenarios: pl.DataFrame, seen: Iterable[Seen]) -> pl.DataFrame:
    """Fill in the texts of a release of ids.

    Args:
        scenarios: The release's table "scenarios", with post_id and body_sha256.
        seen: What a source shows of the posts.

    Returns:
        One row a scenario: scenario_id, post_id, state, scenario; the text is there where the post
        is the same as when the release was built, down to the scenario's id.
    """
    stored: Mapping[str, tuple[str, str]] = {
        post: (scenario, digest)
        for post, scenario, digest in scenarios.select(
            "post_id", "scenario_id", "body_sha256"
        ).iter_rows()
    }
    rows = []
    for found in seen:
        scenario, digest = stored[found.post_id]
        state, text = state_of(found, digest), ""
        if state == SAME:
            text = masked(mask(f"{clean(found.title)}\n\n{clean(found.body)}")[0])
            if scenario_id(text) != scenario:  # the title, or what is masked, has changed
                state, text = EDITED, ""
        rows.append(
            {"scenario_id": scenario, "post_id": found.post_id, "state": state, "scenario": text}
        )
    return schema.frame(rows, schema.HYDRATED).sort("scenario_id")
