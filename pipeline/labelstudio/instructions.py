"""The guidelines for experts as the HTML that a project shows before the first page."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.labelstudio.page import FLAGS, KEYS
from pipeline.paths import ROOT
from pipeline.values import load_values

GUIDELINES = ROOT / "annotations" / "guidelines.md"


def instructions(path: Path = GUIDELINES) -> str:
    """Return the guidelines as HTML; the values, flags and keys come from where the page has them.

    Raises:
        BadInputError: The file cannot be read, or a place for values or keys is missing.
    """
    from markdown_it import MarkdownIt

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: {error}; restore the file") from None
    for name, lines in _tables().items():
        if text.count(f"{{{name}}}") != 1:
            raise BadInputError(f"{path}: {{{name}}} must stand in it once; put it back")
        text = text.replace(f"{{{name}}}", lines)
    # No raw HTML: what is shown is what is written.
    html = str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
    _, _, html = html.partition("</h1>")  # the window has a title of its own
    # The server keeps no style attribute; templates/annotation.css has the rules for this class.
    return f'<div class="va-guide">\n{html.strip()}\n</div>'


def _tables() -> dict[str, str]:
    values = [f"| **{each.name}** | {each.definition} {each.goal} |" for each in load_values()]
    shown = [" ".join(f"`{key}`" for key in row) for row in KEYS]
    natural = [" ".join(f"`{key}`" for key in row[:5]) for row in KEYS]
    keys = [
        f"| most | {' | '.join(shown)} |",
        "| second | Alt and the same |" + " |" * (len(KEYS) - 1),
        f"| natural | {' | '.join(f'Shift and {keys}' for keys in natural)} |",
    ]
    flags = ", ".join(f"`{key}` {text.lower()}" for text, key in FLAGS.values())
    return {"values": "\n".join(values), "keys": "\n".join(keys), "flags": flags}
