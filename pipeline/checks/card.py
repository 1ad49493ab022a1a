"""The card once more from the folder, the figure too; and the canary in every file."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipeline import canary
from pipeline.artifacts import read_json
from pipeline.card import CARD, draw, made_by, render, sourced
from pipeline.errors import StageError
from pipeline.facts import CONFIG, FIGURE

_SHOWN = 160
_BEFORE = 60
_AGAIN = "build the release again"


def check_card(dist: Path, tell: Callable[[str], None] = lambda _: None) -> None:
    """Write the card again from the folder and compare; draw the figure again, too.

    The figure is compared where the installed Matplotlib is the one that drew it: another version
    may place a label elsewhere.

    Args:
        dist: The release folder.
        tell: Takes a line on what could not be compared.

    Raises:
        StageError: A line differs, or a number of the card has no source in the folder.
    """
    config = _config(dist)
    made, here = config.get("card", {}), made_by()
    path = dist / CARD
    if made.get("template_sha256") != here["template_sha256"]:
        raise StageError(
            f"{dist / CONFIG}: its card was written with another version of the card's template; "
            "verify it with the builder that made it, or build the release again"
        )
    found = sourced(dist)
    written, again = path.read_text(encoding="utf-8"), render(dist, found)
    if written != again:
        lines = zip_longest(written.split("\n"), again.split("\n"))
        number, (says, gives) = next(
            (n, pair) for n, pair in enumerate(lines, start=1) if pair[0] != pair[1]
        )
        raise StageError(
            f"{path}: line {number} says {_around(says, gives)}, the folder gives "
            f"{_around(gives, says)}; {_AGAIN}"
        )
    if made.get("matplotlib") != here["matplotlib"]:
        tell(
            f"{dist / FIGURE}: not compared; it was drawn with Matplotlib "
            f"{made.get('matplotlib')}, this is {here['matplotlib']}"
        )
        return
    try:
        drawn = (dist / FIGURE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise StageError(f"{dist / FIGURE}: missing or no text; {_AGAIN}") from None
    if drawn != draw(found):
        raise StageError(f"{dist / FIGURE}: is not what the folder's funnels give; {_AGAIN}")


def check_canary(dist: Path) -> None:
    """Check that every file carries the canary, every table below data/ in each of its rows.

    Raises:
        StageError: One does not.
    """
    mark = str(_config(dist)["release"]["canary"])
    if not mark.strip():
        raise StageError(f"{dist / CONFIG}: release.canary is empty; set it, and {_AGAIN}")
    for path in canary.files(dist):
        if not canary.carries(path, mark):
            raise StageError(f"{path}: does not carry the canary {mark!r}; {_AGAIN}")


def _config(dist: Path) -> dict[str, Any]:
    try:
        config = read_json(dist / CONFIG)
        config["release"]["canary"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StageError(f"{dist / CONFIG}: {type(error).__name__}: {error}; {_AGAIN}") from None
    return dict(config)


def _around(line: str | None, other: str | None) -> str:
    """Return a line in quotes; of a long one what stands around the first difference."""
    if line is None:
        return "nothing"
    if len(line) <= _SHOWN:
        return repr(line)
    pairs = zip_longest(line, other or "")
    place = next((n for n, (one, two) in enumerate(pairs) if one != two), 0)
    start = max(0, min(place - _BEFORE, len(line) - _SHOWN))
    end = start + _SHOWN
    return f"{'…' if start else ''}{line[start:end]!r}{'…' if end < len(line) else ''}"
