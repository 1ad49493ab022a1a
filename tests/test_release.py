"""A release folder as its users meet it, and copies of it that were tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline import build as runner
from pipeline.artifacts import folder_digest
from pipeline.config import Config, DedupConfig
from pipeline.dist import table_path
from pipeline.errors import StageError
from pipeline.verify import SUMS, verify


@pytest.fixture
def dist(world: Callable[..., Config]) -> Path:
    config = world()
    runner.build(config)
    return Path(config.build.dist)


def reseal(dist: Path) -> None:
    """Write checksums that fit the tampered folder."""
    (dist / SUMS).unlink()
    sums = "".join(f"{digest}  {name}\n" for name, digest in folder_digest(dist).items())
    (dist / SUMS).write_text(sums)


def change(dist: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    path = table_path(dist, name)
    edit(pl.read_parquet(path)).write_parquet(path)
    reseal(dist)


def test_it_loads_by_config_and_the_default_is_questions(dist: Path, tmp_path: Path) -> None:
    import datasets

    loaded = datasets.load_dataset(str(dist), split="test", cache_dir=str(tmp_path / "cache"))
    named = datasets.load_dataset(
        str(dist), "questions", split="test", cache_dir=str(tmp_path / "cache2")
    )
    assert loaded.column_names == named.column_names
    assert loaded.num_rows == named.num_rows == 50
    row = named[0]
    assert len(row["options"]) == len(set(row["option_values"])) == 4
    assert row["option_values"][row["target_index"]] == row["target_value"]
    assert row["canary"].startswith("VALACT CANARY")
    assert verify(dist, DedupConfig()) == {"questions": 50, "scenarios": 10, "actions": 200}


def test_a_rebuilt_release_is_not_served_from_an_old_cache(dist: Path, tmp_path: Path) -> None:
    """`datasets` caches a local folder by its file names, so that these carry a hash."""
    path = table_path(dist, "questions")
    import hashlib

    assert path.stem == f"test-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert f"path: data/questions/{path.name}" in (dist / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "values.json", "provenance/prompts/values.toml"])
def test_an_altered_or_missing_file_is_named(dist: Path, name: str) -> None:
    (dist / name).write_text("other")
    with pytest.raises(StageError, match=f"{name}: differs from {SUMS}"):
        verify(dist, DedupConfig())
    (dist / name).unlink()
    with pytest.raises(StageError, match=f"{name}: differs from {SUMS}"):
        verify(dist, DedupConfig())


def test_holes_between_the_tables_are_found(dist: Path) -> None:
    kept = dist.with_name("kept")
    shutil.copytree(dist, kept)
    for name, edit, said in (
        ("scenarios", lambda t: t.head(9), "questions.scenario_id: 1 ids"),
        ("actions", lambda t: t.tail(199), "questions.option_ids: 1 ids"),
        ("questions", lambda t: t.head(49), "not exactly 5 questions"),
        ("scenarios", lambda t: pl.concat([t, t.head(1)]), "scenario_id is not unique"),
    ):
        shutil.rmtree(dist)
        shutil.copytree(kept, dist)
        change(dist, name, edit)
        with pytest.raises(StageError, match=said):
            verify(dist, DedupConfig())


def test_a_config_that_does_not_load_as_written_is_found(dist: Path) -> None:
    card = dist / "README.md"
    table = table_path(dist, "actions").relative_to(dist).as_posix()
    other = table_path(dist, "scenarios").relative_to(dist).as_posix()
    card.write_text(card.read_text().replace(table, other))
    reseal(dist)
    with pytest.raises(StageError, match="config actions does not load as it was written"):
        verify(dist, DedupConfig())


def test_two_scenarios_that_tell_one_story_are_found(dist: Path, tmp_path: Path) -> None:
    def retell(table: pl.DataFrame) -> pl.DataFrame:
        text = table["scenario"].to_list()
        text[1] = f"{text[0]} That is all."
        return table.with_columns(scenario=pl.Series(text))

    shutil.copytree(dist, tmp_path / "earlier")
    assert (
        verify(dist, DedupConfig(earlier=(str(tmp_path / "earlier"),)))["scenarios"] > 1
    )  # its own scenarios
    change(dist, "scenarios", retell)
    with pytest.raises(StageError, match="tell one story"):
        verify(dist, DedupConfig())


def test_a_scenario_of_an_earlier_release_is_found(dist: Path, tmp_path: Path) -> None:
    file = tmp_path / "earlier.parquet"
    scenarios = pl.read_parquet(table_path(dist, "scenarios"))
    scenarios.select(scenario_id=pl.lit("sc_old"), scenario="scenario").head(1).write_parquet(file)
    with pytest.raises(StageError, match="and sc_old tell one story"):
        verify(dist, DedupConfig(earlier=(str(file),)))
