"""Text from outside as it is shown: what would steer a terminal or a page is spelt out instead."""

from __future__ import annotations

import re
import unicodedata

from rich.text import Text

# Control and format characters (among them those that turn the direction of writing), halves of
# surrogate pairs, and separators of lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_PLAIN = re.compile(r"[\x20-\x7e\n]*")


def escaped(text: str) -> str:
    r"""Return `text` with each unseen character but the line feed as an escape, such as "\x1b"."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_spelt(char) if _is_unseen(char) else char for char in text)


def on_one_line(text: str) -> str:
    """Return the same, line feeds being escaped, too."""
    return escaped(text).replace("\n", "\\n")


def as_text(text: str, style: str = "") -> Text:
    """Return text for a console, never read as markup; escapes are set off from the text's own."""
    shown = Text(style=style)
    for char in re.findall(r"[\x20-\x7e\n]+|.", text, re.DOTALL):
        if len(char) == 1 and _is_unseen(char):
            shown.append(_spelt(char), "reverse")
        else:
            shown.append(char)
    return shown


def _is_unseen(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) in _UNSEEN


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
