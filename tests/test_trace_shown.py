"""Traces as they are shown: nothing on the way is obeyed, cut silently or forged."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import build as runner
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.paths import SAMPLE_POSTS
from pipeline.trace import Trace, trace
from pipeline.trace.view import CUT
from tests.conftest import command
from tests.injections import ORDERS
from tests.loopback import ChatServer, answer
from tests.trace_world import World, printed, table, unseen


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
