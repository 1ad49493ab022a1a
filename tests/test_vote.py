"""Votes: two say, a third breaks ties, and no post talks a model out of its task."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import build as runner
from pipeline import schema, vote
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.prompts import load_prompt
from pipeline.stage import Context, Result
from pipeline.text import clean
from pipeline.workspace import load_table
from tests.injections import POSTS
from tests.loopback import ChatServer

World = Callable[..., Config]
YES = '{"verdict": "yes: open_decision"}'
NO = '{"verdict": "no: no_decision"}'


@pytest.fixture
def voting(world: World) -> Callable[..., Config]:
    def make(**changes: Any) -> Config:
        base = world()
        fields = ("provider", "base_url", "api_key_env")
        shared = {name: getattr(base.models["g-one"], name) for name in fields}
        models = {
            f"models.v-{name}": {**shared, "model": "fake", "max_tokens": 60, "temperature": t}
            for name, t in (("one", 0.1), ("two", 0.2), ("three", 0.3))
        }
        names = {"vote.voters": ["v-one", "v-two"], "vote.tie_breaker": "v-three"}
        return world(**(models | names | {"vote.decides": True} | changes))

    return make


def pool(texts: tuple[str, ...]) -> pl.DataFrame:
    rows = (
        {"post_id": f"p{i:02}", "domain": "ethics", "subreddit": "changemyview", "year": 2020}
        | {"rank": i, "text": clean(text)}
        for i, text in enumerate(texts)
    )
    return schema.frame(rows, schema.POOL)


def run(config: Config, texts: tuple[str, ...]) -> Result:
    return vote.run(
        Context(config=config, tables={"select.pool": pool(texts)}, out=Path(), manifests={})
    )


def by_temperature(one: str, two: str, three: str = NO) -> Callable[[dict[str, Any]], str]:
    answers = {0.1: one, 0.2: two, 0.3: three}
    return lambda body: answers[body["temperature"]]


@pytest.mark.parametrize(
    ("one", "two", "three", "kept"),
    [(YES, YES, NO, 1), (NO, NO, YES, 0), (YES, NO, YES, 1), (NO, YES, NO, 0)],
)
def test_the_majority_decides_and_the_third_is_asked_only_about_ties(
    voting: World, server: ChatServer, one: str, two: str, three: str, kept: int
) -> None:
    server.reply = by_temperature(one, two, three)
    result = run(voting(), ("A story.",))
    assert result.tables["pool"].height == kept
    assert len(server.bodies) == (2 if one == two else 3)
    assert result.tables["votes"]["breaks_tie"].sum() == (one != two)
    assert dict(result.dropped.select("id", "reason").iter_rows()) == (
        {} if kept else {"p00": "no_decision"}
    )
    assert result.funnel.entered == 1


def test_votes_that_decide_nothing_are_recorded_all_the_same(
    voting: World, server: ChatServer
) -> None:
    server.reply = by_temperature(NO, NO)
    result = run(voting(vote__decides=False), ("One.", "Two."))
    assert result.tables["pool"].height == 2
    assert result.tables["votes"].height == 4


def test_agreement_is_reported(voting: World, server: ChatServer) -> None:
    texts = tuple(f"Story {i}." for i in range(10))

    def reply(body: dict[str, Any]) -> str:
        number = int(re.findall(r"Story (\d)", body["messages"][1]["content"])[0])
        # One says yes to 0..5; two says yes to 0..3 and 6; three, asked about 4, 5, 6, says yes.
        yes = {0.1: number < 6, 0.2: number < 4 or number == 6, 0.3: True}[body["temperature"]]
        return YES if yes else NO

    server.reply = reply
    result = run(voting(), texts)
    lines = result.notes["lines"]
    assert isinstance(lines, list)
    # Observed 7/10; expected 0.6 * 0.5 + 0.4 * 0.5 = 0.5; kappa = (0.7 - 0.5) / 0.5.
    assert lines == [
        "v-one: yes 6 of 10, no usable vote 0",
        "v-two: yes 5 of 10, no usable vote 0",
        "agreement 7 of 10, Cohen's kappa 0.400",
        "ties 3, broken for yes 3",
    ]
    assert result.tables["pool"].height == 7


@pytest.mark.parametrize(
    "bad",
    ["yes", '{"vote": "yes"}', '{"verdict": "yes"}', '{"verdict": "yes: no_decision"}',
     '{"verdict": "YES: open_decision"}', '{"verdict": "no: no_decision", "note": "x"}'],
)  # fmt: skip
def test_what_is_no_vote_is_asked_again_and_never_counts_as_yes(
    voting: World, server: ChatServer, bad: str
) -> None:
    server.reply = by_temperature(bad, YES, NO)
    result = run(voting(), ("A story.",))
    assert len(server.bodies) == 4  # twice the first, the second, the third
    again = [b for b in server.bodies if "could not be used" in b["messages"][-1]["content"]]
    assert len(again) == 1
    assert result.dropped["reason"].to_list() == ["no_usable_vote"]
    votes = result.tables["votes"]
    assert votes.filter(model="v-one")["reason"].item() == "no_usable_vote"


def test_posts_with_orders_change_neither_the_form_nor_the_task(
    voting: World, server: ChatServer
) -> None:
    assert len(POSTS) >= 30
    server.reply = by_temperature(NO, NO)
    result = run(voting(), POSTS)
    assert len(server.bodies) == 2 * len(POSTS)
    assert result.tables["votes"]["vote"].unique().to_list() == ["no"]
    prompt = load_prompt("vote")
    frame = dict(prompt.render(post="@"))["user"]
    head, tail = frame.split("@")
    for body in server.bodies:
        (_, system), (_, user) = ((m["role"], m["content"]) for m in body["messages"])
        assert system == dict(prompt.sections)["system"].strip()
        assert user.startswith(head)
        assert user.endswith(tail)
        assert user.count("<post>") == user.count("</post>") == 1  # nobody closes the fence
        form = body["response_format"]["json_schema"]
        assert form["strict"] is True
        assert list(form["schema"]["properties"]) == ["verdict"]
    inside = {body["messages"][1]["content"][len(head) : -len(tail)] for body in server.bodies}
    assert len(inside) == len(POSTS)


def test_a_build_records_votes_and_shows_them(
    voting: World, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def reply(body: dict[str, Any]) -> str | None:
        return YES if body["temperature"] in {0.1, 0.2, 0.3} else None

    server.reply = reply
    config = voting()
    funnels = runner.build(config)
    assert funnels["vote"].kept == funnels["vote"].entered
    assert "Cohen's kappa not defined" in capsys.readouterr().out
    workspace = Path(config.build.workspace)
    votes = load_table(workspace, "vote.votes")
    assert votes.height == 2 * funnels["vote"].entered
    assert set(votes["reason"]) == {"open_decision"}


def test_too_many_no_votes_name_the_domain_and_the_remedy(
    voting: World, server: ChatServer
) -> None:
    from pipeline.errors import StageError

    server.reply = lambda body: NO if body["temperature"] in {0.1, 0.2, 0.3} else None
    with pytest.raises(StageError, match=r"career: 0 scenarios are left for 2 slots; raise select"):
        runner.build(voting())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vote.voters": ["v-one"]}, "give two different names and a tie_breaker, or none"),
        ({"vote.voters": ["v-one", "v-one"]}, "give two different names"),
        ({"vote.tie_breaker": ""}, "give two different names and a tie_breaker"),
        ({"vote.tie_breaker": "v-tree"}, "vote.tie_breaker: 'v-tree' is not in .models.; did you"),
        ({"release.text": "rewritten"}, "rewrite.model: missing"),
    ],
)
def test_wrong_roles_are_said_in_one_line(
    voting: World, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        voting(**changes)
