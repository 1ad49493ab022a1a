"""A sweep of Reddit: every configured listing of every subreddit, each post once, in dump shape.

Posts are appended page by page, and the progress is noted after each page, so that a sweep may be
killed at any moment: the same command asks for the page that was not noted, and writes of it only
what the file does not hold yet. The same answers give the same bytes, however often it was killed.
Of a post that several listings show, the first in the configured order stays.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from pipeline.config import Config
from pipeline.errors import BadInputError, BusyError
from pipeline.sources.reddit import PAGE, Page, Reddit, Unavailable
from pipeline.sources.reddit_post import line, record
from pipeline.sources.sweep_book import REDDITS_END, Book, End, Progress

_FAR_FUTURE = 1e10  # the year 2286, in seconds of Unix time
_NAME = re.compile(r"[A-Za-z0-9_]{2,21}")


@dataclass(frozen=True)
class Row:
    """What came of one listing; `new` counts the posts that no listing before it had shown."""

    progress: Progress
    new: int


@dataclass(frozen=True)
class Report:
    """What came of a sweep.

    Attributes:
        out: The file of posts.
        posts: Posts in it.
        added: Those that this run added.
        requests: Requests that this run sent, the one for a token left out.
        rows: One a subreddit and listing, in the order in which they are asked.
    """

    out: Path
    posts: int
    added: int
    requests: int
    rows: tuple[Row, ...]


class _Known(msgspec.Struct):
    id: str
    swept_from: str = ""


class Sweep:
    """A sweep over one file of posts; make it with `opened`.

    Attributes:
        reddit: The connection it asks through.
    """

    def __init__(self, config: Config, reddit: Reddit, *, fresh: bool) -> None:
        self._most = config.reddit.max_per_listing
        self.reddit = reddit
        self._out = Path(config.reddit.out)
        notes = self._out.with_name(f"{self._out.name}.sweep.json")
        if fresh:
            for path in (notes, self._out):  # the other order could leave progress without posts
                path.unlink(missing_ok=True)
        self._pairs = _pairs(config)
        self._book = Book(notes, reddit.author_key)
        if self._book.items and not self._out.exists():
            raise BadInputError(
                f"{self._out}: missing, but {notes} says what was read into it; put it back, or "
                "start anew with --fresh"
            )
        self._ids, self._shown_by = _read_known(self._out)
        self._posts_before = len(self._ids)

    def run(
        self,
        on_page: Callable[[Progress], None],
        *,
        again: bool = False,
        retry_unavailable: bool = False,
    ) -> None:
        """Ask for all that is not finished.

        Args:
            on_page: Called after each page that is written.
            again: Ask finished listings again from their start, for posts that are new in them.
            retry_unavailable: Ask again what Reddit did not show.
        """
        self._reopen(again, retry_unavailable)
        for subreddit, listing in self._pairs:
            if self._book.get(subreddit, listing).end:
                continue
            try:
                for progress in self._read(subreddit, listing):
                    on_page(progress)
            except Unavailable as answer:
                self._note_unavailable(subreddit, listing, answer)

    def report(self) -> Report:
        """Return what the file holds and how each listing ended."""
        rows = []
        for pair in self._pairs:
            progress = self._book.get(*pair)
            rows.append(Row(progress, self._shown_by[progress.key]))
        count = len(self._ids)
        return Report(
            self._out, count, count - self._posts_before, self.reddit.requests, tuple(rows)
        )

    def _reopen(self, again: bool, retry_unavailable: bool) -> None:
        rows = []
        for pair in self._pairs:
            row = self._book.get(*pair)
            if row.end == "unavailable":
                if retry_unavailable:
                    rows.append(dataclasses.replace(row, end="", reason=""))
            elif again and row.end:
                rows.append(Progress(*pair))
            elif row.end == "max_per_listing" and row.items < self._most:
                rows.append(dataclasses.replace(row, end=""))
        if rows:
            self._book.put(*rows)

    def _read(self, subreddit: str, listing: str) -> Iterator[Progress]:
        """Read a listing to its end, from where it was left."""
        row, empty, restarted = self._book.get(subreddit, listing), 0, False
        path, parameters = _address(subreddit, listing)
        while not row.end:
            wanted = min(PAGE, self._most - row.items)
            given = parameters | {"limit": wanted} | ({"after": row.after} if row.after else {})
            page = self.reddit.page(path, given)
            empty = 0 if page.posts else empty + 1
            lost = empty and row.after and not page.after and row.items <= REDDITS_END - PAGE
            if lost and not restarted:
                # Reddit answers so, too, if it no longer lists the post that the page follows.
                row, restarted = Progress(subreddit, listing), True
                continue
            self._append(page, row)
            row = self._advanced(row, page, last=empty > 1)
            self._book.put(row)
            yield row

    def _append(self, page: Page, row: Progress) -> None:
        lines = []
        for post in page.posts:
            if post["id"] not in self._ids:
                self._ids.add(post["id"])
                self._shown_by[row.key] += 1
                kept = record(post, self.reddit.author_key)
                lines.append(line(kept | {"swept_from": f"{row.subreddit}/{row.listing}"}))
        if lines:
            with self._out.open("ab") as handle:
                handle.write(b"".join(lines))
                handle.flush()
                os.fsync(handle.fileno())

    def _advanced(self, row: Progress, page: Page, *, last: bool) -> Progress:
        items = row.items + len(page.posts)
        end: End = ""
        if last or page.after in ("", row.after):
            end = "near_1000" if items > REDDITS_END - PAGE else "complete"
        elif items >= self._most:
            end = "near_1000" if items >= REDDITS_END else "max_per_listing"
        said = [post.get("created_utc") for post in page.posts]
        times = [time for time in said if isinstance(time, int | float) and 0 < time < _FAR_FUTURE]
        known = [time for time in (row.oldest, row.newest) if time is not None]
        return dataclasses.replace(
            row,
            after=page.after,
            items=items,
            oldest=min(times + known, default=None),
            newest=max(times + known, default=None),
            end=end,
        )

    def _note_unavailable(self, subreddit: str, listing: str, answer: Unavailable) -> None:
        rows = [
            self._book.get(name, other)
            for name, other in self._pairs
            if name == subreddit and (other == listing or answer.whole)
        ]
        self._book.put(
            *(
                dataclasses.replace(row, end="unavailable", reason=str(answer))
                for row in rows
                if not row.end
            )
        )


@contextmanager
def opened(config: Config, *, fresh: bool = False) -> Iterator[Sweep]:
    """Sign in and hold the file of posts while the block runs.

    Args:
        config: The whole configuration.
        fresh: Remove the posts and the progress of earlier sweeps, once Reddit has let us in.

    Raises:
        BadInputError: A setting, a credential or the file is wrong.
        BusyError: Another sweep is at work on the same file.
    """
    out = Path(config.reddit.out)
    _pairs(config)
    reddit = Reddit(config)
    with ExitStack() as stack:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(out.with_name(f".{out.name}.lock"), timeout=0))
            it = Sweep(config, reddit, fresh=fresh)
        except Timeout:
            raise BusyError(f"{out}: another sweep is at work on it; wait for it") from None
        except OSError as error:
            raise BadInputError(
                f"{out}: {error.strerror}; name another file by reddit.out"
            ) from None
        yield it


def _pairs(config: Config) -> list[tuple[str, str]]:
    """Return every subreddit with every listing, in the order in which they are asked."""
    configured = [name for names in config.domains.values() for name in names]
    names = {name.lower(): name for name in reversed(config.reddit.subreddits or configured)}
    for name in names.values():
        if not _NAME.fullmatch(name):
            raise BadInputError(
                f"{config.file}: '{name}' is no subreddit's name; write it without r/"
            )
    listings = dict.fromkeys(_full_name(listing) for listing in config.reddit.listings)
    return [(name, listing) for name in reversed(names.values()) for listing in listings]


def _full_name(listing: str) -> str:
    """Return a listing's name with its time filter, so that "top" and "top:all" are one."""
    word, space, query = listing.partition(" ")
    timed = word in ("top", "controversial", "search")
    return f"{word}:all{space}{query}" if timed else listing


def _address(subreddit: str, listing: str) -> tuple[str, dict[str, str | int]]:
    """Return the path and the parameters of a listing, as PRAW writes them."""
    word, _, query = listing.partition(" ")
    sort, _, time = word.partition(":")
    if sort == "search":
        asked: dict[str, str | int] = {"q": query, "restrict_sr": "true", "sort": "relevance"}
        return f"r/{subreddit}/search/", asked | {"syntax": "lucene", "t": time}
    return f"r/{subreddit}/{sort}", {"t": time} if time else {}


def _read_known(path: Path) -> tuple[set[str], Counter[tuple[str, str]]]:
    """Return the ids that a file of posts holds, and how many each listing was first to show.

    A last line that a killed sweep did not finish is cut off.
    """
    ids: set[str] = set()
    shown_by: Counter[tuple[str, str]] = Counter()
    if not path.exists():
        return ids, shown_by
    decoder, good, text = msgspec.json.Decoder(_Known), 0, b"\n"
    with path.open("r+b") as handle:
        for number, text in enumerate(handle, start=1):
            try:
                post = decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                if text.endswith(b"\n"):
                    raise BadInputError(
                        f"{path}: line {number}: no post ({error}); mend or remove the line, or "
                        "start anew with --fresh"
                    ) from None
                handle.truncate(good)
                return ids, shown_by
            good += len(text)
            ids.add(post.id)
            subreddit, _, listing = post.swept_from.partition("/")
            shown_by[subreddit.lower(), listing] += 1
        if not text.endswith(b"\n"):
            handle.seek(0, os.SEEK_END)
            handle.write(b"\n")
    return ids, shown_by
