"""Taking back, end to end: its words are searched for in every place afterwards, and in none."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import schema, tombstones
from pipeline.annotation import store
from pipeline.annotation.rounds import draw_round
from pipeline.llm import purge
from pipeline.llm.audit import verify_ledger
from pipeline.llm.ledger import Ledger
from pipeline.publishing import prove, purge_files
from pipeline.publishing.target import Target
from pipeline.publishing.words import Runs
from pipeline.slots import slots_before
from tests.hub_world import REPO, HubWorld
from tests.loopback_hub import git_oid
from tests.simulated import people, plan_of, review


def slots(world: HubWorld) -> pl.DataFrame:
    return pl.read_parquet(world.tmp / "work" / "generate" / "slots.parquet")


def text_of(world: HubWorld, post: str) -> str:
    posts = pl.read_parquet(world.tmp / "work" / "scrape" / "posts.parquet")
    return str(posts.filter(post_id=post)["body"].item())


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_post_is_taken_back_from_everything_and_the_search_proves_it(
    hub_world: HubWorld,
) -> None:
    world, hub = hub_world, hub_world.hub
    assert world.run("publish", f"--repo={REPO}", "--yes").returncode == 0
    before = slots(world)
    post, scenario = before.row(3, named=True)["post_id"], before["scenario_id"][3]
    text = text_of(world, post)
    words = " ".join(text.split()[10:18])
    assert words.encode() in (world.tmp / "ledger.sqlite").read_bytes()
    kept = pl.read_parquet(next((world.tmp / "dist" / "data" / "questions").iterdir()))
    swept = world.tmp / "swept.ndjson"
    swept.write_text(json.dumps({"id": post, "title": "T", "selftext": text}) + "\n")

    asked = len(hub.asked)
    dry = world.run("take-back", post, f"--repo={REPO}")
    assert dry.returncode == 0, dry.stderr
    assert "questions 50 -> 45: scores compare over the 45 that stay" in dry.stdout
    assert dry.stdout.count("FOUND in") == 4
    assert "nothing was changed" in dry.stdout
    assert {method for method, _ in hub.asked[asked:]} == {"GET"}
    assert slots(world).equals(before)

    done = world.run("take-back", post, f"--repo={REPO}", "--yes")
    assert done.returncode == 0, done.stderr
    told = done.stdout.partition("searched again:")[2]
    assert "FOUND" not in told
    for place in (
        "workspace",
        "ledger",
        "release",
        "swept posts",
        f"{REPO} main",
        f"{REPO} v0.1.1",
    ):
        assert f"    {place}" in told
    # The same by other means: no byte of the ledger, no cell of a table, no object of the Hub.
    assert words.encode() not in (world.tmp / "ledger.sqlite").read_bytes()
    assert words.encode() not in raw(world.tmp / "work") + swept.read_bytes()
    for path in (world.tmp / "work").rglob("*.parquet"):
        cells = json.dumps(pl.read_parquet(path).to_dicts(), default=str, ensure_ascii=False)
        assert scenario not in cells, path
        assert words not in cells.replace("\\n", " ")
    repo = hub.repos[REPO]
    reachable = {c.sha for ref in repo.refs().values() for c in repo.line(ref)}
    assert len(reachable) == 1
    assert list(repo.tags) == ["v0.1.1"]
    head = repo.commits[repo.branches["main"]].files
    assert repo.lfs.keys() == {entry.lfs for entry in head.values() if entry.lfs}
    log = repo.data(head["CHANGELOG.md"]).decode()
    assert "Scores compare with those on v0.1.0 over the questions that both hold." in log
    assert "- Empty now (taken back): slots 3\n" in log
    assert "## v0.1.0 (" in log

    # Filled slots did not move, and the hole is declared.
    after = slots(world)
    assert after["slot"].equals(before["slot"])
    assert after.filter(pl.col("slot") != 3).equals(before.filter(pl.col("slot") != 3))
    assert after.row(3, named=True)["scenario_id"] == ""
    released = pl.read_parquet(world.tmp / "dist" / "provenance" / "slots.parquet")
    assert released["scenario_id"].equals(after["scenario_id"])
    assert 3 not in slots_before(str(world.tmp / "dist")).scenarios
    assert "in slot 3." in (world.tmp / "dist" / "README.md").read_text()
    assert world.run("verify").returncode == 0  # the card was written anew from what is left
    now = pl.read_parquet(next((world.tmp / "dist" / "data" / "questions").iterdir()))
    assert now.equals(kept.filter(pl.col("slot") != 3))
    loaded = world.script(
        "import json, sys\nfrom datasets import load_dataset\n"
        "print(json.dumps(list(load_dataset(sys.argv[1], 'questions', revision='v0.1.1',"
        " split='test')['question_id'])))",
        REPO,
    )
    assert loaded == now["question_id"].to_list()

    # Nothing is left to do, and the ledger and the tombstones tell of it.
    assert post in tombstones.load(world.tmp / "stones.ndjson")
    assert not list((world.tmp / "work").glob(".take*"))
    checked = world.run("ledger", "verify", f"--ledger={world.tmp / 'ledger.sqlite'}")
    assert "of the requests were purged" in checked.stdout
    again = world.run("take-back", f"--repo={REPO}", "--yes")
    assert "nothing to take back" in again.stdout


@pytest.mark.slow
def test_what_a_hub_still_holds_is_found_and_an_interrupted_run_goes_on(
    hub_world: HubWorld,
) -> None:
    world, hub = hub_world, hub_world.hub
    assert world.run("publish", f"--repo={REPO}", "--yes").returncode == 0
    repo = hub.repos[REPO]
    post = slots(world)["post_id"][0]
    # A conversion of the tables, as the Hub makes them for its viewer, keeps the text.
    repo.converts["parquet"] = repo.branches["main"]
    hub.fault = lambda method, path: 500 if "super-squash" in path else None
    hub.lazy = True
    broken = world.run("take-back", post, f"--repo={REPO}", "--yes")
    assert broken.returncode == 1
    assert broken.stderr.count("\n") == 1
    assert "500" in broken.stderr
    assert repo.tags == {}
    journal = (world.tmp / "work" / ".take-back.json").read_text()
    assert " ".join(text_of_sample(post).split()[:4]) not in journal

    other = world.run("take-back", slots(world)["post_id"][1], f"--repo={REPO}")
    assert other.returncode == 2
    assert "finish it first" in other.stderr
    hub.fault = None
    done = world.run("take-back", "--yes")  # it knows the rest
    assert done.returncode == 1
    assert "goes on with" in done.stdout
    assert f"{REPO} refs/convert/parquet" in done.stderr
    assert list(repo.tags) == ["v0.1.1"]
    repo.converts.clear()
    done = world.run("take-back", "--yes")
    assert done.returncode == 1
    assert f"{REPO} unlisted commit" in done.stderr  # not collected yet, and still readable
    assert "README.md" in done.stdout.partition("unlisted commit")[2]
    hub.lazy = False
    done = world.run("take-back", "--yes")
    assert done.returncode == 0, done.stderr
    assert "taken back: " in done.stdout


@pytest.mark.slow
def test_what_was_taken_back_here_can_be_taken_from_a_hub_later(hub_world: HubWorld) -> None:
    world, repo_of = hub_world, hub_world.hub.repos
    assert world.run("publish", f"--repo={REPO}", "--yes").returncode == 0
    for post in slots(world)["post_id"].to_list()[:2]:
        done = world.run("take-back", post, "--yes")
        assert done.returncode == 0, done.stderr
        assert "takes it from the Hub too" in done.stdout
    assert list(repo_of[REPO].tags) == ["v0.1.0"]
    done = world.run("take-back", f"--repo={REPO}", "--yes")
    assert done.returncode == 0, done.stderr
    assert "2 scenarios" in done.stdout
    assert list(repo_of[REPO].tags) == ["v0.1.1"]
    assert not list((world.tmp / "work").glob(".take*"))


def text_of_sample(post: str) -> str:
    from pipeline.paths import SAMPLE_POSTS

    rows = map(json.loads, SAMPLE_POSTS.read_text(encoding="utf-8").splitlines())
    return next(str(row["selftext"]) for row in rows if row["id"] == post)


def test_a_ledger_keeps_key_hash_and_cost_of_what_is_purged(hub_world: HubWorld) -> None:
    path = hub_world.tmp / "ledger.sqlite"
    scenario = slots(hub_world)["scenario_id"][0]
    keys = purge.keys_about(path, [scenario], lambda _: False)
    assert len(keys) == 2
    with Ledger(path) as ledger:
        money, usage = ledger.money(), ledger.usage("fake", 500, 0.0)
        texts = [reply.text for key in keys if (reply := ledger.find(key))]
    assert len(texts) == 2
    first = purge.purge(path, keys)
    assert (first.requests, first.attempts) == (2, 2)
    assert first.micro_usd > 0
    assert purge.purge(path, keys) == purge.Purged(0, 0, first.micro_usd)  # again changes nothing
    with Ledger(path) as ledger:
        assert ledger.money() == money
        assert ledger.usage("fake", 500, 0.0) == usage
        for key in keys:
            assert ledger.find(key) is None  # never served again
            assert not ledger.has(key)
            assert json.loads(ledger.components(key) or "")["messages"] == []
    assert verify_ledger(path)[2] == []
    data = path.read_bytes()
    assert not [text for text in texts if text[20:60].encode() in data]
    log = path.with_name("ledger.sqlite-wal")
    assert not log.exists() or not log.stat().st_size
    with sqlite3.connect(path) as db:
        db.execute("UPDATE attempt SET text = 'x' WHERE outcome = 'purged'")
        db.execute("UPDATE request SET components = '{}' WHERE key = ?", (keys[0],))
    problems = " ".join(verify_ledger(path)[2])
    assert "purged, and yet it holds a reply" in problems
    assert f"{keys[0]}: is not as its purging left it" in problems


def test_unknown_ids_and_missing_builds_are_one_line(hub_world: HubWorld) -> None:
    done = hub_world.run("take-back", "nobody")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nobody: not in" in done.stderr
    done = hub_world.run("take-back", "x", f"--workspace={hub_world.tmp / 'none'}")
    assert done.returncode == 1
    assert "holds no build" in done.stderr


LOREM = "One two, three four? It's five-six; seven \u201ceight\u201d nine\n\nten & eleven."


@pytest.mark.parametrize(
    "written",
    [
        LOREM,
        LOREM.upper(),
        json.dumps({"a": LOREM}),
        json.dumps(json.dumps([LOREM])),
        LOREM.replace("&", "&amp;amp;").replace("'", "&#39;"),
        "before " + LOREM[12:] + " after",
    ],
)
def test_words_are_found_however_they_are_written(written: str) -> None:
    assert Runs.of([LOREM]).within(written)


@given(st.lists(st.text(max_size=80), max_size=4), st.text(max_size=200))
def test_runs_are_what_their_json_says_and_what_is_common_is_left_out(
    texts: list[str], other: str
) -> None:
    runs = Runs.of(texts)
    assert Runs.from_json(json.loads(json.dumps(runs.to_json()))) == runs
    assert not runs.without([*texts]).within(" ".join(texts)) or len(texts) > 1
    assert not runs.without([other]).within(other)
    assert git_oid(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_reviews_of_what_is_taken_back_go(tmp_path: Path) -> None:
    plan = plan_of()
    drawn = store.open_round(tmp_path, plan, 1, lambda: draw_round(plan, 1, people(12), ()))
    item = drawn.items.filter(kind="sample").row(0, named=True)
    rows = [
        review(each, action, "expert-1", "power", notes="as it says: " + each["scenario"])
        for each in drawn.items.filter(kind="sample").to_dicts()
        for action in each["action_ids"]
    ]
    reviews = schema.frame(rows, schema.REVIEWS)
    store.save_reviews(tmp_path, reviews)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text(f"<p>{item['scenario']}</p>")
    (tmp_path / "report" / "other.html").write_text("<p>nothing of it</p>")
    runs = Runs.of([item["scenario"], *item["actions"]])
    gone = Target(("invabc1",), (item["scenario_id"],), (), (), (), (), runs)
    assert prove.in_files("rounds", prove.below(tmp_path), gone, tmp_path).found
    lines = list(purge_files.purge_rounds(tmp_path, plan, gone))
    assert len(lines) == 3, lines
    left = store.load_reviews(tmp_path)
    assert left.equals(reviews.filter(pl.col("scenario_id") != item["scenario_id"]))
    assert left.height < reviews.height
    assert [p.name for p in (tmp_path / "report").iterdir()] == ["other.html"]
    assert not prove.in_files("rounds", prove.below(tmp_path), gone, tmp_path).found
    assert list(purge_files.purge_rounds(tmp_path, plan, gone)) == []
