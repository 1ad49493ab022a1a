"""Stage generate: actions that break a rule are asked for alone; slots hold whatever happens."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import build as runner
from pipeline import schema
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.errors import BadInputError, StageError
from pipeline.slots import slots_before, slots_of
from pipeline.values import value_ids
from pipeline.workspace import load_manifest, load_table
from tests.conftest import DEMO
from tests.loopback import ChatServer

World = Callable[..., Config]
Reply = Callable[[str, str, str], str]

SENTENCES = {
    "self_direction": "I draw up a plan of my own and follow it.",
    "stimulation": "I book a trip to a country that I have never seen.",
    "hedonism": "I run a hot bath and open the good wine.",
    "achievement": "I sign up for the harder exam and study every night.",
    "power": "I take over the meeting and hand out the tasks.",
    "security": "I put three months of pay aside and change the locks.",
    "conformity": "I keep quiet at dinner and do as the others ask.",
    "tradition": "I cook what my grandmother cooked and say grace.",
    "benevolence": "I drive my sister to the clinic and wait with her.",
    "universalism": "I collect signatures for the people across the border.",
}


def scenario_in(body: Mapping[str, Any]) -> str:
    found = re.search(r"<situation>\n(.*?)\n</situation>", body["messages"][1]["content"], re.S)
    assert found
    return found[1]


def answering(reply: Reply) -> Callable[[dict[str, Any]], str]:
    """Return a server's reply: reply(model's temperature, scenario, value) for each field."""

    def answer(body: dict[str, Any]) -> str:
        names = body["response_format"]["json_schema"]["schema"]["properties"]
        who, scenario = str(body["temperature"]), scenario_in(body)
        if list(names) != ["action"]:
            return json.dumps({value: reply(who, scenario, value) for value in names})
        value = re.search(r"^- ([a-z_]+):", body["messages"][1]["content"], re.M)
        assert value
        return json.dumps({"action": reply(who, scenario, value[1])})

    return answer


def singles(server: ChatServer) -> list[dict[str, Any]]:
    return [
        body
        for body in server.bodies
        if list(body["response_format"]["json_schema"]["schema"]["properties"]) == ["action"]
    ]


def generated(config: Config) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    runner.build(config, until="generate")
    work = Path(config.build.workspace)
    names = ("slots", "actions", "violations")
    slots, actions, violations = (load_table(work, f"generate.{name}") for name in names)
    return slots, actions, violations


@pytest.fixture
def strict(world: World) -> World:
    """A world that rejects all that rules on words can find."""

    def make(**changes: Any) -> Config:
        reject = ["empty", "benefit_clause", "value_word", "repeated", "sentences"]
        return world(**{"validate__reject": reject, **changes})

    return make


def test_good_actions_are_asked_for_once(strict: World, server: ChatServer) -> None:
    server.reply = answering(lambda _, __, value: SENTENCES[value])
    config = strict()
    slots, actions, violations = generated(config)
    assert len(server.bodies) == 2 * config.select.scenarios
    assert actions.height == 20 * slots.height
    assert violations.is_empty()
    assert set(actions["askings"]) == {1}
    assert {name.split()[0] for name in actions["prompt"]} == {"generate_actions"}
    assert actions["flags"].list.len().sum() == 0


def test_an_action_that_breaks_a_rule_is_asked_for_alone_with_what_is_wrong(
    strict: World, server: ChatServer
) -> None:
    asked: Counter[tuple[str, str, str]] = Counter()

    def reply(who: str, scenario: str, value: str) -> str:
        asked[who, scenario, value] += 1
        if value == "power" and who == "1.0" and asked[who, scenario, value] == 1:
            return "I seize power."
        return SENTENCES[value]

    server.reply = answering(reply)
    config = strict()
    _, actions, violations = generated(config)
    n = config.select.scenarios
    assert len(singles(server)) == n
    told = singles(server)[0]["messages"][1]["content"]
    assert "<failed>\nI seize power.\n</failed>" in told
    assert 'value_word: "power" names the value' in told
    assert SENTENCES["security"] in told.split("<others>")[1].split("</others>")[0]
    assert "I seize power" not in told.split("<others>")[1].split("</others>")[0]
    assert violations.select("value", "asking", "code", "rejects", "action").unique().rows() == [
        ("power", 1, "value_word", True, "I seize power.")
    ]
    assert violations.height == n
    mended = actions.filter(pl.col("askings") == 2)
    assert set(mended["value"]) == {"power"}
    assert set(mended["action"]) == {SENTENCES["power"]}
    assert {name.split()[0] for name in mended["prompt"]} == {"generate_action"}
    assert mended.height == n
    notes = load_manifest(Path(config.build.workspace), "generate")
    assert notes
    assert notes["notes"]["checks"]["value_word"]["first"] == {"g-one": 0, "g-two": n}
    assert notes["notes"]["checks"]["value_word"]["kept"] == {"g-one": 0, "g-two": 0}
    assert notes["notes"]["written"]["g-two"]["anew"] == n


def test_what_cannot_be_mended_costs_its_scenario_and_no_other(
    strict: World, server: ChatServer
) -> None:
    server.reply = answering(lambda _, __, value: SENTENCES[value])
    config = strict(generate__repairs=2)
    before, *_ = generated(config)
    texts = load_table(Path(config.build.workspace), "rewrite.scenarios")
    by_id = dict(texts.select("scenario_id", "scenario").iter_rows())
    bad = by_id[before["scenario_id"][3]]
    server.bodies.clear()
    server.reply = answering(
        lambda _, scenario, value: (
            "I seize power." if (scenario, value) == (bad, "power") else SENTENCES[value]
        )
    )
    again = strict(
        generate__repairs=2,
        build__ledger=f"{config.build.ledger}-2",
    )
    work = Path(again.build.workspace)
    runner.build(again, until="generate", force_from="generate")
    after = load_table(work, "generate.slots")
    same = before["scenario_id"] == after["scenario_id"]
    assert same.to_list() == [slot != 3 for slot in range(before.height)]
    assert after["replaced"][3].to_list() == [before["scenario_id"][3]]
    assert len(singles(server)) == 2 * 2  # two generators, two rounds
    dropped = load_table(work, "generate.dropped").filter(id=before["scenario_id"][3])
    assert dropped["reason"].to_list() == ["action_value_word"]
    assert "g-one, power: value_word" in dropped["detail"][0]
    lost = load_table(work, "generate.violations").filter(id_is(before["scenario_id"][3]))
    assert sorted(lost["asking"].to_list()) == [1, 1, 2, 2, 3, 3]


def id_is(scenario: str) -> pl.Expr:
    return pl.col("scenario_id") == scenario


def test_what_is_only_flagged_stays_with_its_flag(world: World, server: ChatServer) -> None:
    server.reply = answering(
        lambda _, __, value: "Power is mine." if value == "power" else SENTENCES[value]
    )
    config = world(validate__reject=["empty"])
    slots, actions, violations = generated(config)
    assert not singles(server)
    flagged = actions.filter(pl.col("flags").list.len() > 0)
    assert set(flagged["value"]) == {"power"}
    assert all("value_word" in flags for flags in flagged["flags"].to_list())
    assert flagged.height == 2 * slots.height
    assert not violations["rejects"].any()


def test_a_weak_generator_is_asked_for_each_value_alone(strict: World, server: ChatServer) -> None:
    server.reply = answering(lambda _, __, value: SENTENCES[value])
    config = strict(generate__one_by_one=["g-two"])
    slots, actions, _ = generated(config)
    assert Counter(body["temperature"] for body in server.bodies) == {
        0.0: slots.height,
        1.0: 10 * slots.height,
    }
    assert actions.height == 20 * slots.height
    prompts = dict(actions.group_by("generator").agg(pl.col("prompt").unique()).iter_rows())
    assert [name.split()[0] for name in prompts["g-two"]] == ["generate_action"]


def test_what_copies_is_asked_anew_without_being_shown_anything(
    strict: World, server: ChatServer
) -> None:
    asked: Counter[tuple[str, str]] = Counter()

    def reply(who: str, scenario: str, value: str) -> str:
        asked[scenario, value] += who == "1.0"
        wrong = value == "power" and who == "1.0" and asked[scenario, value] < 3
        return "I seize power." if wrong else SENTENCES[value]

    server.reply = answering(reply)
    config = strict(generate__plain_repairs=["g-two"])
    _, actions, violations = generated(config)
    n = config.select.scenarios
    told = [body["messages"][1]["content"] for body in singles(server)]
    assert len(told) == 2 * n
    assert not any("<failed>" in text or "<others>" in text for text in told)
    assert set(actions.filter(value="power", generator="g-two")["askings"]) == {3}
    assert violations.height == 2 * n


def test_a_mending_reply_that_cannot_be_read_is_asked_for_anew(
    strict: World, server: ChatServer
) -> None:
    broken: set[str] = set()

    def reply(who: str, scenario: str, value: str) -> str:
        return "I seize power." if value == "power" and who == "1.0" else SENTENCES[value]

    server.reply = answering(reply)

    def rule(body: dict[str, Any]) -> str:
        if list(body["response_format"]["json_schema"]["schema"]["properties"]) != ["action"]:
            return ""
        scenario = scenario_in(body)
        if scenario not in broken:
            broken.add(scenario)
            return "truncated"
        server.reply = answering(lambda _, __, value: SENTENCES[value])
        return ""

    server.rule = rule
    config = strict(generate__repairs=2)
    _, actions, _ = generated(config)
    n = config.select.scenarios
    assert len(singles(server)) == 2 * n
    assert actions.filter(pl.col("askings") == 3).height == n


def test_a_used_up_reserve_says_what_the_actions_broke(strict: World, server: ChatServer) -> None:
    server.reply = answering(
        lambda _, __, value: f"I act because of {value}." if value == "power" else SENTENCES[value]
    )
    with pytest.raises(
        StageError, match=r"reserve is used up; raise .*generate\.repairs"
    ) as caught:
        generated(strict(generate__repairs=1))
    assert "g-one, power: benefit_clause" in str(caught.value)


def test_a_killed_build_asks_only_for_what_is_missing(strict: World, server: ChatServer) -> None:
    def reply(who: str, scenario: str, value: str) -> str:
        bad = (len(scenario) + len(value)) % 3 == 0 and who == "1.0"
        return "I seize power." if bad and value == "power" else SENTENCES[value]

    server.reply = answering(reply)
    first = generated(strict(generate__repairs=0, generate__generators=["g-one", "g-two"]))
    asked = len(server.bodies)
    # More repairs: the same questions come from the ledger, only the mending is new.
    second = generated(strict(generate__repairs=2))
    assert len(server.bodies) - asked == len(singles(server))
    assert first[0].height == second[0].height


def candidates(per_domain: int, config: Config) -> pl.DataFrame:
    rows = [
        {
            "scenario_id": f"s{place}-{rank}",
            "post_id": f"p{place}-{rank}",
            "domain": domain,
            "subreddit": "x",
            "year": 2020,
            "rank": rank,
            "scenario": f"story {place} {rank}",
            "body_sha256": "",
        }
        for place, domain in enumerate(config.domains)
        for rank in range(per_domain)
    ]
    return schema.frame(rows, schema.CANDIDATES)


CONFIG = load(DEMO, {"select.scenarios": 20})


@given(st.integers(4, 8), st.data())
@settings(max_examples=40, deadline=None)
def test_slots_of_an_earlier_release_are_kept_whatever_comes_or_goes(
    per_domain: int, data: st.DataObject
) -> None:
    table = candidates(per_domain, CONFIG)
    first, _ = slots_of(CONFIG, table, {})
    earlier = {slot.number: str(slot.scenario["scenario_id"]) for slot in first}
    # Some go, the ranks of the others move, and new ones come.
    gone = data.draw(st.sets(st.sampled_from(sorted(earlier.values())), max_size=per_domain - 4))
    more = candidates(12, CONFIG).filter(~pl.col("scenario_id").is_in(list(gone)))
    shuffler = random.Random(data.draw(st.integers(0, 99)))
    ranks = [shuffler.sample(range(12), 12) for _ in CONFIG.domains]
    places = {name: place for place, name in enumerate(CONFIG.domains)}
    new_ranks = [ranks[places[d]][r] for d, r in more.select("domain", "rank").iter_rows()]
    moved = more.with_columns(rank=pl.Series(new_ranks)).sample(fraction=1, shuffle=True, seed=1)
    slots, reserve = slots_of(CONFIG, moved, earlier)
    held = {slot.number: str(slot.scenario["scenario_id"]) for slot in slots}
    assert held.keys() == earlier.keys()
    for number, scenario in earlier.items():
        assert scenario in gone or held[number] == scenario
    everyone = [*held.values(), *(r["scenario_id"] for rows in reserve.values() for r in rows)]
    assert sorted(everyone) == sorted(moved["scenario_id"])


def test_too_few_candidates_name_the_domain() -> None:
    with pytest.raises(StageError, match="career: 3 scenarios are left for 4 slots"):
        slots_of(CONFIG, candidates(3, CONFIG), {})


def test_slots_are_read_from_a_release_or_a_file(tmp_path: Path) -> None:
    assert slots_before("").scenarios == {}
    with pytest.raises(BadInputError, match=r"select\.slots: .*nowhere: holds no slots"):
        slots_before(str(tmp_path / "nowhere"))
    (tmp_path / "provenance").mkdir()
    table = pl.DataFrame({"slot": [0, 1], "scenario_id": ["s0", "s1"]})
    table.write_parquet(tmp_path / "provenance" / "slots.parquet")
    found = slots_before(str(tmp_path))
    assert (found.scenarios, found.posts) == ({0: "s0", 1: "s1"}, {})
    table.with_columns(post_id=pl.Series(["p0", "p1"])).write_parquet(tmp_path / "s.parquet")
    assert slots_before(str(tmp_path / "s.parquet")).posts == {0: "p0", 1: "p1"}
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(BadInputError, match=r"bad\.parquet: holds no slots"):
        slots_before(str(tmp_path / "bad.parquet"))


def test_every_value_has_a_sentence() -> None:
    assert tuple(SENTENCES) == value_ids()
