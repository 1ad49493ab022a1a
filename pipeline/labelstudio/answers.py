"""One annotation as Label Studio keeps it, read into reviews: the checks that the server skips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.artifacts import content_id
from pipeline.errors import nearest
from pipeline.labelstudio.page import FLAGS, NATURALNESS, PLACES
from pipeline.labelstudio.tasks import Item, shown_order
from pipeline.text import clean
from pipeline.values import value_ids

_CONTROLS = {f"{kind}_{place}" for kind in ("first", "second", "natural") for place in PLACES} | {
    "flags",
    "notes",
}


class WrongError(Exception):
    """An answer that cannot be taken; the text says why, and what would be right."""


@dataclass(frozen=True)
class Answer:
    """What an annotation says.

    Attributes:
        reviews: Rows of schema.REVIEWS: four, or fewer where an action's answer cannot be taken.
        problems: Why, one a missing review.
    """

    reviews: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]


def pseudonym(expert: int) -> str:
    """Return what an expert is called in tables."""
    return f"expert-{expert}"


def read_answer(annotation: Mapping[str, Any], item: Item, expert: int) -> Answer:
    """Read an annotation of an item.

    Args:
        annotation: The server's raw JSON.
        item: Row of schema.ITEMS.
        expert: Whose project it is in.
    """
    skipped = bool(annotation.get("was_cancelled"))
    try:
        given = _controls(annotation.get("result"))
        shared = {
            "round": item["round"],
            "item_id": item["item_id"],
            "kind": item["kind"],
            "scenario_id": item["scenario_id"],
            "annotator": pseudonym(expert),
            "state": "skipped" if skipped else "submitted",
            "flags": sorted(_choices(given, "flags", tuple(FLAGS)), key=list(FLAGS).index),
            "notes": _notes(given.get("notes")),
            "lead_seconds": _seconds(annotation.get("lead_time")),
            "updated_utc": updated(annotation),
            "source": "label_studio",
        }
    except WrongError as error:
        return Answer((), (str(error),))
    reviews, problems = [], []
    for place, number in zip(PLACES, shown_order(item["item_id"], expert), strict=True):
        action = item["action_ids"][number - 1]
        ids = {
            "review_id": content_id("r", item["item_id"], pseudonym(expert), action),
            "action_id": action,
        }
        try:
            # What was chosen on a page before it was skipped is no answer.
            answer = _skipped() if skipped else _action(given, place)
        except WrongError as error:
            problems.append(f"action {place}: {error}")
        else:
            reviews.append(shared | ids | answer)
    return Answer(tuple(reviews), tuple(problems))


def updated(annotation: Mapping[str, Any]) -> datetime:
    """Return when an annotation was last changed.

    Raises:
        WrongError: It has no such time.
    """
    text = annotation.get("updated_at") or annotation.get("created_at")
    try:
        time = datetime.fromisoformat(str(text))
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except ValueError:
        raise WrongError(f"updated_at '{_short(text)}' is no time") from None


def _controls(result: Any) -> dict[str, Any]:
    """Return the `value` of each control; each may stand there once."""
    if not isinstance(result, list):
        raise WrongError("there is no list of results")
    given: dict[str, Any] = {}
    for part in result:
        name = part.get("from_name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name not in _CONTROLS:
            raise WrongError(f"'{_short(name)}' is no question of this page")
        if name in given:
            raise WrongError(f"'{name}' is answered twice")
        given[name] = part.get("value")
    return given


def _action(given: Mapping[str, Any], place: int) -> dict[str, Any]:
    values = value_ids()
    first = _one(given, f"first_{place}", values)
    if not first:
        raise WrongError("no value is chosen; choose the one that it expresses most")
    second = _one(given, f"second_{place}", values)
    if second == first:
        raise WrongError(f"'{second}' is chosen first and second; take one of them back")
    natural = _one(given, f"natural_{place}", tuple(map(str, NATURALNESS)))
    if not natural:
        raise WrongError("how natural it is is missing; give 1 to 5")
    return {"first_value": first, "second_value": second, "naturalness": int(natural)}


def _skipped() -> dict[str, Any]:
    return {"first_value": "", "second_value": "", "naturalness": None}


def _one(given: Mapping[str, Any], name: str, valid: Sequence[str]) -> str:
    """Return the choice, or "" if there is none."""
    chosen = _choices(given, name, valid)
    if len(chosen) > 1:
        raise WrongError(f"'{name}' has {len(chosen)} choices ({', '.join(chosen)}); leave one")
    return chosen[0] if chosen else ""


def _choices(given: Mapping[str, Any], name: str, valid: Sequence[str]) -> list[str]:
    if name not in given:
        return []
    value = given[name]
    chosen = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(chosen, list):
        raise WrongError(f"'{name}' has no list of choices")
    for choice in chosen:
        if choice not in valid:
            raise WrongError(
                f"'{name}' has '{_short(choice)}', which is not on its list; "
                f"{nearest(str(choice), valid)}"
            )
    return sorted(set(chosen), key=list(valid).index)


def _notes(value: Any) -> str:
    text = value.get("text") if isinstance(value, dict) else None
    if text is None:
        return ""
    parts = text if isinstance(text, list) else [text]
    if not all(isinstance(part, str) for part in parts):
        raise WrongError("the notes are no text")
    return clean("\n".join(parts))


def _seconds(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if usable else None


def _short(value: Any) -> str:
    """Return untrusted text as it may stand in a message."""
    return clean(str(value))[:60].replace("\n", " ")
