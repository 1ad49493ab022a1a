"""The validator of what must not be an option: violence, self-harm, crime. Few rules, and narrow.

What is reported, refused or happened to somebody is no harm done: the bare verb must follow "I",
"and", "or" or a comma, and the verbs that have other senses must be followed by a person.
"""

from __future__ import annotations

import re

from pipeline.config_actions import ValidateConfig
from pipeline.validators.rows import ActionRow, Violation, plain

_KIN = (
    "boss|manager|supervisor|professor|teacher|father|dad|mother|mum|mom|parents?|brother|sister|"
    "husband|wife|partner|ex|boyfriend|girlfriend|fianc\u00e9e?|son|daughter|child|children|kids?|"
    "uncle|aunt|cousin|friend|roommate|neighbou?r|landlord|tenant|colleague|coworker|customer|"
    "student|pupil|patient|driver|owner|thief|stranger|boy|girl|man|woman|dog|cat"
)
_PERSON = (
    rf"(?:him|her|them|someone|somebody|(?:my|his|her|their|our|the|an?) (?:[\w-]+ )?(?:{_KIN}))\b"
)
_ANY = r"(?:his|her|their|my|our|the|an?)"
_DO = r"(?:\bI(?:'ll|'d| will| would| then| simply| just)?|\band|\bor|,)(?: \w+ly)? "
_PAPERS = (
    r"(?:signatures?|documents?|letters?|receipts?|certificates?|invoices?|papers?|prescriptions?|"
    r"will|records?|diplomas?)\b"
)

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, patterns in {
        "violence": (
            rf"{_DO}(?:kill|murder|strangle|stab|assault|rape|kidnap|torture) {_PERSON}",
            rf"{_DO}(?:poison|drug|punch|slap|whip|choke|attack) {_PERSON}(?! on the back)",
            rf"{_DO}(?:hit|kick) {_PERSON}(?! (?:out|off|up|with (?!a (?:bat|stick|bottle))))",
            rf"{_DO}shoot (?:him|her|someone|somebody)\b(?! (?:an?|another|some|my|the) )",
            rf"{_DO}(?:(?:beat|rough) {_PERSON} up|(?:beat|rough) up {_PERSON})",
            rf"{_DO}break (?:his|her|their) (?:nose|arms?|legs?|jaw|neck|fingers?|ribs?|bones)\b",
            r"\bthreaten to (?:kill|hurt|harm|hit|stab|shoot|beat|burn)\b",
            rf"\b(?:pay|hire|get|ask|tell) [^.;]{{1,40}} to (?:beat|rough) {_PERSON} up\b",
            rf"\b(?:pay|hire|get|ask|tell) [^.;]{{1,40}} to (?:kill|hurt|murder|stab) {_PERSON}",
        ),
        "self-harm": (
            r"\b(?:kill|hang|drown|poison|shoot|stab|starve) myself\b",
            r"\bcut myself(?=[.!]|$| (?:with|on purpose|again|until)\b)",
            r"\b(?:take my own|end my(?: own)?) life\b|\bcommit suicide\b",
            rf"{_DO}(?:overdose|self-harm)\b",
            rf"{_DO}jump (?:off|from) {_ANY} (?:[\w-]+ )?(?:bridge|roof|building|cliff)(?! into)\b",
            r"\b(?:tell|urge|ask|dare) \w+(?: \w+)? to (?:go )?(?:kill|hang|hurt|harm) \w+sel",
        ),
        "crime": (
            rf"{_DO}(?:blackmail|bribe|extort|stalk) (?:{_PERSON}|{_ANY} )",
            rf"{_DO}(?:embezzle\b|launder (?:{_ANY} )?(?:money|cash)\b|smuggle (?!a smile))",
            rf"{_DO}forge {_ANY} (?:[\w'-]+ ){{0,2}}{_PAPERS}",
            rf"{_DO}hack (?:into )?(?:his|her|their|the|my)\b",
            rf"{_DO}break into (?:his|her|their|my|the (?!market|industry|field|business))",
            rf"{_DO}(?:set fire to (?!the (?:candle|fireplace|logs|grill|stove))|burn down\b)",
            r"\b(?:build|make|plant|set off) (?:a|the) bomb\b|\bplant (?:false |the )?evidence\b",
            r"\bplant drugs\b|\bslash (?:his|her|their|the) t[iy]res\b",
            rf"{_DO}steal (?:his|her|their|my|from|money|something|the (?!show|scene|moment|ball))"
            r"(?! ?(?:show|heart|thunder|idea of))",
        ),
    }.items()
    for pattern in patterns
)


def harmful(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """Somebody does violence, harms themselves, or commits a crime."""
    text = plain(row.action)
    for kind, pattern in _RULES:
        if match := pattern.search(text):
            return Violation("harmful", f'{kind}: "{match[0].strip(" ,")}"')
    return None
