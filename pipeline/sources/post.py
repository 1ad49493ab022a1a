"""One post, whatever the source: the fields that are read, and the row that they become."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from pipeline.sources.authors import Authors

_LARGEST = 1 << 53
_GONE = {"[removed]": "removed", "[removedbyreddit]": "removed", "[deleted]": "deleted"}
_BY_AUTHOR = frozenset({"deleted", "author"})
_NUMERIC = re.compile(r"[-+0-9.:eTZ ]{1,40}")
_SUBREDDIT = re.compile(r"[A-Za-z0-9_:.-]{1,30}")

ERROR = "error"
"""Reason of a line that could not be read for no fault that is known."""

Number = int | float | str | None


class Submission(msgspec.Struct):
    """The fields that are read, named as in dumps; absent ones stay None."""

    id: str
    subreddit: str | None = None
    title: str | None = None
    selftext: str | None = None
    created_utc: Number = None
    score: Number = None
    num_comments: Number = None
    over_18: bool | None = None
    link_flair_text: str | None = None
    removed_by_category: str | None = None
    link_id: str | None = None  # only comments have one
    author: Any = None
    author_hash: str | None = None
    meta: dict[str, Any] | None = msgspec.field(name="_meta", default=None)


@dataclass(frozen=True)
class BadLine:
    """A line or row that gave no post: where, why in one word, and what the parser said."""

    line: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Wanted:
    """Which posts are wanted, and how they are read.

    Attributes:
        domain_of: Domain of each subreddit, keyed in lower case; others are "other_subreddit".
        html_escaped: Undo one level of HTML escaping in title, body and flair.
        all_subreddits: Keep posts of other subreddits too, without a domain.
        authors: Hashes the authors.
    """

    domain_of: Mapping[str, str]
    html_escaped: bool
    all_subreddits: bool = False
    authors: Authors = field(default_factory=Authors)


def row(post: Submission, file: str, number: int, wanted: Wanted) -> dict[str, Any] | BadLine:
    """Return a post as a row of schema.POSTS, or why it is none.

    Args:
        post: As the source gives it.
        file: Name of the source.
        number: 1-based line or row in it.
        wanted: What is wanted.
    """
    try:
        created, score = timestamp(post.created_utc), _integer("score", post.score)
        comments = _integer("num_comments", post.num_comments)
        if not post.id:
            return BadLine(number, "bad_field", "id: is empty")
        if post.link_id is not None and post.title is None:
            return BadLine(number, "comment", post.id)
        subreddit = post.subreddit or ""
        domain = wanted.domain_of.get(subreddit.lower())
        if domain is None and not _wanted_without_domain(subreddit, wanted):
            return BadLine(number, "other_subreddit", _shown(subreddit))
        author = wanted.authors.of(post.author, post.author_hash)
    except ValueError as error:
        return BadLine(number, "bad_field", str(error))
    unescape = html.unescape if wanted.html_escaped else str
    body = unescape(post.selftext or "")
    return {
        "post_id": post.id,
        "subreddit": subreddit or None,
        "domain": domain,
        "title": unescape(post.title or ""),
        "body": body,
        "created_utc": created,
        "score": score,
        "num_comments": comments,
        "over_18": bool(post.over_18),
        "flair": unescape(post.link_flair_text) if post.link_flair_text else None,
        "removal": removal(post, body),
        "author_hash": author,
        "source_file": file,
        "source_line": number,
    }


def timestamp(value: Number) -> datetime | None:
    """Return a time in UTC from epoch seconds (also as text) or an ISO 8601 text.

    Raises:
        ValueError: It is no time.
    """
    if value is None or value == "":
        return None
    try:
        try:
            seconds = float(value)
        except ValueError:
            when = datetime.fromisoformat(str(value).strip())
            return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise _WrongError("created_utc", value, "is no time") from None


def _integer(name: str, value: Number) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = value if type(value) is int else int(float(value))
    except (ValueError, OverflowError):
        raise _WrongError(name, value, "is no number") from None
    if abs(number) >= _LARGEST:
        raise _WrongError(name, value, "is no count")
    return number


class _WrongError(ValueError):
    """A value that cannot be; text is not repeated, as it may stand in the wrong column."""

    def __init__(self, name: str, value: Number, what: str) -> None:
        shown = f" {value}" if _NUMERIC.fullmatch(str(value)) else ""
        super().__init__(f"{name}:{shown} {what}")


def removal(post: Submission, body: str) -> str:
    """Return "removed", "deleted" (by the author) or "none"."""
    head = body[:40]
    stated = _GONE.get("".join(head.split()).lower()) if "[" in head else None
    if stated:
        return stated
    by = post.removed_by_category
    if post.meta and post.meta.get("was_deleted_later"):  # Arctic Shift looks again after 36 hours
        by = str(post.meta.get("removal_type") or "deleted")
    if not by:
        return "none"
    return "deleted" if by in _BY_AUTHOR else "removed"


def _wanted_without_domain(subreddit: str, wanted: Wanted) -> bool:
    return wanted.all_subreddits and not _is_user_page(subreddit)


def _is_user_page(subreddit: str) -> bool:
    return subreddit.lower().startswith("u_")  # the rest is the author's name


def _shown(subreddit: str) -> str:
    if _is_user_page(subreddit):
        return "(a user's page)"
    return subreddit if _SUBREDDIT.fullmatch(subreddit) else "(no subreddit)"
