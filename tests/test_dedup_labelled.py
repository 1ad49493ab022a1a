"""Labelled pairs: recall and precision on invented ones, and what the docs say of real ones."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from dataclasses import dataclass

import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from pipeline.config_file import load
from pipeline.duplicates import Duplicates, find
from pipeline.embedding import embedder_of
from pipeline.paths import ROOT
from pipeline.sources.read import read_posts
from pipeline.tag import with_text

PAIRS_FILE = ROOT / "tests" / "dedup_pairs.ndjson"

# What the rules are there for is found; what they cannot know is not.
LEAST_RECALL = {
    "repost": 1.0,
    "edit": 0.9,
    "crosspost": 0.9,
    "shortened": 1.0,
    "update_link": 0.9,
    "update_title": 1.0,
    "resubmitted": 0.9,
    "paraphrase": 0.0,  # see docs/dedup.md
}
MOST_WRONG = {"equal_title": 2}  # of one author, months apart: see the file's last of that kind


@dataclass(frozen=True)
class Labelled:
    kind: str
    same: bool
    a: str
    b: str


@pytest.fixture(scope="module")
def labelled() -> list[Labelled]:
    with PAIRS_FILE.open(encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    return [Labelled(p["kind"], p["same"], p["a"]["id"], p["b"]["id"]) for p in pairs]


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """All posts together, as a dump is read, so that every pair of them may be found."""
    folder = tmp_path_factory.mktemp("labelled")
    with PAIRS_FILE.open(encoding="utf-8") as lines:
        rows = [
            post for line in lines for pair in [json.loads(line)] for post in (pair["a"], pair["b"])
        ]
    file = folder / "posts.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = load(ROOT / "configs" / "demo.toml", {"source.author_key_env": "VALACT_TEST_AUTHORS"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALACT_TEST_AUTHORS", "k" * 32)
        return with_text(read_posts([file], config, all_subreddits=True).posts)


@pytest.fixture(scope="module")
def found(posts: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Duplicates:
    config = load(ROOT / "configs" / "demo.toml")
    build = dataclasses.replace(config.build, cache=str(tmp_path_factory.mktemp("cache")))
    config = dataclasses.replace(config, build=build)
    return find(posts, config.dedup, embedder_of(config))


def merged(found: Duplicates) -> dict[frozenset[str], str]:
    rows = found.removals.select("removed_id", "keeper_id", "method").rows()
    return {frozenset((removed, keeper)): method for removed, keeper, method in rows}


def test_the_set_is_large_enough(labelled: list[Labelled]) -> None:
    assert len(labelled) >= 150
    assert {pair.kind for pair in labelled if pair.same} == LEAST_RECALL.keys()


def test_recall_and_precision_by_kind(
    labelled: list[Labelled], found: Duplicates, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = merged(found)
    right: dict[str, list[bool]] = defaultdict(list)
    for pair in labelled:
        right[pair.kind].append((frozenset((pair.a, pair.b)) in pairs) == pair.same)
    known = {frozenset((pair.a, pair.b)): pair.same for pair in labelled}
    good = sum(known.get(pair, False) for pair in pairs)
    with capsys.disabled():
        print("\n  duplicates among invented pairs")
        for kind, answers in sorted(right.items()):
            word = "found" if kind in LEAST_RECALL else "left alone"
            print(f"    {kind:<14}{sum(answers):>4} of {len(answers):>3} {word}")
        print(f"    precision     {good:>4} of {len(pairs):>3} removals")
    for kind, least in LEAST_RECALL.items():
        assert sum(right[kind]) >= least * len(right[kind]), kind
    for kind in right.keys() - LEAST_RECALL.keys():
        assert right[kind].count(False) <= MOST_WRONG.get(kind, 0), kind
    assert good >= 0.98 * len(pairs)


def test_every_removal_is_of_a_labelled_pair(labelled: list[Labelled], found: Duplicates) -> None:
    known = {frozenset((pair.a, pair.b)) for pair in labelled}
    assert merged(found).keys() <= known


@pytest.mark.parametrize("name", ["same_story_pairs.csv", "judged_removals.csv"])
def test_the_docs_say_how_many_real_pairs_were_read_and_how_well_readers_agree(name: str) -> None:
    table = pl.read_csv(ROOT / "benchmarks" / name, infer_schema=False)
    assert set(table["same"]) <= {"0", "1", "m", "u"}
    pairs = {frozenset(pair) for pair in table.select("a_id", "b_id").iter_rows()}
    assert len(pairs) == table.height  # each once, whichever of the two comes first
    twice = table.filter(pl.col("second").is_not_null())
    kappa = cohen_kappa_score(twice["same"].to_list(), twice["second"].to_list())
    docs = (ROOT / "docs" / "dedup.md").read_text(encoding="utf-8")
    [about] = (part for part in docs.split("\n\n") if f"`benchmarks/{name}`" in part)
    controls = table.filter(kind="control").height
    counts = {table.height, twice.height, *({controls} if controls else ())}
    assert counts <= {int(number) for number in re.findall(r"\b\d+\b", about)}
    assert f"kappa {kappa:.2f}" in about
