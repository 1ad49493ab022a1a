"""Taking back: what is gone is noted, named and never used again; ids can be filled in again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipeline import build as runner
from pipeline import gate, recheck, schema, tombstones
from pipeline.config import Config
from pipeline.config_release import PublishConfig
from pipeline.errors import BadInputError
from pipeline.paths import SAMPLE_POSTS
from pipeline.recheck import Seen
from pipeline.tombstones import Tombstone
from pipeline.workspace import load_funnel, load_table
from tests.conftest import DEMO, command
from tests.loopback import ChatServer

World = Callable[..., Config]


def places(config: Config) -> list[str]:
    return [f"--workspace={config.build.workspace}", f"--ledger={config.build.ledger}"]


def sample_without(path: Path, changes: dict[str, dict[str, str] | None]) -> Path:
    """Write the sample with some posts changed, or left out where the change is None."""
    lines = []
    for line in SAMPLE_POSTS.read_text(encoding="utf-8").splitlines():
        post = json.loads(line)
        change = changes.get(post["id"], {})
        if change is not None:
            lines.append(json.dumps(post | change))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_sync_notes_what_is_gone_and_a_tombstoned_post_never_comes_back(
    world: World, server: ChatServer, tmp_path: Path
) -> None:
    stones = tmp_path / "tombstones.ndjson"
    config = world(source__tombstones=str(stones))
    runner.build(config)
    workspace = Path(config.build.workspace)
    scenarios = load_table(workspace, "rewrite.scenarios")
    slots = load_table(workspace, "generate.slots")
    used = scenarios.filter(pl.col("scenario_id").is_in(slots["scenario_id"].implode()))
    gone, deleted, edited = used["post_id"].to_list()[:3]
    now = sample_without(
        tmp_path / "now.ndjson",
        {gone: None, deleted: {"selftext": "[deleted]"}, edited: {"selftext": "Other. " * 60}},
    )
    options = [f"--from={now}", f"--set=source.tombstones={stones}"]
    done = command("sync", *places(config), *options)
    assert done.returncode == 0, done.stderr
    assert f"same {scenarios.height - 3}, edited 1, gone 1, deleted 1" in done.stdout
    assert done.stdout.count("has to go: s_") == 2
    by_post = dict(used.select("post_id", "scenario_id").iter_rows())
    assert f"has to go: {by_post[gone]}, its questions q_" in done.stdout
    assert {s.post_id: s.reason for s in tombstones.load(stones).values()} == {
        gone: "gone",
        deleted: "deleted",
    }
    again = command("sync", *places(config), *options)
    assert "0 new tombstones" in again.stdout

    runner.build(config)
    left = load_table(workspace, "rewrite.scenarios")
    assert not {gone, deleted} & set(left["post_id"])
    assert load_funnel(workspace, "scrape").reasons()["tombstoned"] == 2
    # Who is still there keeps the slot.
    now_slots = dict(load_table(workspace, "generate.slots")
                     .select("scenario_id", "slot").iter_rows())  # fmt: skip
    kept = {s: n for s, n in slots.select("scenario_id", "slot").iter_rows()
            if s not in {by_post[gone], by_post[deleted]}}  # fmt: skip
    assert sum(now_slots.get(scenario) == slot for scenario, slot in kept.items()) >= 6


def test_hydrate_fills_in_what_is_the_same_and_nothing_else(
    world: World, server: ChatServer, tmp_path: Path
) -> None:
    config = world(**{"release.text": "ids"})
    runner.build(config)
    scenarios = load_table(Path(config.build.workspace), "rewrite.scenarios")
    slots = load_table(Path(config.build.workspace), "generate.slots")
    used = scenarios.filter(pl.col("scenario_id").is_in(slots["scenario_id"].implode()))
    gone, removed, edited, retitled = used["post_id"].to_list()[:4]
    now = sample_without(
        tmp_path / "now.ndjson",
        {
            gone: None,
            removed: {"selftext": "[removed]"},
            edited: {"selftext": "Other. " * 60},
            retitled: {"title": "Another title"},
        },
    )
    out = tmp_path / "texts.parquet"
    done = command("hydrate", f"--dist={config.build.dist}", f"--from={now}", f"--out={out}")
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet(out)
    assert dict(table.schema) == schema.HYDRATED
    states = dict(table.select("post_id", "state").iter_rows())
    assert states == dict.fromkeys(used["post_id"], "same") | {
        gone: "gone",
        removed: "removed",
        edited: "edited",
        retitled: "edited",
    }
    whole = dict(used.select("scenario_id", "scenario").iter_rows())
    for row in table.iter_rows(named=True):
        assert row["scenario"] == (whole[row["scenario_id"]] if row["state"] == "same" else "")


def test_hydrate_says_what_it_cannot_do(world: World, server: ChatServer, tmp_path: Path) -> None:
    config = world()
    runner.build(config)
    dist = f"--dist={config.build.dist}"
    done = command("hydrate", dist, f"--from={SAMPLE_POSTS}", f"--out={tmp_path / 'x'}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not a release of ids" in done.stderr
    done = command("hydrate", dist, "--from=nowhere", f"--out={tmp_path / 'x'}")
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (Seen("p", "present", "t", "A body."), "same"),
        (Seen("p", "present", "t", "A\u200b body.\r\n"), "same"),  # what nobody can see
        (Seen("p", "present", "t", "A body!"), "edited"),
        (Seen("p", "removed"), "removed"),
        (Seen("p", "deleted"), "deleted"),
        (Seen("p", "gone"), "gone"),
    ],
)
def test_a_post_is_known_again_by_its_text(seen: Seen, state: str) -> None:
    assert recheck.state_of(seen, recheck.body_hash("A body.")) == state


def test_the_first_note_about_a_post_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "stones.ndjson"
    assert tombstones.load(path) == {}
    assert tombstones.add(path, [Tombstone("b", "gone", "2026-01-02")]) == 1
    new = [Tombstone("a", "removed", "2026-02-02"), Tombstone("b", "deleted", "2026-02-02")]
    assert tombstones.add(path, new) == 1
    assert list(tombstones.load(path)) == ["a", "b"]
    assert tombstones.load(path)["b"].reason == "gone"


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"post_id": "a"}', '{"post_id":"a","reason":"why","noted":"x"}']
)
def test_a_broken_tombstone_names_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "stones.ndjson"
    path.write_text(f'{{"post_id":"a","reason":"gone","noted":"2026-01-01"}}\n\n{line}\n')
    with pytest.raises(BadInputError, match=r"stones.ndjson: line 3: not a tombstone"):
        tombstones.load(path)


def gated(config: Config, reviews: Path, count: int = 4) -> list[str]:
    pairs = schema.frame(
        (
            {"scenario_id": f"s_{i}", "post_id": f"p{i}", "post": "a", "rewritten": "b"}
            for i in range(count)
        ),
        schema.PAIRS,
    )
    rewrite = dataclasses.replace(config.rewrite, reviews=str(reviews))
    return gate.obstacles(dataclasses.replace(config, rewrite=rewrite), pairs)


@pytest.fixture
def rewritten(world: World) -> Config:
    models = {"models.r": {"provider": "openai", "model": "fake-rewriter", "max_tokens": 9,
                           "base_url": "http://127.0.0.1:9/v1"}}  # fmt: skip
    return world(**(models | {"rewrite.model": "r", "release.text": "rewritten",
                              "build.demonstration": False,
                              "publish.rights": "ours"}))  # fmt: skip


HEAD = "scenario_id,reviewer,dilemma,stakes,options\n"


def test_retellings_are_published_only_after_experts_have_looked(
    rewritten: Config, tmp_path: Path
) -> None:
    path = tmp_path / "reviews.csv"
    (line,) = gated(rewritten, path)
    assert line.endswith("0 of 4 drawn retellings are reviewed by experts")
    rows = [f"s_{i},anna,yes,yes,yes\n" for i in range(3)]
    path.write_text(HEAD + "".join(rows))
    assert "3 of 4 drawn" in gated(rewritten, path)[0]
    path.write_text(HEAD + "".join(rows) + "s_3,anna,yes,no,yes\n")
    assert "survive in 3 of 4 retellings" in gated(rewritten, path)[0]
    # Two against one; and a reviewer's later word counts.
    path.write_text(
        HEAD + "".join(rows) + "s_3,anna,yes,no,yes\ns_3,ben,yes,Yes,yes\ns_3,cleo,yes,yes,yes\n"
    )
    assert gated(rewritten, path) == []


def test_a_broken_review_names_its_row(rewritten: Config, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text(HEAD + "s_1,anna,yes,maybe,yes\n")
    with pytest.raises(BadInputError, match=r"reviews.csv: row 2: stakes: write yes or no"):
        gated(rewritten, path)
    path.write_text("scenario_id,reviewer\n")
    with pytest.raises(BadInputError, match="no column dilemma, options, stakes"):
        gated(rewritten, path)


def test_a_demonstration_and_verbatim_posts_are_not_published(
    world: World, server: ChatServer, tmp_path: Path
) -> None:
    config = world(**{"source.path": str(sample_without(tmp_path / "own.ndjson", {}))})
    lines = gated(config, tmp_path / "none")
    assert len(lines) == 3
    assert "publish.rights is missing" in lines[0]
    assert "demonstration" in lines[1]
    assert 'release.text = "verbatim"' in lines[2]
    assert 'build with "rewritten" or "ids"' in lines[2]
    said = PublishConfig(rights="ours", demonstration=True, verbatim=True)
    assert gated(dataclasses.replace(config, publish=said), tmp_path / "none") == []
    runner.build(world())
    done = command("check-publish", f"--workspace={world().build.workspace}", f"-c{DEMO}")
    assert done.returncode == 1
    assert done.stderr == "error: demo may not be published: 3 obstacles\n"
