"""Text of a post: cleaning that keeps the words, masking of what points to a person."""

from __future__ import annotations

import html
import re
import unicodedata

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_ENTITY = re.compile(r"&(?:#x[0-9a-fA-F]{1,6}|#\d{1,7}|nbsp|zwj|zwnj|ensp|emsp|shy);")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_MARKDOWN_LINK = re.compile(r"\[([^\]\n]{1,300})\]\((?:https?://|/)[^)\s]{1,2000}\)")

_PERSONAL = (
    ("email", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b")),
    ("url", re.compile(r"\b(?:https?://|www\.)[^\s<>()\[\]]+", re.IGNORECASE)),
    ("user", re.compile(r"(?<![\w/])/?u/[A-Za-z0-9_-]{3,20}\b")),
    (
        "phone",
        re.compile(
            r"(?<![\w.$€£-])(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\)|\d{3})[ .-]\d{3,4}[ .-]?\d{4}\b"
        ),
    ),
)


def clean(text: str) -> str:
    """Return `text` without invisible and control characters, with plain spaces and line ends."""
    # Markdown's own entities (&#x200B; &nbsp;) are left after the source's escaping is undone.
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = "".join(c for c in text if c == "\n" or c == "\t" or unicodedata.category(c) != "Cc")
    text = _INVISIBLE.sub("", text)
    text = _SPACES.sub(" ", text)
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()


def mask(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace e-mail addresses, URLs, usernames and phone numbers by [KIND].

    Returns:
        The masked text and the kinds found, sorted. A link's words stay, its address goes.
    """
    kinds = set()
    text, links = _MARKDOWN_LINK.subn(r"\1 [URL]", text)
    if links:
        kinds.add("url")
    for kind, pattern in _PERSONAL:
        text, found = pattern.subn(f"[{kind.upper()}]", text)
        if found:
            kinds.add(kind)
    return text, tuple(sorted(kinds))
