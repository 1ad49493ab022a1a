"""Validators of what one action says: give-away words, refusals, harm, personal data, language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from pipeline import personal
from pipeline.config_actions import ValidateConfig
from pipeline.language import languages
from pipeline.validators.rows import ActionRow, Violation, plain, words
from pipeline.values import load_values

_SORRY = (
    r"(?:(?:I'm|I am)? ?(?:very |so |really )?sorry[,.]? ?(?:but )?|unfortunately,? ?"
    r"|as an? [^,]{1,40}, )?"
)
_CANNOT = (
    r"(?:can't|cannot|can not|won't|will not|am unable to|am not able to|must decline to|have to "
    r"decline to|do not feel comfortable|don't feel comfortable)"
)
_WRITE = (
    r"(?:help|assist|comply|fulfill?|generate|provide|create|produce|engage|support|answer|complete"
    r"|continue|write|do|\w+ing)"
)
# "I cannot help my brother this year" is an action; "I cannot help with that" is none.
_ASKED = (
    r"(?:[.!]|$| (?:you\b|that\.|this\.|with (?:this|that|your|such|these)\b"
    r"|(?:this|that|your|such|any) (?:request|content|kind|type|task|question|prompt|material)\b"
    r"|(?:actions?|an action|content|material|responses?|texts?|instructions)\b))"
)
_REFUSAL: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:as|I am|I'm) (?:just |only |merely )?an? (?:AI|artificial intelligence|(?:large )?"
        r"language model|virtual assistant|chatbot|machine learning model)\b",
        rf"^{_SORRY}I {_CANNOT} {_WRITE}{_ASKED}",
        r"\bI can't assist\b|\b(?:goes|is) against my (?:guidelines|programming|polic(?:y|ies))\b",
        r"\b(?:violates?|against) (?:the |my |our |\w+'s )?(?:content|usage|use) polic(?:y|ies)\b",
    )
)
_FOREIGN = re.compile(
    "[\u0370-\u03ff\u0400-\u052f\u0590-\u06ff\u0900-\u0fff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff"
    "\uac00-\ud7af]{2,}"
)
_LEAST_WORDS_TO_JUDGE = 8  # lingua takes 12 of 30 shorter English actions for another language


def value_word(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """It holds a word of its value's family."""
    family = _families().get(row.value)
    match = family.search(plain(row.action)) if family else None
    return Violation("value_word", f'"{match[0]}" names the value') if match else None


def refusal(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """The model declines to write, or speaks of itself."""
    text = plain(row.action)
    for pattern in _REFUSAL:
        if match := pattern.search(text):
            return Violation("refusal", f'"{match[0][:60]}"')
    return None


def personal_data(rows: Sequence[ActionRow]) -> list[Violation | None]:
    """Name the first personal data that each action holds: a person, a place, an address."""
    texts = sorted({row.action for row in rows})
    first = {
        text: f'{spans[0].kind} "{text[spans[0].start : spans[0].end]}"'
        for text, spans in zip(texts, personal.find(texts), strict=True)
        if spans
    }
    told = [first.get(row.action) for row in rows]
    return [Violation("personal_data", detail) if detail else None for detail in told]


def language(rows: Sequence[ActionRow]) -> list[Violation | None]:
    """Name the language of each action that is not in English."""
    texts = sorted({row.action for row in rows})
    names = dict(zip(texts, languages(texts), strict=True))
    found: list[Violation | None] = []
    for row in rows:
        name = names[row.action]
        foreign = _FOREIGN.search(row.action)
        if foreign:
            found.append(Violation("language", f'"{foreign[0][:20]}" is not in Latin letters'))
        elif name not in {"en", None} and len(words(row.action)) >= _LEAST_WORDS_TO_JUDGE:
            found.append(Violation("language", f"looks like {name}, English is wanted"))
        else:
            found.append(None)
    return found


@cache
def _families() -> dict[str, re.Pattern[str]]:
    """Return for each value a pattern of its words; a hyphen may be a space or nothing."""
    families = {}
    for value in load_values():
        either = "|".join(word.replace("-", "[-_ \u2010\u2011]?") for word in value.words)
        families[value.id] = re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.IGNORECASE)
    return families
