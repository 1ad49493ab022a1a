"""Heavy stages on a Ray cluster of two machines, of which one is lost: the same bytes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipeline import build as runner
from pipeline.artifacts import read_json
from pipeline.errors import BadInputError, StageError
from pipeline.scale import BUCKET, parts_of
from tests.test_scale import built, config_of, write_dump

ray = pytest.importorskip("ray", reason="Ray is not installed; `make ray` installs it")
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]

POSTS = 20_000
STORE = 80 * 2**20  # bytes a machine, of objects; more of them are written to disk
PARTITIONS = 12


class Machines:
    """A cluster: a head, which this process is at, and others."""

    def __init__(self, others: int) -> None:
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 2, "object_store_memory": STORE}
        self.cluster = Cluster(initialize_head=True, head_node_args=node)
        self.others = [self.cluster.add_node(**node) for _ in range(others)]
        self.cluster.wait_for_nodes()

    def lose_one(self) -> None:
        self.cluster.remove_node(self.others.pop(), allow_graceful=False)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Machines]]:
    started: list[Machines] = []

    def start(others: int) -> Machines:
        started.append(Machines(others))
        monkeypatch.setenv("RAY_ADDRESS", started[-1].cluster.address)
        return started[-1]

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    yield start
    ray.shutdown()
    for each in started:
        each.cluster.shutdown()


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "posts.ndjson"
    write_dump(path, POSTS)
    return path


CHANGES: dict[str, Any] = {
    "screen.require_tags": [],
    "screen.max_words": 900,
    # Few are compared by their meaning: the model takes its time.
    "dedup.embedding_model": "minilm-package",
    "dedup.semantic_words": 885,
}


@pytest.fixture(scope="module")
def whole(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = config_of(tmp_path_factory.mktemp("whole"), dump, **CHANGES)
    found = built(config)
    assert runner.load_funnel(Path(config.build.workspace), "scrape").kept >= 15_000
    return found


def on_ray(folder: Path, dump: Path) -> dict[str, Any]:
    ray_too = {"build.engine": "ray", "build.partitions": PARTITIONS}
    return built(config_of(folder, dump, **CHANGES, **ray_too))


def when(seen: Callable[[], bool], action: Callable[[], None]) -> threading.Thread:
    """Do something as soon as something is to be seen."""
    pause = threading.Event()

    def wait() -> None:
        while not seen():
            pause.wait(0.02)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_one_machine_gives_the_same_bytes(
    machines: Callable[[int], Machines], dump: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    machines(0)
    assert on_ray(tmp_path, dump) == whole


def test_two_machines_of_which_one_is_lost_give_the_same_bytes(
    machines: Callable[[int], Machines], dump: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    two = machines(1)
    parts = tmp_path / "build" / ".tag.parts" / "posts"
    loss = when(lambda: any(parts.glob("*")), two.lose_one)
    assert on_ray(tmp_path, dump) == whole
    loss.join()
    assert sum(node["Alive"] for node in ray.nodes()) == 1
    kept = runner.load_funnel(tmp_path / "build", "tag").kept
    assert kept == read_json(tmp_path / "build/tag/manifest.json")["files"]["posts.parquet"]["rows"]


def _many(number: int) -> pl.DataFrame:
    random = np.random.default_rng(number)
    values = random.integers(0, 2**40, 2**20)
    return pl.DataFrame({"n": values, BUCKET: (values % 8).astype(np.int32)})


def _added(rows: pl.DataFrame) -> tuple[int, int]:
    return rows.height, int(rows["n"].sum())


def test_rows_that_do_not_fit_into_memory_wait_on_disk(
    machines: Callable[[int], Machines],
) -> None:
    from pipeline.scale_ray import Ray

    session = Path(machines(0).cluster.head_node.get_session_dir_path())
    spilled = threading.Event()
    when(lambda: any(session.glob("ray_spilled_objects*/*")), spilled.set)
    engine = Ray(24)
    found = list(engine.shuffle("numbers", _many, range(24), _added, 8))
    assert sum(height for height, _ in found) == 24 * 2**20  # 300 MB through a store of 80
    sums = [_added(_many(n).filter(pl.col(BUCKET) == 3))[1] for n in range(24)]
    assert found[3][1] == sum(sums)
    assert spilled.is_set()


def _dies(part: Any) -> int:
    if part.start:
        os.kill(os.getpid(), signal.SIGKILL)
    return int(part.rows)


def _numbers(part: Any) -> list[int]:
    numbers: list[int] = part.read()["n"].to_list()
    if 7 in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbers


def _without(part: Any) -> list[int]:
    return [-int(part.read()["n"].item())]


def _wrong(part: Any) -> int:
    raise ValueError("what is wrong")


def test_a_partition_that_fails_names_its_file(
    machines: Callable[[int], Machines], tmp_path: Path
) -> None:
    from pipeline.scale_ray import Ray

    machines(0)
    path = tmp_path / "table.parquet"
    pl.DataFrame({"n": range(10)}).write_parquet(path)
    engine = Ray(2)
    with pytest.raises(StageError, match=r"count \(.*table\.parquet, rows 0 to 5\): .*is wrong"):
        list(engine.map("count", _wrong, parts_of(path, 2)))
    with pytest.raises(StageError, match=r"count \(.*table\.parquet, rows 5 to 10\): Worker"):
        list(engine.map("count", _dies, parts_of(path, 2)))


def test_a_row_that_kills_its_process_is_lost_alone(
    machines: Callable[[int], Machines], tmp_path: Path
) -> None:
    from pipeline.scale_ray import Ray

    machines(0)
    path = tmp_path / "table.parquet"
    pl.DataFrame({"n": range(10)}).write_parquet(path)
    found = Ray(2).map("numbers", _numbers, parts_of(path, 2), lost=_without)
    assert [n for numbers in found for n in numbers] == [0, 1, 2, 3, 4, 5, 6, -7, 8, 9]


def test_a_cluster_that_does_not_answer_is_said_in_one_line(
    tmp_path: Path, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(BadInputError, match=r"RAY_ADDRESS=127\.0\.0\.1:1: no Ray cluster answers"):
        on_ray(tmp_path, dump)
