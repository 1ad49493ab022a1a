"""Runs of words, by which a text is found again wherever it stands, however it is written.

A run is eight words in a row, or a shorter text's whole words. It is kept as a hash, so that what
is searched for can be written down without the text itself. Case, punctuation, line breaks and the
escapes of JSON and HTML do not count.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

RUN = 8
LEAST = 4
"""Texts of fewer words are no evidence: they stand in anybody's text."""
_WORD = re.compile(r"[^\W_]+")
_ESCAPED = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|[nrtbf\"'/])")


def words_of(text: str) -> list[str]:
    """Return the words of a text, of its escaped form too."""
    if "\\" in text:
        text = _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else " ", text)
    if "&" in text:
        text = html.unescape(html.unescape(text))
    return _WORD.findall(text.casefold())


@lru_cache(maxsize=1 << 18)
def _hash(words: tuple[str, ...]) -> str:
    return hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=12).hexdigest()


@dataclass
class Runs:
    """Hashed runs of words.

    Attributes:
        hashes: Of the runs, by their number of words.
        first: Hashes of the runs' first words, which spare most of the looking.
    """

    hashes: dict[int, set[str]] = field(default_factory=dict)
    first: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Runs:
        """Return the runs of these texts."""
        found = cls()
        for text in texts:
            words = words_of(text)
            size = min(RUN, len(words))
            if size < LEAST:
                continue
            for run in _runs(words, size):
                found.hashes.setdefault(size, set()).add(_hash(run))
                found.first.add(_hash(run[:1]))
        return found

    def __len__(self) -> int:
        return sum(map(len, self.hashes.values()))

    def within(self, text: str) -> set[str]:
        """Return the hashes of those runs that stand in a text."""
        if not self.hashes:
            return set()
        words = words_of(text)
        found = set()
        for start, word in enumerate(words):
            if _hash((word,)) not in self.first:
                continue
            for size, hashes in self.hashes.items():
                run = tuple(words[start : start + size])
                if len(run) == size and (name := _hash(run)) in hashes:
                    found.add(name)
        return found

    def without(self, texts: Iterable[str]) -> Runs:
        """Return the runs that stand in none of these texts."""
        common: set[str] = set()
        for text in texts:
            common |= self.within(text)
        return Runs({size: hashes - common for size, hashes in self.hashes.items()}, self.first)

    def joined(self, other: Runs) -> Runs:
        """Return the runs of both."""
        sizes = self.hashes.keys() | other.hashes.keys()
        none: set[str] = set()
        both = {n: self.hashes.get(n, none) | other.hashes.get(n, none) for n in sizes}
        return Runs(both, self.first | other.first)

    def to_json(self) -> dict[str, object]:
        """Return them as plain data."""
        hashes = {str(size): sorted(each) for size, each in sorted(self.hashes.items())}
        return {"hashes": hashes, "first": sorted(self.first)}

    @classmethod
    def from_json(cls, data: dict[str, dict[str, list[str]] | list[str]]) -> Runs:
        """Return what `to_json` wrote."""
        hashes, first = data["hashes"], data["first"]
        if not isinstance(hashes, dict) or isinstance(first, dict):
            raise TypeError("not runs of words")
        return cls({int(size): set(each) for size, each in hashes.items()}, set(first))


def _runs(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(len(words) - size + 1):
        yield tuple(words[start : start + size])
