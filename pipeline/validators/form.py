"""Validators of the form of one action: what it must look like, whatever it says."""

from __future__ import annotations

import re

from pipeline.config_actions import ValidateConfig
from pipeline.validators.rows import ActionRow, Violation, plain, words
from pipeline.validators.sentences import split

_I = r"I(?:'(?:ll|d|ve|m))?\b"
_PARTNER = rf"(?:My|Our) (?:[\w-]+ ){{1,4}}and {_I}"
# "I believe that ..." says what somebody thinks; "I think it over" is something that is done.
_STATE = re.compile(
    rf"{_I} (?:(?:always|firmly|truly|really|strongly|deeply|also|personally) )*"
    r"(?:believe\b|value\b|(?:think|feel) (?:that|like|people|it(?:'s| is))\b|prefer to think\b"
    r"|(?:am|was) (?:told|the kind|the type|someone|somebody|a person)\b"
    r"|would be (?:a|an|someone)\b)"
)
# What may stand before "I": on which condition; when, where, how.
_CLAUSE = re.compile(
    r"(?:(?:Just |Right |Only |Even |Not |Long |Shortly |Soon )?(?:Before|After|As|When|Whenever"
    r"|Once|If|Unless|Until|Till|While|Although|Though|Since|Whatever|Whoever|Wherever|No matter)"
    r"|[A-Z][a-z]+ing)\b"
)
_ADVERB = re.compile(
    r"(?:(?:Only |Even |Just |Right |Not )?(?:On|In|At|Over|During|By|With|Without|Within|From|For"
    r"|Between|Under|Through|Throughout|To|Instead|Rather|Despite|Regardless|Together|Along|Next"
    r"|Then|First|Later|Today|Tonight|Tomorrow|Now|Meanwhile|Afterwards?|Again|Alone|Still|So|And"
    r"|But|Here|Before|After)"
    r"|(?:This|That|The|Every|Each) (?:very |same )?(?:next|following|moment|minute|day|evening"
    r"|morning|afternoon|night|week|weekend|month|year|summer|spring|autumn|winter|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|[A-Z][a-z]+ly)\b"
)
_LABEL = (
    r"(?:action|answer|option|response|reply|output|text|self[-_ ]direction|stimulation|hedonism"
    r"|achievement|power|security|conformity|tradition|benevolence|universalism)"
)
_RESIDUE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a template's field", re.compile(r"\{\{|\}\}|\{%|%\}|\{[\w .-]*\}|\$\{|%s\b|%\(\w+\)")),
    ("square brackets", re.compile(r"\[[^\]]*\]?|\]")),
    ("a tag", re.compile(r"</?[A-Za-z][^<>]{0,80}>|<\||\|>")),
    ("JSON", re.compile(r"\{\s*\"|\"\s*\}|\"\s*:\s*[\"\[{\d]|^\s*\"[\w ]+\"\s*:|[{}]")),
    ("Markdown", re.compile(r"\*\*|__|`|^\s*#{1,6}\s|(?<!\w)\*\w[^*\n]*\*|^\s*>\s")),
    (
        "a list",
        re.compile(r"^\s*(?:[-*\u2022\u2013+]\s|\(?(?:\d{1,2}|[a-zA-Z])[.)]\s)", re.MULTILINE),
    ),
    ("a label", re.compile(rf"^\W*{_LABEL}\W*:", re.IGNORECASE)),
    ("an escape", re.compile(r"\\[nrt\"u]|&(?:#\w+|[a-z]{2,8});|\ufffd")),
    (
        "a stand-in",
        re.compile(
            r"\b(?:TODO|TBD|XXX+|N/A|lorem ipsum|insert (?:\w+ )?here|your (?:text|action) here)\b"
            r"|^\W*(?:null|none|undefined|n/a|nan|string|text)\W*$",
            re.IGNORECASE,
        ),
    ),
    # A reply that is cut at its limit may still get a full stop from the grammar that it follows.
    ("an open end", re.compile(r"(?:[,;:]\s*\.?|\b(?:and|or|the|a|an|my)\s*\.?|\bof)\s*$")),
)


def empty(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """There is no word in it."""
    return None if re.search(r"[^\W_]", row.action) else Violation("empty", "there is no text")


def placeholder(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """It holds a rest of a template, markup, a list, JSON, or breaks off."""
    for what, pattern in _RESIDUE:
        if match := pattern.search(row.action):
            return Violation("placeholder", f'{what}: "{match[0].strip()[:40]}"')
    return None


def sentences(row: ActionRow, thresholds: ValidateConfig) -> Violation | None:
    """It has more sentences than are wanted."""
    n = len(split(row.action))
    if n <= thresholds.max_sentences:
        return None
    return Violation("sentences", f"{n} sentences, at most {thresholds.max_sentences} are wanted")


def length(row: ActionRow, thresholds: ValidateConfig) -> Violation | None:
    """It has too few words for an action, or too many."""
    n = len(words(row.action))
    if thresholds.min_words <= n <= thresholds.max_words:
        return None
    wanted = f"{thresholds.min_words} to {thresholds.max_words}"
    return Violation("length", f"{n} words, {wanted} are wanted")


def first_person(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """It does not start as something that the speaker does."""
    text = plain(row.action).lstrip("\"' -\u2013\u2014")
    if state := _STATE.match(text):
        return Violation("first_person", f'"{state[0]}" is a thought; say what I do')
    if re.match(rf"{_I}|{_PARTNER}", text) or _opens(text):
        return None
    start = " ".join(text.split()[:4])
    return Violation("first_person", f'"{start}": start with what I do')


def _opens(text: str) -> bool:
    """Return True for "Before signing, I ask ..." and "On Monday I ask ..."."""
    clause, adverb = _CLAUSE.match(text), _ADVERB.match(text)
    first = (split(text) or [""])[0]
    if (clause or adverb) and re.search(rf",(?: [\w-]+){{0,3}} {_I}", first):
        return True
    if clause and re.match(rf"\w+ {_I}.* {_I}", first):  # "Before I sign anything I call her."
        return True
    return bool(adverb and re.match(rf"(?:[\w'-]+ ){{1,7}}{_I}", first))
