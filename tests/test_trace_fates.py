"""Traces of what was retold, voted out, dropped or never finished."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import build as runner
from pipeline import tombstones
from pipeline.config import Config
from pipeline.errors import BadInputError, StageError
from pipeline.paths import SAMPLE_POSTS
from pipeline.prompts import load_prompt
from pipeline.stages import stage_names
from pipeline.trace import parts, trace
from tests.loopback import ChatServer
from tests.test_rewrite import ANY_LIKENESS, RETOLD
from tests.trace_world import World, printed, rewrite_table, schema_fields, table


@pytest.fixture
def retold(world: World, server: ChatServer) -> Callable[..., Config]:
    """Return a function that gives a world in which posts are retold and voted on."""

    def reply(body: dict[str, Any]) -> str | None:
        if schema_fields(body) == ["situation"]:
            mark = hashlib.sha256(body["messages"][1]["content"].encode()).hexdigest()[:12]
            return json.dumps({"situation": f"{RETOLD} {mark}"})
        if schema_fields(body) == ["verdict"]:
            return json.dumps({"verdict": "yes: open_decision"})
        if "20" in schema_fields(body):
            return json.dumps(dict.fromkeys(schema_fields(body), "power"))
        return None

    server.reply = reply

    def make(**changes: Any) -> Config:
        model = dataclasses.asdict(world().models["g-one"])
        shared = {name: model[name] for name in ("provider", "base_url", "api_key_env")}
        shared |= {"max_tokens": 400}
        models = {
            "models.rewriter": {**shared, "model": "fake-rewriter"},
            **{
                f"models.v{n}": {**shared, "model": "fake", "temperature": n / 10}
                for n in (1, 2, 3)
            },
        }
        settings = {
            "rewrite.model": "rewriter",
            "release.text": "rewritten",
            "vote.voters": ["v1", "v2"],
            "vote.tie_breaker": "v3",
            "vote.decides": True,
            "recognise.model": "rewriter",
        }
        return world(**(models | settings | ANY_LIKENESS | changes))

    return make


@pytest.mark.parametrize("drawn", [60, 0])
def test_a_retelling_and_the_votes_lead_to_their_calls(
    retold: Callable[..., Config], drawn: int
) -> None:
    config = retold(**{"rewrite.review": drawn})
    runner.build(config)
    found = trace(config, table(config, "compose.questions")["question_id"][11])
    assert found.scenario is not None
    assert found.post is not None
    assert found.scenario.form == "rewritten"
    calls = {call.key: call for call in found.calls}
    retelling = calls[str(found.scenario.retelling)]
    assert json.loads(retelling.reply or "")["situation"] == found.scenario.text
    assert (retelling.stage, retelling.model) == ("rewrite", "rewriter")
    assert retelling.model_returned == "fake-rewriter-snapshot"
    assert [(p.file, p.version) for p in retelling.prompts] == [
        ("prompts/rewrite.md", load_prompt("rewrite").version)
    ]
    assert [(v.model, v.vote, v.reason) for v in found.votes] == [
        ("v1", "yes", "open_decision"),
        ("v2", "yes", "open_decision"),
    ]
    for vote in found.votes:
        assert (calls[vote.ledger_key].stage, calls[vote.ledger_key].model) == ("vote", vote.model)
        assert calls[vote.ledger_key].prompts[0].file == "prompts/vote.md"
    for option in found.questions[0].options:
        assert option.recognised == "power"
        reading = calls[str(option.recognised_key)]
        assert (reading.stage, reading.model) == ("recognise", "rewriter")
        assert reading.prompts[0].file == "prompts/recognise.md"
    assert [call.stage for call in found.calls] == [
        "generate",
        "generate",
        "recognise",
        "rewrite",
        *["vote"] * 2,
    ]
    text = printed(found)
    assert text.count("     recognised as power, call 3\n") == 4
    assert "retold by call 4" in text
    assert "vote          yes (open_decision) by v1, call 5" in text
    assert found.post.text is not None
    assert found.post.text.split("\n")[0] in text  # the post beside its retelling
    # Without the ledger, and without a drawn pair, the call has no name.
    Path(config.build.ledger).unlink()
    found = trace(config, found.asked)
    assert found.scenario is not None
    assert (found.scenario.retelling is None) == (drawn == 0)


def test_a_post_that_was_voted_out_or_badly_retold_shows_the_replies_that_did_it(
    retold: Callable[..., Config], server: ChatServer
) -> None:
    config = retold()
    runner.build(config, until="select")
    first = table(config, "select.pool").filter(rank=0)
    out, bad = (first.filter(domain=domain)["text"][0] for domain in ("career", "finance"))
    usual = server.reply
    assert usual is not None

    def reply(body: dict[str, Any]) -> str | None:
        told = body["messages"][1]["content"]
        if schema_fields(body) == ["verdict"] and out[:80] in told:
            yes = body["temperature"] == 0.2
            return json.dumps({"verdict": "yes: open_decision" if yes else "no: no_decision"})
        if schema_fields(body) == ["situation"] and bad[:80] in told:
            return json.dumps({"situation": bad})
        return usual(body)

    server.reply = reply
    runner.build(config)
    pool = table(config, "select.pool")
    found = trace(config, pool.filter(text=out)["post_id"][0])
    assert found.dropped is not None
    assert (found.dropped.stage, found.dropped.reason) == ("vote", "no_decision")
    assert [(v.model, v.vote, v.breaks_tie) for v in found.votes] == [
        ("v1", "no", False),
        ("v2", "yes", False),
        ("v3", "no", True),
    ]
    assert "no (no_decision) by v3, breaking a tie, call 3" in printed(found)
    found = trace(config, pool.filter(text=bad)["post_id"][0])
    assert found.dropped is not None
    assert (found.dropped.stage, found.dropped.reason) == ("rewrite", "retelling_copied")
    calls = [call for call in found.calls if call.stage == "rewrite"]
    assert [call.asking for call in calls] == [1, 2]
    assert [p.file for p in calls[1].prompts] == ["prompts/rewrite.md", "prompts/ask_again.md"]
    assert all(json.loads(call.reply or "")["situation"] == bad for call in calls)
    assert found.scenario is None
    assert "prompts/rewrite.md version 1, then prompts/ask_again.md version 2" in printed(found)


def test_a_scenario_without_usable_actions_shows_what_came_back(
    world: World, server: ChatServer
) -> None:
    config = world(generate__attempts=2)
    runner.build(config, until="rewrite")
    failing = table(config, "rewrite.scenarios").filter(domain="ethics", rank=0).row(0, named=True)
    server.rule = lambda body: (
        "refusal" if failing["scenario"][:80] in body["messages"][1]["content"] else ""
    )
    runner.build(config)
    found = trace(config, failing["scenario_id"])
    assert found.dropped is not None
    assert (found.dropped.stage, found.dropped.item) == ("generate", failing["scenario_id"])
    assert found.scenario is not None
    assert found.scenario.slot is None
    assert {(call.outcome, call.asking) for call in found.calls} == {("refused", 1), ("refused", 2)}
    assert {call.model for call in found.calls} == {"g-one", "g-two"}
    slots = table(config, "generate.slots")
    heir = slots.filter(pl.col("replaced").list.contains(failing["scenario_id"]))
    follower = trace(config, heir["scenario_id"][0])
    assert follower.scenario is not None
    assert follower.scenario.replaced == (failing["scenario_id"],)
    assert f"after {failing['scenario_id']})" in printed(follower)
    assert trace(config, failing["post_id"]).dropped == found.dropped


def test_a_keeper_names_its_duplicates_and_each_of_them_the_keeper(built: Config) -> None:
    pairs = table(built, "dedup.pairs")
    for keeper in pairs["keeper_id"].unique():
        mine = pairs.filter(keeper_id=keeper).sort("removed_id")
        found = trace(built, keeper)
        assert found.cluster is not None
        assert found.cluster.keeper_id == keeper
        assert [(r.post_id, r.method, r.similarity) for r in found.cluster.removed] == mine.select(
            "removed_id", "method", "similarity"
        ).rows()
        for removed in found.cluster.removed:
            line = SAMPLE_POSTS.read_text().splitlines()[removed.source_line - 1]
            assert json.loads(line)["id"] == removed.post_id
            other = trace(built, removed.post_id)
            assert other.cluster == found.cluster
            assert other.dropped is not None
            assert other.dropped.stage == "dedup"
            assert other.dropped.reason == f"{removed.method}_duplicate"
            assert other.scenario is None
            text = printed(other)
            assert f"duplicate of  {keeper}, {found.cluster.keeper_became}" in text
            assert f"{removed.post_id}: {removed.method} {removed.similarity:.4f}" in text
        became = found.cluster.keeper_became
        ended = found.dropped
        if ended:
            assert became == f"dropped by {ended.stage}: {ended.reason}"
        else:
            assert found.scenario is not None
            assert became == f"scenario {found.scenario.scenario_id}"
        assert "duplicate of" not in printed(found)
    alone = pl.concat([pairs["keeper_id"], pairs["removed_id"]])
    single = table(built, "screen.posts").filter(~pl.col("post_id").is_in(alone.implode()))
    assert trace(built, single["post_id"][0]).cluster is None


def test_a_duplicate_of_an_earlier_release_says_so(world: World, tmp_path: Path) -> None:
    first = world()
    runner.build(first)
    scenario = table(first, "generate.slots")["scenario_id"][0]
    gone = table(first, "rewrite.scenarios").filter(scenario_id=scenario)["post_id"][0]
    config = world(dedup__earlier=[first.build.dist], build__workspace=f"{tmp_path}/next")
    shutil.copytree(Path(first.build.workspace) / "scrape", tmp_path / "next" / "scrape")
    runner.build(config, until="dedup")
    found = trace(config, gone)
    assert found.cluster is not None
    assert found.cluster.keeper_id.startswith("s_")
    assert found.cluster.keeper_became == "a scenario of an earlier release"
    assert gone in {removed.post_id for removed in found.cluster.removed}


@pytest.mark.parametrize("stage", ["screen", "dedup", "select", "generate"])
def test_whatever_a_stage_drops_says_which_stage_and_why(built: Config, stage: str) -> None:
    rows = table(built, f"{stage}.dropped")
    assert rows.height
    for row in rows.unique("reason", keep="first", maintain_order=True).iter_rows(named=True):
        found = trace(built, row["id"])
        assert found.dropped == parts.Dropped(
            stage, row["id"], row["outcome"], row["reason"], row["detail"]
        )
        assert f"dropped       {row['id']} by stage {stage}: {row['reason']}" in printed(found)
        assert found.questions == ()


def test_lines_that_gave_no_post_are_named_by_file_and_line(world: World) -> None:
    config = world()
    runner.build(config, until="scrape")
    rows = table(config, "scrape.dropped")
    for row in rows.iter_rows(named=True):
        found = trace(config, row["id"])
        assert (found.kind, found.post) == ("line", None)
        assert found.dropped is not None
        assert (found.dropped.stage, found.dropped.reason) == ("scrape", row["reason"])
    again = rows.filter(reason="duplicate_id").row(0, named=True)
    kept = re.fullmatch(r"another snapshot of (\S+) was kept", again["detail"])
    assert kept is not None
    found = trace(config, kept[1])
    assert found.post is not None
    assert found.post.snapshots == (again["id"],)
    assert f"also there, not used: {again['id']}" in printed(found)


def test_a_post_with_a_tombstone_is_told_before_and_after_it_goes(
    world: World, tmp_path: Path
) -> None:
    config = world(source__tombstones=str(tmp_path / "stones.ndjson"))
    runner.build(config, until="select")
    post = table(config, "select.pool")["post_id"][0]
    stone = tombstones.Tombstone(post, "deleted", "2026-01-02")
    tombstones.add(tmp_path / "stones.ndjson", [stone])
    found = trace(config, post)
    assert found.post is not None
    assert found.post.tombstone == "deleted, noted 2026-01-02"
    assert "tombstone: deleted, noted 2026-01-02; a new build drops it" in printed(found)
    runner.build(config, until="scrape")
    found = trace(config, post)
    assert (found.kind, found.post) == ("post", None)
    assert found.dropped is not None
    assert (found.dropped.stage, found.dropped.reason) == ("scrape", "tombstoned")
    assert str(tmp_path / "stones.ndjson") in found.dropped.detail
    # The stages after scrape are those of the build before.
    assert found.stale == ("tag",)
    assert "tag: what this stage read has been made anew since" in printed(found)


def test_a_reply_that_is_missing_is_one_line(built: Config) -> None:
    item = table(built, "compose.questions")["question_id"][0]
    whole = trace(built, item)
    ledger = Path(built.build.ledger)
    with sqlite3.connect(ledger) as db:
        db.execute("DELETE FROM attempt WHERE key = ?", (whole.calls[0].key,))
        db.execute("DELETE FROM attempt WHERE key = ?", (whole.calls[1].key,))
        db.execute("DELETE FROM request WHERE key = ?", (whole.calls[1].key,))
    db.close()
    first, second = trace(built, item).calls
    assert first.problem == f"{ledger} holds the request, and no reply to it"
    assert first.model_asked == "fake"
    assert second.problem == f"the reply is not in {ledger}"
    assert (second.reply, second.asking, first.reply) == (None, None, None)
    assert second.prompts == whole.calls[1].prompts
    assert f"    the reply is not in {ledger}\n" in printed(trace(built, item))
    for file in ledger.parent.glob("ledger.sqlite*"):
        file.unlink()
    found = trace(built, item)
    told = f"the reply cannot be looked up: there is no file {ledger}"
    assert [call.problem for call in found.calls] == [told] * 2
    assert not ledger.exists()  # looking makes none
    assert found.questions == whole.questions
    ledger.write_bytes(b"no ledger at all" * 100)
    with pytest.raises(BadInputError, match=re.escape(f"{ledger}: not a ledger")):
        trace(built, item)


def test_a_build_that_has_not_finished_tells_what_there_is(world: World) -> None:
    config = world()
    post = table(config, "select.pool")["post_id"][0]
    found = trace(config, post)
    later = stage_names()[stage_names().index("select") + 1 :]
    assert found.unbuilt == later
    assert found.dropped is None
    assert f"not built yet {', '.join(later)}\n" in printed(found)
    with pytest.raises(StageError, match=r"compose/questions.parquet: not there; run"):
        trace(config, "q_0123456789abcdef")


def test_stages_of_different_builds_and_broken_tables_are_one_line(built: Config) -> None:
    row = table(built, "compose.questions").row(0, named=True)
    gone = row["option_ids"][1]
    rewrite_table(
        built, "generate.actions", lambda actions: actions.filter(pl.col("action_id") != gone)
    )
    with pytest.raises(StageError, match=rf"speaks of {gone}.*different builds.*pipeline build"):
        trace(built, row["question_id"])
    rewrite_table(built, "rewrite.scenarios", lambda scenarios: scenarios.clear())
    with pytest.raises(StageError, match=rf"compose.questions speaks of {row['scenario_id']}"):
        trace(built, row["question_id"])
    broken = Path(built.build.workspace) / "compose" / "questions.parquet"
    broken.write_bytes(b"PAR1 no more")
    with pytest.raises(StageError, match=r"questions.parquet: not readable as stage compose"):
        trace(built, row["question_id"])
