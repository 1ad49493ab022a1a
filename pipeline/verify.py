"""Opening a release as its users will: offline, by `datasets.load_dataset`, against checksums."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

from pipeline.artifacts import folder_digest, read_json
from pipeline.checks.card import check_canary, check_card
from pipeline.checks.privacy import NOWHERE, Place, check_privacy
from pipeline.config import DedupConfig
from pipeline.dist import TABLES, table_path
from pipeline.duplicates import among
from pipeline.duplicates.earlier import scenarios_of
from pipeline.errors import StageError

SUMS = "SHA256SUMS"


def verify(
    dist: Path,
    stories: DedupConfig,
    *,
    place: Place = NOWHERE,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Check a release folder; return the rows of each of its configs.

    Args:
        dist: The folder.
        stories: When two scenarios are alike (by their words), and the releases that none of this
            one may be like.
        place: What this machine knows beyond the folder: the sources, tombstones.
        tell: Takes lines on what was checked, and on what could not be.

    Raises:
        StageError: A file is missing or altered, a config does not load or differs from its
            Parquet file, a join between the tables has a hole, two scenarios are alike, the card
            says what the folder does not, the canary is missing, or a text points to a person.
    """
    _check_sums(dist)
    tables = {name: _load(dist, name) for name in TABLES}
    questions, scenarios, actions = (tables[n] for n in ("questions", "scenarios", "actions"))
    if not questions.height:
        raise StageError(f"{dist}: holds no question")
    per_scenario = _questions_per_scenario(dist)
    counts = questions.group_by("scenario_id").len()
    for name, n in counts.filter(pl.col("len") != per_scenario).sort("scenario_id").iter_rows():
        raise StageError(f"{dist}: scenario {name} has {n} of {per_scenario} questions")
    options = _options(questions)
    offered, known = set(options["action_id"]), set(actions["action_id"])
    holes = {
        "questions.scenario_id": set(questions["scenario_id"]) ^ set(scenarios["scenario_id"]),
        "actions.scenario_id": set(actions["scenario_id"]) ^ set(scenarios["scenario_id"]),
        # One question takes four of a scenario's twenty actions, five take all of them.
        "questions.option_ids": offered - known if per_scenario == 1 else offered ^ known,
    }
    for join, ids in holes.items():
        if ids:
            raise StageError(f"{dist}: {join}: {len(ids)} ids without a partner, e.g. {min(ids)}")
    unlike = options.join(actions, on=options.columns, how="anti")["action_id"].to_list()
    if unlike:
        raise StageError(
            f"{dist}: {len(unlike)} options differ from their actions, e.g. {unlike[0]}"
        )
    if len(offered) != options.height:
        raise StageError(f"{dist}: an action is offered twice")
    for name, column in TABLES.items():
        if tables[name][column].n_unique() != tables[name].height:
            raise StageError(f"{dist}: {name}.{column} is not unique")
    _check_stories(dist, scenarios, stories)
    check_card(dist, tell)
    check_canary(dist)
    check_privacy(dist, place, tell)
    return {name: table.height for name, table in tables.items()}


def _questions_per_scenario(dist: Path) -> int:
    path = dist / "provenance" / "manifests" / "compose.json"
    try:
        return int(read_json(path)["notes"]["questions_per_scenario"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{path}: does not say how many questions a scenario has ({error!r}); "
            "build the release again"
        ) from None


def _options(questions: pl.DataFrame) -> pl.DataFrame:
    """Return one row an option, with the columns that `actions` has as well."""
    columns = {
        "action_id": "option_ids",
        "action": "options",
        "value": "option_values",
        "generator": "option_generators",
    }
    return questions.select("scenario_id", **columns).explode(*columns)


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


def _load(dist: Path, config: str) -> pl.DataFrame:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    datasets.disable_progress_bars()
    written = pl.read_parquet(table_path(dist, config))
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(str(dist), config, split="test", cache_dir=cache)
        table = pl.from_arrow(loaded.with_format("arrow")[:])
    if not isinstance(table, pl.DataFrame) or not table.equals(written):
        raise StageError(f"{dist}: config {config} does not load as it was written")
    return table
