"""One annotation as Label Studio keeps it, read into reviews: the checks that the server skips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.annotation.answers import MOST_NOTES, problem_of, review_id, shown
from pipeline.annotation.plan import pseudonym
from pipeline.labelstudio.page import PLACES
from pipeline.labelstudio.tasks import Item, shown_order
from pipeline.text import clean

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
            "flags": _choices(given, "flags"),
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
            "review_id": review_id(item["item_id"], pseudonym(expert), action),
            "action_id": action,
        }
        try:
            # What was chosen on a page before it was skipped is no answer.
            row = shared | ids | (_skipped() if skipped else _action(given, place))
        except WrongError as error:
            problems.append(f"action {place}: {error}")
            continue
        if problem := problem_of(row):
            problems.append(f"action {place}: {problem}")
        else:
            reviews.append(row)
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
        raise WrongError(f"updated_at '{shown(text)}' is no time") from None


def _controls(result: Any) -> dict[str, Any]:
    """Return the `value` of each control; each may stand there once."""
    if not isinstance(result, list):
        raise WrongError("there is no list of results")
    given: dict[str, Any] = {}
    for part in result:
        name = part.get("from_name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name not in _CONTROLS:
            raise WrongError(f"'{shown(name)}' is no question of this page")
        if name in given:
            raise WrongError(f"'{name}' is answered twice")
        given[name] = part.get("value")
    return given


def _action(given: Mapping[str, Any], place: int) -> dict[str, Any]:
    natural = _one(given, f"natural_{place}")
    if natural and not natural.isdecimal():
        raise WrongError(f"naturalness: '{shown(natural)}'; give 1 to 5")
    return {
        "first_value": _one(given, f"first_{place}"),
        "second_value": _one(given, f"second_{place}"),
        "naturalness": int(natural[:9]) if natural else None,
    }


def _skipped() -> dict[str, Any]:
    return {"first_value": "", "second_value": "", "naturalness": None}


def _one(given: Mapping[str, Any], name: str) -> str:
    """Return the choice, or "" if there is none."""
    chosen = _choices(given, name)
    if len(chosen) > 1:
        listed = shown(", ".join(chosen))
        raise WrongError(f"'{name}' has {len(chosen)} choices ({listed}); leave one")
    return chosen[0] if chosen else ""


def _choices(given: Mapping[str, Any], name: str) -> list[str]:
    """Return what was chosen, sorted; whether it is on the list is checked with the whole row."""
    if name not in given:
        return []
    value = given[name]
    chosen = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(chosen, list) or not all(isinstance(each, str) for each in chosen):
        raise WrongError(f"'{name}' has no list of choices")
    return sorted(set(chosen))


def _notes(value: Any) -> str:
    text = value.get("text") if isinstance(value, dict) else None
    if text is None:
        return ""
    parts = text if isinstance(text, list) else [text]
    if not all(isinstance(part, str) for part in parts):
        raise WrongError("the notes are no text")
    return clean("\n".join(parts))[:MOST_NOTES]


def _seconds(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if usable else None
