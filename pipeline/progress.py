"""Progress for people: a live bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

_SECONDS_BETWEEN_LINES = 20.0
_SECONDS_BETWEEN_DRAWINGS = 0.1  # of a bar for many items; each one costs as much as reading a post
_FEW = 1_000
_running: list[str] = []


@dataclass
class Task:
    """One counted piece of work; call `advance` as it goes."""

    label: str
    total: int
    done: int = 0
    note: str = ""
    silent: bool = False
    _shown: float = field(default_factory=time.monotonic)
    _done_when_shown: int = 0
    _bar: RichProgress | None = None

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more items done; `note` is shown beside the count."""
        self.done += n
        self.note = note
        if self.silent:
            return
        passed = time.monotonic() - self._shown
        if self._bar is not None:
            if passed >= _SECONDS_BETWEEN_DRAWINGS or 0 < self.total <= _FEW:
                self._bar.update(self._bar.task_ids[0], completed=self.done, note=note)
                self._shown = time.monotonic()
        elif passed >= _SECONDS_BETWEEN_LINES:
            known = f" of {self.total:,}" if self.total else ""
            parts = [f"{self.done:,}{known}", note, self._left(passed)]
            print(f"    {self.label}: {', '.join(filter(None, parts))}", flush=True)
            self._shown, self._done_when_shown = time.monotonic(), self.done

    def _left(self, passed: float) -> str:
        """Return how long the rest takes at the speed since the last line, or ""."""
        done = self.done - self._done_when_shown
        if not done or self.done >= self.total:
            return ""
        minutes = passed / done * (self.total - self.done) / 60
        return f"about {minutes:,.0f} min left" if minutes >= 1 else "less than a minute left"


@contextmanager
def task(label: str, total: int) -> Iterator[Task]:
    """Show progress of `total` items (0 if unknown) under `label` while the block runs.

    Of tasks within a task only the outer one is shown.
    """
    if _running or not sys.stdout.isatty():
        yield Task(label, total, silent=bool(_running))
        return
    columns = (
        TextColumn("    {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(), transient=True) as bar:
        bar.add_task(label, total=total or None, note="")
        _running.append(label)
        try:
            yield Task(label, total, _bar=bar)
        finally:
            _running.pop()


def say(text: str = "") -> None:
    """Print one line for the user at once, also into a pipe."""
    print(text, flush=True)
