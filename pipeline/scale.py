"""The work of heavy stages, cut into partitions: who does it has no part in what comes of it.

A stage gives pure functions over frames of a partition. An engine maps them, moves rows between
partitions, and does again what a lost machine had done.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import polars as pl

from pipeline.config import BuildConfig
from pipeline.errors import BadInputError, PipelineError, StageError
from pipeline.progress import task

__all__ = ["LOCAL", "Engine", "Local", "Part", "Spool", "engine_of", "failure", "parts_of"]

BUCKET = "bucket"
"""Column of the partition that a row goes to."""

Item = TypeVar("Item")
Given = TypeVar("Given")


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes:
        path: Parquet file; "" if the rows are at hand.
        start: First row.
        rows: Number of rows.
        frame: The rows, if they are at hand.
    """

    path: str
    start: int
    rows: int
    frame: pl.DataFrame | None = None

    def read(self) -> pl.DataFrame:
        """Return the rows."""
        return self.frame if self.frame is not None else self.scan().collect()

    def scan(self) -> pl.LazyFrame:
        """Return the rows, of which few columns may be wanted."""
        if self.frame is not None:
            return self.frame.lazy()
        return pl.scan_parquet(self.path).slice(self.start, self.rows)

    def halves(self) -> list[Part]:
        """Return the part in two; it has several rows."""
        middle = self.rows // 2
        cuts = [(0, middle), (middle, self.rows - middle)]
        frame = self.frame
        return [
            Part(self.path, self.start + at, rows, None if frame is None else frame[at : at + rows])
            for at, rows in cuts
        ]

    def __str__(self) -> str:
        """Return the file and the rows, for people."""
        return f"{self.path or 'table'}, rows {self.start:,} to {self.start + self.rows:,}"


def parts_of(path: Path, count: int) -> list[Part]:
    """Return the rows of a Parquet file in `count` parts of like size, none of them empty."""
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    ends = [rows * k // count for k in range(count + 1)]
    place = str(path.resolve())
    found = [Part(place, a, b - a) for a, b in pairwise(ends) if b > a]
    return found or [Part(place, 0, 0)]


class Engine(Protocol):
    """Who does the work.

    Attributes:
        name: For people.
        partitions: Parts that tables are cut into; 1 leaves them whole, and in memory.
    """

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def partitions(self) -> int:
        """Parts that tables are cut into."""

    def map(
        self,
        label: str,
        function: Callable[..., Given],
        items: Iterable[Any],
        *shared: Any,
        lost: Callable[[Part], Given] | None = None,
    ) -> Iterator[Given]:
        """Yield function(item, *shared) of each item, in the order of the items.

        Args:
            label: What is done, for people.
            function: Pure; from a module, so that other processes find it.
            items: Parts, frames, or other things of one partition.
            shared: What every call is given.
            lost: What is yielded for a part of one row that kills its process; a larger part that
                does is halved. Without it such a part is an error.

        Raises:
            PipelineError: What the function raised; or a partition failed, which is named.
        """

    def shuffle(
        self,
        label: str,
        cut: Callable[..., pl.DataFrame],
        items: Iterable[Any],
        reduce: Callable[..., Given],
        buckets: int,
        *shared: Any,
    ) -> Iterator[Given]:
        """Move rows between partitions; yield what comes of each bucket, in order.

        Args:
            label: What is done, for people.
            cut: Gives an item's rows, with a column BUCKET of Int32; takes what is shared, too.
            items: As in `map`.
            reduce: Takes all rows of a bucket in any order, and what is shared; empty buckets are
                left out.
            buckets: Number of buckets.
            shared: What every call is given.
        """


@dataclass(frozen=True)
class Local:
    """This machine: in this process, or in several."""

    partitions: int = 1
    processes: int = 1
    name: str = field(default="local", init=False)

    def map(
        self,
        label: str,
        function: Callable[..., Given],
        items: Iterable[Any],
        *shared: Any,
        lost: Callable[[Part], Given] | None = None,
    ) -> Iterator[Given]:
        """See Engine; what kills a process here ends the build."""
        if self.processes == 1:
            for item in items:
                try:
                    result = function(item, *shared)
                except (OSError, MemoryError):
                    raise
                except Exception as error:
                    if self.partitions == 1:
                        raise
                    raise failure(label, item, error) from error
                yield result
            return
        yield from self._in_processes(label, partial(_shared_last, function, shared), items)

    def _in_processes(
        self, label: str, function: Callable[[Any], Given], items: Iterable[Any]
    ) -> Iterator[Given]:
        todo = iter(items)
        running: deque[tuple[Any, Future[Given]]] = deque()
        pool = _pool(self.processes)
        with task(label, len(items) if isinstance(items, Sized) else 0) as progress:
            while True:
                for item in todo:
                    running.append((item, pool.submit(function, item)))
                    if len(running) > 2 * self.processes:  # few results wait at any time
                        break
                if not running:
                    return
                item, future = running.popleft()
                try:
                    result = future.result()
                except Exception as error:
                    _pool.cache_clear()
                    pool.shutdown(cancel_futures=True)
                    raise failure(label, item, error) from error
                progress.advance()
                yield result

    def shuffle(
        self,
        label: str,
        cut: Callable[..., pl.DataFrame],
        items: Iterable[Any],
        reduce: Callable[..., Given],
        buckets: int,
        *shared: Any,
    ) -> Iterator[Given]:
        """See Engine; rows wait in temporary files."""
        with TemporaryDirectory() as name:
            known = set()
            for number, frame in enumerate(self.map(label, cut, items, *shared)):
                for (bucket,), rows in frame.partition_by(BUCKET, as_dict=True).items():
                    folder = Path(name, str(bucket))
                    folder.mkdir(exist_ok=True)
                    rows.drop(BUCKET).write_ipc(folder / f"{number}.arrow")
                    known.add(int(bucket))
            folders = [str(Path(name, str(bucket))) for bucket in sorted(known)]
            yield from self.map(label, partial(_reduced, reduce), folders, *shared)


LOCAL = Local()
"""This process, on whole tables."""


def engine_of(build: BuildConfig) -> Engine:
    """Return who does the heavy stages of a build.

    Raises:
        BadInputError: Ray is asked for and is not installed, or its cluster does not answer.
    """
    if build.engine == "local":
        partitions = build.partitions or (4 * build.processes if build.processes > 1 else 1)
        return Local(partitions, build.processes)
    if importlib.util.find_spec("ray") is None:
        raise BadInputError(
            "build.engine: Ray is not installed; install it by `make ray` (or pip install "
            "'valact-pipeline[ray]'), or leave out --engine ray"
        )
    from pipeline.scale_ray import Ray

    return Ray(build.partitions)


def failure(label: str, item: object, error: BaseException) -> PipelineError:
    """Return the one line that a failed partition ends in: its own, or one that names it."""
    if isinstance(error, PipelineError):
        return error
    where = f" ({item})" if isinstance(item, Part | str) and str(item) else ""
    what = " ".join(str(error).split())[:300]
    return StageError(f"{label}{where}: {type(error).__name__}: {what}")


class Spool:
    """A table on its way, in parts: in memory, or as files where a folder is given."""

    def __init__(self, columns: dict[str, pl.DataType], folder: Path | None = None) -> None:
        self.columns = pl.Schema(columns)
        self._folder = folder
        self._frames: list[pl.DataFrame] = []
        self._files: list[Path] = []
        self.height = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows at the end."""
        self.height += frame.height
        if self._folder is None:
            self._frames.append(frame)
        elif frame.height:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{len(self._files):06d}.parquet"
            frame.write_parquet(path, compression="lz4")
            self._files.append(path)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, some at a time."""
        yield from self._frames
        for path in self._files:
            yield pl.read_parquet(path)

    def table(self) -> pl.DataFrame | Spool:
        """Return the rows as a frame if they are in memory anyway."""
        if self._folder is not None:
            return self
        return pl.concat([pl.DataFrame(schema=self.columns), *self._frames])

    def lazy(self) -> pl.LazyFrame:
        """Return the rows, to be read where they are needed."""
        if self._files:
            return pl.scan_parquet(self._files)
        nothing = pl.LazyFrame(schema=self.columns)
        return pl.concat([nothing, *(frame.lazy() for frame in self._frames)])

    def parts(self) -> list[Part]:
        """Return the files as parts."""
        return [part for path in self._files for part in parts_of(path, 1)]


@cache
def _pool(processes: int) -> ProcessPoolExecutor:
    # Not forked: a copy of a process with threads may wait for a lock for ever.
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _shared_last(function: Callable[..., Given], shared: Iterable[Any], item: Any) -> Given:
    return function(item, *shared)


def _reduced(reduce: Callable[..., Given], folder: str, *shared: Any) -> Given:
    files = sorted(Path(folder).glob("*.arrow"), key=lambda path: int(path.stem))
    return reduce(pl.concat([pl.read_ipc(file) for file in files]), *shared)
