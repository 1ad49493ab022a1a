"""What the processes below this one take: memory, CPU time, and how long they do nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

_BUSY = 0.1  # processors; drivers that wait and raylets without work use less
_SAMPLES_S = 0.5
_OVER = 7  # samples
_PAUSE_S = 5.0  # between samples: somebody stopped this process, or the machine slept


class Watch(threading.Thread):
    """Samples what the processes below this one take, until the block ends.

    Attributes:
        peak_mb: Most memory of all of them at one time, in 10^6 bytes: the sum of their
            proportional set sizes (PSS), which counts shared memory once.
        at_peak: That of each kind of process then, and how many there were, largest first.
        cpu_s: CPU time of all of them.
        idle_s: How long they have been idle.
        longest_idle_s: The longest time that they were.
        paused_s: How long this process itself stood still; it counts neither as idle nor as busy.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = self.cpu_s = self.idle_s = self.longest_idle_s = self.paused_s = 0.0
        self.at_peak: dict[str, tuple[float, int]] = {}
        self._seen: dict[psutil.Process, float] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Watch:
        """Begin."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Sample."""
        me = psutil.Process()
        busy_at, before = time.monotonic(), 0.0
        recent: list[tuple[float, float]] = []
        slept = time.monotonic()
        while not self._ended.wait(_SAMPLES_S):
            gap = time.monotonic() - slept
            if gap > _PAUSE_S:
                self.paused_s += gap
                busy_at = min(busy_at + gap, time.monotonic())
                recent.clear()
            # Processes whose parent is lost are no longer below this one.
            for process in me.children(recursive=True):
                self._seen.setdefault(process, 0.0)
            sizes = {process: self._sample(process) for process in self._seen}
            if (total := sum(sizes.values())) > self.peak_mb:
                self.peak_mb, self.at_peak = total, _by_kind(sizes)
            self.cpu_s, now = sum(self._seen.values()), time.monotonic()
            recent = [*recent, (now, self.cpu_s)][-_OVER:]
            then, before = recent[0]
            if self.cpu_s - before > _BUSY * (now - then):
                busy_at = now
            self.idle_s = now - busy_at
            self.longest_idle_s = max(self.longest_idle_s, self.idle_s)
            slept = time.monotonic()

    def _sample(self, process: psutil.Process) -> float:
        try:
            times = process.cpu_times()
            self._seen[process] = times.user + times.system
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
            return int(rollup.split("\nPss:")[1].split()[0]) * 1024 / 1e6
        except (psutil.Error, OSError, IndexError):
            return 0.0  # it has ended


def _by_kind(sizes: Mapping[psutil.Process, float]) -> dict[str, tuple[float, int]]:
    kinds: dict[str, list[float]] = {}
    for process, size in sizes.items():
        with contextlib.suppress(psutil.Error):
            kinds.setdefault(process.name(), []).append(size)
    found = {kind: (round(sum(each)), len(each)) for kind, each in kinds.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))
