"""Partitions on a Ray cluster: tasks for what stays in its partition, Ray Data for what moves."""

from __future__ import annotations

import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, wait
from importlib.metadata import version
from typing import Any, TypeVar

import polars as pl
import ray
import ray.data
from ray.data.context import ShuffleStrategy
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.artifacts import sha256_file, sha256_text
from pipeline.errors import BadInputError, PipelineError, StageError
from pipeline.paths import ROOT
from pipeline.progress import Task, task
from pipeline.scale import BUCKET, Part, failure

Given = TypeVar("Given")

_RETRIES = 3  # of a partition, by Ray, where a machine, a process or a file failed
_AT_ONCE = 2  # partitions a processor that are on their way or wait to be taken
_PARTS = 4  # a processor, where the configuration says nothing
_WAIT_S = 60.0
_IDLE_S = 600.0  # until a cluster that does nothing is given up; machines may be on their way
_ANSWER_S = 10.0
_END = object()


class Ray:
    """The cluster that RAY_ADDRESS names, or this machine as one of a single node.

    Args:
        partitions: Parts that tables are cut into; 0 for four a processor.

    Raises:
        BadInputError: The cluster does not answer, has no processors, or runs other code.
    """

    name = "ray"

    def __init__(self, partitions: int = 0) -> None:
        _connect()
        self._processors = max(1, int(ray.cluster_resources().get("CPU", 0)))
        self.partitions = partitions or _PARTS * self._processors
        _check_nodes()

    def map(
        self,
        label: str,
        function: Callable[..., Given],
        items: Iterable[Any],
        *shared: Any,
        lost: Callable[[Part], Given] | None = None,
    ) -> Iterator[Given]:
        """See scale.Engine."""
        given = [_put(value) for value in shared]
        call = ray.remote(_call).options(
            num_cpus=1, max_retries=_RETRIES, retry_exceptions=[OSError], name=label
        )
        todo = iter(items)
        waiting: dict[ray.ObjectRef, int] = {}
        done: dict[int, ray.ObjectRef] = {}
        names: dict[int, str] = {}
        parts: dict[int, Part] = {}
        begun = next_one = 0
        more = True
        patience = _Patience(label)
        with task(label, len(items) if isinstance(items, Sized) else 0) as progress:
            while True:
                # Results wait in order, few at a time: a slow first one holds up the others.
                while more and len(waiting) + len(done) < _AT_ONCE * self._processors:
                    item = next(todo, _END)
                    if item is _END:
                        more = False
                        break
                    waiting[call.remote(function, item, *given)] = begun
                    names[begun] = str(item) if isinstance(item, Part | str) else ""
                    if lost and isinstance(item, Part):
                        parts[begun] = item
                    begun += 1
                while next_one in done:
                    name, ref = names.pop(next_one), done.pop(next_one)
                    part = parts.pop(next_one, None)
                    try:
                        yield _result(label, name, ref)
                    except _DeadError:
                        if part is None or lost is None:
                            raise
                        yield from self._by_halves(label, function, part, given, lost)
                    progress.advance()
                    next_one += 1
                if not more and next_one == begun:
                    return
                if waiting:
                    ended, _ = ray.wait(list(waiting), num_returns=1, timeout=_WAIT_S)
                    patience.look(progress, ended=bool(ended))
                    done |= {waiting.pop(ref): ref for ref in ended}

    def _by_halves(
        self,
        label: str,
        function: Callable[..., Given],
        part: Part,
        given: list[ray.ObjectRef],
        lost: Callable[[Part], Given],
    ) -> Iterator[Given]:
        """Do a part again that killed every process it was given to; look for the row to blame."""
        if part.rows == 1:
            yield lost(part)
            return
        for half in part.halves():
            yield from self.map(label, function, [half], *given, lost=lost)

    def shuffle(
        self,
        label: str,
        cut: Callable[..., pl.DataFrame],
        items: Iterable[Any],
        reduce: Callable[..., Given],
        buckets: int,
        *shared: Any,
    ) -> Iterator[Given]:
        """See scale.Engine; the rows are moved by Ray Data."""
        given = [_put(value) for value in shared]
        places = [ray.put(item) for item in items]
        count = len(places)
        if not count:
            return

        def rows(batch: Any) -> Any:
            (number,) = batch.column("item").to_pylist()
            flag, frame = _call(cut, ray.get(places[number]), *map(ray.get, given))
            if not flag:
                raise frame
            return frame.to_arrow()

        numbers = [{"item": number} for number in range(count)]
        moved = ray.data.from_items(numbers, override_num_blocks=count).map_batches(
            rows, batch_size=1, batch_format="pyarrow"
        )
        # Borders of whole numbers: every bucket is one block, and nothing has to be sampled.
        moved = moved.sort(BUCKET, boundaries=list(range(1, buckets)))
        blocks = _moved(label, moved)
        for results in self.map(label, _by_bucket, blocks, reduce, *given):
            yield from results


def _moved(label: str, rows: ray.data.Dataset) -> list[ray.ObjectRef]:
    """Return the blocks of a dataset that Ray Data has yet to make.

    Ray Data itself waits for ever, and without a word, where a lost machine leaves it nothing to
    compute on. So it works in a thread that does not hold up the end of the process.
    """
    ended: Future[list[ray.ObjectRef]] = Future()

    def work() -> None:
        try:
            ended.set_result(rows.to_arrow_refs())
        except BaseException as error:
            ended.set_exception(error)

    threading.Thread(target=work, name=label, daemon=True).start()
    patience = _Patience(label)
    with task(f"{label}: rows move", 0) as progress:
        while not ended.done():
            patience.look(progress, ended=bool(wait([ended], timeout=_WAIT_S).done))
    try:
        return ended.result()
    except Exception as error:
        raise failure(label, "", _cause(error)) from error


class _Patience:
    """Tells what a cluster is at while nothing ends, and gives up on one that does nothing.

    Args:
        label: What is done, for people.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._idle_since: float | None = None

    def look(self, progress: Task, *, ended: bool) -> None:
        """Look at the cluster, after a wait in which something ended or nothing did.

        Raises:
            StageError: All processors have been free for long, or there are none.
        """
        if ended:
            self._idle_since = None
            return
        progress.advance(0, _situation())
        if ray.available_resources().get("CPU", 0) < ray.cluster_resources().get("CPU", 0):
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        if now - self._idle_since >= _IDLE_S:
            raise StageError(
                f"{self._label}: the Ray cluster has done nothing for {_IDLE_S:.0f} s "
                f"({_situation()}), as after a machine was lost; look at `ray status`, start the "
                "cluster anew, and run the same command again: finished stages are kept"
            )


class _DeadError(StageError):
    """A partition took its process with it, as often as it was tried."""


def _put(value: Any) -> ray.ObjectRef:
    return value if isinstance(value, ray.ObjectRef) else ray.put(value)


def _call(function: Callable[..., Given], item: Any, *shared: Any) -> tuple[bool, Any]:
    """Return (True, the result), or (False, the error): Ray repeats no call that is just wrong."""
    try:
        return True, function(item, *shared)
    except OSError:
        raise  # a file that is not there yet, or a disk that is full: Ray tries elsewhere
    except Exception as error:
        return False, error


def _by_bucket(block: Any, reduce: Callable[..., Given], *shared: Any) -> list[Given]:
    frame = pl.DataFrame(block)
    if frame.is_empty():
        return []
    parts = frame.partition_by(BUCKET, as_dict=True, include_key=False)
    return [reduce(parts[key], *shared) for key in sorted(parts)]


def _result(label: str, name: str, ref: ray.ObjectRef) -> Any:
    try:
        fine, result = ray.get(ref)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        raise _DeadError(str(failure(label, name, error))) from error
    except ray.exceptions.RayError as error:
        raise failure(label, name, _cause(error)) from error
    if not fine:
        raise failure(label, name, result) from result
    return result


def _cause(error: BaseException) -> BaseException:
    """Return the error of ours in what Ray makes of it, or the first one."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = getattr(link, "cause", None) or link.__cause__
    return next((each for each in chain if isinstance(each, PipelineError)), chain[-1])


def _connect() -> None:
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS") or None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            if address and address != "auto":  # Ray itself would try for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
            ray.init(
                address or "local", log_to_driver=False, logging_level=logging.ERROR, **options
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            what = " ".join(str(error).split())[:200]
            raise BadInputError(
                f"RAY_ADDRESS={address or ''}: no Ray cluster answers ({what}); start one by "
                "`ray start --head`, give its host:port, or unset RAY_ADDRESS to use this machine"
            ) from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Of tasks alone: what a lost machine held is computed again, which a shuffle by actors is not.
    context.shuffle_strategy = ShuffleStrategy.SORT_SHUFFLE_PULL_BASED
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _check_nodes() -> None:
    """Check that every machine computes the same: one result may not hang on where it was made."""
    mine = fingerprint()
    check = ray.remote(fingerprint)
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        try:
            asked = check.options(num_cpus=0, max_retries=0, scheduling_strategy=where).remote()
            theirs = ray.get(asked, timeout=_WAIT_S)
        except ray.exceptions.RayError as error:
            what = " ".join(str(_cause(error)).split())[-200:]
            raise BadInputError(
                f"Ray node {node['NodeManagerAddress']}: cannot run the pipeline ({what}); see by "
                "`ray status` that it is up, and install the pipeline there as it is here"
            ) from None
        for name, value in mine.items():
            if theirs.get(name) != value:
                raise BadInputError(
                    f"Ray node {node['NodeManagerAddress']}: {name} is {theirs.get(name)}, here "
                    f"{value}; install the pipeline there as it is here"
                )


def fingerprint() -> dict[str, str]:
    """Return what decides a result beside the data, by name."""
    files = sorted((ROOT / "pipeline").rglob("*.py"))
    code = sha256_text(" ".join(sha256_file(path) for path in files))
    packages = ("polars", "numpy", "scipy", "torch", "sentence-transformers")
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
        "the pipeline's code": code[:12],
    }


def _situation() -> str:
    free = ray.available_resources().get("CPU", 0)
    alive = sum(node["Alive"] for node in ray.nodes())
    return f"{alive} machines, {free:.0f} processors free"
