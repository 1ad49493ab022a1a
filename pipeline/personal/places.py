"""Places below the level of a country: what the model calls one, lists, and signs."""

from __future__ import annotations

import itertools
import re

from pipeline.personal.lists import (
    MONTHS,
    MOVES,
    PHRASES,
    cities,
    kept,
    states,
)
from pipeline.personal.view import CAP, Found, View, Word, is_listed
from pipeline.personal.words import WORDS, word_set

_CODES = frozenset({"NYC", "DC", "LA", "SF"})
_LABELS = frozenset({"GPE", "LOC", "FAC"})
_SIGNS = word_set(
    """
    in from to near at around outside of through into via downtown leave left leaving visit
    visiting across towards toward
    """
)
_FEATURE = (
    r"Mall|Park|Beach|County|Island|Street|Avenue|Ave|Road|Valley|Heights|Hills|Springs|Bay|Lake"
    r"|River|Mountain|Court|Square|Lane|Boulevard|Bridge|Station|Airport|Falls|Creek|Canyon|Harbor"
    r"|Village|Township|Forest|Pier"
)
_PLACES = (
    re.compile(rf"\b(?:(?!The |My |Our ){CAP} ){{1,2}}(?:{_FEATURE})\b(?! (?:Methodist|Hospital))"),
    re.compile(rf"\b(?:Lake|Fort|Ft\.|Mount|Mt\.|Camp|Port|Cape) {CAP}"),
    re.compile(r"\b(?i:route|highway|hwy|interstate) \d+\b|\bI-\d{1,3}\b"),
)


def places(view: View) -> list[Found]:
    """Return (start, end, "place") of places that are no countries."""
    found: list[Found] = []
    barred = [match.span() for match in PHRASES.finditer(view.text)]
    taken = -1
    for i, word in enumerate(view.words):
        if word.start < taken or word.end - word.start < 2 or not word.text[0].isupper():
            continue
        for size in range(min(4, len(view.words) - i), 0, -1):
            run = view.words[i : i + size]
            if any(start <= word.start < end for start, end in barred):
                break
            if _together(view, run) and _is_place(view, i, run):
                found.append((run[0].start, run[-1].stop, "place"))
                taken = run[-1].end
                break
    for pattern in _PLACES:
        for match in pattern.finditer(view.text):
            if match[0].split()[0].lower() not in kept():
                found.append((*match.span(), "place"))
    return found


def _together(view: View, run: tuple[Word, ...]) -> bool:
    gaps = (view.text[a.end : b.start] for a, b in itertools.pairwise(run))
    return all(gap in {" ", ". "} for gap in gaps) and run[-1].text[0].isupper()


def _is_place(view: View, i: int, run: tuple[Word, ...]) -> bool:
    name = " ".join(word.lower for word in run)
    before = view.words[i - 1].lower if i else ""
    if len(run) == 1 and name in kept():
        return False
    labelled = all(word.label in _LABELS for word in run)
    listed = name in cities() or (name in states() and len(name) > 2)
    near_state = _state_follows(view, run)
    signed = before in _SIGNS and not (run[0].begins and len(run) == 1)
    if len(run) > 1:
        if listed:
            return not any(word.label == "PERSON" for word in run) or signed or near_state
        plain = all(word.capital and word.lower not in kept() for word in run)
        return labelled and plain and not is_listed(run[0]) and (signed or run[0].label != "FAC")
    word = run[0]
    state = name in states() and (len(name) > 2 or word.text.isupper())
    if state and view.text[: word.start].endswith(", ") and i and view.words[i - 1].capital:
        return True
    if not word.capital and word.text not in _CODES:
        return False
    if near_state and (listed or labelled or signed):
        return True
    if is_listed(word):
        if before == "to" and (i < 2 or view.words[i - 2].lower not in MOVES):
            return False  # "talk to Bethany", a town in Oregon
        large = before == "from" and cities().get(name, 0) > 100_000
        return listed and signed and (word.label != "PERSON" or large or before in {"in", "near"})
    if name in WORDS or name in MONTHS:
        if name in MONTHS or (before == "to" and (i < 2 or view.words[i - 2].lower not in MOVES)):
            return False
        return signed and (labelled or (listed and not word.begins))
    if listed:
        return signed or labelled or (not word.begins and word.label != "PERSON")
    return (
        labelled
        and not word.titled
        and not view.lexicon.is_ordinary(name)
        and (signed or (not word.begins and word.tag == "NNP" and word.label != "FAC"))
    )


def _state_follows(view: View, run: tuple[Word, ...]) -> bool:
    match = re.match(r", ?([A-Z][\w.]+(?: [A-Z]\w+)?)", view.text[run[-1].end :])
    if not match:
        return False
    after = match[1].lower().rstrip(".")
    short = len(after) == 2 and not match[1].isupper()
    return not short and (after in states() or (after.split()[0] in states() and len(after) > 2))
