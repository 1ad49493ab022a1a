"""Files of posts as one table: the `ingest` command, and stage scrape over the same code."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import build as runner
from pipeline import planning, schema
from pipeline.artifacts import read_json
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.errors import BadInputError
from pipeline.keys import components
from pipeline.paths import ROOT
from pipeline.sources.authors import author_hash, fingerprint
from pipeline.sources.read import Reading, read_posts
from pipeline.stages import STAGES
from pipeline.workspace import load_table
from tests.conftest import command

DEMO = ROOT / "configs" / "demo.toml"
KEY, OTHER_KEY = "k3y-in-clear-1f9c", "an0ther-key-77aa"
AUTHORS = ["Somebody_Real", "another-person", "Third_Person_3"]


def post(post_id: str, body: str = "b", **fields: Any) -> str:
    shown = {"id": post_id, "subreddit": "AskHR", "title": "t", "selftext": body}
    return json.dumps(shown | fields)


def file(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write rows as the CSV that the mapping `pushshift` reads."""
    columns = ["id", "title", "selftext", "created_utc", "subreddit", "score", "num_comments"]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, [*columns, "over_18", "author"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


SNAPSHOTS = st.builds(
    post,
    st.sampled_from("abc"),
    st.text("xyz", max_size=3),
    score=st.none() | st.integers(-1, 1),
    subreddit=st.sampled_from(["AskHR", "frugal", "pics"]),
    num_comments=st.integers(0, 1),
    author=st.sampled_from(["one", "two", None]),
)
FILES = st.lists(st.lists(SNAPSHOTS, min_size=1, max_size=4), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Reading]:
    """Return a function that writes these files of lines and reads them in this order."""
    folder = tmp_path_factory.mktemp("files")

    def run(files: Sequence[Sequence[str]], order: Sequence[int], **options: Any) -> Reading:
        paths = [file(folder / f"f{i}.ndjson", lines) for i, lines in enumerate(files)]
        return read_posts([paths[i] for i in order], load(DEMO), **options)

    return run


@given(FILES, st.integers(0, 99), st.booleans())
@settings(deadline=None, max_examples=80)
@example([[post("a")], [post("a")], [post("a", "longer")]], 1, False)
def test_the_order_of_the_files_changes_nothing(
    reading: Callable[..., Reading], files: list[list[str]], seed: int, everything: bool
) -> None:
    files = [*files, [post("always")]]
    order = list(range(len(files)))
    first = reading(files, order, all_subreddits=everything)
    random.Random(seed).shuffle(order)
    again = reading(files, order, all_subreddits=everything)
    assert again.posts.equals(first.posts)
    assert again.dropped.sort("id").equals(first.dropped.sort("id"))
    assert first.entered == sum(map(len, files)) == first.posts.height + first.dropped.height
    assert first.aside()["len"].sum() == first.dropped.height


def test_copies_in_several_files_are_one_post_and_the_rest_is_accounted_for(
    tmp_path: Path,
) -> None:
    files = [
        file(tmp_path / "a.ndjson", [post("x", "short"), post("y"), "{"]),
        file(tmp_path / "b.ndjson", [post("x", "a longer body"), post("z", subreddit="pics")]),
    ]
    out = tmp_path / "posts.parquet"
    done = command("ingest", *map(str, files), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["posts"], report["lines"]) == (2, 5)
    assert [(f["lines"], f["posts"]) for f in report["files"]] == [(3, 1), (2, 1)]
    aside = [{k: (v["lines"], v["first"]) for k, v in f["aside"].items()} for f in report["files"]]
    assert aside == [{"duplicate_id": (1, 1), "not_json": (1, 3)}, {"other_subreddit": (1, 2)}]
    posts = pl.read_parquet(out)
    assert dict(posts.schema) == schema.POSTS
    assert posts.select("post_id", "body", "source_file").rows() == [
        ("x", "a longer body", "b.ndjson"),
        ("y", "b", "a.ndjson"),
    ]


def test_ingest_prints_a_table_and_repeats_itself_to_the_byte(tmp_path: Path) -> None:
    source = file(tmp_path / "a.ndjson", [post("x", author="one"), post("z", subreddit="pics")])
    out = tmp_path / "posts.parquet"
    done = command("ingest", str(source), "--out", str(out), env={"VALACT_AUTHOR_KEY": ""})
    assert done.returncode == 0, done.stderr
    assert "other_subreddit 1, 2: pics" in done.stdout
    assert "1 posts name their author, and VALACT_AUTHOR_KEY is not set" in done.stdout
    assert done.stdout.rstrip().endswith(f"{out}: 1 posts from 2 lines")
    before = out.read_bytes()
    again = command("ingest", str(source), "--out", str(out))
    assert (again.returncode, out.read_bytes()) == (0, before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ndjson", "posts.parquet"]


def test_all_subreddits_keeps_posts_without_a_domain(tmp_path: Path) -> None:
    source = file(tmp_path / "a.ndjson", [post("x"), post("z", subreddit="pics")])
    out = tmp_path / "posts.parquet"
    done = command("ingest", str(source), "--out", str(out), "--all-subreddits")
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(out).select("post_id", "domain").rows() == [("x", "career"), ("z", None)]


def test_the_mapping_is_that_of_the_command_or_else_of_the_configuration(tmp_path: Path) -> None:
    rows = [{"id": "x", "title": "t", "selftext": 'one,\r\n"two"', "subreddit": "AskHR"}]
    source = str(table(tmp_path / "a.csv", rows))
    out = tmp_path / "posts.parquet"
    for options in (["--mapping", "pushshift"], ["--set", "source.mapping=pushshift"]):
        done = command("ingest", source, "--out", str(out), *options)
        assert done.returncode == 0, done.stderr
        assert pl.read_parquet(out)["body"].to_list() == ['one,\r\n"two"']


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.zst", "--out", "o.parquet"], r"absent\.zst: no such file"),
        (["a.ndjson", "absent.zst", "--out", "o.parquet"], r"absent\.zst: no such file"),
        (["a.ndjson", "--out", "absent/o.parquet"], "there is no folder"),
        (["a.ndjson", "--out", "folder"], "is a folder"),
        (["folder", "--out", "o.parquet"], "folder: no such file"),
        (["a.ndjson", "a.ndjson", "--out", "o.parquet"], "2 of the files have this name"),
        (["a.csv", "--out", "o.parquet"], "is an export; say by source.mapping"),
        (["a.csv", "--mapping", "pushshif", "--out", "o.parquet"], "did you mean 'pushshift'"),
        (["a.csv", "--mapping", "careers", "--out", "o.parquet"], "has no column 'post_id'"),
        (["bad.ndjson", "--out", "o.parquet"], r"no post .* in 2 lines \(not_json 2\)"),
        (
            ["bad.ndjson", "--out", "o.parquet", "--set", "source.max_bad_lines=1"],
            "line 2: not_json .* source.max_bad_lines = 1",
        ),
        (["a.ndjson", "--out", "a.ndjson"], "is one of the files to read"),
        (["a.ndjson"], "--out"),
    ],
)
def test_a_wrong_command_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "folder").mkdir()
    file(tmp_path / "a.ndjson", [post("x")])
    file(tmp_path / "bad.ndjson", ["no", "posts"])
    table(tmp_path / "a.csv", [{"id": "x"}])
    before = sorted(tmp_path.iterdir())
    placed = [
        a if a.startswith("--") or a in {"pushshif", "careers"} or "=" in a else str(tmp_path / a)
        for a in arguments
    ]
    done = command("ingest", *placed)
    assert done.returncode == 2
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)
    assert re.search(said, done.stderr), done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_blank_lines_without_end_stop_the_reading(tmp_path: Path) -> None:
    source = file(tmp_path / "a.ndjson", [post("x"), *[""] * 50])
    config = load(DEMO, {"source.max_bad_lines": 49})
    with pytest.raises(BadInputError, match="line 51: blank_line"):
        read_posts([source], config)


def test_a_post_that_was_taken_back_is_set_aside_here_too(tmp_path: Path) -> None:
    stones = tmp_path / "stones.ndjson"
    stones.write_text('{"post_id": "x", "reason": "deleted", "noted": "2026-01-02"}\n')
    source = file(tmp_path / "a.ndjson", [post("x"), post("y")])
    found = read_posts([source], load(DEMO, {"source.tombstones": str(stones)}))
    assert found.posts["post_id"].to_list() == ["y"]
    assert found.aside().rows() == [("a.ndjson", "tombstoned", 1, 1, "deleted")]


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    out = tmp_path / "posts.parquet"
    done = command("ingest", "/dev/stdin", "--out", str(out), input=post("x"))
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(out)["source_file"].to_list() == ["stdin"]


def world(folder: Path, source: Path, **overrides: Any) -> Config:
    places = {"build.workspace": str(folder / "work"), "build.dist": str(folder / "dist")}
    return load(DEMO, {"source.path": str(source)} | places | overrides)


def values(folder: Path) -> str:
    """Return all that the artifacts below a folder hold, Parquet unpacked, as one text."""
    texts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        is_table = path.suffix == ".parquet"
        texts.append(pl.read_parquet(path).write_json() if is_table else path.read_text())
    return "\n".join(texts)


AUTHORED = [
    post("a", author=AUTHORS[0], author_fullname="t2_secret"),
    post("b", author=AUTHORS[0].upper()),
    post("c", author=AUTHORS[1]),
    post("d", author="[deleted]"),
    post("e", author=AUTHORS[2], author_hash="0123456789abcdef"),
    post("f", subreddit=f"u_{AUTHORS[1]}", author=AUTHORS[1]),
    post("g", author=AUTHORS[2], score=[AUTHORS[2]]),
    post("h", author_hash=AUTHORS[2]),
    f'{{"id": "i", "author": "{AUTHORS[2]}", "title"',
    json.dumps({"id": "j", "link_id": "t3_a", "author": AUTHORS[0], "body": "hello"}),
]


def test_no_artifact_holds_an_authors_name_or_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALACT_AUTHOR_KEY", KEY)
    config = world(tmp_path, file(tmp_path / "posts.ndjson", AUTHORED))
    runner.build(config, until="scrape")
    held = values(tmp_path / "work").lower()
    for secret in (*AUTHORS, "t2_secret", KEY):
        assert secret.lower() not in held
    posts = load_table(tmp_path / "work", "scrape.posts")
    somebody, another = (author_hash(name, KEY.encode()) for name in AUTHORS[:2])
    assert dict(posts.select("post_id", "author_hash").iter_rows()) == {
        "a": somebody,
        "b": somebody,
        "c": another,
        "d": None,
        "e": "0123456789abcdef",
    }


def test_another_key_runs_scrape_again_and_leaves_a_mark_that_does_not_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = file(tmp_path / "posts.ndjson", AUTHORED)
    marks = []
    for key in (None, KEY, OTHER_KEY):
        if key:
            monkeypatch.setenv("VALACT_TEST_KEY", key)
        config = world(tmp_path, source, **{"source.author_key_env": "VALACT_TEST_KEY"})
        assert planning.plan(config)[0].action == "run"
        runner.build(config, until="scrape")
        assert planning.plan(config)[0].action == "skip"
        manifest = read_json(tmp_path / "work" / "scrape" / "manifest.json")
        marks.append(manifest["components"]["source.author_key"])
        notes = manifest["notes"]
        assert notes["authors"] == (
            {"hashed": 4, "without_key": 0} if key else {"hashed": 1, "without_key": 3}
        )
        warning = "3 posts name their author, and VALACT_TEST_KEY is not set"
        assert [w.partition(":")[0] for w in notes["warnings"]] == ([] if key else [warning])
    assert len(set(marks)) == 3
    assert marks[1] == fingerprint(KEY.encode())
    monkeypatch.setenv("VALACT_OTHER_NAME", OTHER_KEY)
    moved = world(tmp_path, source, **{"source.author_key_env": "VALACT_OTHER_NAME"})
    assert planning.plan(moved)[0].action == "skip"


def test_a_build_reads_an_export_by_its_mapping(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "title": "A &amp; B", "selftext": "b", "subreddit": "AskHR", "score": "3.0"},
        {"id": "y", "title": "t", "selftext": "[removed]", "subreddit": "pics"},
        {"id": "", "title": "t", "selftext": "b", "subreddit": "AskHR"},
    ]
    source = table(tmp_path / "posts.csv", rows)
    config = world(tmp_path, source, **{"source.mapping": "pushshift"})
    funnels = runner.build(config, until="scrape")
    assert funnels["scrape"].reasons() == {"no_id": 1, "other_subreddit": 1}
    posts = load_table(tmp_path / "work", "scrape.posts")
    assert posts.select("post_id", "title", "score", "source_line").rows() == [("x", "A & B", 3, 1)]
    manifest = read_json(tmp_path / "work" / "scrape" / "manifest.json")
    assert manifest["components"]["source.mapping.columns.body"] == '"selftext"'
    assert manifest["components"]["source.mapping.html_escaped"] == "true"


def test_the_mapping_counts_by_its_content_only_where_one_is_named(tmp_path: Path) -> None:
    parts = [
        components(STAGES[0], world(tmp_path, DEMO, **{"source.mapping": name}), {}, tmp_path)
        for name in ("", "careers", "umbrae")
    ]
    marks = [{k: v for k, v in p.items() if k.startswith("source.mapping")} for p in parts]
    assert marks[0] == {}
    assert marks[1]["source.mapping.columns.id"] == '"post_id"'
    assert marks[2]["source.mapping.columns.id"] == '"id"'
