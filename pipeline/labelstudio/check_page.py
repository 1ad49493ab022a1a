"""Checks of a labeling configuration before a server gets it: the SDK's, and what it misses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from pipeline.errors import StageError
from pipeline.labelstudio.page import FLAGS, NATURALNESS, PLACES
from pipeline.values import value_ids

SHOWN = ("scenario", *(f"action_{place}" for place in PLACES))
OPINIONS = tuple(f"opinions_{place}" for place in PLACES)
"""What of a task's data the page shows; opinions only in adjudication."""

_CHOICES = {
    "first": (value_ids, "single-radio", True),
    "second": (value_ids, "single", False),
    "natural": (lambda: tuple(map(str, NATURALNESS)), "single-radio", True),
}
# Tags that render markup or fetch something: no text of a task may reach them.
_PLAIN = frozenset(
    ("View", "Style", "Text", "TextArea", "Collapse", "Panel", "Header", "Choices", "Choice")
)


def check_page(config: str, *, opinions: bool = False) -> None:
    """Check that a configuration is one that the server takes, and the blind page that we mean.

    Args:
        config: The XML.
        opinions: Whether it is the page of an adjudication.

    Raises:
        StageError: It is not; the message names every problem.
    """
    problems = list(_problems(config, opinions))
    if problems:
        raise StageError(f"label configuration: {'; '.join(problems)}")


def _problems(config: str, opinions: bool) -> Iterator[str]:
    # Imported here: the SDK takes two seconds.
    from label_studio_sdk.label_interface import LabelInterface

    try:
        interface = LabelInterface(config)
        interface.validate()
    except Exception as error:  # the SDK's exceptions have no common base
        yield " ".join(str(error).split())[:300]
        return
    if found := interface.validate_prediction(_answer(), return_errors=True):
        yield f"a right answer is refused: {found}"
    if not interface.validate_prediction(_answer(first="bliss"), return_errors=True):
        yield "a value that is none is taken"
    root = ElementTree.fromstring(config)  # noqa: S314 - our own text, which the SDK parsed before
    yield from _shows(root, SHOWN + (OPINIONS if opinions else ()))
    yield from _asks(root)
    yield from _keys(root)


def _shows(root: ElementTree.Element, fields: tuple[str, ...]) -> Iterator[str]:
    """Find what is shown that should not be, or otherwise than as plain text."""
    for tag in root.iter():
        if tag.tag not in _PLAIN:
            yield f"<{tag.tag}> is no tag of this page"
        for name, value in tag.attrib.items():
            bound = tag.tag == "Text" and name == "value"
            if "$" in value and not bound:
                yield f"<{tag.tag} {name}> takes a task's data; only a Text may"
            if name in ("html", "selected", "ondoubleclick") or name.startswith("on"):
                yield f"<{tag.tag} {name}> is not allowed"
        if tag.tag == "TextArea" and tag.get("value"):
            yield "the notes are filled in beforehand"
    texts = list(root.iter("Text"))
    if sorted(tag.get("value", "") for tag in texts) != sorted(f"${name}" for name in fields):
        yield f"the page shows {[tag.get('value') for tag in texts]}, not {list(fields)}"
    for tag in texts:
        if tag.get("valueType") != "text":
            yield f"text {tag.get('name')} might be fetched as an address; say valueType"


def _asks(root: ElementTree.Element) -> Iterator[str]:
    """Find questions that are missing, or not as the collecting side reads them."""
    groups = {group.get("name", ""): group for group in root.iter("Choices")}
    expected = {f"{kind}_{place}" for kind in _CHOICES for place in PLACES} | {"flags"}
    for name in sorted(expected ^ groups.keys()):
        yield f"choices '{name}' {'missing' if name in expected else 'unknown'}"
    for name in sorted(expected & groups.keys()):
        group, (kind, _, place) = groups[name], name.partition("_")
        wanted, how, required, target = (
            (tuple(FLAGS), "multiple", False, "scenario")
            if name == "flags"
            else (_CHOICES[kind][0](), *_CHOICES[kind][1:], f"action_{place}")
        )
        if tuple(choice.get("alias") for choice in group) != tuple(wanted):
            yield f"choices '{name}' are not {', '.join(wanted)}"
        if group.get("choice") != how or (group.get("required") == "true") != required:
            yield f"choices '{name}' must be {how}, required {required}"
        if group.get("toName") != target:
            yield f"choices '{name}' belong to {group.get('toName')}, not {target}"
    if [area.get("name") for area in root.iter("TextArea")] != ["notes"]:
        yield "there must be one text area, notes"


def _keys(root: ElementTree.Element) -> Iterator[str]:
    """Find choices without a key of their own, and keys that the page itself uses."""
    choices = list(root.iter("Choice"))
    keys = [choice.get("hotkey", "") for choice in choices]
    for key in _twice(keys):
        yield f"key '{key}' stands for several choices" if key else "a choice has no key"
    for key in keys:
        if "ctrl" in key or "command" in key or key in ("enter", "escape", "backspace", "delete"):
            yield f"key '{key}' is one of Label Studio's own"


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, n in Counter(names).items() if n > 1 or not name)


def _answer(first: str = "power") -> dict[str, object]:
    chosen = {"first_1": first, "second_1": "security", "natural_1": "4"}
    result = [
        {
            "id": name,
            "from_name": name,
            "to_name": "action_1",
            "type": "choices",
            "value": {"choices": [choice]},
        }
        for name, choice in chosen.items()
    ]
    return {"result": result}
