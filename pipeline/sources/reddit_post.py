"""What is kept of a submission that Reddit's API gives: a line of a dump, without the author."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.artifacts import canonical_json
from pipeline.sources.authors import author_hash
from pipeline.sources.post import Submission, removal

State = Literal["present", "removed", "deleted", "gone"]

_STATES: dict[str, State] = {"none": "present", "removed": "removed", "deleted": "deleted"}
_KEPT = (
    "created_utc",
    "crosspost_parent",
    "distinguished",
    "edited",
    "id",
    "is_self",
    "link_flair_text",
    "num_comments",
    "over_18",
    "removed_by_category",
    "score",
    "selftext",
    "stickied",
    "subreddit",
    "title",
    "upvote_ratio",
)


def record(post: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """Return the post in dump shape; a field that Reddit left out stays out.

    Of a post that was removed or deleted no text is kept, whatever the answer still holds.

    Args:
        post: A submission as Reddit's API gives it.
        key: What the author's name is hashed with, b"" for no hash; the name is not kept.
    """
    kept = {name: post[name] for name in _KEPT if name in post}
    if (now := state(post)) != "present":
        kept |= {"title": "", "selftext": f"[{now}]"}
    author = post.get("author")  # null or "[deleted]" if the account is gone
    return kept | {"author_hash": author_hash(author, key) if isinstance(author, str) else None}


def line(fields: Mapping[str, Any]) -> bytes:
    """Return a record as one line of NDJSON: keys sorted, so that equal records are equal bytes.

    A lone half of a surrogate pair becomes "?": JSON may hold it, UTF-8 may not.
    """
    return canonical_json(fields).encode("utf-8", "replace") + b"\n"


def state(post: Mapping[str, Any]) -> State:
    """Say whether a submission that Reddit still knows is there, removed, or deleted."""
    by = Submission(id=post["id"], removed_by_category=post.get("removed_by_category"))
    found = removal(by, str(post.get("selftext") or ""))
    return _STATES[found]
