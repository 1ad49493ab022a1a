"""Reads a model's raw reply: a letter, or the reason why there is none."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, get_args

from valact_eval.data import LETTERS

Outcome = Literal["strict", "lenient", "invalid", "empty", "truncated", "refused"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
VALID: tuple[Outcome, ...] = ("strict", "lenient")

_STRICT = re.compile(r'([A-D])|\{\s*"answer"\s*:\s*"([A-D])"\s*\}')
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
    """What a reply came to: ``letter`` is 0..3 exactly when ``outcome`` is in ``VALID``."""

    outcome: Outcome
    letter: int | None


def parse_answer(raw: str, stop: str = "stop", refused: bool = False) -> Answer:
    """Reads one reply. Never raises.

    Args:
        raw: the reply's whole text.
        stop: Inspect's stop reason. A reply cut short (``max_tokens``, ``model_length``) is
            ``truncated`` whatever it holds; ``content_filter`` is ``refused``.
        refused: whether the provider itself marked the reply as a refusal.

    Returns:
        In this order: what the stop reason says; ``empty`` for no visible text; ``strict`` for
        a lone letter or ``{"answer": "B"}``; ``refused`` for a reply that opens by declining;
        ``lenient`` for the last letter A-D that stands alone once compatibility characters
        are folded and Markdown marks dropped; else ``invalid``.
    """
    if refused or stop == "content_filter":
        return Answer("refused", None)
    if stop in ("max_tokens", "model_length"):
        return Answer("truncated", None)
    if not raw.strip():
        return Answer("empty", None)
    if match := _STRICT.fullmatch(raw.strip()):
        return Answer("strict", LETTERS.index(match[1] or match[2]))
    text = unicodedata.normalize("NFKC", raw).replace("’", "'")  # noqa: RUF001
    text = "".join(c for c in text if c not in "*_`#" and unicodedata.category(c) != "Cf").strip()
    if not text:
        return Answer("empty", None)
    if _REFUSAL.match(text):
        return Answer("refused", None)
    if len({match[1] for match in _HEAD.finditer(text)}) > 1:
        text = _HEAD.sub(" ", text)  # the options repeated: their headings choose nothing
    if match := _LOWER.fullmatch(text):
        return Answer("lenient", LETTERS.index(match[1].upper()))
    found = [match[0] for match in _LETTER.finditer(text)]
    return Answer("lenient", LETTERS.index(found[-1])) if found else Answer("invalid", None)
