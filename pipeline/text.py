"""Text of a post: cleaning that keeps the words, masking of what points to a person."""

from __future__ import annotations

import html
import re
import unicodedata

import polars as pl

from pipeline.patterns import CONTACTS, part

# Unicode's format characters (category Cf) but for the few that are drawn: they are seen by models
# and not by people, and can split a word that a rule looks for.
_FORMAT = (
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f"
)
_INVISIBLE = re.compile(f"[{_FORMAT}]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+")
_SPACES = re.compile(r"[^\S\n]+")
_LINE_EDGES = re.compile(r" *\n *")
_BLANK_LINES = re.compile(r"\n{3,}")
# Markdown's own entities (&#x200B; &nbsp;) are left after the source's escaping is undone.
_ENTITY = re.compile(r"&(?:#[xX][0-9a-fA-F]{1,6}|#\d{1,7}|nbsp|zwj|zwnj|ensp|emsp|shy);")

# Characters of which `clean` changes none but spaces and line ends, and entities that it resolves.
_PLAIN = (
    r"\n -~\x{A1}-\x{AC}\x{AE}-\x{24F}\x{2010}-\x{2015}\x{2018}-\x{2027}\x{2030}-\x{205E}"
    r"\x{20AC}\x{FE0F}\x{1F300}-\x{1FAFF}"
)
_NOT_PLAIN = rf"[^{_PLAIN}]|{_ENTITY.pattern}"

# What every address, link, user name or phone number has; without it a text needs no closer look.
_HINTS = {
    "url": re.compile(r"\]\(|https?:|www\.", re.IGNORECASE),
    "email": re.compile("@"),
    "user": re.compile(r"u(?:ser)?/", re.IGNORECASE),
    "phone": re.compile(r"\+\d|\d(?:[ .()/-]{0,3}\d){6}"),
}
# The same for Polars, which may fold case in another way: no text that has a hint is left out.
_ALSO_MAYBE = r"(?i)@|\+\d|\]\(|ttp|www\.|u/|r/|\d(?:[ .()/-]{0,3}\d){6}"
_MASKED_LINK = re.compile(r"\[([^\]\n]{1,300})\]\(\[URL\]\)")

_RECURRING = (
    r"(?i)\b(daily|weekly|monthly|weekend|biweekly)\b.{0,40}\b(thread|discussion|questions?|"
    r"megathread|check-?in)\b|\bmega-?thread\b|\bmoderators?\b.{0,30}\bannounce"
    r"|\bmod(?:erator)?[ -]?post\b|\bweek of (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day'?s? (?:mega-?)?thread\b|\bcommunity thread\b"
)
# Phones write these for what a keyboard has, and the rules name the latter. Also, the engine of
# regular expressions is ten times slower on texts that are not ASCII (for \b).
_AS_TYPED = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2013": "-",
    "\u2014": "-",
    "\u2026": "...",
}


def as_typed(text: pl.Expr) -> pl.Expr:
    """Return texts with straight quotes, hyphens and three dots, as rules are written."""
    return text.str.replace_many(_AS_TYPED)


def recurring(title: pl.Expr) -> pl.Expr:
    """Return whether titles are of threads that a forum opens again and again: no one's story."""
    return as_typed(title).str.contains(_RECURRING)


def clean(text: str) -> str:
    """Return `text` without invisible and control characters, with plain spaces and line ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    before = None
    while text != before:  # an entity may hide another; each turn makes the text shorter
        before = text
        text = _INVISIBLE.sub("", _ENTITY.sub(lambda match: html.unescape(match[0]), text))
    text = unicodedata.normalize("NFC", text).replace("\r", "\n")
    text = _SPACES.sub(" ", _CONTROL.sub(" ", text))
    return _BLANK_LINES.sub("\n\n", _LINE_EDGES.sub("\n", text)).strip()


def clean_all(texts: pl.Series) -> pl.Series:
    """Return `clean` of each text; much faster than one by one."""
    tidy = (
        texts.str.replace_all(" +", " ")
        .str.replace_all(" ?\n ?", "\n")
        .str.replace_all("\n{3,}", "\n\n")
        .str.strip_chars(" \n")
    )
    other = texts.str.contains(_NOT_PLAIN).arg_true()
    done = [clean(text) for text in texts.gather(other)]
    return tidy.scatter(other, pl.Series(done, dtype=pl.String))


def mask(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace e-mail addresses, URLs, usernames and phone numbers by [KIND].

    Returns:
        The masked text and the kinds found, sorted. A link's words stay, its address goes.
    """
    kinds: set[str] = set()
    before = None
    while text != before:  # what stood beside a mask may now show itself
        before = text
        hinted = {kind for kind, hint in _HINTS.items() if hint.search(text)}
        for kind, pattern in CONTACTS:
            if kind not in hinted:
                continue
            for start, end in reversed([part(match) for match in pattern.finditer(text)]):
                text = f"{text[:start]}[{kind.upper()}]{text[end:]}"
                kinds.add(kind)
        text = _MASKED_LINK.sub(r"\1 [URL]", text)
    return text, tuple(sorted(kinds))


def mask_all(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return `mask` of each text: masked texts, and lists of kinds."""
    maybe = texts.str.contains(_ALSO_MAYBE).arg_true()
    done = [mask(text) for text in texts.gather(maybe)]
    masked = texts.scatter(maybe, pl.Series([text for text, _ in done], dtype=pl.String))
    kinds = pl.DataFrame(
        {"row": maybe, "masked": [list(kinds) for _, kinds in done]},
        schema={"row": pl.UInt32, "masked": pl.List(pl.String)},
    )
    every = pl.DataFrame({"row": pl.arange(0, len(texts), dtype=pl.UInt32, eager=True)})
    found = every.join(kinds, on="row", how="left", maintain_order="left")["masked"]
    return masked, found.fill_null([])
