"""What a retelling has taken over from its post word by word: runs of words, and the title."""

from __future__ import annotations

import re
from collections.abc import Sequence

LEAST_TITLE = 4
"""Shorter titles stand in anybody's text."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")


def words_of(text: str) -> list[str]:
    """Return the words of a text, without case and punctuation."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.lower())]


def shared_run(one: Sequence[str], other: Sequence[str], length: int) -> str:
    """Return the first `length` words in a row of `one` that also stand in `other`, or ""."""
    known = {tuple(other[i : i + length]) for i in range(len(other) - length + 1)}
    for i in range(len(one) - length + 1):
        if tuple(one[i : i + length]) in known:
            return " ".join(one[i : i + length])
    return ""


def title_of(post: str) -> str:
    """Return the title of a post's text: stage `tag` puts it first, and a blank line after it."""
    return post.partition("\n\n")[0]


def told_title(words: Sequence[str], post: str) -> str:
    """Return the post's title, as words, if it stands whole in `words`; else "".

    A search engine leads from a title to its author. Titles of fewer than LEAST_TITLE words prove
    nothing.
    """
    title = words_of(title_of(post))
    if len(title) < LEAST_TITLE:
        return ""
    return shared_run(words, title, len(title))
