"""The run folder: predictions appended sample by sample, so that a killed run goes on."""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from valact_eval import __version__
from valact_eval.asks import Unit
from valact_eval.errors import ValactError
from valact_eval.key import ITEMS
from valact_eval.predictions import read_predictions, write_predictions
from valact_eval.rows import Row
from valact_eval.rules import in_order

FILES = {"choice": "predictions.jsonl", "answer": "answers.jsonl"}
_USAGE = "usage.jsonl"
_RUN = "run.json"
_Key = tuple[str, str, str]


@dataclass
class Journal:
    """A run folder, held by one process at a time.

    Attributes:
        folder: where the files are.
        done: variants that are answered, by respondent, task and unit.
        spent: US dollars that the answers so far cost, where prices were given.
    """

    folder: Path
    done: dict[_Key, set[int]] = field(default_factory=lambda: defaultdict(set))
    spent: float = 0.0
    _lock: FileLock | None = None

    @classmethod
    def open(cls, folder: Path, overwrite: bool) -> "Journal":
        """Takes the folder, and takes up what an earlier start left in it.

        A line that was cut in two is dropped, and so is a questionnaire that is not whole:
        both are asked again.

        Raises:
            ValactError: the folder cannot be written, another run holds it, or a file in it
                is broken.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ValactError(
                f"{folder}: another run is writing there; wait, or give another --out"
            ) from error
        except OSError as error:
            raise ValactError(f"{folder}: {error.strerror}; give another --out") from error
        journal = cls(folder, _lock=lock)
        if overwrite:
            for name in (*FILES.values(), _USAGE, _RUN):
                (folder / name).unlink(missing_ok=True)
        try:
            journal._take_up()
        except BaseException:
            lock.release()
            raise
        return journal

    def close(self) -> None:
        """Lets the folder go."""
        if self._lock is not None:
            self._lock.release()

    def agree(self, respondent: str, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Writes down how a respondent is asked, or checks that it was asked just so before.

        Args:
            respondent: who answers.
            settings: for each task, what its answers depend on.

        Raises:
            ValactError: an earlier start differs in something.
        """
        path = self.folder / _RUN
        record: dict[str, Any] = {"valact_eval": __version__, "respondents": {}}
        if path.exists():
            try:
                record = json.loads(path.read_text("utf-8"))
                earlier: dict[str, dict[str, Any]] = record["respondents"].get(respondent, {})
            except (ValueError, KeyError, AttributeError, OSError) as error:
                raise ValactError(
                    f"{path}: not a run's settings; --overwrite starts anew"
                ) from error
            for task, now in settings.items():
                then = earlier.get(task, now)
                if changed := sorted(k for k in {*then, *now} if then.get(k) != now.get(k)):
                    name = changed[0]
                    raise ValactError(
                        f"{path}: {respondent} was asked {task} with {name} {then.get(name)!r}, "
                        f"now it is {now.get(name)!r}; give another --out, or --overwrite"
                    )
        mine = record["respondents"].setdefault(respondent, {})
        mine.update({task: dict(now) for task, now in settings.items()})
        _replace(path, json.dumps(record, indent=2, sort_keys=True) + "\n")

    def left(self, respondent: str, units: Sequence[Unit]) -> list[Unit]:
        """The units with the variants that are not answered yet."""
        left = []
        for unit in units:
            done = self.done.get((respondent, unit.task, unit.id), set())
            if variants := tuple(v for v in unit.variants if v not in done):
                left.append(Unit(unit.task, unit.id, variants, unit.question, unit.run))
        return left

    def add(self, unit: Unit, respondent: str, rows: Sequence[Row], usage: Row) -> None:
        """Appends one unit's rows and what they took."""
        self._append(_USAGE, [{"respondent": respondent, "task": unit.task, **usage}])
        self._append(FILES[unit.kind], rows)
        self.done[respondent, unit.task, unit.id].update(unit.variants)

    def finish(self) -> None:
        """Puts the files into their lasting order: the same answers, the same bytes."""
        for kind, name in FILES.items():
            path = self.folder / name
            if path.exists():
                found = read_predictions([path])
                frame = found.choices if kind == "choice" else found.answers
                write_predictions(path, in_order(frame, kind))

    def _append(self, name: str, rows: Sequence[Row]) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in _clean(rows))
        try:
            handle = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                data = lines.encode()
                while data:
                    data = data[os.write(handle, data) :]
            finally:
                os.close(handle)
        except OSError as error:
            raise ValactError(
                f"{self.folder / name}: {error.strerror}; make room and run again to go on"
            ) from error

    def _take_up(self) -> None:
        for name in (*FILES.values(), _USAGE):
            _drop_cut_line(self.folder / name)
        usage = self.folder / _USAGE
        if usage.exists():
            for number, line in enumerate(usage.read_text("utf-8").splitlines(), start=1):
                try:
                    self.spent += json.loads(line)["usd"] or 0.0
                except (ValueError, KeyError, TypeError) as error:
                    raise ValactError(
                        f"{usage}: line {number}: not a line of a run; --overwrite starts anew"
                    ) from error
        choices, answers = (self.folder / FILES[kind] for kind in ("choice", "answer"))
        if choices.exists():
            keys = ["respondent", "task", "question_id", "variant"]
            for *key, variant in read_predictions([choices]).choices.select(keys).iter_rows():
                self.done[key[0], key[1], key[2]].add(variant)
        if answers.exists():
            frame = read_predictions([answers]).answers
            whole = frame.filter(pl.len().over("respondent", "run", "variant") == ITEMS)
            if whole.height < frame.height:
                answers.unlink()
                if whole.height:
                    write_predictions(answers, whole)
            rows = whole.select("respondent", "run", "variant").unique().iter_rows()
            for respondent, run, variant in rows:
                self.done[respondent, "declared", f"run-{run}"].add(variant)


def _clean(rows: Sequence[Row]) -> list[Row]:
    """Lone surrogates are no text that a file could hold."""
    return [
        {
            name: cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
            for name, cell in row.items()
        }
        for row in rows
    ]


def _drop_cut_line(path: Path) -> None:
    """Takes off what follows the last line's end, and a file that is then empty."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    if not whole:
        path.unlink()


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, "utf-8")
        os.replace(part, path)
    except OSError as error:
        raise ValactError(f"{path}: {error.strerror}; give another --out") from error
