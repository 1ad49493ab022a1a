"""Opening a release as its users will: offline, by `datasets.load_dataset`, against checksums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from pipeline.artifacts import folder_digest
from pipeline.checks.balance import check_balance
from pipeline.checks.card import check_canary, check_card
from pipeline.checks.croissant import check_croissant
from pipeline.checks.evaluation import check_evaluation
from pipeline.checks.files import check_files
from pipeline.checks.joins import check_joins
from pipeline.checks.privacy import NOWHERE, Place, check_privacy
from pipeline.checks.provenance import check_provenance
from pipeline.checks.tables import check_tables, together
from pipeline.config import DedupConfig
from pipeline.duplicates import among
from pipeline.duplicates.earlier import scenarios_of
from pipeline.errors import StageError

SUMS = "SHA256SUMS"


def verify(
    dist: Path,
    stories: DedupConfig,
    cache: Path | None = None,
    *,
    place: Place = NOWHERE,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Check a release folder; return the rows of each of its configs.

    Args:
        dist: The folder.
        stories: When two scenarios are alike (by their words), and the releases that none of this
            one may be like.
        cache: Remembers what was found good of what comes along for evaluators. None leaves that
            out, as a build does: it takes seconds, and Inspect, which a build does not need.
        place: What this machine knows beyond the folder: the sources, tombstones.
        tell: Takes lines on what was checked, and on what could not be.

    Raises:
        StageError: A file is missing or altered, or something in the folder is not as
            docs/release.md tells; see pipeline/checks/.
    """
    _check_sums(dist)
    tables = check_tables(dist)
    check_joins(dist, tables)
    check_balance(dist, tables)
    check_provenance(dist, tables)
    check_files(dist)
    check_croissant(dist, tables)
    every = together(tables)
    _check_stories(dist, every["scenarios"], stories)
    check_card(dist, tell)
    check_canary(dist)
    check_privacy(dist, place, tell)
    if cache is not None:
        check_evaluation(dist, cache)
    return {name: table.height for name, table in every.items()}


def _check_stories(dist: Path, scenarios: pl.DataFrame, stories: DedupConfig) -> None:
    texts = scenarios.select("scenario_id", "scenario").rows()
    known = dict(texts)
    others = [(name, text) for name, text in scenarios_of(stories.earlier) if name not in known]
    for gone, kept, method, similarity in among(texts, stories, None, others).iter_rows():
        raise StageError(
            f"{dist}: scenarios {gone} and {kept} tell one story ({method}, {similarity}); set "
            "dedup.earlier if one is of an earlier release, and build again"
        )


def _check_sums(dist: Path) -> None:
    path = dist / SUMS
    if not path.is_file():
        raise StageError(f"{path}: missing; build the release again")
    recorded = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        recorded[name] = digest
    # A Hub puts files of its own beside a release (.gitattributes), its client .cache/.
    found = {
        name: digest
        for name, digest in folder_digest(dist).items()
        if name != SUMS and not name.startswith(".")
    }
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            raise StageError(f"{dist / name}: differs from {SUMS}; build the release again")
