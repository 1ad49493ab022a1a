"""The command `check-actions`: what is wrong with actions, whoever wrote them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli_options import DEMO, ConfigFile, Sets, check_out, read_config
from pipeline.errors import BadInputError, nearest
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.validators import ActionRow, Violation

_FORM_OF_A_ROW = (
    'write {"scenario_id": ..., "value": ..., "action": ...} a line; "scenario" and "generator" '
    "may be given too"
)


def check_actions(
    file: Annotated[Path, typer.Argument(help="Actions: a JSON object a line.")],
    out: Annotated[
        Path | None, typer.Option(help="CSV file for what is wrong, a row each.")
    ] = None,
    words_only: Annotated[
        bool, typer.Option("--words-only", help="Compare no meanings (no embeddings).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
    config_file: ConfigFile = DEMO,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Check actions by rule, and count what is wrong with them by reason."""
    from pipeline.embedding import embedder_of
    from pipeline.validators import check

    config = read_config(config_file, sets=sets)
    check_out(out)
    lines, rows = _read(file)
    # Progress goes to standard error if standard output is for the counts alone.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        model = "" if words_only else config.validate.embedding_model
        embedder = embedder_of(config, model)
        found = check(rows, config.validate, embedder)
    if out is not None:
        _write_csv(out, lines, rows, found)
    counts = _counts(rows, found, with_meanings=embedder is not None)
    if as_json:
        typer.echo(json.dumps(counts))
        return
    _print(file, counts)


def _read(file: Path) -> tuple[list[int], list[ActionRow]]:
    """Return the line of each action, and the actions.

    Raises:
        BadInputError: The file cannot be read, holds none, or a line is no action.
    """
    import msgspec

    from pipeline.validators import ActionRow
    from pipeline.values import value_ids

    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInputError(f"{file}: {error.strerror}; name a file of actions") from None
    lines, rows = [], []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=ActionRow)
        except (ValueError, RecursionError) as error:  # broken JSON, text or fields
            raise BadInputError(f"{file}: line {number}: {error}; {_FORM_OF_A_ROW}") from None
        if not row.scenario_id:
            raise BadInputError(f"{file}: line {number}: scenario_id is empty; {_FORM_OF_A_ROW}")
        if row.value not in value_ids():
            known = nearest(row.value, value_ids())
            raise BadInputError(f"{file}: line {number}: '{row.value}' is no value; {known}")
        lines.append(number)
        rows.append(row)
    if not rows:
        raise BadInputError(f"{file}: there is no action in it; {_FORM_OF_A_ROW}")
    return lines, rows


def _counts(
    rows: Sequence[ActionRow], found: Sequence[tuple[Violation, ...]], *, with_meanings: bool
) -> dict[str, Any]:
    """Return what is printed; shares are of all rows."""
    from pipeline.validators import CODES, FORM

    counts = Counter(violation.code for each in found for violation in each)
    form = sum(any(violation.code in FORM for violation in each) for each in found)
    skipped = [] if with_meanings else ["distinct", "on_scenario"]
    if with_meanings and not any(row.scenario for row in rows):
        skipped = ["on_scenario"]
    return {
        "rows": len(rows),
        "sets": len({row.group for row in rows}),
        "with_violation": sum(map(bool, found)),
        "counts": {code: counts[code] for code, _ in CODES},
        "form": {"rows": form, "share": round(form / len(rows), 4)},
        "value_word": {
            "rows": counts["value_word"],
            "share": round(counts["value_word"] / len(rows), 4),
        },
        "not_checked": skipped,
    }


def _print(file: Path, counts: dict[str, Any]) -> None:
    from pipeline.validators import CODES

    total = counts["rows"]
    say(f"{file}: {total:,} actions in {counts['sets']:,} sets; "
        f"something is wrong with {counts['with_violation']:,}")  # fmt: skip
    meanings = dict(CODES)
    for code, n in sorted(counts["counts"].items(), key=lambda item: (-item[1], item[0])):
        if n:
            say(f"    {code:<16} {n:>7,}  {n / total:>6.1%}  {meanings[code]}")
    for label, key in (("form", "form"), ("give-away words", "value_word")):
        say(f"{label}: {counts[key]['rows']:,} of {total:,} actions ({counts[key]['share']:.1%})")
    if counts["not_checked"]:
        say(f"not checked: {', '.join(counts['not_checked'])}")


def _write_csv(
    out: Path,
    lines: Sequence[int],
    rows: Sequence[ActionRow],
    found: Sequence[tuple[Violation, ...]],
) -> None:
    from pipeline.artifacts import write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["line", "scenario_id", "generator", "value", "code", "detail"])
    for line, row, each in zip(lines, rows, found, strict=True):
        for violation in each:
            place = [line, row.scenario_id, row.generator, row.value]
            writer.writerow([*place, violation.code, violation.detail])
    write_text(text.getvalue(), out)
