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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import polars as pl

from pipeline.config import BuildConfig
from pipeline.errors import BadInputError, PipelineError, StageError
from pipeline.parts import BUCKET, Moved, Part, Spool, parts_of
from pipeline.progress import task

__all__ = [
    "BUCKET",
    "LOCAL",
    "Engine",
    "Local",
    "Part",
    "Spool",
    "engine_of",
    "failure",
    "parts_of",
]

Given = TypeVar("Given")


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
            moved = Moved(Path(name))
            for frame in self.map(label, cut, items, *shared):
                moved.add(frame)
            folders = moved.folders()
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


@cache
def _pool(processes: int) -> ProcessPoolExecutor:
    # Not forked: a copy of a process with threads may wait for a lock for ever.
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _shared_last(function: Callable[..., Given], shared: Iterable[Any], item: Any) -> Given:
    return function(item, *shared)


def _reduced(reduce: Callable[..., Given], folder: str, *shared: Any) -> Given:
    files = sorted(Path(folder).glob("*.arrow"), key=lambda path: int(path.stem))
    return reduce(pl.concat([pl.read_ipc(file) for file in files]), *shared)
