"""The guidelines for experts as the HTML that a project shows before the first page."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.labelstudio.page import FLAGS, KEYS
from pipeline.paths import ROOT
from pipeline.values import load_values

GUIDELINES = ROOT / "annotations" / "guidelines.md"

# Label Studio's own stylesheet takes the borders and distances of tables and lists away.
_STYLES = {
    "<table>": '<table style="border-collapse: collapse; margin: 8px 0">',
    "<th>": '<th style="text-align: left; border-bottom: 2px solid #999; padding: 3px 10px 3px 0">',
    "<td>": '<td style="vertical-align: top; border-bottom: 1px solid #ccc; '
    'padding: 3px 10px 3px 0">',
    "<h2>": '<h2 style="font-size: 17px; font-weight: 600; margin: 18px 0 4px">',
    "<p>": '<p style="margin: 6px 0">',
    "<ul>": '<ul style="list-style: disc; padding-left: 20px">',
    "<ol>": '<ol style="list-style: decimal; padding-left: 20px">',
    "<blockquote>": '<blockquote style="border-left: 3px solid #999; padding-left: 10px">',
}


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
    for plain, styled in _STYLES.items():
        html = html.replace(plain, styled)
    return html.strip()


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
