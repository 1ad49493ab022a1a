"""Heavy stages on a Ray cluster of two machines, of which one is lost: the same bytes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from benchmarks.watch import Watch
from pipeline import build as runner
from pipeline.artifacts import read_json
from pipeline.errors import BadInputError, StageError
from pipeline.paths import ROOT
from pipeline.scale import BUCKET, parts_of
from tests.test_scale import built, config_of, write_dump

if TYPE_CHECKING:
    from benchmarks.ray_cluster import Machines

ray = pytest.importorskip("ray", reason="Ray is not installed; `make ray` installs it")
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

LINES = 29_000  # posts; of those in the configured subreddits, 20,000 pass `screen`
PARTITIONS = 12
MOST_MB = 4_000  # of the driver and both machines, all processes
LIMIT_S = 400.0  # of a build that loses a machine
CHANGES: dict[str, Any] = {
    "screen.require_tags": [],
    "screen.max_words": 900,
    # Few are compared by their meaning: the model takes its time.
    "dedup.embedding_model": "minilm-package",
    "dedup.semantic_words": 885,
}
ON_RAY = CHANGES | {"build.partitions": PARTITIONS}


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Machines]]:
    from benchmarks.ray_cluster import Machines

    started: list[Machines] = []

    def start(others: int, **options: Any) -> Machines:
        started.append(Machines(others, **options))
        monkeypatch.setenv("RAY_ADDRESS", started[-1].cluster.address)
        return started[-1]

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    yield start
    ray.shutdown()
    for each in started:
        each.close()


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "posts.ndjson"
    write_dump(path, LINES)
    return path


@pytest.fixture(scope="module")
def whole(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = config_of(tmp_path_factory.mktemp("whole"), dump, **CHANGES)
    found = built(config)
    workspace = Path(config.build.workspace)
    assert runner.load_funnel(workspace, "dedup").entered >= 20_000
    assert sum(runner.load_funnel(workspace, "dedup").reasons().values()) > 1_000
    return found


def on_ray(folder: Path, dump: Path) -> dict[str, Any]:
    return built(config_of(folder, dump, **ON_RAY, **{"build.engine": "ray"}))


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
    machines: Callable[[int], Machines],
    dump: Path,
    whole: dict[str, Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from benchmarks.ray_cluster import Driver, build_command, files_of

    two = machines(1)
    workspace = tmp_path / "build"
    command = build_command(tmp_path, dump, "ray", ON_RAY)
    begun = time.monotonic()
    with Watch() as watch:
        driver = Driver.start(command, two.cluster.address, tmp_path / "driver.log")
        while not any((workspace / ".tag.parts" / "posts").glob("*")):
            assert driver.running(), driver.log.read_text()
            if time.monotonic() - begun > LIMIT_S:
                break
            driver.wait(0.05)
        two.lose()
        if not driver.wait(LIMIT_S - (time.monotonic() - begun)):
            pytest.fail(f"stalled: {two.situation()}\n{driver.stacks()}")
    assert driver.process.returncode == 0, driver.log.read_text()
    assert files_of(workspace) == whole
    assert two.alive() == 1
    kept = runner.load_funnel(workspace, "tag").kept
    assert kept == read_json(workspace / "tag/manifest.json")["files"]["posts.parquet"]["rows"]
    with sqlite3.connect(tmp_path / "cache" / "embeddings.sqlite") as cache:
        (embedded,) = cache.execute("SELECT count(*) FROM vectors").fetchone()
    assert embedded >= 10
    with capfd.disabled():
        print(
            f"\n    {kept:,} posts, {embedded} of them embedded, one of two machines lost: "
            f"{time.monotonic() - begun:.0f} s, {watch.cpu_s:.0f} s of CPU time, "
            f"{watch.peak_mb:,.0f} MB: {watch.at_peak}"
        )
    assert watch.peak_mb < MOST_MB, watch.at_peak


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

    session = machines(0).logs().parent
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


# A process of its own: Ray Data waits on in a thread that ends its process with the cluster.
GIVEN_UP = """
import os, sys
from pipeline import scale_ray
from pipeline.errors import StageError
from tests.test_scale_ray import _added, _many
engine = scale_ray.Ray(2)
scale_ray._WAIT_S, scale_ray._IDLE_S = 0.2, 2.0
print("ready", flush=True)
sys.stdin.readline()
try:
    if sys.argv[1] == "map":
        list(engine.map("numbers", abs, range(3)))
    else:
        list(engine.shuffle("numbers", _many, range(3), _added, 8))
except StageError as error:
    print(error, flush=True)
    os._exit(7)
"""


@pytest.mark.parametrize("how", ["map", "shuffle"])
def test_a_cluster_that_is_left_without_a_processor_is_given_up_in_one_line(
    machines: Callable[..., Machines], how: str
) -> None:
    two = machines(1, head_cpus=0)
    command = [sys.executable, "-c", GIVEN_UP, how]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        two.lose()
        said, _ = process.communicate("\n", timeout=LIMIT_S)
    assert process.returncode == 7, said
    assert "numbers: the Ray cluster has done nothing for 2 s (" in said.splitlines()[-1]
