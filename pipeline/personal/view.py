"""How a text is shown to the model, and its words with what the model makes of them.

The model was trained on edited prose. Posts shout, drop capitals and hold addresses, so the text
is set right first, letter for letter: every place in the copy is the same place in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.personal.lists import ROLES, cities, first_names, kept
from pipeline.personal.words import WORDS, word_set

if TYPE_CHECKING:
    from spacy.tokens import Doc

Found = tuple[int, int, str]
CAP = r"[A-Z][\w'\u2019&.\-]{0,30}[\w'\u2019]"
SEQ = rf"{CAP}(?: (?:(?:of|and|&|de|for|the|at) )?{CAP}){{0,4}}"
WORD = re.compile(r"[^\W\d_]+(?:['\u2019\-\u02bb][^\W\d_]+)*")
MASK = re.compile(r"\[[A-Z]{3,12}\]")
# What stands in for a mask, so that a masked text reads to the model as the text did.
_STAND_INS = {"[NAME]": "Taylor", "[PLACE]": "Chicago", "[SCHOOL]": "Stanford", "[ORG]": "Intel"}
_LINE = re.compile(r"[^\n.!?]+")
_TO_PLACE = r"(?:in|from|to|near|at|around|outside|of|through|into|via|leave|left|visit|downtown)"
_LOW_PLACE = re.compile(rf"\b{_TO_PLACE} (?=([a-z]+(?: [a-z]+)?(?: [a-z]+)?))")
_LOW_EMPLOYER = re.compile(
    r"\b(?:work(?:s|ed|ing)? (?:at|for)|jobs? (?:at|with)|(?:fired|hired|laid off) (?:from|by))"
    r" ([a-z]{2,})\b"
)
_LOW_NAMED = re.compile(
    r"\b(?:named|called|name is|names|(?:friend|bf|gf|cousin|roomie|roommate|boyfriend|girlfriend"
    r"|husband|wife|brother|sister|uncle|aunt|aunty|auntie|coworker|manager|boss|homegirl|bro|sis"
    r"|nephew|niece|son|daughter|landlord|neighbor|fiance|ex|dad|guy)) ([a-z]{3,})\b"
)
_NO_EMPLOYER = word_set(
    """
    a an the my his her our their this that these those some any home night nights school work
    least first last all it them him me us you myself minimum two three four five six free pay
    less more peanuts cash money another one large local big small
    """
)
_LOW_SCHOOL = re.compile(
    r"\b(?:(?:university|college) of [a-z]+|harvard|stanford|yale|princeton"
    r"|caltech|dartmouth|cornell|vanderbilt|rutgers|purdue|tulane"
    r"|baylor|tufts|emory|oberlin|kenyon|spelman|morehouse|vassar|villanova|gonzaga|creighton)\b"
)
_LOW_NAMED_SCHOOL = re.compile(
    r"\b(?=(([A-Za-z]+) (?:[a-z]+ )?(?:college|university|high|academy))\b)"
)
_LOW_ABBREVIATED = re.compile(r"\b(?:nyc|dc|philly|vegas)\b")
_LOW_UNLISTED = re.compile(
    r"\b(?:(?:uncle|aunt|aunty|auntie|named|called|name is) ([a-z]{3,})"
    r"|(?:hi|hey|hello),? ([a-z]{3,}) here|([a-z]{3,}) for short)\b"
)
_END = frozenset('.!?:;\n"“”(-—\u2013*•…')
_LEAST_SHOUTED = 4
_RUN = re.compile(r"([^\w\s])\1{3,}")  # spaCy takes the square of its length for "(((("
_LOOK_BACK = 40  # characters: a look at all that stands before would make long posts slow


@dataclass(frozen=True)
class Word:
    """One word of the prepared text.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        text: As prepared.
        tag: The model's part of speech (Penn Treebank).
        label: The model's entity, "" for none.
        begins: True if a sentence, line or quotation begins with it.
        titled: True if it stands in a heading, where any word may have a capital.
    """

    start: int
    end: int
    text: str
    tag: str
    label: str
    begins: bool
    titled: bool

    @cached_property
    def lower(self) -> str:
        """The word in lower case, without the possessive ending."""
        return re.sub(r"['\u2019]s$", "", self.text.lower().replace("\u2019", "'"))

    @cached_property
    def capital(self) -> bool:
        """Whether it is written with a capital first."""
        return self.text[0].isupper() and not (self.text.isupper() and len(self.text) > 1)

    @cached_property
    def stop(self) -> int:
        """Where it ends without the possessive ending."""
        return self.end - (2 if re.search(r"['\u2019]s$", self.text, re.IGNORECASE) else 0)


@dataclass(frozen=True)
class Lexicon:
    """Words that the model came with, in lower case.

    Attributes:
        vocabulary: All that it met when it was trained, names too.
        nouns: WordNet's nouns, but for those that are listed as names or cities too.
        others: WordNet's verbs, adjectives and adverbs, but for names.
        small: Words that sentences are built with, names or not.
    """

    vocabulary: frozenset[str]
    nouns: frozenset[str]
    others: frozenset[str]
    small: frozenset[str]

    def is_ordinary(self, word: str) -> bool:
        """Whether a word, in lower case, is an English one and no name."""
        if word in self.small or word in self.nouns or word in self.others:
            return True
        stems = {word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ing")}
        stems |= {word.removesuffix("ed"), word.removesuffix("d"), word.removesuffix("ing") + "e"}
        stems |= {word.removesuffix("er"), word.removesuffix("ies") + "y"}
        return any(
            len(stem) > 2 and stem != word and (stem in self.nouns or stem in self.others)
            for stem in stems
        )


@dataclass(frozen=True)
class View:
    """A text as prepared and read.

    Attributes:
        text: The text.
        words: Its words.
        ages: Where words end that an age tag follows.
        lexicon: Words that the model knew before it read.
    """

    text: str
    words: tuple[Word, ...]
    ages: frozenset[int]
    lexicon: Lexicon

    def is_new(self, word: Word) -> bool:
        """Whether the model never met the word: then it is hardly an English one."""
        known = self.lexicon.vocabulary
        return word.lower not in known and word.text not in known


def is_listed(word: Word) -> bool:
    """Whether a word is a first name and no ordinary word."""
    return word.lower in first_names() and word.lower not in WORDS


def prepare(text: str, spans: Sequence[tuple[int, int, str]], lexicon: Lexicon) -> str:
    """Return a copy as long as `text`, fit for the model.

    Args:
        text: A post.
        spans: What is known to be personal data already.
        lexicon: Words that the model knows; a word after "uncle" that is none is a name.
    """
    sheet = text
    for start, end, _ in spans:
        sheet = _put(sheet, start, end, "it")
    for match in MASK.finditer(text):
        sheet = _put(sheet, *match.span(), _STAND_INS.get(match[0], "it"))
    sheet = _RUN.sub(lambda match: match[1] + " " * (len(match[0]) - 1), sheet)
    for line in _LINE.finditer(sheet):
        long = [match[0] for match in WORD.finditer(line[0]) if len(match[0]) > 1]
        shouted = sum(word.isupper() for word in long)
        if len(long) >= _LEAST_SHOUTED and shouted > 0.7 * len(long):
            sheet = _put(sheet, *line.span(), _quiet(line[0]))
    careless = _is_careless(sheet)
    for match in WORD.finditer(sheet):
        word = match[0]
        if word == "i" or (
            careless and word.islower() and len(word) > 2 and _is_name(word, lexicon)
        ):
            sheet = _put(sheet, *match.span(), word.title())
    for match in _LOW_PLACE.finditer(sheet):
        words = match[1].split()
        for size in range(len(words), 0, -1):
            name = " ".join(words[:size])
            if words[0] == "the" or name not in cities():
                continue
            if size > 1 or not (name in WORDS or name in kept() or name in lexicon.others):
                sheet = _put(sheet, match.start(1), match.start(1) + len(name), name.title())
                break
    for match in _LOW_EMPLOYER.finditer(sheet):
        if match[1] not in _NO_EMPLOYER and not lexicon.is_ordinary(match[1]):
            sheet = _put(sheet, *match.span(1), match[1].title())
    for match in _LOW_NAMED.finditer(sheet):
        name = match[1]
        barred = name in kept() or name in ROLES or name in _VERBS
        if (
            name in first_names()
            and not barred
            and (careless or (name not in WORDS and not lexicon.is_ordinary(name)))
        ):
            sheet = _put(sheet, *match.span(1), match[1].title())
    for match in _LOW_SCHOOL.finditer(sheet):
        if match[0].split()[-1] in lexicon.small:
            continue
        sheet = _put(sheet, *match.span(), match[0].title().replace(" Of ", " of "))
    for match in _LOW_NAMED_SCHOOL.finditer(sheet):
        low = match[2].lower()
        if _is_name(low, lexicon) or (low in cities() and low not in WORDS and low not in kept()):
            sheet = _put(sheet, *match.span(1), match[1].title())
    for match in _LOW_ABBREVIATED.finditer(sheet):
        sheet = _put(
            sheet, *match.span(), match[0].title() if len(match[0]) > 3 else match[0].upper()
        )
    for match in _LOW_UNLISTED.finditer(sheet):
        group = match.lastindex or 1
        if match[group] not in lexicon.vocabulary:
            sheet = _put(sheet, *match.span(group), match[group].title())
    return sheet


# Names that are also verbs or small words, as in "my friend will": a capital would mislead.
_VERBS = word_set(
    """
    will may can mark rob drew sue chase hope pat grant bill wade grace rose ray trace carry love
    an any else even ever even how if in is it long me my no not now of on or our out per said so
    than that the then to us was way we when yet you made read wants want says see has had less
    among amor beat bent bring cut date edit emit erode fate fan get give go goes like line link
    live lose lost manage mend most much need never part pay said same say send serve sever sing
    skip stow tell till time tire wash will win
    """
)


def _quiet(line: str) -> str:
    """Return a line in small letters with a capital first; every letter keeps its place."""
    small = [c.lower() if len(c.lower()) == 1 else c for c in line]
    first = next((i for i, c in enumerate(small) if c.isalpha()), 0)
    return "".join(small[:first]) + small[first].title()[:1] + "".join(small[first + 1 :])


def _put(sheet: str, start: int, end: int, words: str) -> str:
    return sheet[:start] + words[: end - start].ljust(end - start) + sheet[end:]


def _is_name(word: str, lexicon: Lexicon) -> bool:
    plain = word.removesuffix("'s").removesuffix("\u2019s")
    listed = plain in first_names() and plain not in WORDS and plain not in kept()
    return listed and not lexicon.is_ordinary(plain)


def _is_careless(text: str) -> bool:
    """Whether most sentences, or most "I", are written without a capital."""
    begins = re.findall(r"(?:^|[.!?\n] *)([^\W\d_])", text)
    first = re.findall(r"\b[iI]\b", text)
    return any(
        len(found) > 1 and sum(word.islower() for word in found) > 0.5 * len(found)
        for found in (begins, first)
    )


def view(doc: Doc, ages: frozenset[int], lexicon: Lexicon) -> View:
    """Return the words of a prepared text that the model has read."""
    text = doc.text
    titled = _headings(text)
    at: dict[int, tuple[str, str]] = {}
    for token in doc:
        for place in range(token.idx, token.idx + len(token)):
            at[place] = (token.tag_, token.ent_type_)
    words: list[Word] = []
    for match in WORD.finditer(text):
        before = text[max(0, match.start() - _LOOK_BACK) : match.start()].rstrip(" '\u2018*_")
        tag, label = at.get(match.start(), ("", ""))
        words.append(
            Word(
                start=match.start(),
                end=match.end(),
                text=match[0],
                tag=tag,
                label=label,
                begins=not before or before[-1] in _END,
                titled=any(start <= match.start() < end for start, end in titled),
            )
        )
    return View(text, tuple(words), ages, lexicon)


def _headings(text: str) -> list[tuple[int, int]]:
    """Return the lines in which most longer words have a capital."""
    lines = []
    for line in re.finditer(r"[^\n]+", text):
        long = [word for word in WORD.findall(line[0]) if len(word) > 3]
        if len(long) >= 3 and sum(word[0].isupper() for word in long) > 0.7 * len(long):
            lines.append(line.span())
    return lines
