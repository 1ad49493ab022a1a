"""The runner on a tiny world: all real but the language model, which is a loopback server."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock

from pipeline import build as runner
from pipeline import planning
from pipeline.artifacts import folder_digest
from pipeline.config import Config
from pipeline.errors import BusyError, StageError
from pipeline.stages import STAGES, stage_names
from pipeline.workspace import MANIFEST, RUN, load_table
from tests.conftest import SECRET
from tests.loopback import ChatServer

World = Callable[..., Config]


def actions(plans: list[runner.Plan]) -> dict[str, str]:
    return {item.stage.name: item.action for item in plans}


def artifacts(config: Config) -> dict[str, str]:
    """Hashes of everything a build wrote, but for what says when and where it ran."""
    found = folder_digest(Path(config.build.workspace))
    return {
        name: digest
        for name, digest in found.items()
        if not name.endswith(RUN) and not name.startswith(".")
    }


def test_a_build_gives_a_release_and_the_second_run_redoes_nothing(
    world: World, server: ChatServer
) -> None:
    config = world()
    funnels = runner.build(config)
    assert list(funnels) == list(stage_names())
    assert funnels["compose"].kept == config.select.scenarios
    dist = Path(config.build.dist)
    questions = pl.read_parquet(next(dist.glob("data/questions/*.parquet")))
    assert questions.height == 5 * config.select.scenarios
    asked, before = len(server.bodies), artifacts(config)
    stamps = {p: p.stat().st_mtime_ns for p in dist.rglob("*")}
    assert set(actions(planning.plan(config)).values()) == {"skip"}
    runner.build(config)
    assert len(server.bodies) == asked == 2 * config.select.scenarios
    assert artifacts(config) == before
    assert {p: p.stat().st_mtime_ns for p in dist.rglob("*")} == stamps


def test_each_stage_counts_in_what_the_stage_before_kept(world: World) -> None:
    funnels = list(runner.build(world()).values())
    for earlier, later in itertools.pairwise(funnels):
        assert later.entered == earlier.kept
    for found in funnels:
        assert found.entered == found.kept + sum(found.reasons().values())


def test_two_builds_in_two_folders_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    one = world()
    runner.build(one)
    # Elsewhere, from the first stage on, with another concurrency.
    two = world(
        build__workspace=str(tmp_path / "elsewhere"),
        build__ledger=str(tmp_path / "other.sqlite"),
        build__dist=str(tmp_path / "dist2"),
        **{"models.g-one.concurrency": 1},
    )
    runner.build(two)
    assert artifacts(one) == artifacts(two)
    assert folder_digest(Path(one.build.dist)) == folder_digest(Path(two.build.dist))


def test_a_changed_threshold_runs_that_stage_and_those_after_it_and_says_why(world: World) -> None:
    runner.build(world())
    changed = world(dedup__cosine=0.995)
    plans = planning.plan(changed)
    assert actions(plans) == {
        "scrape": "skip",
        "tag": "skip",
        "screen": "skip",
        "dedup": "run",
        "select": "run if its input changes",
        "vote": "run if its input changes",
        "rewrite": "run if its input changes",
        "generate": "run if its input changes",
        "recognise": "run if its input changes",
        "compose": "run if its input changes",
        "release": "run if its input changes",
    }
    assert plans[3].reasons == ("config.dedup.cosine 0.87 -> 0.995",)
    before = artifacts(changed)
    runner.build(changed)
    rewritten = {
        name.split("/")[0] for name, d in artifacts(changed).items() if before.get(name) != d
    }
    # The paraphrases stay now, so that the pool grows and every later stage sees other rows.
    assert {"dedup", "select"} <= rewritten
    assert not {"scrape", "tag", "screen"} & rewritten


def test_a_setting_of_pace_or_place_runs_nothing(world: World, tmp_path: Path) -> None:
    runner.build(world())
    moved = world(build__dist=str(tmp_path / "other"), **{"models.g-one.timeout_s": 7.5})
    assert set(actions(planning.plan(moved)).values()) == {"skip"}


def test_a_changed_model_runs_generate_and_says_which_field(world: World) -> None:
    runner.build(world())
    plans = {p.stage.name: p for p in planning.plan(world(**{"models.g-two.temperature": 0.5}))}
    assert plans["select"].action == "skip"
    assert plans["generate"].reasons == ("config.models.g-two.temperature 1.0 -> 0.5",)


def test_a_damaged_artifact_is_noticed_and_made_again(world: World) -> None:
    config = world()
    runner.build(config)
    before = artifacts(config)
    target = Path(config.build.workspace) / "dedup" / "posts.parquet"
    target.write_bytes(target.read_bytes()[:-1])
    plans = {p.stage.name: p for p in planning.plan(config)}
    assert "not as it was written" in plans["dedup"].reasons[0]
    runner.build(config)
    assert artifacts(config) == before


def test_from_and_until(world: World, server: ChatServer) -> None:
    config = world()
    assert list(runner.build(config, until="select")) == [
        "scrape",
        "tag",
        "screen",
        "dedup",
        "select",
    ]
    assert not server.bodies
    assert not Path(config.build.dist).exists()
    runner.build(config)
    asked, before = len(server.bodies), artifacts(config)
    runner.build(config, force_from="generate")
    assert len(server.bodies) == asked  # every answer was in the ledger
    assert artifacts(config) == before


def test_limit_reads_only_so_many_lines(world: World) -> None:
    funnels = runner.build(world(source__limit=30), until="scrape")
    assert funnels["scrape"].entered == 30


def test_a_generator_that_fails_is_asked_again_then_its_scenario_is_replaced(
    world: World, server: ChatServer
) -> None:
    config = world(generate__attempts=2, **{"models.g-one.concurrency": 1})
    first: list[str] = []

    def rule(body: dict[str, Any]) -> str:
        """Fail the first scenario that g-one is asked about: a reply that breaks off, twice."""
        if body["temperature"] == 1.0:  # g-two
            return ""
        first.append(body["messages"][1]["content"])
        if body["messages"][1]["content"] != first[0]:
            return ""
        return "truncated"

    server.rule = rule
    funnels = runner.build(config)
    generate = funnels["generate"]
    assert generate.reasons()["no_usable_actions"] == 1
    assert generate.kept == config.select.scenarios
    again = [b for b in server.bodies if "could not be used" in b["messages"][-1]["content"]]
    assert len(again) == 1
    workspace = Path(config.build.workspace)
    slots = load_table(workspace, "generate.slots")
    replaced = slots.filter(pl.col("replaced").list.len() > 0)
    assert replaced.height == 1
    dropped = load_table(workspace, "generate.dropped").filter(reason="no_usable_actions")
    assert dropped["id"].to_list() == replaced["replaced"][0].to_list()
    assert "truncated" in dropped["detail"][0]
    # The other slots hold the scenarios of a build in which nothing failed.
    server.rule = None
    clean = world(
        build__workspace=f"{config.build.workspace}-clean",
        build__ledger=f"{config.build.ledger}-clean",
    )
    runner.build(clean, until="compose")
    undisturbed = load_table(Path(clean.build.workspace), "compose.questions")
    disturbed = load_table(workspace, "compose.questions")
    keep = pl.col("slot") != replaced["slot"][0]
    assert disturbed.filter(keep).equals(undisturbed.filter(keep))


def test_a_model_that_changes_in_the_middle_of_a_build_is_a_warning(
    world: World, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def rule(body: dict[str, Any]) -> str:
        if len(server.bodies) > 14:
            server.snapshot = "-newer"
        return ""

    server.rule = rule
    config = world(**{"models.g-one.concurrency": 1, "models.g-two.concurrency": 1})
    runner.build(config)
    line = (
        "warning: models.g-one: the model changed in the middle of the build: fake-newer answered"
    )
    assert line in capsys.readouterr().out
    runner.build(config)  # nothing to do, but still true
    assert line in capsys.readouterr().out
    card = (Path(config.build.dist) / "README.md").read_text()
    assert "`fake-newer`" in card
    assert "the model changed in the middle of the build" in card


def test_an_exhausted_reserve_names_the_domain_and_the_reason(
    world: World, server: ChatServer
) -> None:
    server.faults.extend(["refusal"] * 500)
    with pytest.raises(StageError, match=r"career: .*refused.*select\.reserve"):
        runner.build(world(select__reserve=1, generate__attempts=1))


def test_too_few_posts_names_each_domain_and_how_many_are_missing(world: World) -> None:
    with pytest.raises(StageError, match=r"career \d+ \(has \d+ of 100\)") as caught:
        runner.build(world(select__scenarios=500))
    assert all(d in str(caught.value) for d in world().domains)


def test_two_builds_at_once_in_one_folder(world: World) -> None:
    config = world()
    workspace = Path(config.build.workspace)
    with (
        FileLock(workspace / ".lock"),
        pytest.raises(BusyError, match="another build is at work here"),
    ):
        runner.build(config)


def test_the_card_speaks_of_the_build_and_no_secret_is_in_any_file(
    world: World, tmp_path: Path
) -> None:
    config = world()
    funnels = runner.build(config)
    card = (Path(config.build.dist) / "README.md").read_text()
    assert "**Demonstration.**" in card
    assert "Local only" not in card
    for name, found in funnels.items():
        if name != "release":
            assert f"| {name} | {found.unit} | {found.entered} | {found.kept} |" in card
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
            assert str(tmp_path).encode() not in path.read_bytes() or path.name.startswith("."), (
                path
            )


def test_other_posts_than_the_sample_make_the_release_local_only(
    world: World, tmp_path: Path
) -> None:
    from pipeline.paths import SAMPLE_POSTS

    copy = tmp_path / "posts.ndjson"
    shutil.copyfile(SAMPLE_POSTS, copy)
    config = world(source__path=str(copy))
    runner.build(config)
    card = (Path(config.build.dist) / "README.md").read_text()
    assert "**Local only.**" in card
    assert "license: other" in card


def test_manifests_hold_no_clock(world: World) -> None:
    config = world()
    runner.build(config, until="select")
    manifest = (Path(config.build.workspace) / "select" / MANIFEST).read_text()
    assert "utc" not in json.dumps(list(json.loads(manifest)))
    assert "2026-" not in manifest


def test_every_stage_declares_inputs_that_an_earlier_stage_writes() -> None:
    written: set[str] = set()
    for stage in STAGES:
        assert set(stage.inputs) <= written
        written |= {f"{stage.name}.{table}" for table in stage.outputs}
