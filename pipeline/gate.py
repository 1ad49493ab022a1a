"""What stands between a build and its publication; no build passes by default."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import polars as pl

from pipeline.card import is_local_only
from pipeline.config import Config
from pipeline.errors import BadInputError

_ASKED = ("dilemma", "stakes", "options")


def obstacles(config: Config, pairs: pl.DataFrame) -> list[str]:
    """Return what speaks against publishing a build, one line each; none if it may be published.

    Args:
        config: The build.
        pairs: Its table "rewrite.pairs": the retellings that experts were to look at.
    """
    found = []
    if not config.publish.rights.strip():
        found.append("publish.rights is missing: say on what ground its texts may be published")
    if config.build.demonstration and not config.publish.demonstration:
        found.append(
            "it is a demonstration (build.demonstration) and publish.demonstration is not true"
        )
    if config.release.text == "verbatim" and not config.publish.verbatim:
        remedy = 'build with "rewritten" or "ids", or ' if is_local_only(config) else ""
        found.append(
            'it holds posts as they were written (release.text = "verbatim"); '
            f"{remedy}set publish.verbatim = true if their authors agree"
        )
    if config.release.text == "rewritten":
        found += _unreviewed(config, pairs)
    return found


def _unreviewed(config: Config, pairs: pl.DataFrame) -> list[str]:
    """Check the experts' reviews of retellings.

    A retelling survives if more than half of its reviewers say that the dilemma, the stakes and
    the options are still those of the post.
    """
    path = Path(config.rewrite.reviews)
    verdicts = read_reviews(path) if path.is_file() else {}
    wanted = set(pairs["scenario_id"])
    missing = wanted - verdicts.keys()
    if missing or not wanted:
        return [
            f"{path}: {len(wanted) - len(missing)} of {len(wanted)} drawn retellings are reviewed "
            "by experts"
        ]
    good = sum(2 * sum(verdicts[s]) > len(verdicts[s]) for s in wanted)
    share = good / len(wanted)
    if share >= config.rewrite.least_survival:
        return []
    return [
        f"{path}: the dilemma, the stakes and the options survive in {good} of {len(wanted)} "
        f"retellings, less than rewrite.least_survival = {config.rewrite.least_survival:g}"
    ]


def read_reviews(path: Path) -> dict[str, list[bool]]:
    """Return for each scenario id its reviewers' verdicts.

    The file is CSV with the columns scenario_id, reviewer, dilemma, stakes, options; the last three
    hold yes or no. One reviewer counts once a scenario, by the last row.

    Raises:
        BadInputError: A column is missing, or a cell is neither yes nor no.
    """
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        lacking = {"scenario_id", "reviewer", *_ASKED} - set(reader.fieldnames or ())
        if lacking:
            raise BadInputError(f"{path}: no column {', '.join(sorted(lacking))}; add it")
        for number, row in enumerate(reader, start=2):
            told = {name: (row[name] or "").strip().lower() for name in _ASKED}
            wrong = [name for name, word in told.items() if word not in {"yes", "no"}]
            if wrong:
                raise BadInputError(f"{path}: row {number}: {wrong[0]}: write yes or no")
            found[row["scenario_id"]][row["reviewer"]] = set(told.values()) == {"yes"}
    return {scenario: list(verdicts.values()) for scenario, verdicts in found.items()}
