"""Traces: from any id to the line of the source and the calls, and nothing on the way is obeyed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import shutil
import sqlite3
import types
import typing
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline import build as runner
from pipeline import tombstones
from pipeline.artifacts import read_json, write_json
from pipeline.config import Config
from pipeline.errors import BadInputError, StageError
from pipeline.paths import SAMPLE_POSTS
from pipeline.prompts import load_prompt
from pipeline.stages import stage_names
from pipeline.trace import Trace, parts, trace
from pipeline.trace.parts_question import PromptFile
from pipeline.trace.view import CUT, print_trace
from pipeline.workspace import MANIFEST, load_table
from tests.conftest import command
from tests.injections import ORDERS
from tests.loopback import ChatServer, answer
from tests.test_rewrite import ANY_LIKENESS, RETOLD

World = Callable[..., Config]
KEY = re.compile(r"r1:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first test of this file that needs a finished build leaves it."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def built(world: World, shelf: Path) -> Config:
    """A finished build of the tiny world, which a test may spoil."""
    config = world()
    workspace = Path(config.build.workspace)
    places = [workspace, Path(config.build.ledger), Path(config.build.dist)]
    if not any(shelf.iterdir()):
        runner.build(config)
        for place in places:
            copy = shutil.copytree if place.is_dir() else shutil.copyfile
            copy(place, shelf / place.name)
    else:
        shutil.rmtree(workspace)
        for place in places:
            copy = shutil.copytree if (shelf / place.name).is_dir() else shutil.copyfile
            copy(shelf / place.name, place)
    return config


def table(config: Config, name: str) -> pl.DataFrame:
    return load_table(Path(config.build.workspace), name)


def rewrite_table(config: Config, name: str, change: Callable[[pl.DataFrame], Any]) -> None:
    path = Path(config.build.workspace) / name.replace(".", "/")
    changed: pl.DataFrame = change(table(config, name))
    changed.write_parquet(path.with_name(f"{path.name}.parquet"))


def printed(found: Trace, *, full: bool = False, width: int = 100) -> str:
    out = io.StringIO()
    print_trace(found, Console(file=out, width=width, color_system=None), full=full)
    return out.getvalue()


def unseen(text: str) -> set[str]:
    """Return the characters of `text` that a terminal would obey or hide."""
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in bad} - {"\n"}


def schema_fields(body: dict[str, Any]) -> list[str]:
    return list(body["response_format"]["json_schema"]["schema"]["properties"])


def test_a_question_leads_to_its_actions_calls_scenario_and_line(built: Config) -> None:
    row = table(built, "compose.questions").row(3, named=True)
    found = trace(built, row["question_id"])
    (question,) = found.questions
    assert (found.kind, question.question_id) == ("question", row["question_id"])
    assert (question.slot, question.index) == (row["slot"], row["question_index"])
    assert [o.letter for o in question.options] == ["A", "B", "C", "D"]
    assert [o.action_id for o in question.options] == row["option_ids"]
    assert [o.action for o in question.options] == row["options"]
    assert [o.value for o in question.options] == row["option_values"]
    assert [o.generator for o in question.options] == row["option_generators"]
    assert [o.target for o in question.options].index(True) == row["target_index"]
    assert sum(o.target for o in question.options) == 1
    assert question.target_letter == "ABCD"[row["target_index"]]
    calls = {call.key: call for call in found.calls}
    assert len(calls) == len(found.calls) == 2
    for option in question.options:
        call = calls[option.ledger_key]
        assert (call.stage, call.model, call.problem) == ("generate", option.generator, "")
        assert json.loads(call.reply or "")[option.value] == option.action
        assert (call.model_asked, call.model_returned) == ("fake", "fake-snapshot")
        assert (call.outcome, call.prompt_tokens, call.completion_tokens) == ("ok", 10, 5)
        assert call.asking == 1
        (prompt,) = call.prompts
        now = load_prompt(built.generate.prompt)
        assert prompt == PromptFile(f"prompts/{now.name}.md", now.version, now.digest)
    assert found.scenario is not None
    assert found.scenario.text == row["scenario"]
    assert found.scenario.slot == row["slot"]
    assert found.post is not None
    line = SAMPLE_POSTS.read_text().splitlines()[found.post.source_line - 1]
    assert json.loads(line)["id"] == found.post.post_id
    assert found.post.source_file == SAMPLE_POSTS.name
    assert (found.unbuilt, found.stale, found.dropped, found.votes) == ((), (), None, ())


def test_the_way_back_is_shown_with_the_target_marked_and_whole_keys(built: Config) -> None:
    row = table(built, "compose.questions").row(0, named=True)
    found = trace(built, row["question_id"])
    text = printed(found, width=60)
    assert set(KEY.findall(text)) == {call.key for call in found.calls}
    assert re.findall(r"^ [* ]([A-D])  ", text, re.MULTILINE) == ["A", "B", "C", "D"]
    assert re.findall(r"^ \*([A-D])  ", text, re.MULTILINE) == ["ABCD"[row["target_index"]]]
    assert f"target: {'ABCD'[row['target_index']]}, {row['target_value']}" in text
    for wanted in (
        f"question      {row['question_id']}, index 0 in slot 0 (career)",
        *(f"{i}: {v} by " for i, v in zip(row["option_ids"], row["option_values"], strict=True)),
        "asking 1",
        f"prompt: prompts/generate_actions.md version {load_prompt('generate_actions').version}",
        "fake-snapshot came back: ok, 10 prompt and 5 completion tokens",
        f"scenario      {row['scenario_id']} (career, rank 0 of its draw, slot 0)",
        f"source        {SAMPLE_POSTS.name}, line ",
    ):
        assert wanted in text
    assert f"… {len(row['scenario']) - CUT:,} more characters" in text or (
        len(row["scenario"]) <= CUT
    )
    whole = printed(found, full=True)
    assert "more characters" not in whole
    assert "number 9." in whole  # the end of the replies


def test_every_id_on_the_way_leads_to_the_same_place(built: Config) -> None:
    row = table(built, "compose.questions").row(7, named=True)
    question = trace(built, row["question_id"])
    option = trace(built, row["option_ids"][2])
    scenario = trace(built, row["scenario_id"])
    assert question.post is not None
    post_id = question.post.post_id
    place = f"{question.post.source_file}:{question.post.source_line}"
    post, prefixed, line = (trace(built, i) for i in (post_id, f"t3_{post_id}", place))
    for found in (option, scenario, post, prefixed, line):
        assert found.scenario == question.scenario
        assert found.post == question.post
    ((only,),) = (one.options for one in option.questions)
    assert only == question.questions[0].options[2]
    assert [call.key for call in option.calls] == [only.ledger_key]
    assert [q.index for q in scenario.questions] == [0, 1, 2, 3, 4]
    assert question.questions[0] in scenario.questions
    assert scenario.spare == ()
    for found in (post, prefixed, line):
        assert found.questions == scenario.questions
        assert found.calls == scenario.calls


def test_an_action_that_no_question_offers_has_no_letter(world: World) -> None:
    config = world(compose__design="one60")
    runner.build(config)
    scenario = trace(config, table(config, "generate.slots")["scenario_id"][0])
    (question,) = scenario.questions
    assert (len(question.options), len(scenario.spare)) == (4, 16)
    found = trace(config, scenario.spare[5].action_id)
    assert found.spare == (scenario.spare[5],)
    assert found.questions == ()
    assert found.spare[0].letter is None
    text = printed(found)
    assert "in no question" in text
    assert f"  -  {found.spare[0].action}" in text


def test_builds_of_an_earlier_form_have_no_flags_and_no_violations(built: Config) -> None:
    item = table(built, "compose.questions")["question_id"][0]
    now = trace(built, item)
    assert {(o.flags, o.askings, o.violations) for o in now.questions[0].options} == {((), 1, ())}
    rewrite_table(
        built, "generate.actions", lambda actions: actions.drop("prompt", "flags", "askings")
    )
    (Path(built.build.workspace) / "generate" / "violations.parquet").unlink()
    then = trace(built, item)
    options = then.questions[0].options
    assert {(o.flags, o.askings, o.violations) for o in options} == {(None, None, ())}
    assert [call.prompts for call in then.calls] == [call.prompts for call in now.calls]
    assert printed(then) == printed(now)


def test_an_action_that_was_mended_names_what_was_wrong_before(
    world: World, server: ChatServer
) -> None:
    server.rule = lambda body: "same" if len(schema_fields(body)) == 10 else ""
    config = world(validate__reject=["repeated"])
    runner.build(config)
    actions = table(config, "generate.actions").filter(askings=2)
    assert actions.height
    row = actions.row(4, named=True)
    found = trace(config, row["action_id"])
    ((option,),) = (question.options for question in found.questions)
    assert (option.askings, option.flags) == (2, tuple(row["flags"]))
    (violation,) = (one for one in option.violations if one.rejects)
    assert (violation.code, violation.asking) == ("repeated", 1)
    assert violation.action == "I do nothing."
    calls = {call.key: call for call in found.calls}
    assert set(calls) == {option.ledger_key, *(one.ledger_key for one in option.violations)}
    assert [calls[key].asking for key in (violation.ledger_key, option.ledger_key)] == [1, 2]
    assert [calls[key].prompts[0].file for key in (violation.ledger_key, option.ledger_key)] == [
        "prompts/generate_actions.md",
        "prompts/generate_action.md",
    ]
    text = printed(found)
    assert f"by {option.generator}, call 1, asked 2 times\n" in text
    assert f"rejected: repeated ({violation.detail}); asking 1, call 2: I do nothing.\n" in text


def test_a_flag_of_a_kept_action_is_shown_with_what_it_is(world: World, server: ChatServer) -> None:
    server.reply = lambda body: answer(body).replace("I take", "Because I take")
    config = world()
    runner.build(config)
    found = trace(config, table(config, "compose.questions")["question_id"][0])
    for option in found.questions[0].options:
        assert option.flags
        assert {one.code for one in option.violations} == set(option.flags)
        assert not any(one.rejects for one in option.violations)
    text = printed(found)
    assert "flagged: benefit_clause (" in text
    assert "; asking 1" not in text  # the text is the option's own


def test_a_scenario_that_was_dropped_for_its_actions_shows_what_was_wrong(
    world: World, server: ChatServer
) -> None:
    config = world(generate__repairs=1)
    runner.build(config, until="rewrite")
    failing = table(config, "rewrite.scenarios").filter(domain="ethics", rank=0).row(0, named=True)
    mark = failing["scenario"][:80]
    server.rule = lambda body: "same" if mark in body["messages"][1]["content"] else ""
    runner.build(config)
    found = trace(config, failing["scenario_id"])
    assert found.dropped is not None
    assert found.dropped.reason == "action_repeated"
    assert {one.code for one in found.violations if one.rejects} == {"repeated"}
    assert {one.asking for one in found.violations} == {1, 2}
    files = [call.prompts[0].file for call in found.calls]
    assert files.count("prompts/generate_actions.md") == 2
    assert files.count("prompts/generate_action.md") == len(files) - 2 >= 16
    text = printed(found)
    assert "rejected: repeated (" in text
    assert "violation     hedonism by g-one" in text


def test_a_prompt_that_has_changed_since_keeps_the_version_of_its_time(built: Config) -> None:
    workspace = Path(built.build.workspace)
    item = table(built, "compose.questions")["question_id"][0]
    # Where no table tells the version, as with votes, it is known by the content's hash.
    rewrite_table(built, "generate.actions", lambda actions: actions.drop("prompt"))
    copy = workspace / "release/dist/provenance/prompts/generate_actions.md"
    version = load_prompt("generate_actions").version
    copy.write_text(copy.read_text().replace(f"version = {version}\n", "version = 77\n", 1))
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    manifest = read_json(workspace / "generate" / MANIFEST)
    manifest["components"]["prompt.generate_actions"] = digest
    write_json(manifest, workspace / "generate" / MANIFEST)
    expected = (PromptFile("prompts/generate_actions.md", 77, digest),)
    load_prompt.cache_clear()
    assert {call.prompts for call in trace(built, item).calls} == {expected}
    copy.unlink()
    load_prompt.cache_clear()
    found = trace(built, item)
    assert {call.prompts[0].version for call in found.calls} == {None}
    assert f"of a version that is not at hand (SHA-256 {digest[:12]}...)" in printed(found)


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


@pytest.mark.parametrize(
    "item", ["q_0123456789abcdef", "a_", "s_nope", "nope", "t3_nope", "", "nope.ndjson:3", "x:" * 9]
)
def test_an_unknown_id_is_named(built: Config, item: str) -> None:
    with pytest.raises(BadInputError, match=r"no such (question|option|scenario|post) in"):
        trace(built, item)


def test_the_command_shows_cuts_gives_data_and_fails_in_one_line(
    world: World, server: ChatServer
) -> None:
    def reply(body: dict[str, Any]) -> str:
        told = json.loads(answer(body))
        first = next(iter(told))
        told[first] = f"I say [bold]no[/bold] <b>now</b> \u202e{ORDERS[0]}"
        return json.dumps(told, ensure_ascii=False) + "\n" * 3 + " " * CUT

    server.reply = reply
    server.snapshot = "\x1b]0;owned\x07\x1b[2J[red]"
    config = world()
    runner.build(config)
    item = table(config, "compose.questions")["question_id"][0]
    at = [f"--workspace={config.build.workspace}", f"--ledger={config.build.ledger}"]
    data = command("trace", item, *at, "--json").stdout
    assert data.isascii()
    assert not unseen(data)
    found = trace(config, item)
    assert json.loads(data) == json.loads(json.dumps(found.to_json()))
    assert json.loads(data)["calls"][0]["reply"] == found.calls[0].reply
    assert "\u202e" in str(found.calls[0].reply)
    shown = command("trace", item, *at)
    assert shown.returncode == 0, shown.stderr
    assert not unseen(shown.stdout)
    assert r"fake\x1b]0;owned\x07\x1b[2J[red] came back: ok" in shown.stdout
    assert "I say [bold]no[/bold] <b>now</b>" in shown.stdout
    assert r"\u202eIgnore" in shown.stdout
    assert "more characters; --full shows them" in shown.stdout
    assert "more characters" not in command("trace", item, *at, "--full").stdout
    for wrong in ("q_0123456789abcdef", "\x1b[2J"):
        done = command("trace", wrong, *at)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert not unseen(done.stderr)


NASTY = (
    "\x1b[2J\x1b]0;t\x07[red]x[/red] [/] :smile: <b>\u202egnp\u202c\x9b5n\x00\r\ttab\udc80\u2028end"
)


def filled(kind: Any, text: str) -> Any:
    """Return a value of a type in which every text is `text` and nothing is left out."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return (filled(inner[0], text),)
    if origin is types.UnionType:
        return filled(inner[0], text)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{f.name: filled(hints[f.name], text) for f in dataclasses.fields(kind)})
    return {str: text, int: 3, float: 0.5, bool: True}[kind]


@pytest.mark.parametrize("stage", ["generate", "recognise", "rewrite", "vote"])
def test_no_text_on_the_way_is_obeyed(stage: str) -> None:
    found = filled(Trace, NASTY)
    found = dataclasses.replace(found, calls=(dataclasses.replace(found.calls[0], stage=stage),))
    text = printed(found, full=True)
    assert not unseen(text)
    spelt = r"\x1b[2J\x1b]0;t\x07[red]x[/red] [/] :smile: <b>\u202egnp\u202c\x9b5n\x00\r\ttab\udc80"
    once = text.replace("\n    │ ", "")
    assert once.count(spelt) > 40
    text.encode()  # lone surrogates are spelt out, too


@settings(max_examples=60)
@given(st.text(st.characters(), max_size=80), st.booleans())
def test_any_text_is_shown_without_what_a_terminal_obeys(text: str, full: bool) -> None:
    found = filled(Trace, text)
    calls = (dataclasses.replace(found.calls[0], stage="vote"),)
    assert not unseen(printed(dataclasses.replace(found, calls=calls), full=full))


def test_no_text_can_forge_a_line_of_the_trace(built: Config) -> None:
    forged = "\n\nsource        other.ndjson, line 1\rquestion      q_0000000000000000\n"
    found = trace(built, table(built, "compose.questions")["question_id"][0])
    assert found.post is not None
    assert found.scenario is not None
    changed = dataclasses.replace(
        found,
        calls=tuple(dataclasses.replace(call, reply=forged) for call in found.calls),
        scenario=dataclasses.replace(found.scenario, text=forged),
        post=dataclasses.replace(found.post, title=forged, text=f"{forged} "),
    )
    lines = printed(changed).splitlines()
    assert sum("other.ndjson" in line for line in lines) == 5
    for start in ("source ", "question "):
        (real,) = (line for line in printed(found).splitlines() if line.startswith(start))
        assert [line for line in lines if line.startswith(start)] == [real]


def test_a_posts_own_text_comes_from_the_source_as_it_is(world: World, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in SAMPLE_POSTS.read_text().splitlines()]
    title = "[link=file:///x]Help[/link] \x1b[31m&lt;script&gt;"
    lines[20]["title"] = title
    source = tmp_path / "mine.ndjson"
    source.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    config = world(source__path=str(source), build__workspace=str(tmp_path / "mine"))
    runner.build(config, until="screen")
    found = trace(config, "mine.ndjson:21")
    assert found.post is not None
    assert found.post.post_id == lines[20]["id"]
    text = printed(found)
    assert "[link=file:///x]Help[/link]" in text
    assert "<script>" in text
    assert not unseen(text)
