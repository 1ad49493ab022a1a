"""That nothing in a release points to a person: one thing put into a good release at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import build as runner
from pipeline import canary, patterns, tombstones
from pipeline.artifacts import write_parquet
from pipeline.checks import names, texts
from pipeline.checks.privacy import NOWHERE, Place, check_privacy
from pipeline.config import DedupConfig
from pipeline.config_file import load
from pipeline.dist import SLOTS, configs_of, table_path
from pipeline.errors import StageError
from pipeline.tombstones import Tombstone
from pipeline.verify import verify
from tests.conftest import DEMO, SECRET, tiny
from tests.loopback import chat_server
from tests.tampered import change, edit_json, edit_table, with_cell
from tests.test_rewrite import ANY_LIKENESS, RETOLD, situation


@pytest.fixture
def dist(released: Path, tmp_path: Path) -> Path:
    shutil.copytree(released / "dist", tmp_path / "dist")
    return tmp_path / "dist"


@pytest.fixture(scope="session")
def retold_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny world whose posts were retold: `work` and `dist`."""
    folder = tmp_path_factory.mktemp("retold")
    shutil.copytree(prepared, folder / "work")
    with chat_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALACT_TEST_KEY", SECRET)
        server.reply = lambda body: (
            situation(f"{RETOLD} {len(server.bodies)}")
            if body["model"] == "fake-rewriter"
            else None
        )
        changes = tiny(server.base_url, folder)
        rewriter = {
            **{k: changes["models"]["g-one"][k] for k in ("provider", "base_url", "api_key_env")},
            "model": "fake-rewriter",
            "max_tokens": 400,
        }
        models = {**changes["models"], "rewriter": rewriter}
        changes |= {"models": models, "rewrite.model": "rewriter", "release.text": "rewritten"}
        runner.build(load(DEMO, changes | ANY_LIKENESS))
    return folder


@pytest.fixture
def retold(retold_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(retold_once / "dist", tmp_path / "dist")
    shutil.copytree(retold_once / "work", tmp_path / "work")
    return tmp_path / "dist"


def appended(text: str) -> Callable[[str], str]:
    return lambda cell: f"{cell} {text}"


def into_options(text: str) -> Callable[[list[str]], list[str]]:
    return lambda cell: [*cell[:3], f"{cell[3]} {text}"]


PERSONAL = [
    ("scenarios", "scenario", appended("Write to jane.doe@example.com."), "email 'ja…'"),
    ("scenarios", "scenario", appended("See https://example.org/me for it."), "url 'ht…'"),
    ("scenarios", "scenario", appended("My flat is at 12 Acacia Avenue, Apt 4."), "address '12…'"),
    ("actions", "action", appended("I call (212) 555-0147 at once."), "phone '(2…'"),
    ("actions", "action", appended("I write to u/throwaway_4711 about it."), "user 'u/…'"),
    ("actions", "action", appended("I ask @jane_doe_77 what she thinks."), "user '@j…'"),
    ("questions", "options", into_options("I mail bob@example.org."), "email 'bo…'"),
    ("questions", "scenario", appended("\n\nIt is all on www.example.net/story."), "url 'ww…'"),
    ("actions", "flags", lambda _: ["jane.doe@example.com"], "email 'ja…'"),
]


@pytest.mark.parametrize(("table", "column", "edit", "said"), PERSONAL)
def test_personal_data_with_a_form_is_named_and_not_repeated(
    dist: Path, table: str, column: str, edit: Any, said: str
) -> None:
    edit_table(dist, table, with_cell(column, 7, edit))
    with pytest.raises(StageError) as caught:
        check_privacy(dist)
    line = str(caught.value)
    row = pl.read_parquet(table_path(dist, table)).row(7, named=True)
    name = next(row[c] for c in row if c.endswith("_id"))
    assert f"data/{table}/" in line
    assert f"column {column}, row 7 ({name})" in line
    assert said in line
    for whole in ("jane.doe", "example", "555-0147", "throwaway_4711", "Acacia", "bob@"):
        assert whole not in line


@pytest.mark.parametrize("case", [PERSONAL[0], PERSONAL[3]], ids=["scenario", "action"])
def test_the_whole_verification_finds_it_even_with_card_and_checksums_renewed(
    dist: Path, case: tuple[str, str, Any, str]
) -> None:
    table, column, edit, said = case
    old = pl.read_parquet(table_path(dist, table))[column][7]

    def everywhere(rows: pl.DataFrame) -> pl.DataFrame:
        new = edit(old) if callable(edit) else edit
        text = pl.element().str.replace_all(old, new, literal=True)
        return rows.with_columns(
            pl.col(pl.String).str.replace_all(old, new, literal=True),
            pl.col(pl.List(pl.String)).list.eval(text),
        )

    for name in configs_of(dist):
        change(dist, name, everywhere)
    with pytest.raises(StageError, match=said.replace("(", r"\(")):
        verify(dist, DedupConfig())


def test_bundled_posts_and_what_looks_like_data_pass(dist: Path) -> None:
    told: list[str] = []
    check_privacy(dist, NOWHERE, told.append)
    assert told[0].startswith("personal data with a form: none in ")
    edit_table(dist, "actions", with_cell("action", 0, "I check Indeed.com and save $5,000.00."))
    check_privacy(dist)


@pytest.mark.parametrize("name", ["title", "author", "url", "permalink"])
def test_a_column_that_leads_to_authors_is_refused(dist: Path, name: str) -> None:
    edit_table(dist, "scenarios", lambda table: table.with_columns(pl.lit("x").alias(name)))
    with pytest.raises(StageError, match=f"has a column '{name}', which leads to authors"):
        check_privacy(dist)


def test_retellings_verify_and_say_what_was_looked_for(retold: Path) -> None:
    told: list[str] = []
    place = Place(retold.parent / "work", retold.parent / "none.ndjson", names=True)
    verify(retold, DedupConfig(**LOOSE), place=place, tell=told.append)
    said = "\n".join(told)
    assert "copied words: no run of 8 words and no title of its post in 10 scenarios" in said
    assert "ids of posts: none of 20 in any file" in said
    assert "names in scenarios: none in 10 of 10 texts" in said
    assert "names in actions: not looked for" in said
    assert "none.ndjson names no post" in said


LOOSE: dict[str, Any] = {"jaccard": 1.0, "containment": 1.0, "embedding_model": ""}


def post_of(dist: Path, row: int) -> tuple[str, str, str]:
    """Return id, title and body of the post behind a row of `scenarios`."""
    work = dist.parent / "work"
    name = pl.read_parquet(table_path(dist, "scenarios"))["scenario_id"][row]
    scenarios = pl.read_parquet(work / "rewrite" / "scenarios.parquet")
    post = scenarios.filter(scenario_id=name)["post_id"].item()
    text = pl.read_parquet(work / "vote" / "pool.parquet").filter(post_id=post)["text"].item()
    title, _, body = text.partition("\n\n")
    return post, title, body


def at_work(dist: Path) -> Place:
    return Place(dist.parent / "work")


def test_eight_words_of_the_post_are_found_in_a_scenario_and_in_an_action(retold: Path) -> None:
    _, _, body = post_of(retold, 4)
    run = " ".join(body.split()[5:13])
    edit_table(retold, "scenarios", with_cell("scenario", 4, appended(run.upper())))
    with pytest.raises(StageError, match=r"scenarios s_\w+, column scenario: 8 words in a row"):
        check_privacy(retold, at_work(retold))
    edit_table(retold, "scenarios", with_cell("scenario", 4, RETOLD))
    check_privacy(retold, at_work(retold))
    seven = " ".join(body.split()[5:12])
    edit_table(retold, "scenarios", with_cell("scenario", 4, appended(seven)))
    check_privacy(retold, at_work(retold))
    edit_table(retold, "scenarios", with_cell("scenario", 4, RETOLD))

    mine = pl.read_parquet(table_path(retold, "scenarios"))["scenario_id"][4]
    actions = pl.read_parquet(table_path(retold, "actions"))
    row = actions["scenario_id"].to_list().index(mine)
    edit_table(retold, "actions", with_cell("action", row, f"I say: {run}."))
    with pytest.raises(StageError, match=r"actions a_\w+, column action: 8 words in a row"):
        check_privacy(retold, at_work(retold))


def test_the_title_of_a_post_is_found(retold: Path) -> None:
    row, title = next(
        (row, title)
        for row in range(10)
        if 4 <= len((title := post_of(retold, row)[1]).split()) <= 7
    )
    edit_table(retold, "scenarios", with_cell("scenario", row, appended(f'"{title.lower()}"')))
    with pytest.raises(StageError, match="holds its post's title"):
        check_privacy(retold, at_work(retold))
    check_privacy(retold)  # without the posts nobody can know


def test_the_id_of_a_post_is_found_in_tables_and_files(retold: Path) -> None:
    post, _, _ = post_of(retold, 2)
    kept = table_path(retold, "actions").read_bytes()
    edit_table(retold, "actions", with_cell("flags", 3, [f"see {post}"]))
    with pytest.raises(StageError, match=rf"column flags, row 3 \(a_\w+\): holds {post}, the id"):
        check_privacy(retold, at_work(retold))
    table_path(retold, "actions").write_bytes(kept)
    manifest = retold / "provenance" / "manifests" / "dedup.json"
    edit_json(manifest, lambda d: d["notes"].update(note=f"kept {post}") or None)
    with pytest.raises(StageError, match=rf"dedup\.json: holds {post}, the id of a post"):
        check_privacy(retold, at_work(retold))
    edit_table(retold, "scenarios", lambda t: t.with_columns(post_id=pl.lit(post)))
    with pytest.raises(StageError, match="has a column 'post_id'"):
        check_privacy(retold)


def test_what_cannot_be_looked_for_is_said_in_a_line(retold: Path, tmp_path: Path) -> None:
    told: list[str] = []
    check_privacy(retold, NOWHERE, told.append)
    check_privacy(retold, Place(tmp_path / "nothing"), told.append)
    other = tmp_path / "work" / "rewrite" / "scenarios.parquet"
    write_parquet(pl.read_parquet(other).head(3), other)
    check_privacy(retold, at_work(retold), told.append)
    said = [line for line in told if "could not be looked for" in line]
    assert "without a workspace: a release does not hold its posts" in said[0]
    assert "holds no posts; name the build's configuration (CONFIG=)" in said[1]
    assert "does not know " in said[2]


def test_what_was_taken_back_is_found_under_every_name(released: Path, tmp_path: Path) -> None:
    shutil.copytree(released / "dist", tmp_path / "dist")
    dist, stones = tmp_path / "dist", tmp_path / "stones.ndjson"
    row = pl.read_parquet(dist / SLOTS).row(2, named=True)
    told: list[str] = []
    check_privacy(dist, Place(tombstones=stones), told.append)
    tombstones.add(stones, [Tombstone("zz9zz9", "gone", "2026-01-01")])
    check_privacy(dist, Place(tombstones=stones), told.append)
    assert any(line.endswith("stones.ndjson names no post") for line in told)
    assert told[-1] == "taken back: nothing of 1 posts in any file"

    # The slots of a verbatim release name its post.
    tombstones.add(stones, [Tombstone(row["post_id"], "deleted", "2026-01-01")])
    with pytest.raises(
        StageError, match=f"slots.parquet: .*holds {row['post_id']}, what was taken"
    ):
        check_privacy(dist, Place(tombstones=stones))

    # Without the post's id, the workspace knows its scenario, and so may the tombstone itself.
    slots = pl.read_parquet(dist / SLOTS).drop("post_id")
    mark = json.loads((dist / "provenance" / "config.json").read_text())["release"]["canary"]
    write_parquet(slots, dist / SLOTS, {canary.KEY: mark})
    check_privacy(dist, Place(tombstones=stones))
    with pytest.raises(StageError, match=f"holds {row['scenario_id']}, .*make take-back"):
        check_privacy(dist, Place(released / "work", stones))
    stones.unlink()
    known = Tombstone(row["post_id"], "deleted", "2026-01-01", row["scenario_id"])
    tombstones.add(stones, [known])
    with pytest.raises(StageError, match=f"holds {row['scenario_id']}, "):
        check_privacy(dist, Place(tombstones=stones))

    # A hash of the text, in a file that is no table.
    stones.unlink()
    tombstones.add(stones, [Tombstone("zz9zz9", "gone", "2026-01-01", "", "ab12" * 16)])
    check_privacy(dist, Place(tombstones=stones))
    manifest = dist / "provenance" / "manifests" / "select.json"
    edit_json(manifest, lambda d: d["notes"].update(left="ab12" * 16) or None)
    with pytest.raises(StageError, match=r"select\.json: holds (ab12)+, what was taken back"):
        check_privacy(dist, Place(tombstones=stones))


def test_tombstones_learn_what_a_first_note_lacked(tmp_path: Path) -> None:
    path = tmp_path / "stones.ndjson"
    assert tombstones.add(path, [Tombstone("p1", "gone", "2026-01-01")]) == 1
    assert json.loads(path.read_text()) == {
        "post_id": "p1",
        "reason": "gone",
        "noted": "2026-01-01",
    }
    assert tombstones.add(path, [Tombstone("p1", "asked_for", "2026-02-02", "s_1", "h1")]) == 0
    assert tombstones.load(path)["p1"] == Tombstone("p1", "gone", "2026-01-01", "s_1", "h1")


def test_names_are_looked_for_in_what_is_not_as_it_was_built(dist: Path) -> None:
    told: list[str] = []
    names.check_names(dist, True, told.append)
    assert "0 of 0 whose id is not of their text" in told[0]
    assert "120 of 200 texts" in told[1]
    table = pl.read_parquet(table_path(dist, "actions"))
    drawn = sorted(table["action_id"], key=lambda name: names.unit_interval("names", name))
    row = table["action_id"].to_list().index(drawn[-1])  # the last that a sample would reach
    edit_table(dist, "actions", with_cell("action", row, "I ask my brother Jonathan Whitmore."))
    with pytest.raises(StageError, match=rf"actions {drawn[-1]}, column action: .* name 'Jo…'"):
        names.check_names(dist, True, told.append)
    names.check_names(dist, False, told.append)
    assert told[-1].startswith("names in actions: not looked for")


_PIECES = (
    "jane doe at gmail dot com|(at)|[at]|example.org|x.example|u/abc|/user/abc_d|@handle|name#1234"
    "|my insta is jane_d|555-0147|(212) 555-0147|12 acacia lane|P.O. Box 12|www.x|https://x|](/r/x)"
    "|DE12 3456 7890 1234|born on May 3, 1990|account no 1234567|. |, |I |\n| |word|Dot|U/Some-One"
    "|Flat 3, 12 Some Street|AB 12345|passport AB123456"
)
PIECES = st.sampled_from(_PIECES.split("|"))


@given(st.lists(PIECES | st.text(max_size=6), max_size=8).map("".join))
def test_no_text_with_personal_data_is_passed_over(text: str) -> None:
    hinted = pl.Series([text]).str.contains(patterns.HINT).item()
    assert hinted or not patterns.found(text)


def test_the_hint_holds_for_labelled_posts() -> None:
    path = Path(__file__).parent / "personal_posts.ndjson"
    posts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for text in posts for line in text.split("\n")]
    hinted = pl.Series(lines).str.contains(patterns.HINT).to_list()
    assert any(patterns.found(line) for line in lines)
    for line, hint in zip(lines, hinted, strict=True):
        assert hint or not patterns.found(line), line


def test_json_is_taken_apart(tmp_path: Path) -> None:
    said = ['I say "no" at once.', "first\nsecond", "back\\slash"]
    table = pl.DataFrame({"reply": [json.dumps({"power": text}) for text in said]})
    write_parquet(table, tmp_path / "t.parquet")
    (column,) = texts.columns(tmp_path)
    assert {said[0], "first", "second", "power"} <= set(column.lines)


def test_lines_are_read_once_and_found_in_lists_and_structs(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "x_id": ["r1", "r2"],
            "text": ["one\ntwo", None],
            "list": [["A. two", "B) three"], []],
            "struct": [{"role": "user", "content": "four"}, {"role": "user", "content": "five"}],
            "structs": [[{"content": "six"}], []],
            "n": [1, 2],
            "kind": pl.Series(["k", "k"], dtype=pl.Categorical),
        }
    )
    write_parquet(table, tmp_path / "t.parquet")
    found = {column.name: column for column in texts.columns(tmp_path)}
    assert set(found) == {"x_id", "text", "list", "struct", "structs", "kind"}
    assert found["text"].lines.to_list() == ["one", "two"]
    assert found["list"].lines.to_list() == ["three"]
    assert {"four", "five"} <= set(found["struct"].lines)
    assert "six" in set(found["structs"].lines)
    assert found["text"].row_of("two") == "row 0 (r1)"
    assert found["list"].row_of("three") == "row 0 (r1)"
    assert found["struct"].row_of("five") == "row 1 (r2)"
    assert texts.names_in("see t3_abc1 or (abc1).", {"abc1", "zz"}) == ["abc1"]
