"""Names of persons: what the model calls a person, what a list of first names knows, and signs.

None of the three is enough. The small model takes many names for places or firms and misses rare
ones; lists hold names that are words; signs ("my cousin ...", "... (M, 34)", "... told me") say
that a word is a name, but not every name comes with one.
"""

from __future__ import annotations

import re
from functools import cache

from pipeline.personal.lists import (
    KIN,
    MONTHS,
    MOVES,
    PHRASES,
    ROLES,
    TITLES,
    cities,
    first_names,
    kept,
    last_names,
    states,
)
from pipeline.personal.view import Found, View, Word
from pipeline.personal.words import WORDS, word_set

_SPEAKS = word_set(
    """
    says said say told tells asked asks thinks thought wants wanted knows knew believes swears
    swore insists promised begged cried laughed texted wrote called emailed refuses refused hates
    loves loved agreed agrees offered offers smiled shrugged left moved died keeps kept got gets
    has had is was isn't wasn't doesn't didn't won't never can't would just works worked paid made
    hinted taught gave feels felt joined signed bought took takes found calls let lives
    """
)
_SOFT = word_set("is was has had got gets left made would just can't won't didn't doesn't")
_PRONOUNS = word_set("i you he she it we they this that there my your his her our their the a")
_NOT_BEFORE = word_set("the a an this that these those my our his her their your every each no")
_MONTH_SIGNS = word_set(
    """
    in since by until till next last this every from of on before after during early late mid
    through
    """
)
_STRICT = word_set("in near outside around downtown from")
_PARTICLES = word_set("van von de del della da di dos bin ibn al el la le der den st")
_RELATED = KIN | ROLES
_PLACES = frozenset({"GPE", "LOC", "FAC"})
_OWNS = re.compile(rf"['\u2019]s (?:{'|'.join(sorted(KIN))})\b")
_SHORT = re.compile(r"(?:i|you|he|she|it|we|they|that|what|who|here|there|how|let)['\u2019]\w+")
_NICK = word_set("big lil little old young")


def names(view: View) -> list[Found]:
    """Return (start, end, "name") of persons' names."""
    words = view.words
    phrases = [match.span() for match in PHRASES.finditer(view.text)]
    barred = {
        i
        for i, word in enumerate(words)
        if any(start <= word.start < end for start, end in phrases)
    }
    chosen = {i for i, word in enumerate(words) if _is_name(view, i, word)} - barred
    chosen |= _listed(view, chosen) - barred
    known = {words[i].lower for i in chosen if len(words[i].lower) > 1}
    chosen |= {
        i
        for i, word in enumerate(words)
        if i not in barred
        and word.lower in known
        and word.text[0].isupper()
        and not _is_word_here(view, i, known=True)
    }
    return _joined(view, chosen)


def _is_name(view: View, i: int, word: Word) -> bool:
    low = word.lower
    if not _capital(word) or len(low) < 2 or _SHORT.fullmatch(low):
        return False
    after = view.words[i + 1] if i + 1 < len(view.words) else None
    if low in TITLES and after is not None and after.capital:
        return False
    if low in kept() or any(part in MONTHS for part in low.split("-")[1:]):
        return low in first_names() and _of_kin(view, i)
    person = word.label == "PERSON"
    if low in view.lexicon.small:
        return low in first_names() and _of_kin(view, i)
    if _is_first(low) and low not in WORDS:
        return not _is_place_here(view, i)
    signed = _sign(view, i)
    if low in first_names():
        if _is_word_here(view, i):
            return False
        if signed:
            return True
        if word.begins and re.match(r" and (?:I|me)\b|['\u2019]s ", view.text[word.stop :]):
            return True
        if word.begins or word.titled:
            return person and word.tag == "NNP" and not word.titled
        return word.tag.startswith("NNP") and (person or word.label == "")
    if view.lexicon.is_ordinary(low):
        return signed and person and not word.titled
    if signed or _full(view, i):
        return not _is_place_here(view, i)
    if view.is_new(word) and word.tag == "NNP" and not (word.begins or word.titled):
        return word.label not in {"GPE", "LOC", "FAC", "PRODUCT"}
    return person and word.tag.startswith("NNP") and not word.titled and not word.begins


def _capital(word: Word) -> bool:
    return word.capital or (len(word.text) > 3 and word.text.isupper() and _is_first(word.lower))


@cache
def _is_first(low: str) -> bool:
    return low in first_names() or any(
        part in first_names() and len(part) > 2 for part in low.split("-")[:1] if "-" in low
    )


def _is_place_here(view: View, i: int) -> bool:
    """Whether a first name is meant as the place that bears it."""
    word = view.words[i]
    if word.lower not in cities() and word.lower not in states():
        return False
    if re.match(r", ?[A-Z]", view.text[word.end :]) and i + 1 < len(view.words):
        after = view.words[i + 1]
        if after.lower in states() or (after.label in _PLACES and after.lower in cities()):
            return True
    if i and word.lower in states() and _gap(view, i - 1) == ", " and view.words[i - 1].capital:
        return True
    before = view.words[i - 1].lower if i else ""
    if before in _STRICT:
        return word.label != "PERSON" or cities().get(word.lower, 0) > 100_000
    moved = i > 1 and view.words[i - 2].lower in MOVES
    return word.label in _PLACES and (before in {"through", "leave", "left"} or moved)


def _is_word_here(view: View, i: int, *, known: bool = False) -> bool:
    """Whether a name that is a word, or a month, is meant as that.

    Args:
        view: The text.
        i: The word's number.
        known: Whether it is a name elsewhere in the text.
    """
    word = view.words[i]
    if word.lower not in WORDS:
        return False
    before = view.words[i - 1].lower if i else ""
    after = view.words[i + 1].lower if i + 1 < len(view.words) else ""
    if word.lower in MONTHS:
        if _of_kin(view, i):
            return False
        digits = re.match(r"\.? \d|,? (?:19|20)\d\d", view.text[word.end :])
        return bool(digits) or before in _MONTH_SIGNS or before.isdigit() or word.label == "DATE"
    if word.begins:
        following = view.words[i + 1] if after else None
        if after in _PRONOUNS or (following is not None and following.capital and known):
            return True
        return not known and word.tag not in {"NNP", "NNPS"} and after != "and"
    return False


def _of_kin(view: View, i: int) -> bool:
    """Whether the word follows a word for a relative or a friend: "my brother Chase"."""
    before = view.words[i - 1] if i else None
    return before is not None and before.lower in _RELATED and _gap(view, i - 1) == " "


def _full(view: View, i: int) -> bool:
    """Whether the word and the next are an unlisted first name and a listed family name."""
    word = view.words[i]
    after = view.words[i + 1] if i + 1 < len(view.words) else None
    if after is None or word.stop != word.end or _gap(view, i) != " " or word.titled:
        return False
    low = after.lower
    listed = after.capital and low in last_names() and low not in WORDS and low not in kept()
    return (
        listed
        and word.tag == after.tag == "NNP"
        and low not in cities()
        and not (word.begins and word.lower in WORDS)
    )


def _sign(view: View, i: int) -> bool:
    """Whether what stands beside the word says that it is a person's name."""
    words, word = view.words, view.words[i]
    rest = view.text[word.stop :]
    if word.stop in view.ages or rest.startswith(" for short") or _OWNS.match(rest):
        return True
    if i:
        before = words[i - 1]
        gap = view.text[before.end : word.start]
        if before.lower in TITLES and gap in {" ", ". "} and before.text[0].isupper():
            return True
        if before.lower in _RELATED and gap in {" ", ", ", " (", ": ", ' "', " “"}:
            return gap == " " or not word.titled
        if before.lower in {"is", "am", "i'm", "im"} and i > 1 and words[i - 2].lower == "name":
            return True
    if i + 1 < len(words) and rest.startswith(" ") and words[i + 1].lower in _SPEAKS:
        alone = not i or words[i - 1].lower not in _NOT_BEFORE
        soft = words[i + 1].lower in _SOFT and word.label not in {"PERSON", "GPE", ""}
        return alone and not word.begins and not soft and word.tag.startswith("NNP")
    return False


def _listed(view: View, chosen: set[int]) -> set[int]:
    """Return capitalised words that are listed beside a name: "Hope and Thuy"."""
    more: set[int] = set()
    for i, word in enumerate(view.words):
        if i in chosen or not word.capital or word.titled:
            continue
        if word.lower in kept() or word.lower in view.lexicon.small:
            continue
        for other in (i - 2, i + 2):
            if other in chosen and 0 <= other < len(view.words):
                low, high = sorted((i, other))
                between = view.text[view.words[low].stop : view.words[high].start]
                joined = re.fullmatch(r" (?:and|&|or) ", between)
                if joined and not (word.begins and word.lower in WORDS) and word.tag == "NNP":
                    more.add(i)
    return more


def _joined(view: View, chosen: set[int]) -> list[Found]:
    """Return spans of the chosen words, with surnames, initials and nicknames beside them."""
    words = view.words
    spans: list[Found] = []
    i = 0
    while i < len(words):
        if i not in chosen:
            i += 1
            continue
        start, last = words[i].start, i
        if i and words[i - 1].lower in _NICK and words[i - 1].capital and _gap(view, i - 1) == " ":
            start = words[i - 1].start
        while last + 1 < len(words) and _goes_on(view, last, chosen):
            last += 1
        while last > i and words[last].lower in _PARTICLES:
            last -= 1
        spans.append((start, words[last].stop, "name"))
        i = last + 1
    return spans


def _goes_on(view: View, last: int, chosen: set[int]) -> bool:
    """Whether the next word belongs to the name that ends with the word `last`."""
    word, after = view.words[last], view.words[last + 1]
    gap = _gap(view, last)
    if word.stop != word.end or after.lower in kept():
        return False
    if gap in {' "', '" ', " “", "” "}:
        return last + 1 in chosen
    if gap not in {" ", "-", ". "} or (gap == ". " and len(word.text) > 1):
        return False
    if last + 1 in chosen:
        return True
    if after.lower in _PARTICLES:
        following = view.words[last + 2] if last + 2 < len(view.words) else None
        return following is not None and following.capital and following.lower not in kept()
    if len(after.text) == 1 and after.text.isupper() and after.text != "I":
        return True
    family = after.lower in last_names()
    named = family or after.label == "PERSON" or after.tag.startswith("NNP")
    listed = family or not view.lexicon.is_ordinary(after.lower)
    barred = after.lower in WORDS or after.lower in states()
    plain = not barred and (family or not after.titled)
    return after.capital and named and listed and plain


def _gap(view: View, i: int) -> str:
    return view.text[view.words[i].end : view.words[i + 1].start]
