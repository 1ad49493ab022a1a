"""Where the sentences of a short English text end."""

from __future__ import annotations

import re

_STOP = re.compile(r"(?P<mark>[.!?\u2026]+)(?P<close>[\"'\u201d\u2019)\]]*)|\n+")
_NEXT = re.compile(r"(?P<gap>\s*)[\"'\u201c\u2018(\[]*(?P<word>[^\W_]+(?:'[^\W_]+)?|\S)?")
_LONGEST = 24  # more characters than any abbreviation has
_LAST = re.compile(r"[^\s\"'\u201c\u2018(\[]+$")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A full stop after these never ends a sentence.
_BEFORE_MORE = _set("mr mrs ms dr prof rev mt gen sgt capt messrs e.g i.e eg ie cf vs approx dept")
_BEFORE_NUMBERS = _set("no nos vol pp p fig ca art")
# A full stop after these, or after one capital letter, ends a sentence if an opener follows.
_PERHAPS = _set("a.m p.m am pm etc inc ltd co corp jr sr st u.s u.k e.u ph.d b.a m.a d.c")
_OPENERS = _set(
    "i i'm i'll i'd i've he she it we you they the a an my our his her their this that these those "
    "then there if when after before once instead next later finally meanwhile only in on at as "
    "and but so yet however otherwise until unless while with without"
)
_SPEECH = _set("ask say tell reply answer whisper add shout write call")


def split(text: str) -> list[str]:
    """Return the sentences of `text`; one that stands in quotes inside another is part of it."""
    closed = _quotes(text)
    found, start = [], 0
    for stop in _STOP.finditer(text):
        if closed[stop.end()] and _ends(text, start, stop):
            found.append(text[start : stop.end()])
            start = stop.end()
    found.append(text[start:])
    return [piece.strip() for piece in found if re.search(r"\w", piece)]


def _ends(text: str, start: int, stop: re.Match[str]) -> bool:
    """Return True if a sentence that started at `start` ends with `stop`."""
    mark = stop["mark"]
    if mark is None:  # a line end
        return True
    rest = text[stop.end() :]
    following = _NEXT.match(rest)
    word = (following["word"] or "") if following else ""
    gap = following["gap"] if following else ""
    last = _LAST.search(text[max(start, stop.start() - _LONGEST) : stop.start()])
    before = last[0] if last else ""
    if not word:
        return True
    if not gap and not stop["close"]:  # "leave.Then", but not "3.5", "gov.uk" or "a.m."
        joined = re.match(r"[A-Z](?:[a-z]|'|\s)", rest)
        return mark == "." and bool(re.search(r"[a-z]{2}$", before)) and joined is not None
    opener = word.lower().replace("\u2019", "'")
    if not (word[0].isupper() or word[0].isdigit() or opener in {"i", "i'm", "i'll", "i'd"}):
        return False
    if stop["close"] and _is_speech(word, rest):
        return False
    if mark != ".":
        return True
    short = before.lower()
    if short in _BEFORE_MORE or (short in _BEFORE_NUMBERS and word[0].isdigit()):
        return False
    if before.isdigit() and not text[start : stop.start()].replace(before, "").strip():  # "1. I"
        return False
    if short in _PERHAPS or re.fullmatch(r"(?:[A-Za-z]\.)*[A-Z]", before):
        return opener in _OPENERS
    return True


def _is_speech(word: str, rest: str) -> bool:
    """Return True if what follows a quotation says who said it: '"Why?" I ask.'."""
    told = re.match(r"\W*\w+\s+(\w+)", rest)
    return word in {"I", "He", "She"} and told is not None and told[1].lower() in _SPEECH


def _quotes(text: str) -> list[bool]:
    """Return for each place of `text` whether no double quotation is open there."""
    straight = text.count('"') % 2 == 0
    curly = text.count("\u201c") == text.count("\u201d")
    is_open, state = False, [True]
    for character in text:
        if character == '"' and straight:
            is_open = not is_open
        elif character in "\u201c\u201d" and curly:
            is_open = character == "\u201c"
        state.append(not is_open)
    return state
