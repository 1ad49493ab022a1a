"""Rounds and reviews on disk: work of people, so a round that was drawn stays as it is.

A folder holds `round-1/` (items, sealed claims, opinions, round.json), `round-2/` and so on, and
`reviews.parquet`. It is private: texts of scenarios, claims, and what experts said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.annotation import answers
from pipeline.annotation.plan import Plan, find_plan
from pipeline.annotation.rounds import Round
from pipeline.annotation.tables import OPINIONS, SEALED
from pipeline.artifacts import atomic_folder, read_json, sha256_file, write_json, write_parquet
from pipeline.config import Config
from pipeline.errors import BadInputError

_TABLES = {"items": schema.ITEMS, "sealed": SEALED, "opinions": OPINIONS}
_NOTE = "round.json"
_REVIEWS = "reviews.parquet"


def place_of(config: Config) -> Path:
    """Return the folder of a build's annotation: outside the workspace, which can be made again."""
    return Path(config.annotation.folder) / Path(config.build.workspace).name


def files_of(config: Config) -> tuple[Path, ...]:
    """Return the files that decide what follows from a build's annotation."""
    place = place_of(config)
    notes = (_place(place, n) / _NOTE for n in range(1, config.annotation.rounds + 1))
    return (find_plan(Path(config.annotation.plan)), place / _REVIEWS, *notes)


def open_round(folder: Path, plan: Plan, number: int, draw: Callable[[], Round]) -> Round:
    """Return a round: as it was drawn before, or drawn now and kept.

    Args:
        folder: Of the annotation.
        plan: Its plan.
        number: Which round.
        draw: Draws it.

    Raises:
        BadInputError: It was drawn by another plan, or its files were changed.
    """
    place = _place(folder, number)
    if not place.exists():
        _write(place, draw(), plan)
    return _read(place, plan)


def load_rounds(folder: Path, plan: Plan) -> list[Round]:
    """Return the rounds that were drawn so far, in order.

    Raises:
        BadInputError: One was drawn by another plan, or its files were changed.
    """
    found = []
    for number in range(1, len(plan.rounds) + 1):
        place = _place(folder, number)
        if not place.exists():
            break
        found.append(_read(place, plan))
    return found


def rule_changes(folder: Path, plan: Plan, number: int) -> list[str]:
    """Return the keys of the rule that were changed after a round was drawn, one line each."""
    place = _place(folder, number)
    if not place.exists():
        return []
    then, now = _flat(read_json(place / _NOTE)["rule"]), _flat(plan.rule())
    return [
        f"{key} {then.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key)
    ]


def load_reviews(folder: Path) -> pl.DataFrame:
    """Return the reviews that were kept, rows of schema.REVIEWS; none if there are no such files.

    Raises:
        BadInputError: The file is no table of reviews.
    """
    path = folder / _REVIEWS
    if not path.exists():
        return answers.no_reviews()
    try:
        return schema.check(pl.read_parquet(path), schema.REVIEWS, "reviews")
    except (OSError, TypeError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(f"{path}: not a table of reviews ({what}); import them again") from None


def save_reviews(folder: Path, reviews: pl.DataFrame) -> Path:
    """Keep the reviews, whole or not at all; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _REVIEWS
    fresh = path.with_name(f".{path.name}.new")
    try:
        write_parquet(schema.check(reviews, schema.REVIEWS, "reviews"), fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path


def forget_texts(folder: Path, plan: Plan, scenarios: Collection[str]) -> int:
    """Blank the texts of scenarios that must not be kept; ids, claims and reviews stay.

    Returns:
        How many items lost their text.
    """
    gone = pl.col("scenario_id").is_in(list(scenarios))
    blank = pl.lit([""] * 4, dtype=pl.List(pl.String()))
    count = 0
    for each in load_rounds(folder, plan):
        hit = each.items.filter(gone & (pl.col("scenario") != "")).height
        if not hit:
            continue
        count += hit
        items = each.items.with_columns(
            scenario=pl.when(gone).then(pl.lit("")).otherwise("scenario"),
            actions=pl.when(gone).then(blank).otherwise("actions"),
        )
        place = _place(folder, each.number)
        rule = read_json(place / _NOTE)["rule"]
        _write(place, Round(each.number, items, each.sealed, each.opinions, each.notes), plan, rule)
    return count


def _place(folder: Path, number: int) -> Path:
    return folder / f"round-{number}"


def _write(place: Path, drawn: Round, plan: Plan, rule: dict[str, Any] | None = None) -> None:
    with atomic_folder(place) as fresh:
        for name, shape in _TABLES.items():
            table = schema.check(getattr(drawn, name), shape, name)
            write_parquet(table, fresh / f"{name}.parquet")
        note = {
            "round": drawn.number,
            "drawing": plan.drawing(drawn.number),
            "rule": plan.rule() if rule is None else rule,
            "notes": list(drawn.notes),
            "sha256": {name: sha256_file(fresh / f"{name}.parquet") for name in _TABLES},
        }
        write_json(note, fresh / _NOTE)


def _read(place: Path, plan: Plan) -> Round:
    try:
        note = read_json(place / _NOTE)
        number, sums = int(note["round"]), dict(note["sha256"])
        then = _flat(note["drawing"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{place / _NOTE}: {error}; restore the folder from a copy") from None
    now = _flat(plan.drawing(number))
    for key in sorted(then.keys() | now.keys()):
        if then.get(key) != now.get(key):
            raise BadInputError(
                f"{place}: was drawn with {key} = {then.get(key)!r}, and {plan.file} says "
                f"{now.get(key)!r}; put that back and add a [[rounds]], or delete the folder if "
                "nobody has worked on it"
            )
    tables = {}
    for name, shape in _TABLES.items():
        path = place / f"{name}.parquet"
        if not path.exists() or sha256_file(path) != sums.get(name):
            raise BadInputError(f"{path}: is not as it was written; restore it from a copy")
        tables[name] = schema.check(pl.read_parquet(path), shape, name)
    return Round(number, **tables, notes=tuple(note["notes"]))


def _flat(data: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested data as {"section.key": value}."""
    if isinstance(data, list) and any(isinstance(each, dict) for each in data):
        data = dict(enumerate(data, start=1))
    if not isinstance(data, dict):
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
