"""`make sync`: what is gone is named with the command that takes it back, from the Hub too."""

from __future__ import annotations

import re
import shlex

import polars as pl
import pytest

from pipeline import tombstones
from tests.hub_world import REPO, HubWorld
from tests.test_recheck import sample_without


@pytest.mark.slow
def test_sync_names_the_command_and_nothing_may_be_published_before_it_is_run(
    hub_world: HubWorld,
) -> None:
    world = hub_world
    assert world.run("publish", f"--repo={REPO}", "--yes").returncode == 0
    row = pl.read_parquet(world.tmp / "work" / "generate" / "slots.parquet").row(4, named=True)
    now = sample_without(world.tmp / "now.ndjson", {row["post_id"]: None})

    done = world.run("sync", f"--from={now}", f"--repo={REPO}")
    assert done.returncode == 0, done.stderr
    assert f"{REPO}: 1 of their 1 scenarios are published" in done.stdout
    (line,) = re.findall(r"^    (make take-back .*)$", done.stdout, re.MULTILINE)
    words = shlex.split(line)
    assert words[2:] == [
        f"CONFIG={world.config}",
        f"IDS={row['post_id']}",
        f"REPO={REPO}",
        "YES=1",
    ]
    stone = tombstones.load(world.tmp / "stones.ndjson")[row["post_id"]]
    assert stone.scenario_id == row["scenario_id"]
    assert len(stone.body_sha256) == 64

    refused = world.run("publish", f"--repo={REPO}", "--yes")
    assert refused.returncode == 1
    assert "what was taken back" in refused.stderr
    assert refused.stderr.count("\n") == 1

    done = world.run("take-back", row["post_id"], f"--repo={REPO}", "--yes")
    assert done.returncode == 0, done.stderr
    checked = world.run("verify")
    assert checked.returncode == 0, checked.stderr
    stones = tombstones.load(world.tmp / "stones.ndjson")  # with copies that told the same story
    assert f"taken back: nothing of {len(stones)} posts in any file" in checked.stdout
    assert "in slot 4." in (world.tmp / "dist" / "README.md").read_text()
    again = world.run("sync", f"--from={now}", f"--repo={REPO}")
    assert f"{REPO}: 0 of their 0 scenarios are published" in again.stdout
    assert "make take-back" not in again.stdout
