"""A release folder as its users meet it, and copies of it that were tampered with."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import build as runner
from pipeline import planning
from pipeline.config import Config, DedupConfig
from pipeline.dist import table_path
from pipeline.errors import StageError
from pipeline.verify import SUMS, verify
from pipeline.workspace import load_table
from tests.loopback import ChatServer
from tests.tampered import change, reseal

ROWS = {"questions": 50, "selection": 50, "adoption": 50, "scenarios": 10, "actions": 200}


@pytest.fixture
def dist(world: Callable[..., Config]) -> Path:
    config = world()
    runner.build(config)
    return Path(config.build.dist)


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
    assert verify(dist, DedupConfig()) == ROWS


def test_a_rebuilt_release_is_not_served_from_an_old_cache(dist: Path, tmp_path: Path) -> None:
    """`datasets` caches a local folder by its file names, so that these carry a hash."""
    path = table_path(dist, "questions")
    import hashlib

    assert path.stem == f"test-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert f"path: data/questions/{path.name}\n" in (dist / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "values.json", "provenance/prompts/values.toml"])
def test_an_altered_or_missing_file_is_named(dist: Path, name: str) -> None:
    (dist / name).write_text("other")
    with pytest.raises(StageError, match=f"{name}: differs from {SUMS}"):
        verify(dist, DedupConfig())
    (dist / name).unlink()
    with pytest.raises(StageError, match=f"{name}: differs from {SUMS}"):
        verify(dist, DedupConfig())


def swap_options(questions: pl.DataFrame) -> pl.DataFrame:
    """Let two questions of different scenarios take each other's options."""
    rows = questions.to_dicts()
    one, other = rows[0], next(row for row in rows if row["scenario_id"] != rows[0]["scenario_id"])
    for name in ("options", "option_ids", "option_values", "option_generators"):
        one[name], other[name] = other[name], one[name]
    return pl.DataFrame(rows, schema=questions.schema)


def test_holes_between_the_tables_are_found(dist: Path) -> None:
    kept = dist.with_name("kept")
    shutil.copytree(dist, kept)
    for name, edit, said in (
        ("scenarios", lambda t: t.head(9), "questions.scenario_id: 1 ids"),
        ("actions", lambda t: t.tail(199), "questions.option_ids: 1 ids"),
        ("questions", lambda t: t.head(49), "has 4 of 5 questions"),
        ("questions", lambda t: t.filter(question_index=0), "has 1 of 5 questions"),
        ("questions", swap_options, "8 options differ from their actions"),
        ("scenarios", lambda t: pl.concat([t, t.head(1)]), "scenario_id is not unique"),
    ):
        shutil.rmtree(dist)
        shutil.copytree(kept, dist)
        change(dist, name, edit)
        with pytest.raises(StageError, match=said):
            verify(dist, DedupConfig())


def test_a_release_with_one_question_a_scenario_is_built_and_verified(
    world: Callable[..., Config],
) -> None:
    config = world(compose__design="one60")
    runner.build(config)
    dist = Path(config.build.dist)
    assert verify(dist, DedupConfig()) == ROWS | dict.fromkeys(
        ("questions", "selection", "adoption"), 10
    )
    card = " ".join((dist / "README.md").read_text().split())
    assert "each with one question of four options" in card
    assert "twenty actions, of which its question offers four" in card
    assert "which design `one60` dealt. Over 60 scenarios" in card
    assert "| times a value is the target | 0 | 2 | 1.00 |" in card
    kept = dist.with_name("kept")
    shutil.copytree(dist, kept)
    offered = pl.read_parquet(table_path(dist, "questions"))["option_ids"].explode()

    def ask_twice(questions: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([questions, questions.head(1).with_columns(question_id=pl.lit("q_x"))])

    def offer_twice(questions: pl.DataFrame) -> pl.DataFrame:
        first = questions.row(0, named=True)
        repeated = {n: [first[n][0], *first[n][:3]] for n in first if n.startswith("option")}
        rows = [first | repeated, *questions.to_dicts()[1:]]
        return pl.DataFrame(rows, schema=questions.schema)

    for name, edit, said in (
        ("questions", ask_twice, "has 2 of 1 questions"),
        ("questions", offer_twice, "an action is offered twice"),
        ("questions", swap_options, "8 options differ from their actions"),
        ("actions", lambda t: t.filter(action_id=offered[0]), "actions.scenario_id: 9 ids"),
        ("actions", lambda t: t.remove(action_id=offered[0]), "questions.option_ids: 1 ids"),
    ):
        shutil.rmtree(dist)
        shutil.copytree(kept, dist)
        change(dist, name, edit)
        with pytest.raises(StageError, match=said):
            verify(dist, DedupConfig())


def test_a_release_that_does_not_say_how_many_questions_a_scenario_has_is_refused(
    dist: Path,
) -> None:
    (dist / "provenance" / "manifests" / "compose.json").write_text('{"notes": {}}')
    reseal(dist)
    with pytest.raises(StageError, match=r"compose\.json: does not say how many questions"):
        verify(dist, DedupConfig())


def test_the_card_tells_how_far_a_partial_cycle_is_from_even(dist: Path) -> None:
    card = (dist / "README.md").read_text()
    table = [line.strip("| ").split(" | ") for line in card.splitlines() if " | " in line]
    told = {row[0]: row[1:] for row in table if len(row) == 4}
    questions = pl.read_parquet(table_path(dist, "questions"))
    targets = questions["target_value"].value_counts()["count"]
    assert told["times a value is the target"] == [str(targets.min()), str(targets.max()), "5.00"]
    assert told["times a value is offered"] == ["20", "20", "20.00"]
    assert told["career"] == ["2", "10", "4 to 4"]
    assert "each with five questions of four options" in card


def test_a_config_that_does_not_load_as_written_is_found(dist: Path) -> None:
    card = dist / "README.md"
    table = table_path(dist, "actions").relative_to(dist).as_posix()
    other = table_path(dist, "scenarios").relative_to(dist).as_posix()
    card.write_text(card.read_text().replace(table, other))
    reseal(dist)
    with pytest.raises(StageError, match="config actions does not load"):
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


def test_the_slots_of_a_release_are_kept_by_the_next_build(
    world: Callable[..., Config], tmp_path: Path
) -> None:
    first = world()
    runner.build(first)
    slots = Path(first.build.dist) / "provenance" / "slots.parquet"
    assert "post_id" in pl.read_parquet(slots).columns  # verbatim: the posts are in it anyway
    # Another seed draws other posts, and twice as many; those of the release come first.
    places = {"build__workspace": str(tmp_path / "w2"), "build__dist": str(tmp_path / "d2")}
    more = {"build__seed": "another", "select__scenarios": 20, "select__reserve": 0}
    second = world(select__slots=first.build.dist, **places, **more)
    runner.build(second, until="compose")
    before, after = (
        load_table(Path(config.build.workspace), "compose.questions") for config in (first, second)
    )
    assert after.height == 2 * before.height
    assert after.filter(pl.col("slot").is_in(before["slot"].implode())).equals(before)
    # Without it, other scenarios are in these slots.
    third = world(**places, **more)
    plans = {plan.stage.name: plan for plan in planning.plan(third)}
    assert plans["select"].reasons == (f"earlier.slots {sha(slots)[:12]}… -> (absent)",)


def sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_card_counts_what_rules_found_and_whom_it_cost(
    world: Callable[..., Config], server: ChatServer
) -> None:
    bad: list[str] = []

    def reply(body: dict[str, Any]) -> str | None:
        names = list(body["response_format"]["json_schema"]["schema"]["properties"])
        text = body["messages"][1]["content"]
        bad.append(text) if not bad else None
        about = bad[0].split("<situation>")[1][:80]
        if about in text and body["temperature"] == 1.0:
            return json.dumps({name: f"I wait because of {i}." for i, name in enumerate(names)})
        return None

    server.reply = reply
    config = world(validate__reject=["benefit_clause"], generate__repairs=1)
    runner.build(config)
    card = (Path(config.build.dist) / "README.md").read_text()
    assert "| g-two | 110 | 10 | 100 | 0 |" in card
    assert "| `benefit_clause` | rejected | 0 | 0 | 10 | 0 |" in card
    kept, replaced = (
        re.search(rf"\| {name} \| (\d+) \| .* \| .* \| (.*) \|", card)
        for name in ("kept", "replaced")
    )
    assert kept and replaced
    assert (kept[1], replaced[1]) == ("10", "1")
    slots = load_table(Path(config.build.workspace), "generate.slots")
    (domain,) = slots.filter(pl.col("replaced").list.len() > 0)["domain"]
    assert replaced[2] == f"{domain} 1"
