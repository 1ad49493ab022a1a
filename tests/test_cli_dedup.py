"""The commands `dedup` and `dedup-review`, run as their users run them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipeline.paths import ROOT, SAMPLE_POSTS

SAMPLE = [json.loads(line) for line in SAMPLE_POSTS.read_text(encoding="utf-8").splitlines()]
COPIES = {
    post["id"]: post["_of"]
    for post in SAMPLE
    if post["_defect"] in {"exact_duplicate", "near_duplicate"}
}


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def pairs_in(file: Path) -> dict[str, str]:
    with file.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert all(list(row) == ["removed_id", "keeper_id", "method", "similarity"] for row in rows)
    return {row["removed_id"]: row["keeper_id"] for row in rows}


def test_posts_in_any_form_give_the_same_pairs(tmp_path: Path) -> None:
    table, halves = tmp_path / "posts.parquet", (tmp_path / "a.ndjson", tmp_path / "b.ndjson")
    assert run("ingest", SAMPLE_POSTS, "--out", table, "--all-subreddits").returncode == 0
    lines = SAMPLE_POSTS.read_text(encoding="utf-8").splitlines(keepends=True)
    halves[0].write_text("".join(lines[::2]), encoding="utf-8")
    halves[1].write_text("".join(lines[1::2]), encoding="utf-8")
    found = []
    for files in ([SAMPLE_POSTS], [table], list(halves), [halves[0], table]):
        done = run("dedup", *files, "--pairs", tmp_path / "p.csv", "--words-only", "--json")
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / "p.csv").read_bytes())
    assert found == found[:1] * 4
    pairs = pairs_in(tmp_path / "p.csv")
    assert {k: v for k, v in pairs.items() if k in COPIES} == COPIES
    counts = json.loads(done.stdout)
    assert counts["kept"] == counts["posts"] - len(pairs)
    assert sum(counts["removed"].values()) == len(pairs)


def test_what_stays_and_the_page_are_written(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("p.csv", "kept.parquet", "page.html")}
    done = run(
        *("dedup", SAMPLE_POSTS, "--pairs", files["p.csv"], "--out", files["kept.parquet"]),
        *("--review", files["page.html"], "--set", f'build.cache="{tmp_path}"'),
    )
    assert done.returncode == 0, done.stderr
    kept, gone = set(pl.read_parquet(files["kept.parquet"])["post_id"]), pairs_in(files["p.csv"])
    assert kept.isdisjoint(gone)
    assert set(gone.values()) <= kept
    assert kept | gone.keys() == {post["id"] for post in SAMPLE if "id" in post} & (
        kept | gone.keys()
    )
    assert f"{len(kept):,} of {len(kept) + len(gone):,} posts stay" in done.stdout
    page = files["page.html"].read_text(encoding="utf-8")
    assert "dedup.jaccard" in page
    assert (tmp_path / "embeddings.sqlite").exists()


def test_thresholds_come_from_the_configuration(tmp_path: Path) -> None:
    def removed(*options: str) -> set[str]:
        done = run("dedup", SAMPLE_POSTS, "--pairs", tmp_path / "p.csv", "--words-only", *options)
        assert done.returncode == 0, done.stderr
        return set(pairs_in(tmp_path / "p.csv"))

    strict = removed("--set", "dedup.jaccard=1.0", "--set", "dedup.containment=1.0")
    assert strict < removed()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.parquet"], "nothing.parquet: no such file"),
        (["{tmp}/bad.parquet"], "bad.parquet: not a table of posts"),
        (["{tmp}/other.parquet"], "other.parquet: not a table of posts"),
        (["{tmp}/posts.csv"], "source.mapping (or --mapping)"),
        (["{sample}", "--review", "{tmp}"], "is a folder; name a file"),
        (["{sample}", "--out", "{tmp}/no/where.parquet"], "there is no folder"),
        (["{sample}", "--set", "dedup.earlier=['./no']"], "dedup.earlier: no: holds no scenarios"),
        (["{sample}", "--set", 'dedup.embedding_model="./no"'], "dedup.embedding_model: './no'"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "bad.parquet").write_text("PAR1 no", encoding="utf-8")
    (tmp_path / "posts.csv").write_text("id,title\n1,a\n", encoding="utf-8")
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / "other.parquet")
    filled = [text.format(tmp=tmp_path, sample=SAMPLE_POSTS) for text in arguments]
    done = run("dedup", *filled, "--pairs", tmp_path / "p.csv")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "p.csv").exists()


def test_a_build_is_reviewed(prepared: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run("dedup-review", "--workspace", prepared, "--count", 2, "--html", page)
    assert done.returncode == 0, done.stderr
    near = pl.read_parquet(prepared / "dedup" / "near.parquet")
    assert near.height
    assert near["better_id"][0] in done.stdout + page.read_text(encoding="utf-8")
    wrong = run("dedup-review", "--workspace", prepared, "--method", "magic")
    assert wrong.returncode == 2
    assert "magic" in wrong.stderr
    nowhere = run("dedup-review", "--workspace", tmp_path)
    assert nowhere.returncode != 0
    assert "run `python -m pipeline build` first" in nowhere.stderr
