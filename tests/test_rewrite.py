"""Rewriting: what is published keeps the dilemma and none of the words that lead to its author."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import build as runner
from pipeline import personal, rewrite, schema
from pipeline.config import Config, RewriteConfig
from pipeline.errors import BadInputError
from pipeline.prompts import load_prompt
from pipeline.stage import Context, Result
from pipeline.text import clean
from pipeline.workspace import load_table
from tests.conftest import command
from tests.injections import POSTS
from tests.loopback import ChatServer

World = Callable[..., Config]
POST = (
    "My sister asked me to lend her the money for a car, and I have it, but we saved it for our "
    "wedding and my partner does not want to. She has always been there for me when it counted. "
    "Should I lend it to her anyway, or keep what we have agreed?"
)
RETOLD = (
    "A close relative has turned to me for a loan so that a vehicle can be bought. The sum exists: "
    "it was put aside for a marriage ceremony. The person I am going to marry objects. That "
    "relative stood by my side in bad times more than once. Do I hand the sum over all the same, "
    "or stick to the plan that the two of us made?"
)
LIMITS = RewriteConfig()
ANY_LIKENESS = {"dedup.jaccard": 1.0, "dedup.containment": 1.0, "dedup.embedding_model": ""}


@pytest.fixture
def rewriting(world: World) -> Callable[..., Config]:
    def make(**changes: Any) -> Config:
        model = world().models["g-one"]
        fields = ("provider", "base_url", "api_key_env")
        shared = {name: getattr(model, name) for name in fields}
        rewriter = {**shared, "model": "fake-rewriter", "max_tokens": 400}
        names = {"models.rewriter": rewriter, "rewrite.model": "rewriter"}
        names |= {"release.text": "rewritten", **ANY_LIKENESS}
        return world(**(names | changes))

    return make


def run(config: Config, texts: list[str], reserve: int = 0) -> Result:
    rows = (
        {"post_id": f"p{i:02}", "domain": "ethics", "subreddit": "changemyview", "year": 2020}
        | {"rank": i, "text": clean(text)}
        for i, text in enumerate(texts)
    )
    tables = {"vote.pool": schema.frame(rows, schema.POOL)}
    return rewrite.run(Context(config=config, tables=tables, out=Path(), manifests={}))


def situation(text: str) -> str:
    return json.dumps({"situation": text})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (RETOLD, ""),
        ("Do I lend it?", "too_short"),
        (RETOLD * 6, "too_long"),
        (f"{RETOLD} My sister asked me to lend her the money.", "copied"),
        (f"{RETOLD} My SISTER, asked me: to lend 'her' the money!", "copied"),
        (f"{RETOLD} You should talk to both of them.", "advice"),
        (f"{RETOLD} I would suggest that they meet.", "advice"),
        (f"{RETOLD} Write to me at jane.doe@example.com.", "personal_data"),
    ],
)
def test_a_retelling_is_checked_by_code(text: str, code: str) -> None:
    assert rewrite.problem_of(text, POST, LIMITS).partition(":")[0] == code


@given(st.lists(st.sampled_from("abcdef"), max_size=30), st.integers(1, 5), st.data())
def test_every_shared_run_is_found(words: list[str], length: int, data: st.DataObject) -> None:
    if len(words) >= length:
        start = data.draw(st.integers(0, len(words) - length))
        run_of_words = words[start : start + length]
        found = rewrite.shared_run(["x", *run_of_words, "y"], words, length)
        assert found == " ".join(run_of_words)
    assert rewrite.shared_run(["x"] * 30, words, length) == ""


def test_what_fails_is_asked_again_with_its_problem_and_then_dropped(
    rewriting: Callable[..., Config], server: ChatServer
) -> None:
    texts = [f"{POST} The car is number {i}." for i in range(3)]
    good = [situation(f"{RETOLD} It is vehicle {word}.") for word in ("one", "two", "three")]

    def reply(body: dict[str, Any]) -> str:
        number = int(body["messages"][1]["content"].split("number ")[1][0])
        first = len(body["messages"]) == 2
        if number == 0 and first:
            return situation(POST)  # copied; the second time it does better
        return situation(POST) if number == 1 else good[number]

    server.reply = reply
    config = rewriting(select__scenarios=5, rewrite__reserve=2)
    result = run(config, texts)
    assert result.tables["scenarios"]["post_id"].to_list() == sorted(
        result.tables["scenarios"]["post_id"].to_list(),
        key=lambda p: rewrite.scenario_id(json.loads(good[int(p[1:])])["situation"]),
    )
    assert set(result.tables["scenarios"]["post_id"]) == {"p00", "p02"}
    row = result.dropped.row(0, named=True)
    assert (row["id"], row["reason"]) == ("p01", "retelling_copied")
    assert "my sister asked me to lend her the" in row["detail"]
    again = [b for b in server.bodies if len(b["messages"]) == 3]
    assert len(again) == 2
    assert all("copied: " in b["messages"][2]["content"] for b in again)
    pairs = result.tables["pairs"]
    assert set(pairs["post_id"]) == {"p00", "p02"}
    assert set(pairs["post"]) == {clean(texts[0]), clean(texts[2])}


def test_only_as_many_are_retold_as_the_quota_and_the_reserve_need(
    rewriting: Callable[..., Config], server: ChatServer
) -> None:
    server.reply = lambda body: situation(f"{RETOLD} {len(server.bodies)}")
    config = rewriting(select__scenarios=10, rewrite__reserve=1, **{"rewrite.review": 2})
    result = run(config, [f"{POST} {i}" for i in range(9)])
    assert len(server.bodies) == 3  # two slots of the domain and one to replace
    assert result.dropped["reason"].to_list() == ["not_needed"] * 6
    assert result.tables["pairs"].height == 2


def test_two_equal_retellings_are_one_scenario(
    rewriting: Callable[..., Config], server: ChatServer
) -> None:
    server.reply = lambda _: situation(RETOLD)
    result = run(rewriting(select__scenarios=10), [POST, f"{POST} Really?"])
    assert result.tables["scenarios"].height == 1
    assert result.dropped["reason"].to_list() == ["same_scenario"]


def test_of_two_retellings_that_are_alike_the_longer_one_stays(
    rewriting: Callable[..., Config], server: ChatServer
) -> None:
    texts = {POST: RETOLD, f"{POST} Really?": f"{RETOLD} What do I say?"}
    server.reply = lambda body: situation(
        texts[f"{POST} Really?" if "Really?" in body["messages"][1]["content"] else POST]
    )
    config = rewriting(**{"select.scenarios": 10, "dedup.jaccard": 0.6})
    result = run(config, list(texts))
    assert result.tables["scenarios"]["post_id"].to_list() == ["p01"]
    (row,) = result.dropped.iter_rows(named=True)
    assert (row["id"], row["reason"]) == ("p00", "like_another_scenario")
    assert row["detail"].startswith(result.tables["scenarios"]["scenario_id"][0])
    assert "lexical 0." in row["detail"]


def test_posts_with_orders_do_not_change_the_task(
    rewriting: Callable[..., Config], server: ChatServer
) -> None:
    server.reply = lambda _: situation(RETOLD)
    config = rewriting(select__scenarios=5 * len(POSTS))
    run(config, list(POSTS))
    assert len(server.bodies) == len(POSTS)
    prompt = load_prompt("rewrite")
    rendered = dict(prompt.render(post="@", min_words=40, max_words=250))
    head, tail = rendered["user"].split("@")
    for body in server.bodies:
        assert body["messages"][0]["content"] == rendered["system"]
        user = body["messages"][1]["content"]
        assert user.startswith(head)
        assert user.endswith(tail)
        assert user.count("<post>") == user.count("</post>") == 1
        assert list(body["response_format"]["json_schema"]["schema"]["properties"]) == ["situation"]


def test_an_obeyed_order_is_caught_by_the_checks(
    rewriting: Callable[..., Config], server: ChatServer
) -> None:
    """A model that copies the post, as the post orders, gives nothing that is published."""
    server.reply = lambda body: situation(body["messages"][1]["content"])
    result = run(rewriting(select__scenarios=5 * len(POSTS)), list(POSTS))
    assert result.tables["scenarios"].height == 0
    assert set(result.dropped["reason"]) == {"retelling_copied"}


def test_verbatim_masks_what_screening_could_not(world: World, server: ChatServer) -> None:
    text = f"{POST} My name is Margaret Thompson and I live in Manchester."
    result = run(world(select__scenarios=5), [text])
    scenario = result.tables["scenarios"]["scenario"].item()
    (found,) = personal.find([clean(text)])
    assert found
    assert scenario == personal.mask(clean(text), found)
    assert "Thompson" not in scenario
    assert not server.bodies


def test_a_release_of_retellings_holds_no_post_and_no_post_id(
    rewriting: Callable[..., Config], server: ChatServer, tmp_path: Path
) -> None:
    server.reply = lambda body: (
        situation(f"{RETOLD} {len(server.bodies)}") if body["model"] == "fake-rewriter" else None
    )
    config = rewriting()
    runner.build(config)
    workspace, dist = Path(config.build.workspace), Path(config.build.dist)
    pool = load_table(workspace, "select.pool")
    secret = {*pool["post_id"], *(text[:60] for text in pool["text"])}
    for path in (p for p in dist.rglob("*") if p.is_file()):
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
            assert "post_id" not in table.columns
            content = json.dumps(table.to_dicts(), ensure_ascii=False, default=str)
        else:
            content = path.read_bytes().decode("utf-8", "replace")
        assert not [s for s in secret if s in content], path
    scenarios = load_table(workspace, "rewrite.scenarios")
    assert set(scenarios["scenario"].str.head(len(RETOLD))) == {RETOLD}


def test_ids_alone_can_be_released(world: World, server: ChatServer) -> None:
    config = world(**{"release.text": "ids"})
    runner.build(config)
    dist = Path(config.build.dist)
    (path,) = (dist / "data" / "scenarios").glob("*.parquet")
    table = pl.read_parquet(path)
    assert set(table["scenario"]) == {""}
    assert table["post_id"].null_count() == 0
    (questions,) = (dist / "data" / "questions").glob("*.parquet")
    assert set(pl.read_parquet(questions)["scenario"]) == {""}
    done = command("verify", f"--dist={dist}")
    assert done.returncode == 0, done.stderr


def test_a_generator_may_not_retell(rewriting: Callable[..., Config]) -> None:
    with pytest.raises(BadInputError, match=r"rewrite.model: fake is a generator too"):
        rewriting(**{"models.rewriter.model": "fake"})
