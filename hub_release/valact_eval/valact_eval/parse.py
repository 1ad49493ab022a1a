"""Reads a model's raw reply: a letter or ratings, or the reason why there are none."""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from valact_eval.data import LETTERS
from valact_eval.key import SCALE

Outcome = Literal["ok", "invalid", "refused", "truncated"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_STRICT = re.compile(r'([A-D])|\{\s*"answer"\s*:\s*"([A-D])"\s*\}')
_RATING = re.compile(r'([1-6])|\{\s*"answer"\s*:\s*"?([1-6])"?\s*\}')
# "12: 4", "12. 4/6,", but not "12. 4 children" or "12: 4.5"
_RATED = re.compile(
    r"(?<![\w.])(\d{1,2})\s*[\"']?\s*[:.)=-]+\s*[\"']?([1-6])(?:/6)?(?![\w/]|[.,]\d)"
    r"(?=[^\S\n]*(?:$|[^\w\s]|\d{1,2}\s*[:.)=]))"
)
# a line that opens with an item's number and ends with a rating, whatever stands between
_LINE = re.compile(r"^\W*(\d{1,2})\b(?!\s*/).*(?<![\w./-])([1-6])(?:/6)?\W*$")
_ALONE = re.compile(r"(?<![\w./,-])([1-6])(?:/6)?(?![\w/-]|[.,]\d)")
_THOUGHTS = re.compile(r"\A(?:.*</think(?:ing)?>|\s*<think(?:ing)?>.*)", re.DOTALL | re.IGNORECASE)
# only a reply that opens by declining to answer: "I won't lie to her. B" is no refusal
_REFUSAL = re.compile(
    r"(?:[^.!?\n]{0,40}\b(?:sorry|apologi[sz]e|unfortunately|as an ai)\b"
    r"[^.!?\n]{0,40}[,.;:]?\s*(?:but\s+)?)?"
    r"i(?:'m| am)?\s+(?:can't|cannot|can not|won't|will not|unable to|not able to|must|have to)\s+"
    r"(?:decline|refuse|help|assist|answer|choose|pick|select|provide|comply|fulfil|respond|engage"
    r"|recommend|advise|give|offer)",
    re.IGNORECASE,
)
_LOWER = re.compile(r"\W*(?:answer\W+(?:is\W+)?)?([a-d])\W*", re.IGNORECASE)
# "A." to "D." heading a line, as where a model repeats the list of options
_HEAD = re.compile(r"^[ \t>-]*\(?([A-D])[.):]\)?[ \t]+(?=\S)", re.MULTILINE)
# all four letters named in a row choose none of them
_ALL_FOUR = re.compile(r"\bA\b\W{1,3}B\b\W{1,3}C\b\W{1,3}(?:(?:or|and)\W{1,3})?D\b")
# an A before a lower-case word is the article ("A person would"), unless what follows or
# precedes it says otherwise ("A is best", "option A suits")
_LETTER = re.compile(
    r"(?<![\w'/-])(?:"
    r"(?<=[Oo]ption )[A-D]|(?<=[Cc]hoice )[A-D]|(?<=[Aa]ction )[A-D]|[B-D]"
    r"|A(?!\s+(?!(?:is|because|since|as|would|seems|and|or|best)\b)[a-z])"
    r")(?![\w'/-])"
)


@dataclass(frozen=True)
class Answer:
    """What a reply came to.

    Attributes:
        outcome: one of ``OUTCOMES``.
        letter: 0..3 for A..D, exactly when ``outcome`` is "ok".
        strict: whether the reply had just the form asked for.
    """

    outcome: Outcome
    letter: int | None
    strict: bool = False


@dataclass(frozen=True)
class Rating:
    """What one item's rating came to; ``score`` is 1..6 exactly when ``outcome`` is "ok"."""

    outcome: Outcome
    score: int | None


def parse_answer(raw: str, stop: str = "stop", refused: bool = False) -> Answer:
    """Reads one reply to a question. Never raises.

    Args:
        raw: the reply's whole text; reasoning that it opens with in ``<think>`` is left out.
        stop: Inspect's stop reason. A reply cut short (``max_tokens``, ``model_length``) is
            ``truncated`` whatever it holds; ``content_filter`` is ``refused``.
        refused: whether the provider itself marked the reply as a refusal.

    Returns:
        In this order: what the stop reason says; ``ok`` and strict for a lone letter or
        ``{"answer": "B"}``; ``refused`` for a reply that opens by declining; ``ok`` for the
        last letter A-D that stands alone once compatibility characters are folded and
        Markdown marks dropped; else ``invalid``.
    """
    if cut := _cut(stop, refused):
        return Answer(cut, None)
    said = _THOUGHTS.sub("", raw)
    if match := _STRICT.fullmatch(said.strip()):
        return Answer("ok", LETTERS.index(match[1] or match[2]), strict=True)
    text = _plain(said)
    if _REFUSAL.match(text):
        return Answer("refused", None)
    if len({match[1] for match in _HEAD.finditer(text)}) > 1:
        text = _HEAD.sub(" ", text)  # the options repeated: their headings choose nothing
    if match := _LOWER.fullmatch(text):
        return Answer("ok", LETTERS.index(match[1].upper()))
    text = _ALL_FOUR.sub(" ", text)
    found = [match[0] for match in _LETTER.finditer(text)]
    return Answer("ok", LETTERS.index(found[-1])) if found else Answer("invalid", None)


def parse_ratings(
    raw: str, items: int, stop: str = "stop", refused: bool = False
) -> tuple[Rating, ...]:
    """Reads one reply to a questionnaire prompt that showed ``items`` items. Never raises.

    For a single item: a lone rating or ``{"answer": 4}``, else the last number 1-6 that
    stands alone. For several: a JSON object of number to rating, else the last rating given
    to each number as "12: 4"; an item without one is ``invalid``. A reply cut short is
    ``truncated`` in all its items, and one that declines and rates nothing ``refused``.

    Returns:
        One rating an item, in the order in which they were shown.
    """
    if cut := _cut(stop, refused):
        return (Rating(cut, None),) * items
    said = _THOUGHTS.sub("", raw)
    text = _plain(said)
    scores = _one(said.strip(), text) if items == 1 else _many(said, text, items)
    if not scores and _REFUSAL.match(text):
        return (Rating("refused", None),) * items
    return tuple(
        Rating("ok", scores[number]) if number in scores else Rating("invalid", None)
        for number in range(1, items + 1)
    )


def _cut(stop: str, refused: bool) -> Outcome | None:
    if refused or stop == "content_filter":
        return "refused"
    return "truncated" if stop in ("max_tokens", "model_length") else None


def _plain(raw: str) -> str:
    text = unicodedata.normalize("NFKC", raw).replace("’", "'")  # noqa: RUF001
    return "".join(c for c in text if c not in "*_`#" and unicodedata.category(c) != "Cf").strip()


def _one(said: str, text: str) -> dict[int, int]:
    if match := _RATING.fullmatch(said):
        return {1: int(match[1] or match[2])}
    found = _ALONE.findall(text)
    return {1: int(found[-1])} if found else {}


def _many(said: str, text: str, items: int) -> dict[int, int]:
    try:
        record = json.loads(said[said.find("{") : said.rfind("}") + 1])
    except (ValueError, RecursionError):
        record = None
    if isinstance(record, dict) and (found := _kept(record.items(), items)):
        return found
    pairs: list[tuple[str, str]] = []
    for line in text.splitlines():
        rated = _RATED.findall(line)
        if not rated and (match := _LINE.match(line)):
            rated = [(match[1], match[2])]
        pairs += rated
    return _kept(pairs, items)


def _kept(pairs: Iterable[tuple[object, object]], items: int) -> dict[int, int]:
    """The pairs that name an item shown and a rating; the last of several counts."""
    numbers = {str(number): number for number in range(1, items + 1)}
    scores = {str(score): score for score in range(SCALE[0], SCALE[1] + 1)}
    texts = [(str(number).lstrip("0"), str(score)) for number, score in pairs]
    return {numbers[n]: scores[s] for n, s in texts if n in numbers and s in scores}
