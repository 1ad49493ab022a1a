"""What a build says of its actions: how many break which rule, and which scenarios that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from pipeline.config import Config
from pipeline.validators import CODES
from pipeline.writing import Sheet


def notes(
    config: Config,
    sheets: Iterable[Sheet],
    actions: pl.DataFrame,
    candidates: pl.DataFrame,
    slots: pl.DataFrame,
) -> dict[str, Any]:
    """Return what the manifest of `generate` notes of the actions.

    Args:
        config: The build.
        sheets: All that was written, for replaced scenarios too.
        actions: Rows of schema.ACTIONS: what is kept.
        candidates: Rows of schema.CANDIDATES.
        slots: Rows of schema.SLOTS.

    Returns:
        `written`: for each generator the actions written at first, those asked for anew and those
        kept with a flag; `checks`: for each code and generator how many actions break the rule as
        they were first written, and how many that are kept; `selection`: the scenarios kept beside
        those replaced; `lines` for people.
    """
    sheets = [sheet for sheet in sheets if sheet.drafts]
    generators = config.generate.generators
    written = {name: _written(name, sheets, actions) for name in generators}
    first: Counter[tuple[str, str]] = Counter()
    for sheet in sheets:
        broken = {(n.violation.code, n.place) for n in sheet.noted if n.draft.asking == 1}
        first.update((code, generator) for code, (generator, _) in broken)
    flags = actions.explode("flags").drop_nulls("flags").group_by("flags", "generator").len()
    kept = {(code, generator): n for code, generator, n in flags.iter_rows()}
    checks = {
        code: {
            "rejects": code in config.validate.reject,
            "first": {name: first[code, name] for name in generators},
            "kept": {name: kept.get((code, name), 0) for name in generators},
        }
        for code, _ in CODES
    }
    selection = _selection(candidates, slots)
    return {
        "written": written,
        "checks": checks,
        "selection": selection,
        "lines": _lines(written, checks, selection),
    }


def _written(name: str, sheets: Sequence[Sheet], actions: pl.DataFrame) -> dict[str, int]:
    drafts = [draft for sheet in sheets for (who, _), draft in sheet.drafts.items() if who == name]
    own = actions.filter(generator=name)
    return {
        "first": len(drafts),
        "anew": sum(draft.asking > 1 for draft in drafts),
        "askings_anew": sum(draft.asking - 1 for draft in drafts),
        "kept": own.height,
        "flagged": own.filter(pl.col("flags").list.len() > 0).height,
    }


def _selection(candidates: pl.DataFrame, slots: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Describe the scenarios kept and those replaced for their actions."""
    gone = slots["replaced"].explode().drop_nulls()
    words = pl.col("scenario").str.count_matches(r"\S+")
    found = {}
    for name, ids in (("kept", slots["scenario_id"]), ("replaced", gone)):
        rows = candidates.filter(pl.col("scenario_id").is_in(ids.implode())).with_columns(n=words)
        found[name] = {
            "scenarios": rows.height,
            "words": _quartiles(rows["n"]),
            "year": _quartiles(rows["year"]),
            "domains": dict(sorted(rows.group_by("domain").len().iter_rows())),
        }
    return found


def _quartiles(column: pl.Series) -> list[float]:
    if not len(column.drop_nulls()):
        return []
    return [float(column.quantile(share, "nearest") or 0) for share in (0.25, 0.5, 0.75)]


def _lines(
    written: dict[str, dict[str, int]],
    checks: dict[str, dict[str, Any]],
    selection: dict[str, dict[str, Any]],
) -> list[str]:
    lines = [
        f"{name}: {n['first']:,} actions written, {n['anew']:,} of them anew; "
        f"{n['kept']:,} kept, {n['flagged']:,} with a flag"
        for name, n in written.items()
    ]
    total = sum(n["first"] for n in written.values())
    for title, rejects in (("rejected", True), ("flagged", False)):
        counts = {
            code: sum(found["first"].values())
            for code, found in checks.items()
            if found["rejects"] == rejects
        }
        told = [
            f"{code} {n:,} ({n / total:.1%})"
            for code, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if n
        ]
        if told:
            lines.append(f"{title} as first written: {', '.join(told)}")
    lines.append(
        f"scenarios replaced for their actions: {selection['replaced']['scenarios']:,}, "
        f"kept {selection['kept']['scenarios']:,}"
    )
    return lines
