"""Reddit's Data API through PRAW: one connection, one layer of retries, one page a request.

PRAW signs in, keeps to the rate limits and gives plain JSON. Its listing objects are not used: they
ask once more for every absent attribute of a post, fail as a whole on an author of null, and lose
posts between requests if a page holds fewer than it could.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import praw
import prawcore
from praw.exceptions import RedditAPIException

from pipeline.config import Config
from pipeline.config_sources import RedditConfig
from pipeline.errors import BadInputError, PipelineError, StageError
from pipeline.sources.authors import author_key
from pipeline.sources.reddit_post import State, record, state
from pipeline.sources.reddit_retry import Passing, Requestor, patient, worth_waiting

PAGE = 100
"""Most items of one request, by Reddit's limit."""

_KEPT = "what is written is kept, the same command goes on"
_ID = re.compile(r"(?:t3_)?([0-9a-z]{1,13})")
_WHOLE = (prawcore.Forbidden, prawcore.NotFound, prawcore.UnavailableForLegalReasons)
_AS_ASKED = (RedditAPIException, prawcore.BadRequest, prawcore.URITooLong, prawcore.TooLarge)
_CREDENTIALS = (prawcore.InvalidToken, prawcore.InsufficientScope, prawcore.OAuthException)
_PLAIN_REASONS = {403: "forbidden", 404: "not found", 451: "for legal reasons"}
T = TypeVar("T")


class Unavailable(Exception):  # noqa: N818 - an answer, not an error
    """Reddit will not show this.

    Attributes:
        whole: True if it is the subreddit that is not shown, False if only this listing.
    """

    def __init__(self, reason: str, *, whole: bool) -> None:
        super().__init__(reason)
        self.whole = whole


@dataclass(frozen=True)
class Page:
    """Submissions of one answer, as Reddit gave them; `after` leads to the next page, or is ""."""

    posts: tuple[dict[str, Any], ...]
    after: str


@dataclass(frozen=True)
class Found:
    """What Reddit says of one id now.

    Attributes:
        post_id: The id, without "t3_".
        state: "present"; "removed" by moderators or Reddit; "deleted" by its author; "gone" if
            Reddit no longer shows the id at all.
        removal: Reddit's own word for who removed it, or "".
        record: The post in dump shape if it is present, else None.
    """

    post_id: str
    state: State
    removal: str
    record: dict[str, Any] | None


class Reddit:
    """A connection that is signed in for reading.

    Attributes:
        requests: Requests sent so far, repeated ones included.
        author_key: What authors' names are hashed with, b"" for no hashes.
    """

    def __init__(self, config: Config) -> None:
        settings = config.reddit
        self.requests = 0
        self.author_key = author_key(config.source.author_key_env)
        self._credentials = f"{settings.client_id_env} and {settings.client_secret_env}"
        self._praw = _connection(settings)
        self._lasting(self._praw.auth.scopes, "the sign-in")  # asks for a token, at once

    def page(self, path: str, parameters: Mapping[str, str | int]) -> Page:
        """Ask for one page of submissions.

        Raises:
            Unavailable: Reddit will not show it.
            BadInputError: The credentials are refused.
            StageError: No answer after all tries.
        """

        def ask() -> Page:
            self.requests += 1
            return _page(self._praw.request(method="GET", path=path, params=dict(parameters)))

        return self._lasting(ask, path)

    def _lasting(self, call: Callable[[], T], what: str) -> T:
        """Call until it gives an answer, with waits between failures that may pass."""
        tries = patient()
        try:
            answer: T = tries(self._call, call)
        except Passing as error:
            if not worth_waiting(error):
                raise StageError(
                    f"Reddit asks to wait {error.wait:,.0f} seconds ({error}); {_KEPT} then"
                ) from None
            number = tries.statistics["attempt_number"]
            raise StageError(
                f"{what}: no usable answer of Reddit in {number} tries, last {error}; {_KEPT}"
            ) from None
        return answer

    def _call(self, call: Callable[[], T]) -> T:
        """Call once, with PRAW's and prawcore's many exceptions brought down to four."""
        try:
            return call()
        except _WHOLE as error:
            raise _not_shown(error) from None
        except prawcore.Redirect as error:
            lost = error.path.endswith("/subreddits/search")
            reason = "does not exist" if lost else "leads elsewhere"
            raise Unavailable(reason, whole=True) from None
        except _AS_ASKED:
            raise Unavailable("refused as it is asked", whole=False) from None
        except _CREDENTIALS:
            raise self._refused() from None
        except prawcore.BadJSON:
            raise Passing("an answer that is not JSON") from None
        except prawcore.ResponseException as error:
            status = error.response.status_code
            if status == 401:
                raise self._refused() from None
            raise StageError(f"Reddit refuses with status {status}; {_KEPT}") from None
        except prawcore.RequestException as error:
            kind = type(error.original_exception).__name__  # its text may hold what was sent
            raise StageError(f"the request could not be sent ({kind}); {_KEPT}") from None
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
            if error.args == (401,):  # prawcore looks up a header that a 401 need not have
                raise self._refused() from None
            raise Passing("an answer that cannot be read") from None

    def _refused(self) -> PipelineError:
        return BadInputError(
            f"Reddit refuses the app's id and secret; check {self._credentials} (docs/reddit.md)"
        )


def fetch_by_ids(reddit: Reddit, ids: Iterable[str]) -> Iterator[Found]:
    """Yield what Reddit says of each id now, in the order given, a hundred ids a request.

    Raises:
        BadInputError: An id is no submission's id.
    """
    names = (_plain_id(name) for name in ids)
    while chunk := list(islice(names, PAGE)):
        try:
            page = reddit.page("api/info/", {"id": ",".join(f"t3_{name}" for name in chunk)})
        except Unavailable as error:  # a refusal of all ids says nothing of any of them
            raise StageError(f"Reddit refuses to look ids up: {error}") from None
        posts = {post["id"]: post for post in page.posts}
        for name in chunk:
            post = posts.get(name)
            if post is None:
                yield Found(name, "gone", "", None)
                continue
            now = state(post)
            kept = record(post, reddit.author_key) if now == "present" else None
            yield Found(name, now, str(post.get("removed_by_category") or ""), kept)


def _plain_id(name: str) -> str:
    match = _ID.fullmatch(name)
    if not match:
        raise BadInputError(f"{name!r} is no id of a Reddit submission, such as 1ggk9jh")
    return match[1]


def _connection(settings: RedditConfig) -> praw.Reddit:
    names = (settings.client_id_env, settings.client_secret_env)
    client_id, client_secret = (os.environ.get(name, "").strip() for name in names)
    for name, value in zip(names, (client_id, client_secret), strict=True):
        if not value:
            raise BadInputError(f"{name}: not set; it holds a Reddit app's key (docs/reddit.md)")
    agent = settings.user_agent
    if len(agent) < 10 or not agent.isascii() or not agent.isprintable():
        raise BadInputError(
            "reddit.user_agent: missing or unusable; say who asks, as Reddit wants it: "
            "<platform>:<app>:<version> (by /u/<you>)"
        )
    # prawcore warns of retries by logging, which would end up between our lines.
    logging.getLogger("prawcore").addHandler(logging.NullHandler())
    return praw.Reddit(
        "DEFAULT",  # not what the environment variable praw_site names
        requestor_class=Requestor,
        requestor_kwargs={"timeout": settings.timeout_s},
        client_id=client_id,
        client_secret=client_secret,
        # None, or a praw.ini or praw_username somewhere would sign in as a user.
        username=None,
        password=None,
        refresh_token=None,
        user_agent=agent,
        reddit_url=settings.reddit_url,
        oauth_url=settings.oauth_url,
        short_url=settings.short_url,
        check_for_updates=False,
        check_for_async=False,
    )


def _page(answer: Any) -> Page:
    """Return the submissions of a listing; anything but a listing is an answer gone wrong."""
    children = answer["data"]["children"]
    posts = tuple(child["data"] for child in children if child["kind"] == "t3")
    if not all(isinstance(post["id"], str) and post["id"] for post in posts):
        raise ValueError("a post without an id")
    return Page(posts, answer["data"]["after"] or "")


def _not_shown(error: prawcore.ResponseException) -> Exception:
    """Tell a subreddit that is not shown from a program that is not let in."""
    status = error.response.status_code
    try:
        said = error.response.json()
    except ValueError:
        return StageError(
            f"Reddit refuses this program with status {status} and a web page; compare "
            f"reddit.user_agent and your app's approval (docs/reddit.md); {_KEPT}"
        )
    reason = said.get("reason") if isinstance(said, dict) else None
    plain = re.sub(r"[^A-Za-z _-]", "", str(reason or ""))[:40]
    return Unavailable(plain or _PLAIN_REASONS[status], whole=True)
