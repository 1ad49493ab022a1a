"""Personal data that has a form of its own: one place for the patterns of each kind.

A pattern may have a group `it`: then that part is the find and the rest is what points to it.
"""

from __future__ import annotations

import re

Pattern = re.Pattern[str]

_I = re.IGNORECASE
_AREA = r"[2-9]\d{2}"
_PHONES = (
    # North American, in groups or ten digits in a row (no area code starts with 0 or 1, and a
    # number that ends in four zeros is a sum of money).
    rf"(?<![\w.,$€£¥₹-])(?:\+?1[ .-]?)?(?:\({_AREA}\) ?|{_AREA}[ .-])\d{{3}}[ .-]\d{{4}}(?![\w-])",
    rf"(?<![\w.,$€£¥₹-])1?(?!\d+0000(?!\d)){_AREA}\d{{7}}(?![\w-]|[.,]\d)",
    # Any number in international form; British and other numbers with a leading zero.
    r"\+\d{1,3}(?:[ .-]?\(?\d{2,4}\)?){2,4}(?!\w)",
    r"\+\d{1,3}[ .-]?\d{3,5}[ .-]?\d{4,8}(?!\w)",
    r"(?<![\w.,$€£¥₹/-])(?<!\d )0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4}(?![\w-])(?! \d)"
    r"|(?<![\w.,$€£¥₹/-])0[1-9]\d{8,9}(?!\w)",
    # Without an area code, or ten digits of another country, if a word says what it is.
    r"(?i:\b(?:call|text|cell|phone|tel|number|dial|mobile|whatsapp)\b[^\n\d$€£]{0,20})"
    r"(?P<it>[2-9]\d{2}[-.]\d{4}|[6-9]\d{9}|[6-9]\d{4} \d{5})(?![\w-])",
)
CONTACTS: tuple[tuple[str, Pattern], ...] = (
    ("url", re.compile(r"(?<=\]\()(?:https?://|/)[^)\s]{1,2000}(?=\))")),  # Markdown links
    ("email", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b")),
    ("url", re.compile(r"\b(?:https?://|www\.)[^\s<>()\[\]]*[^\s<>()\[\].,;:!?'\"”\u2019*]", _I)),
    ("user", re.compile(r"(?:/[uU](?:ser)?/|(?<![\w/])[uU]/)[\w-]{3,64}")),
    *(("phone", re.compile(pattern)) for pattern in _PHONES),
)
"""What `pipeline.text.mask` masks wherever it stands, in this order: kind and pattern."""

# Sites that everybody names; an address in them still is an address (the path follows).
_SITES = (
    "reddit|amazon|indeed|glassdoor|booking|monster|linkedin|ebay|etsy|netflix|google|facebook|"
    "youtube|twitter|instagram|tiktok|craigslist|zillow|redfin|airbnb|wikipedia|paypal|venmo|"
    "ancestry|match|hotels|cars|realtor|chase|apple|microsoft|gofundme|patreon|care|levels"
)
_TLD = r"(?:com|org|net|io|edu|gov|info|biz|me|dev|app|blog|shop|co|us|uk|de|fr|ca|au|in|example)"
_DOMAIN = rf"(?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.){{1,5}}{_TLD}\b"
_HANDLE = r"[\w.]{2,31}\w"
_CAP = r"(?:St\.|[A-Z]\.|[A-Z][\w'\u2019]*)"
_WAY = rf"{_CAP}(?: {_CAP}){{0,3}}"
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Terrace|Ter|Place"
    r"|Pl|Plaza|Square|Sq|Close|Crescent|Highway|Hwy|Parkway|Pkwy|Trail|Circle|Cir|Walk|Row|Mews"
    r"|Grove|Gardens|Loop|Alley|Pike|Quay|Hill)\b\.?"
)
_UNIT = r"(?i:,? (?:apt|apartment|unit|suite|ste|flat|room|no)\.? ?#?\w{1,5}\b|,? #\w{1,5}\b)?"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = (
    rf"(?:\d{{1,2}}[/.-]\d{{1,2}}[/.-](?:19|20)?\d{{2}}|(?:19|20)\d{{2}}-\d{{2}}-\d{{2}}"
    rf"|{_DAY}(?: of)? {_MONTH},?(?: (?:19|20)\d{{2}})?|{_MONTH} {_DAY}(?:,? (?:19|20)\d{{2}})?)"
    r"(?![\w/])"
)
_NUMBERED = (
    r"account|acct|a/c|policy|member(?:ship)?|client|customer|case|claim|student|employee|patient"
    r"|passport|licen[cs]e|routing|ssn|social security|sort code|card|vin|mrn|nhs|badge"
)
STRUCTURED: tuple[tuple[str, Pattern], ...] = (
    *CONTACTS,
    (
        "url",
        re.compile(
            rf"(?<![\w@./-])(?!(?:{_SITES})\.[a-z.]+(?![\w/.])){_DOMAIN}"
            r"(?:/[^\s<>()\[\]]*[\w/])?(?!\[)",
            _I,
        ),
    ),
    ("email", re.compile(r"\b\w+(?: dot \w+)* (?:at|\(at\)|\[at\]) \w+(?: dot \w{2,})+\b", _I)),
    (
        "email",
        re.compile(r"\b[\w.+-]{1,64} ?[(\[]at[)\]] ?\w+(?: ?(?:\.|[(\[]dot[)\]]) ?\w{2,})+\b", _I),
    ),
    ("user", re.compile(rf"(?<![\w@./])@(?!(?:work|home|school)\b)(?=[\w.]*[A-Za-z]){_HANDLE}")),
    ("user", re.compile(r"\b[\w.]{2,32}#\d{4}\b")),
    (
        "user",
        re.compile(
            r"\b(?:insta(?:gram)?|ig|snap(?:chat)?|discord|twitter|tiktok|telegram|kik"
            r"|handle|user ?name|gamertag)(?: (?:is|was)|:) "
            rf"(?P<it>(?=\S*[\d_]){_HANDLE})",
            _I,
        ),
    ),
    (
        "address",
        re.compile(
            rf"\b\d{{1,5}}(?:-\d{{1,4}})?[A-Za-z]?,? (?:[NSEW]{{1,2}}\.? )?{_WAY}? ?"
            rf"(?<=[ .]){_STREET}{_UNIT}"
        ),
    ),
    (
        "address",
        re.compile(
            r"\b\d{1,5} (?!(?:min|minute|hour|day|week|month|year|mile|km|yr|lane"
            r"|way|block)s?\b)[a-z]+(?: [a-z]+)? (?:street|avenue|ave|road|rd|lane|ln"
            rf"|blvd|boulevard|terrace)\b{_UNIT}"
        ),
    ),
    (
        "address",
        re.compile(
            rf"\b\d{{1,5}},? (?i:rue|avenue|boulevard|via|calle|rua|plaza) (?:d\w+ )?"
            rf"{_WAY}|\b[A-Z]\w+(?:straße|strasse|weg|platz|gasse|straat) \d{{1,4}}\w?\b"
        ),
    ),
    ("address", re.compile(rf"\b(?:Flat|Apt\.?|Unit|Apartment) \w{{1,4}}, \d{{1,5}} {_WAY}")),
    (
        "address",
        re.compile(
            r"\bP\.? ?O\.? ?Box \d+\b|\b(?:zip(?: code)?|postcode)\W{1,3}"
            r"(?P<it>[\d-]{4,10})\b",
            _I,
        ),
    ),
    ("address", re.compile(r"\b[A-Z]{2} \d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b")),
    (
        "birth",
        re.compile(
            r"(?i:\b(?:born|d\.?o\.?b\.?|birth ?(?:day|date)|date of birth|turn(?:ed|s)?"
            rf" \d{{1,2}})\b[^\d\n]{{0,16}}?)(?P<it>(?i:{_DATE}))"
        ),
    ),
    ("account", re.compile(r"\b\d{3}-\d{2}-\d{4}\b")),
    ("account", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")),
    ("account", re.compile(r"(?<![\w.,-])\d{4}(?:[ -]\d{4}){2,3}(?:[ -]\d{1,3})?(?![\w-])")),
    (
        "account",
        re.compile(
            rf"\b(?:{_NUMBERED})(?: (?:id|number|num|no|nr|code))?\.?(?: (?:is|was))?"
            r"\W{1,3}(?P<it>(?=(?:[A-Z -]*\d){5})[A-Z]{0,3}\d(?:[A-Z0-9-]| (?=\d{3,4}\b))"
            r"{4,22}(?<![ -]))(?!\w|,\d)",
            _I,
        ),
    ),
    (
        "account",
        re.compile(
            r"\b(?:passport|licen[cs]e|plate|id|ssn|pledge)\b[^\n\d$€£]{0,20}"
            r"(?P<it>\b[A-Z]{0,2}\d{6,9}[A-Z]?)\b",
            _I,
        ),
    ),
)
"""All kinds with a form, contacts first: kind and pattern."""

HINT = rf"(?i)[\d@_]|\]\(|https?:|www\.|\bu/|/u|\bdot\b|[(\[]at[)\]]|\.{_TLD}\b"
"""For Polars: a text in which this is not found holds nothing of STRUCTURED, and needs no look."""


def found(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, kind) of everything with a form; finds may overlap."""
    spans = [
        (*part(match), kind) for kind, pattern in STRUCTURED for match in pattern.finditer(text)
    ]
    return sorted(span for span in spans if span[0] < span[1])


def part(match: re.Match[str]) -> tuple[int, int]:
    """Return where a match's find lies: its group `it`, else all of it."""
    group = "it" if "it" in match.re.groupindex and match["it"] is not None else 0
    return match.span(group)
