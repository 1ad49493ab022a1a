"""The release folder, file by file: splits, flat tables, provenance, and what comes along."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest
import yaml
from valact_eval.asks import Setup
from valact_eval.data import load_release

from pipeline import build as runner
from pipeline import package
from pipeline.artifacts import folder_digest, read_json
from pipeline.balance import balance
from pipeline.config import Config, DedupConfig
from pipeline.config_file import load
from pipeline.dist import TABLES, configs_of, head, read_table, table_path, write_table
from pipeline.errors import BadInputError, StageError
from pipeline.schema import CALLS
from pipeline.splits import with_splits
from pipeline.values import value_ids
from pipeline.verify import verify
from tests import whole
from tests.conftest import DEMO, SECRET, tiny
from tests.loopback import chat_server
from tests.synthetic import reply
from tests.tampered import change, change_file, change_json, change_parquet, reseal

PER_DOMAIN = {"release.dev_slots_per_domain": 12, "release.held_out_slots_per_domain": 12}
STORIES = DedupConfig(embedding_model="")


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the stage release of 180 scenarios: 60 in test, 60 in dev, 60 held out."""
    folder = tmp_path_factory.mktemp("cut")
    with chat_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALACT_TEST_KEY", SECRET)
        server.reply = reply
        settings = tiny(server.base_url, folder) | whole.OVERRIDES | PER_DOMAIN
        config = load(DEMO, settings | {"select.scenarios": 180, "dedup.embedding_model": ""})
        yield whole.build(config, folder)


@pytest.fixture
def dist(cut: Path, tmp_path: Path) -> Path:
    """A copy of the release that may be altered."""
    shutil.copytree(cut / "dist", tmp_path / "dist")
    return tmp_path / "dist"


def test_splits_are_whole_cycles_and_each_is_as_even_as_the_design(cut: Path) -> None:
    place = cut / "dist"
    for config in configs_of(place):
        loaded = datasets.load_dataset(str(place), config)
        assert list(loaded) == ["test", "dev"]
        expected = {"scenarios": 60, "actions": 1200}.get(config, 300)
        assert [part.num_rows for part in loaded.values()] == [expected, expected]
        names = [set(part[TABLES[config]]) for part in loaded.values()]
        assert not names[0] & names[1]
    for split in ("test", "dev"):
        questions = pl.read_parquet(table_path(place, "questions", split))
        counted = balance(questions, value_ids())
        assert counted.two_by_two == 300
        for kind, span in counted.counts.items():
            if kind != "mixture":  # it cannot be even
                assert span.least == span.most, (split, kind)
    slots = pl.read_parquet(place / "provenance" / "slots.parquet")
    ranks = slots["slot"] // 5
    assert slots.filter(ranks < 12)["split"].unique().to_list() == ["dev"]
    assert slots.filter(ranks.is_between(12, 23))["split"].unique().to_list() == ["held_out"]
    assert slots.filter(ranks > 23)["split"].unique().to_list() == ["test"]


def test_what_is_held_out_is_beside_the_release_and_nowhere_in_it(cut: Path) -> None:
    apart = load_release(str(cut / "held_out"))
    assert len(apart.questions) == 300
    ids = {q.scenario_id for q in apart.questions.values()} | set(apart.questions)
    texts = {q.scenario.split(":")[1][:50] for q in apart.questions.values()}
    for path in (p for p in (cut / "dist").rglob("*") if p.is_file()):
        content = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            content = json.dumps(pl.read_parquet(path).to_dicts(), ensure_ascii=False)
        assert not [each for each in ids | texts if each in content], path
    # The maintainer's own table knows all; a later build may start from it.
    private = pl.read_parquet(cut / "private" / "slots.parquet")
    assert private.filter(split="held_out")["scenario_id"].to_list() == sorted(
        {q.scenario_id for q in apart.questions.values()},
        key=lambda name: private.filter(scenario_id=name)["slot"][0],
    )
    assert private["post_id"].null_count() == 0
    assert "held_out" not in (cut / "dist" / "README.md").read_text()


def test_flat_prompts_are_what_the_evaluator_asks_at_first(cut: Path) -> None:
    for split in ("test", "dev"):
        setup = Setup(load_release(str(cut / "dist"), split))
        assert len(setup.questions.questions) == 300
        for task in ("selection", "adoption"):
            rows = datasets.load_dataset(str(cut / "dist"), task, split=split)
            assert rows.features["answer"] == datasets.ClassLabel(names=list("ABCD"))
            assert rows.features["options"] == datasets.List(datasets.Value("string"))
            for row in rows:
                question = setup.questions.questions[row["question_id"]]
                (call,) = setup.question_calls(task, question, [0])
                assert call.prompt == row["prompt"]
                assert row["options"] == list(question.options)
                assert row["answer"] == question.target_index
                assert row["target_value"] == question.target_value


def test_the_cards_head_tells_types_and_sizes(cut: Path) -> None:
    place = cut / "dist"
    told = yaml.safe_load((place / "README.md").read_text().split("---\n")[1])
    info = {each["config_name"]: each for each in told["dataset_info"]}
    assert list(info) == [each["config_name"] for each in told["configs"]] == list(TABLES)
    for name, each in info.items():
        rows = {split["name"]: split["num_examples"] for split in each["splits"]}
        assert rows == {s: pl.read_parquet(table_path(place, name, s)).height for s in rows}
        sizes = [table_path(place, name, split).stat().st_size for split in rows]
        assert each["download_size"] == sum(sizes)
        assert each["dataset_size"] == sum(s["num_bytes"] for s in each["splits"]) > 0
    stream = datasets.load_dataset(str(place), split="dev", streaming=True)
    assert stream.features["options"] == datasets.List(datasets.Value("string"))
    assert len(list(stream)) == 300


def test_a_table_that_only_some_releases_have_may_be_of_one_split(tmp_path: Path) -> None:
    row = pl.DataFrame({"review_id": ["r"], "scenario_id": ["s"], "naturalness": [None]})
    table = row.cast({"naturalness": pl.Int64})
    assert "reviews" not in configs_of(tmp_path)
    path = write_table(tmp_path, "reviews", table, "dev")
    assert "reviews" in configs_of(tmp_path)
    assert read_table(tmp_path, "reviews").equals(table)
    told = yaml.safe_load(head(tmp_path, {"reviews": {"dev": path}}))
    assert told["dataset_info"][0]["splits"][0]["num_examples"] == 1
    with pytest.raises(StageError, match="has no split test"):
        table_path(tmp_path, "reviews")
    write_table(tmp_path, "questions", table, "dev")
    with pytest.raises(StageError, match="holds 0 files of the table 'questions' instead of one"):
        read_table(tmp_path, "questions")


def test_calls_are_told_once_with_tokens_and_cost(cut: Path) -> None:
    calls = pl.read_parquet(cut / "dist" / "provenance" / "calls.parquet")
    assert dict(calls.schema) == CALLS
    assert calls["ledger_key"].is_unique().all()
    assert set(calls["ledger_key"]) >= set(read_table(cut / "dist", "actions")["ledger_key"])
    assert calls.filter(asking=1).height == 240  # two generators, 120 scenarios
    assert set(calls["stage"]) == {"generate"}
    assert set(calls["model_returned"]) == {"fake-snapshot"}
    assert (calls["cost_micro_usd"] > 0).all()
    assert calls["messages"].null_count() == calls["reply"].null_count() == 0
    row = calls.row(0, named=True)
    assert row["prompt"].startswith("generate_action")
    assert len(row["prompt_sha256"]) == 64
    lock = read_json(cut / "dist" / "provenance" / "build.lock")
    assert lock["config"]["models.g-two.temperature"] == 1.0
    assert lock["config"]["release.dev_slots_per_domain"] == 12
    assert {"polars", "openai"} <= lock["packages"].keys()
    text = json.dumps(lock)
    assert SECRET not in text
    assert "VALACT_TEST_KEY" not in text
    assert str(cut.parent) not in text


@pytest.mark.parametrize(
    ("told", "calls_of_two"),
    [("My name is Margaret Thompson.", 20), ("Write to margaret@example.com and ask.", 10)],
)
def test_calls_about_posts_tell_nothing_of_them_and_personal_data_stays_out(
    world: Callable[..., Config], server: Any, told: str, calls_of_two: int
) -> None:
    """A name makes an action be asked for anew, a contact is masked in it."""

    def answer(body: dict[str, Any]) -> str | None:
        names = list(body["response_format"]["json_schema"]["schema"]["properties"])
        if names == ["verdict"]:
            return json.dumps({"verdict": "yes: open_decision"})
        if names != ["action"] and body["temperature"] == 1.0:
            texts = [f"I go {i} steps. {told * (i == 3)}" for i in range(len(names))]
            return json.dumps(dict(zip(names, texts, strict=True)))
        return None

    server.reply = answer
    config = world(
        vote__voters=["g-one", "g-two"],
        vote__tie_breaker="g-one",
        validate__reject=["empty", "personal_data"],
    )
    runner.build(config)
    dist = Path(config.build.dist)
    calls = pl.read_parquet(dist / "provenance" / "calls.parquet")
    votes = calls.filter(stage="vote")
    assert votes.height == 20  # of the ten that hold a slot
    for column in ("messages", "reply", "reply_sha256"):
        assert votes[column].null_count() == 20
    assert set(votes["scenario_id"]) == {""}
    assert votes["ledger_key"].null_count() == votes["prompt_sha256"].null_count() == 0
    for path in (p for p in dist.rglob("*") if p.is_file()):
        assert b"margaret" not in path.read_bytes().lower(), path
    cells = json.dumps(calls.to_dicts())
    assert "margaret" not in cells
    two = calls.filter(stage="generate", model="g-two")
    assert two["reply"].null_count() == two.height == calls_of_two
    assert two["reply_sha256"].null_count() == 0
    assert calls.filter(stage="generate", model="g-one")["reply"].null_count() == 0


def test_the_evaluator_comes_as_the_same_bytes_each_time(tmp_path: Path, cut: Path) -> None:
    for name in ("one", "two"):
        package.write_packages(tmp_path / name, tmp_path / f"cache-{name}")
    found = folder_digest(tmp_path / "one")
    assert found == folder_digest(tmp_path / "two") == folder_digest(cut / "dist" / "evaluator")
    assert [Path(name).suffix for name in found] == [".whl", ".gz"]
    (wheel,) = (tmp_path / "one").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        assert {each.date_time[:3] for each in packed.infolist()} == {(1980, 1, 1)}
    assert "valact_eval/prompts/selection.toml" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_parts_must_be_whole_cycles_that_leave_something(world: Callable[..., Config]) -> None:
    with pytest.raises(BadInputError, match="2 of the 2 slots of a domain leave none for split"):
        world(release__dev_slots_per_domain=2)
    config = world(release__dev_slots_per_domain=6, select__scenarios=60)
    slots = pl.DataFrame({"slot": list(range(60))})
    with pytest.raises(BadInputError, match="6 slots in each of 5 domains are no whole cycles"):
        with_splits(config, slots)


def test_a_slot_never_changes_its_split(world: Callable[..., Config], cut: Path) -> None:
    slots = pl.DataFrame({"slot": list(range(180))})
    more: dict[str, Any] = {"select__scenarios": 180, "select__slots": str(cut / "dist")}
    same = world(release__dev_slots_per_domain=12, release__held_out_slots_per_domain=12, **more)
    assert with_splits(same, slots)["split"].value_counts()["count"].to_list() == [60] * 3
    other = world(release__dev_slots_per_domain=24, **more)
    with pytest.raises(StageError, match=r"slot 60 is held_out in .* and would be dev now"):
        with_splits(other, slots)


def swap_letters(questions: pl.DataFrame) -> pl.DataFrame:
    """Let A and B of the first question change places; its target follows."""
    rows = questions.to_dicts()
    for name in ("options", "option_ids", "option_values", "option_generators"):
        rows[0][name][:2] = rows[0][name][1::-1]
    rows[0]["target_index"] = {0: 1, 1: 0}.get(rows[0]["target_index"], rows[0]["target_index"])
    return pl.DataFrame(rows, schema=questions.schema)


def first(column: str, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return an edit that puts a value into a column of the first row."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        rest = table[column][1:].to_list()
        return table.with_columns(pl.Series(column, [value, *rest], dtype=table.schema[column]))

    return edit


def unpack(dist: Path, name: str, text: str) -> None:
    """Write a wheel that holds another text for one of its files."""
    (wheel,) = (dist / "evaluator").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = {each: packed.read(each) for each in packed.namelist()}
    with zipfile.ZipFile(wheel, "w") as packed:
        for each, data in held.items():
            packed.writestr(each, text if each == name else data)
    reseal(dist)


def drop(dist: Path, pattern: str) -> None:
    next(dist.glob(pattern)).unlink()
    reseal(dist)


def empty_slot(dist: Path) -> None:
    """Take a scenario out of all tables without declaring the hole."""
    gone = pl.read_parquet(table_path(dist, "scenarios"))["scenario_id"][0]
    calls = "provenance/calls.parquet"
    change_parquet(dist, calls, lambda t: t.filter(pl.col("scenario_id") != gone))
    for name in configs_of(dist):
        change(dist, name, lambda t: t.filter(pl.col("scenario_id") != gone))


def hide(dist: Path) -> None:
    """Put a table into the folder that no config names."""
    path = table_path(dist, "questions")
    shutil.copyfile(path, path.with_name("held_out-0.parquet"))
    reseal(dist)


def declare(dist: Path) -> None:
    """The same, and the hole is declared."""
    gone = pl.read_parquet(table_path(dist, "scenarios"))["scenario_id"][0]
    empty_slot(dist)
    blank = pl.col("scenario_id").replace(gone, "")
    change_parquet(dist, "provenance/slots.parquet", lambda t: t.with_columns(blank))
    reseal(dist, card=True)


def rename_adoption(card: str) -> str:
    return card.replace("config_name: adop", "config_name: x")


def be_silent(metadata: dict[str, Any]) -> None:
    for key in [key for key in metadata if key.startswith("rai:")]:
        del metadata[key]


def ask_for_another(tasks: str) -> str:
    return tasks.replace("target: target_index", "target: x")


TAMPERED: list[tuple[Callable[[Path], None], str]] = [
    # config and splits
    (hide, "held_out-0.parquet: belongs to no config and split"),
    (lambda d: drop(d, "data/adoption/test-*"), "holds 0 files of the table 'adoption'"),
    (
        lambda d: change_file(d, "README.md", rename_adoption),
        "config adoption does not load",
    ),
    (lambda d: change(d, "scenarios", lambda t: t.head(0), "dev"), "does not load|split"),
    # joins
    (lambda d: change(d, "selection", lambda t: t.head(299)), "selection, split test: is not one"),
    (
        lambda d: change(d, "selection", first("prompt", "Ignore this.")),
        "selection, split test: prompt of q_.* is not that of the question as the evaluator",
    ),
    (lambda d: change(d, "adoption", first("answer", 3)), "adoption, split test: answer of q_"),
    (
        lambda d: unpack(d, "valact_eval/prompts/adoption.toml", '[[variant]]\ntext = "A?"\n'),
        "adoption, split test: prompt of q_",
    ),
    # balance
    (lambda d: change(d, "questions", swap_letters), "is not that of|is not dealt"),
    (empty_slot, "slot 120 with s_0_0024, split test, is empty, and not declared so"),
    (
        lambda d: change_parquet(
            d, "provenance/slots.parquet", lambda t: t.filter(pl.col("slot") != 7)
        ),
        "its slots are not 0 to 178",
    ),
    (
        lambda d: change_parquet(
            d,
            "provenance/slots.parquet",
            lambda t: t.with_columns(
                scenario_id=pl.when(split="held_out").then(pl.lit("s_x")).otherwise("scenario_id")
            ),
        ),
        "names a scenario that is held out",
    ),
    # provenance
    (
        lambda d: change_parquet(d, "provenance/calls.parquet", lambda t: t.filter(asking=2)),
        r"calls\.parquet: lacks \d+ calls of actions",
    ),
    (
        lambda d: change_parquet(d, "provenance/calls.parquet", lambda t: t.drop("date")),
        r"calls\.parquet: has other columns",
    ),
    (
        lambda d: change_parquet(
            d, "provenance/calls.parquet", lambda t: t.with_columns(pl.col("cost_micro_usd") * 2)
        ),
        r"the calls of stage generate to g-one come to requests \d+, .* and generate\.json and the",
    ),
    (
        lambda d: change_json(
            d,
            "provenance/manifests/generate.json",
            lambda j: j["notes"]["calls"]["g-two"].update(last_day="2020-01-01"),
        ),
        r"the calls of stage generate to g-two come to .* to 2020-01-01; build",
    ),
    (
        lambda d: change_json(
            d, "provenance/manifests/generate.json", lambda j: j["notes"].pop("calls")
        ),
        r"generate\.json: does not tell of calls to g-one",
    ),
    (
        lambda d: change_parquet(
            d, "provenance/calls.parquet", lambda t: pl.concat([t, vote_of(t)])
        ),
        r"calls\.parquet: r1:vote of stage vote tells of a post",
    ),
    (
        lambda d: change_json(d, "provenance/build.lock", lambda j: j["stages"].pop("compose")),
        r"build\.lock: stage compose has another key than its manifest",
    ),
    # files and canary
    (lambda d: drop(d, "DATA_LICENSE"), "DATA_LICENSE: missing"),
    (lambda d: drop(d, "LICENSE"), "LICENSE: missing"),
    (lambda d: drop(d, "CITATION.cff"), r"CITATION\.cff: missing"),
    (
        lambda d: change_file(d, "eval.yaml", lambda t: t.partition("# VALACT CANARY")[0]),
        r"eval\.yaml: does not carry the canary",
    ),
    (lambda d: change(d, "actions", first("canary", "x")), "actions/test-.*does not carry the can"),
    # croissant
    (
        lambda d: change_json(d, "croissant.json", lambda j: j.pop("name")),
        r"croissant\.json: lacks name",
    ),
    (
        lambda d: change_json(d, "croissant.json", lambda j: j.update({"@type": "sc:Book"})),
        r"croissant\.json: is not valid",
    ),
    (
        lambda d: change_json(d, "croissant.json", lambda j: j["conformsTo"].pop()),
        "does not conform to http://mlcommons.org/croissant/RAI/1.0",
    ),
    (
        lambda d: change_json(d, "croissant.json", be_silent),
        "says nothing in the vocabulary for responsible AI",
    ),
    (
        lambda d: change_json(
            d, "croissant.json", lambda j: j["distribution"][0].update(sha256="0" * 64)
        ),
        "does not tell data/questions/test-.* as it is",
    ),
    (
        lambda d: change_json(
            d,
            "croissant.json",
            lambda j: j["recordSet"][0]["field"][0]["source"]["extract"].update(column="domain"),
        ),
        "record set questions/test does not read as",
    ),
]


def vote_of(calls: pl.DataFrame) -> pl.DataFrame:
    return calls.head(1).with_columns(ledger_key=pl.lit("r1:vote"), stage=pl.lit("vote"))


@pytest.mark.parametrize("number", range(len(TAMPERED)))
def test_a_copy_that_was_tampered_with_fails_in_that_respect(dist: Path, number: int) -> None:
    tamper, said = TAMPERED[number]
    tamper(dist)
    with pytest.raises(StageError, match=said) as caught:
        verify(dist, STORIES)
    assert "\n" not in str(caught.value)


def test_a_good_copy_and_one_with_a_declared_hole_verify(dist: Path) -> None:
    rows = {"questions": 600, "selection": 600, "adoption": 600, "scenarios": 120, "actions": 2400}
    assert verify(dist, STORIES) == rows
    declare(dist)
    assert verify(dist, STORIES)["questions"] == 595


EVALUATION: list[tuple[Callable[[Path], None], str]] = [
    (
        lambda d: change_file(d, "eval.yaml", lambda t: t.replace("scorers:", "scoring:")),
        r"eval\.yaml: Inspect .* refuses it: .*scor",
    ),
    (
        lambda d: change_file(d, "eval.yaml", lambda t: t.replace("name: choice", "name: chance")),
        r"eval\.yaml: Inspect .* refuses it",
    ),
    (
        lambda d: change_file(d, "eval.yaml", ask_for_another),
        r"eval\.yaml: Inspect .* refuses it: KeyError",
    ),
    (
        lambda d: unpack(d, "valact_eval/cli.py", "raise SystemExit('broken')"),
        "does not start in a clean environment",
    ),
    (
        lambda d: unpack(d, "valact_eval/stats/analyse.py", "raise ValueError('broken')"),
        "does not .* in a clean environment",
    ),
    (lambda d: drop(d, "evaluator/*.tar.gz"), "does not hold one wheel and one source archive"),
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(EVALUATION)))
def test_what_comes_along_for_evaluators_has_to_work(
    dist: Path, tmp_path: Path, number: int
) -> None:
    tamper, said = EVALUATION[number]
    tamper(dist)
    with pytest.raises(StageError, match=said):
        verify(dist, STORIES, tmp_path / "cache")
    assert not (tmp_path / "cache" / "evaluation").exists()


def test_what_comes_along_is_checked_once(dist: Path, tmp_path: Path) -> None:
    verify(dist, STORIES, tmp_path / "cache")
    (note,) = (tmp_path / "cache" / "evaluation").iterdir()
    stamp = note.stat().st_mtime_ns
    verify(dist, STORIES, tmp_path / "cache")
    assert note.stat().st_mtime_ns == stamp
    change_file(dist, "eval.yaml", lambda text: f"{text}# another\n")
    verify(dist, STORIES, tmp_path / "cache")
    assert len(list(note.parent.iterdir())) == 2
