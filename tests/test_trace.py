"""Traces of questions and actions: from any id to the line of the source and the calls."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from pipeline import build as runner
from pipeline.artifacts import read_json, write_json
from pipeline.config import Config
from pipeline.paths import SAMPLE_POSTS
from pipeline.prompts import load_prompt
from pipeline.trace import trace
from pipeline.trace.parts_question import PromptFile
from pipeline.trace.view import CUT
from pipeline.workspace import MANIFEST
from tests.loopback import ChatServer, answer
from tests.trace_world import KEY, World, printed, rewrite_table, schema_fields, table


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
