"""Authors: a keyed hash instead of a name, so that one author's posts can be told, not whose."""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass

_DIGITS = 16  # hex: 64 bits
_HASH = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")
_NOBODY = frozenset({"", "[deleted]", "[removed]", "none"})  # "none": PRAW's None, as text


def author_key(variable: str) -> bytes:
    """Return the private key in this environment variable, b"" if there is none."""
    return os.environ.get(variable, "").encode() if variable else b""


def fingerprint(key: bytes) -> str:
    """Return a short text that changes with the key and does not tell it."""
    return _digest(key, "fingerprint") if key else "(no key)"


def author_hash(name: str, key: bytes) -> str | None:
    """Return the hash of an author's name, or None for nobody or without a key.

    Args:
        name: As the source gives it, also as `u/name`; case does not count.
        key: The private key; b"" for none.
    """
    bare = _bare(name)
    return _digest(key, bare) if key and bare not in _NOBODY else None


@dataclass
class Authors:
    """Hashes the authors of one reading, and counts them.

    Attributes:
        key: The private key; b"" for none.
        hashed: Posts that got a hash, or brought one.
        without_key: Posts that name an author and got no hash, as there is no key.
    """

    key: bytes = b""
    hashed: int = 0
    without_key: int = 0

    def of(self, name: object, given: str | None) -> str | None:
        """Return the hash of a post's author.

        Args:
            name: The author as the source gives it; what is no text counts as nobody.
            given: A hash that the source brings; it goes before the name.

        Raises:
            ValueError: `given` is no hash; it is not repeated, as it may be a name.
        """
        if given:
            if not _HASH.fullmatch(given):
                raise ValueError(f"author_hash: is not {_DIGITS} hex digits")
            self.hashed += 1
            return given
        if not isinstance(name, str) or _bare(name) in _NOBODY:
            return None
        found = author_hash(name, self.key)
        self.hashed += found is not None
        self.without_key += found is None
        return found


def _bare(name: str) -> str:
    return name.strip().lower().removeprefix("/").removeprefix("u/")


def _digest(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:_DIGITS]
