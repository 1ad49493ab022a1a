"""Stage dedup: the pool is drawn by id, the sample's copies fall, every removal is a pair."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import dedup, schema, scrape, screen, tag
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.dedup import draw_pool
from pipeline.duplicates.stars import METHODS
from pipeline.errors import BadInputError
from pipeline.paths import ROOT, SAMPLE_POSTS
from pipeline.stage import Context, Result

CONFIG = load(ROOT / "configs" / "demo.toml")
DUPLICATES = {"exact_duplicate", "near_duplicate", "paraphrase"}


def pool_of(rows: list[tuple[int, str]]) -> pl.DataFrame:
    posts = ({"post_id": f"p{number}", "domain": domain} for number, domain in rows)
    return schema.frame(posts, schema.SCREENED)


ROWS_OF_POOL = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from("abc")), unique_by=lambda r: r[0], max_size=30
)


@given(ROWS_OF_POOL, st.integers(1, 8), st.randoms(use_true_random=False))
def test_the_pool_is_drawn_by_id_and_exact_in_count(
    rows: list[tuple[int, str]], per_domain: int, rng: random.Random
) -> None:
    drawn = draw_pool(pool_of(rows), per_domain, "seed")
    counts = {d: min(n, per_domain) for d, n in Counter(d for _, d in rows).items()}
    assert dict(drawn.group_by("domain").len().iter_rows()) == counts
    chosen = set(drawn["post_id"])
    assert drawn["post_id"].to_list() == [f"p{n}" for n, _ in rows if f"p{n}" in chosen]
    mixed = draw_pool(pool_of(rng.sample(rows, len(rows))), per_domain, "seed")
    assert set(mixed["post_id"]) == chosen
    assert chosen <= set(draw_pool(pool_of(rows), per_domain + 1, "seed")["post_id"])
    fewer = [row for row in rows if f"p{row[0]}" in chosen or rng.random() < 0.5]
    assert set(draw_pool(pool_of(fewer), per_domain, "seed")["post_id"]) == chosen
    assert draw_pool(pool_of(rows), 0, "seed").equals(pool_of(rows))


def test_the_pool_depends_on_the_seed() -> None:
    posts = pool_of([(number, "a") for number in range(60)])
    one, other = (set(draw_pool(posts, 20, seed)["post_id"]) for seed in ("one", "other"))
    assert one != other


def run(stage: str, tables: dict[str, pl.DataFrame], config: Config = CONFIG) -> Result:
    module = {"scrape": scrape, "tag": tag, "screen": screen, "dedup": dedup}[stage]
    return module.run(Context(config=config, tables=tables, out=Path(), manifests={}))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    build = dataclasses.replace(CONFIG.build, cache=str(tmp_path_factory.mktemp("cache")))
    return dataclasses.replace(CONFIG, build=build)


@pytest.fixture(scope="module")
def posts() -> pl.DataFrame:
    scraped = run("scrape", {}).tables["posts"]
    tagged = run("tag", {"scrape.posts": scraped}).tables["posts"]
    return run("screen", {"tag.posts": tagged}).tables["posts"]


@pytest.fixture(scope="module")
def unique(posts: pl.DataFrame, config: Config) -> Result:
    return run("dedup", {"screen.posts": posts}, config)


def test_the_copies_of_the_sample_fall_to_their_originals_and_nothing_else_falls(
    unique: Result, posts: pl.DataFrame
) -> None:
    sample = [json.loads(line) for line in SAMPLE_POSTS.read_text(encoding="utf-8").splitlines()]
    copies = {post["id"]: post["_of"] for post in sample if post["_defect"] in DUPLICATES}
    assert {p["_defect"] for p in sample if p["id"] in copies} == DUPLICATES
    pairs, kept = unique.tables["pairs"], unique.tables["posts"]
    assert dict(pairs.select("removed_id", "keeper_id").iter_rows()) == copies
    assert kept["post_id"].to_list() == sorted(set(posts["post_id"]) - copies.keys())
    alike = {post["id"] for post in sample if post["_defect"] in {"same_title", "template"}}
    assert alike
    assert alike <= set(kept["post_id"])


def test_every_removal_is_one_measured_pair(unique: Result, posts: pl.DataFrame) -> None:
    pairs = unique.tables["pairs"]
    least = {"exact": 1.0, "lexical": CONFIG.dedup.jaccard, "semantic": CONFIG.dedup.cosine}
    assert set(least) <= set(METHODS)
    for _, _, method, similarity in pairs.iter_rows():
        assert least[method] <= similarity <= 1
    expected = {
        (removed, f"{method}_duplicate", f"of {keeper}")
        for removed, keeper, method, _ in pairs.iter_rows()
    }
    assert set(unique.dropped.select("id", "reason", "detail").iter_rows()) == expected
    assert unique.funnel.entered == posts.height == sum(unique.funnel.cells.values())
    assert dict(unique.tables["posts"].schema) == schema.SCREENED
    assert dict(pairs.schema) == schema.DUPLICATES


def test_row_order_changes_nothing(unique: Result, posts: pl.DataFrame, config: Config) -> None:
    mixed = posts.sample(fraction=1, shuffle=True, seed=1)
    again = run("dedup", {"screen.posts": mixed}, config)
    for name, table in unique.tables.items():
        assert again.tables[name].equals(table), name
    assert again.dropped.equals(unique.dropped)
    assert again.funnel == unique.funnel


def with_dedup(config: Config, **changes: object) -> Config:
    return dataclasses.replace(config, dedup=dataclasses.replace(config.dedup, **changes))


def test_what_an_earlier_release_has_is_not_told_again(
    unique: Result, posts: pl.DataFrame, config: Config, tmp_path: Path
) -> None:
    taken = unique.tables["posts"].head(2)
    earlier = taken.select(scenario_id=pl.lit("sc_") + pl.col("post_id"), scenario="text")
    (tmp_path / "data" / "scenarios").mkdir(parents=True)
    earlier.write_parquet(tmp_path / "data" / "scenarios" / "test-1.parquet")
    again = run("dedup", {"screen.posts": posts}, with_dedup(config, earlier=(str(tmp_path),)))
    gone = set(unique.tables["posts"]["post_id"]) - set(again.tables["posts"]["post_id"])
    assert gone == set(taken["post_id"])
    keepers = dict(again.tables["pairs"].select("removed_id", "keeper_id").iter_rows())
    assert {keepers[name] for name in gone} == {f"sc_{name}" for name in gone}


def test_an_earlier_release_without_scenarios_is_refused(
    posts: pl.DataFrame, config: Config, tmp_path: Path
) -> None:
    file = tmp_path / "other.parquet"
    pl.DataFrame({"text": ["a"]}).write_parquet(file)
    for place in (tmp_path / "nothing", file, tmp_path):
        if place == tmp_path:
            file.unlink()
        changed = with_dedup(config, earlier=(str(place),))
        with pytest.raises(BadInputError, match=r"dedup\.earlier: .*scenario_id and scenario"):
            run("dedup", {"screen.posts": posts}, changed)


def test_without_a_model_no_meanings_are_compared(posts: pl.DataFrame, config: Config) -> None:
    found = run("dedup", {"screen.posts": posts}, with_dedup(config, embedding_model=""))
    assert "semantic" not in set(found.tables["pairs"]["method"])
    assert found.tables["pairs"].height > 0
