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


@dataclass
class Task:
    """One counted piece of work; call `advance` as it goes."""

    label: str
    total: int
    done: int = 0
    note: str = ""
    _shown: float = field(default_factory=time.monotonic)
    _bar: RichProgress | None = None

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more items done; `note` is shown beside the count."""
        self.done += n
        self.note = note
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done, note=note)
        elif time.monotonic() - self._shown >= _SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            known = f" of {self.total:,}" if self.total else ""
            print(f"    {self.label}: {self.done:,}{known} {note}".rstrip(), flush=True)


@contextmanager
def task(label: str, total: int) -> Iterator[Task]:
    """Show progress of `total` items (0 if unknown) under `label` while the block runs."""
    if not sys.stdout.isatty():
        yield Task(label, total)
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
        yield Task(label, total, _bar=bar)


def say(text: str = "") -> None:
    """Print one line for the user at once, also into a pipe."""
    print(text, flush=True)
