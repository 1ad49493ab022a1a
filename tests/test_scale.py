"""Heavy stages in partitions: the bytes and the keys are those of one process on whole tables."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dedup_posts import Source, chunks
from benchmarks.ray_cluster import heavy_stages
from pipeline import artifacts, keys, planning, tag
from pipeline import build as runner
from pipeline.artifacts import folder_digest, write_frames, write_parquet
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.errors import BadInputError, StageError
from pipeline.paths import ROOT
from pipeline.scale import BUCKET, Local, Part, Spool, engine_of, parts_of
from tests.conftest import command
from tests.loopback import ChatServer

STAGES = ("scrape", "tag", "screen", "dedup")
ENGLISH = "should i do this with my and he was not so it is what they have for me "


def write_dump(path: Path, count: int) -> None:
    """Write invented posts as a dump, with snapshots of posts, broken lines and blank ones."""
    with path.open("w") as handle:
        for chunk in chunks(Source.of(None, 5), count, 5):
            for number, row in enumerate(chunk.iter_rows(named=True)):
                body = ENGLISH + row["body"].replace(".", " and it is what i was told.")
                post = {
                    "id": row["post_id"],
                    "subreddit": row["subreddit"],
                    "title": row["title"],
                    "selftext": body,
                    "created_utc": 1_600_000_000 + number,
                    "score": row["score"],
                    "author": f"author{number % 97}",
                }
                handle.write(json.dumps(post) + "\n")
                if number % 41 == 0:
                    handle.write(json.dumps(post | {"score": 1, "selftext": body[:-9]}) + "\n")
                if number % 97 == 0:
                    handle.write("{broken\n\n")


def config_of(folder: Path, dump: Path, **changes: Any) -> Config:
    """Return the demonstration over a dump, without a pool and in a folder of its own."""
    return load(ROOT / "configs" / "demo.toml", heavy_stages(folder, dump) | changes)


def built(config: Config, until: str = "dedup") -> dict[str, Any]:
    """Build, and return the digest of every file but of those that hold the time."""
    runner.build(config, until=until)
    found = folder_digest(Path(config.build.workspace))
    hidden = (".", "run.json")
    return {n: d for n, d in found.items() if not n.startswith(hidden) and "run.json" not in n}


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "posts.ndjson"
    write_dump(path, 1_500)
    return path


@pytest.fixture(scope="module")
def whole(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return built(config_of(tmp_path_factory.mktemp("whole"), dump))


@pytest.mark.parametrize("changes", [{"partitions": 8}, {"partitions": 64}])
def test_partitions_give_the_same_bytes_and_keys(
    changes: dict[str, int], dump: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    config = config_of(tmp_path, dump, **{f"build.{k}": v for k, v in changes.items()})
    assert built(config) == whole
    assert {name.partition("/")[0] for name in whole} == set(STAGES)
    funnel = runner.load_funnel(Path(config.build.workspace), "scrape")
    assert funnel.reasons()["duplicate_id"] > 10
    assert runner.load_funnel(Path(config.build.workspace), "dedup").kept > 100


@pytest.mark.slow
def test_two_processes_give_the_same_bytes_and_keys(
    dump: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    assert built(config_of(tmp_path, dump, **{"build.processes": 2})) == whole


def test_keys_name_the_code_of_an_engine_and_not_its_package() -> None:
    parts = keys.code("pipeline.tag")
    assert "code.pipeline.scale_ray" in parts
    assert "package.polars" in parts
    assert "package.ray" not in parts


def test_who_does_the_work_is_no_reason_to_do_it_again(
    dump: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    config = config_of(tmp_path, dump)
    assert built(config) == whole
    other = config_of(tmp_path, dump, **{"build.engine": "ray", "build.partitions": 3})
    assert [item.action for item in planning.plan(other)[:4]] == ["skip"] * 4
    runner.build(other, until="dedup")  # nothing to do: no cluster is asked for


def test_a_release_is_the_same_whoever_did_the_work(
    world: Callable[..., Config], server: ChatServer, tmp_path: Path
) -> None:
    one = world()
    runner.build(one)
    two = world(
        build__workspace=str(tmp_path / "parts"),
        build__dist=str(tmp_path / "dist2"),
        build__partitions=3,
    )
    runner.build(two, replay_only=True)
    assert folder_digest(Path(one.build.dist)) == folder_digest(Path(two.build.dist))


def test_authors_are_hashed_alike(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALACT_AUTHOR_KEY", "key of a test")
    one = built(config_of(tmp_path / "one", dump), "scrape")
    two = built(config_of(tmp_path / "two", dump, **{"build.partitions": 5}), "scrape")
    assert one == two
    posts = pl.read_parquet(tmp_path / "one" / "build" / "scrape" / "posts.parquet")
    assert posts["author_hash"].null_count() == 0


def test_too_many_bad_lines_end_in_the_same_words(dump: Path, tmp_path: Path) -> None:
    said = []
    for partitions in (1, 4):
        changes = {"build.partitions": partitions, "source.max_bad_lines": 7}
        with pytest.raises(BadInputError, match=r"more than source\.max_bad_lines = 7") as caught:
            built(config_of(tmp_path, dump, **changes))
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("partitions", [1, 6])
def test_a_post_that_a_rule_cannot_read_fails_alone(
    partitions: int, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tag.languages
    first = json.loads(dump.open().readline())

    def fragile(texts: list[str]) -> list[str | None]:
        if any(first["selftext"][:200] in text for text in texts):
            raise ValueError("poison")
        return real(texts)

    monkeypatch.setattr(tag, "languages", fragile)
    config = config_of(tmp_path, dump, **{"build.partitions": partitions})
    runner.build(config, until="tag")
    lost = pl.read_parquet(Path(config.build.workspace) / "tag" / "dropped.parquet")
    assert lost.select("id", "outcome", "reason", "detail").rows() == [
        (first["id"], "failed", "error", "ValueError")
    ]


def _fails(part: Part) -> int:
    if part.start:
        raise ValueError("what is wrong")
    return part.rows


def _square(number: int, more: int) -> int:
    return number * number + more


def _by_last_digit(numbers: Sequence[int], _: int) -> pl.DataFrame:
    return pl.DataFrame({"n": numbers, BUCKET: [n % 10 for n in numbers]}).cast({BUCKET: pl.Int32})


def _sum(rows: pl.DataFrame, more: int) -> int:
    return int(rows["n"].sum()) + more


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_engine_maps_in_order_moves_rows_and_names_what_failed(
    processes: int, tmp_path: Path
) -> None:
    engine = Local(4, processes)
    assert list(engine.map("squares", _square, range(30), 1)) == [n * n + 1 for n in range(30)]
    assert list(engine.map("nothing", _square, [], 1)) == []
    rows = [list(range(k, 100, 7)) for k in range(7)]
    found = list(engine.shuffle("digits", _by_last_digit, rows, _sum, 10, 1))
    assert found == [sum(range(digit, 100, 10)) + 1 for digit in range(10)]
    path = tmp_path / "table.parquet"
    write_parquet(pl.DataFrame({"n": range(10)}), path)
    with pytest.raises(StageError, match=r"count \(.*table.parquet, rows 5 to 10\): .*is wrong"):
        list(engine.map("count", _fails, parts_of(path, 2)))


@given(st.integers(0, 40), st.integers(1, 60))
def test_parts_are_all_the_rows_in_order(rows: int, count: int) -> None:
    with TemporaryDirectory() as name:
        path = Path(name, "table.parquet")
        write_parquet(pl.DataFrame({"n": range(rows)}, schema={"n": pl.Int64}), path)
        parts = parts_of(path, count)
        assert [n for part in parts for n in part.read()["n"]] == list(range(rows))
        assert len(parts) <= max(1, min(count, rows))


CELLS = st.tuples(
    st.none() | st.text(max_size=3),
    st.none() | st.lists(st.sampled_from(["a", "bc", ""]), max_size=4),
    st.none() | st.booleans(),
    st.none() | st.integers(-3, 3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CELLS, max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_bytes_do_not_depend_on_where_a_table_is_cut(rows: list[Any], cuts: list[int]) -> None:
    columns = {"a": pl.String(), "b": pl.List(pl.String()), "c": pl.Boolean(), "d": pl.Int64()}
    table = pl.DataFrame(rows, schema=columns, orient="row")
    borders = [0, *sorted(cuts), max(60, len(rows))]
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "ROW_GROUP", 16)
        one, two = Path(name, "one"), Path(name, "two")
        write_parquet(table, one)
        spool = Spool(columns, Path(name, "parts"))
        for a, b in pairwise(borders):
            spool.add(table[a:b])
        assert write_frames(spool.frames(), spool.columns, two) == table.height
        assert one.read_bytes() == two.read_bytes()
        assert pl.read_parquet(one).equals(table)
        assert spool.lazy().collect().equals(table)


def test_ray_that_is_not_installed_is_said_with_the_command(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "ray" else real(name, *a)
    )
    config = config_of(tmp_path, dump, **{"build.engine": "ray"})
    with pytest.raises(BadInputError, match="Ray is not installed; install it by `make ray`"):
        engine_of(config.build)
    with pytest.raises(BadInputError, match="Ray is not installed"):
        runner.build(config)


def test_an_unknown_engine_is_refused() -> None:
    done = command("build", "--engine", "spark")
    assert done.returncode == 2
    assert "spark" in done.stderr
