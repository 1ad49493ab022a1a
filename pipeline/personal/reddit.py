"""Reddit's own habits: age and sex in a tag, words to the audience, throwaway accounts.

An age is told to a third of its decade, since a dilemma rarely hangs on a year; but a minor never
becomes an adult by it, nor the reverse. `r/name` is masked: it says where else the author posts,
and many are a town's, a school's or an employer's.
"""

from __future__ import annotations

import re

from pipeline.personal.lists import KIN, ROLES

_SEX = (
    r"(?:m|f|male|female|man|woman|guy|girl|boy|nb|enby|non-?binary"
    r"|mtf|ftm|trans ?(?:m|f|man|woman|male|female)|t[mf])"
)
_AGE = r"\d{1,2}"
_YEARS = r"(?: ?(?:yo|y/o|y\.o\.|yrs?(?: old)?))?"
_TAG = rf"(?:{_AGE}{_YEARS} ?[,/-]? ?{_SEX}|{_SEX} ?[,/-]? ?{_AGE}{_YEARS})"
_BRACKETED = re.compile(
    rf"[\[(]\s*(?P<all>{_TAG}(?:\s*(?:[/&,+]|and)\s*{_TAG}){{0,3}})(?=\s*[\]),;/.]|\s)",
    re.IGNORECASE,
)
_INNER = re.compile(rf"(?<!\w){_TAG}(?!\w)", re.IGNORECASE)
_BARE = re.compile(
    r"(?<![\w$€£.,/%-])(?:[1-9]\d(?:[MF]|[mf]\b|NB|nb\b)|[MF][1-9]\d|[1-9]\d ?(?:yo|y/o) ?[MFmf])"
    r"(?![\w%])"
    r"(?! ?(?:degrees|outside|inside|°|dollars|users|people|in (?:debt|cash|assets)|views|followers"
    r"|yen|won|pesos|rupees|euros?|pounds?|usd|eur|gbp|cad|aud))"
)
_SMALL = re.compile(
    rf"(?i:\b(?:{'|'.join(sorted(KIN))})s?)(?:['\u2019]s| is| are|,)? (?P<it>\d[MFmf])"
    r"(?: (?:and|&) (?P<also>\d[MFmf]))?\b"
)
_SPACED = re.compile(r"\b(?:I|i)(?:['\u2019]?m| am)(?: an?)? (?P<it>[1-9]\d [MFmf])\b")
# A number before which this stands is money, heat or a count.
_COUNTED = re.compile(
    r"\b(?:an?|the|about|over|than|around|raised|worth|to|of|for|paid|made|earns?|under|below"
    r"|cost)\s*$",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"\b(?:I|[Mm]e|(?i:{'|'.join(sorted(KIN | ROLES))})|[A-Z][\w'\u2019-]+)"
    r" ?[\[(](?P<it>[1-9]\d?)(?=[\]),])"
)
_NOTE = re.compile(r"^\W*(?:edit|eta|update)\s*\d*\s*[:.\-—)\]*]", re.IGNORECASE)
_THANKS = re.compile(
    r"\b(?:bl(?:ew|own?) up|gold|awards?|silver|platinum|front ?page|upvot\w*|thank(?:s| you)"
    r"|rip my|inbox|so many (?:comments|replies|responses|messages)|did(?:n't| not) expect|typos?"
    r"|spelling|grammar|format(?:ting)?|wording|for clarity|obligatory|kind stranger|viral"
    r"|trending)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*[\"')]*|[.!?]+")
_THROWAWAY = re.compile(
    r"\bthrow[- ]?aways?\b(?! (?:comment|remark|line|culture|joke|phrase|society|fashion|plate|cup"
    r"|bag|item|thing))|\b(?:alt|burner) account\b|\bnot my main\b"
    r"|\bknows? my (?:main|reddit|account)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r" ?[(\[][^()\[\]\n]{0,80}?\bthrow[- ]?away\b[^()\[\]\n]{0,80}[)\]]", re.IGNORECASE
)
_MOST_WORDS = 20
_LOOK_BACK = 80  # characters
_SUBREDDIT = re.compile(r"(?<![\w/.])/?r/[A-Za-z0-9_]{2,30}(?!\w)")
_THIRDS = ("early", "early", "early", "early", "mid", "mid", "mid", "late", "late", "late")


def ages(text: str) -> list[tuple[int, int]]:
    """Return where exact ages stand in tags: without the brackets, one span a person."""
    spans: set[tuple[int, int]] = set()
    for match in _BRACKETED.finditer(text):
        offset = match.start("all")
        spans |= {(offset + m.start(), offset + m.end()) for m in _INNER.finditer(match["all"])}
    for match in _BARE.finditer(text):
        if not _COUNTED.search(text[max(0, match.start() - _LOOK_BACK) : match.start()]):
            spans.add(match.span())
    for pattern in (_ALONE, _SPACED, _SMALL):
        for match in pattern.finditer(text):
            spans |= {match.span(name) for name in match.groupdict() if match[name] is not None}
    return _apart(spans)


def _apart(spans: set[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def age_in_words(text: str, start: int, end: int) -> str:
    """Return what stands in for a tag: "woman, mid-20s", in brackets where the tag has none."""
    tag = text[start:end].lower()
    years = re.search(r"\d+", tag)
    age = int(years[0]) if years else 0
    sex = re.sub(r"\d+|yo\b|y/o|y\.o\.|yrs?|old|[^a-z]", "", tag)
    said = ", ".join(part for part in (_person(sex, age), _band(age)) if part)
    before = text[max(0, start - _LOOK_BACK) : start].rstrip()
    tagged = before.endswith(("(", "[")) or re.search(r"[(\[][^()\[\]\n]{0,60}$", before)
    return said if tagged else f"({said})"


def _person(sex: str, age: int) -> str:
    if not sex:
        return ""
    if sex in {"nb", "enby", "nonbinary"}:
        return "nonbinary person"
    trans = "trans " if sex.startswith("t") or sex in {"mtf", "ftm"} else ""
    female = sex == "mtf" or (sex != "ftm" and ("f" in sex or sex.endswith(("woman", "girl"))))
    return trans + (("woman" if age >= 18 else "girl") if female else "man" if age >= 18 else "boy")


def _band(age: int) -> str:
    if age < 10:
        return "under 10"
    if age < 20:
        return "early teens" if age < 14 else "mid-teens" if age < 18 else "late teens"
    if age >= 80:
        return "over 79"
    third = _THIRDS[age % 10]
    return f"{third}{'-' if third == 'mid' else ' '}{age // 10 * 10}s"


def generalise(text: str) -> str:
    """Return `text` with ages told by decade, and without words to the audience.

    Lines that begin with EDIT lose the sentences that thank, or tell of votes, awards and typos;
    what else they tell stays. Sentences of up to 20 words on a throwaway account go.
    """
    for start, end in reversed(ages(text)):
        text = text[:start] + age_in_words(text, start, end) + text[end:]
    text = _SUBREDDIT.sub("[SUBREDDIT]", _ASIDE.sub("", text))
    lines = []
    for line in text.split("\n"):
        kept = _without(line, _THROWAWAY)
        note = _NOTE.match(kept)
        if note and _THANKS.search(kept):
            told = _without(kept[note.end() :], _THANKS)
            kept = f"{note[0]} {told}" if re.search(r"\w", told) else ""
        if kept or not line:
            lines.append(kept)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() if lines else ""


def _without(line: str, pattern: re.Pattern[str]) -> str:
    """Return the line without its short sentences in which `pattern` is found."""
    if not pattern.search(line):
        return line
    kept = [
        sentence[0]
        for sentence in _SENTENCE.finditer(line)
        if not pattern.search(sentence[0]) or len(sentence[0].split()) > _MOST_WORDS
    ]
    return "".join(kept).strip()
