"""Reads what other harnesses log of their samples, as rows of the predictions tables.

Taken are Inspect's logs of this package's tasks and of the tasks in a release's ``eval.yaml``,
the samples of lm-evaluation-harness, the details of lighteval, and predictions files as they are.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from valact_eval.data import LETTERS
from valact_eval.errors import ValactError
from valact_eval.harness import DOCUMENT, row_of
from valact_eval.parse import Answer, parse_answer
from valact_eval.predictions import Predictions, check_predictions, read_predictions
from valact_eval.rows import Row, unpack
from valact_eval.rules import fault_of_a_row, in_order, table_of
from valact_eval.schema import ANSWERS, CHOICES, TASKS

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

_HUB_METADATA = (
    *("question_id", "scenario_id", "domain", "options", "target_index"),
    *("option_ids", "option_values", "option_generators"),
)


def import_predictions(paths: Iterable[Path], respondent: str | None = None) -> Predictions:
    """Reads any of the forms named above, told apart by their content.

    Args:
        paths: files; a folder stands for Inspect's logs or lm-eval's samples in it.
        respondent: name for who answered; else the one in the file.

    Raises:
        ValactError: a file of no known form, a sample that is not of this benchmark, or rows
            that ``read_predictions`` would refuse.
    """
    frames = {
        "choice": [pl.DataFrame(schema=CHOICES)],
        "answer": [pl.DataFrame(schema=ANSWERS)],
    }
    for path in _files(paths):
        found = _read(path)
        for kind, frame in (("choice", found.choices), ("answer", found.answers)):
            if wrong := fault_of_a_row(frame, kind):
                raise ValactError(f"{path}: sample {wrong[0] + 1}: {wrong[1]}; remove it")
            named = pl.col("respondent") if respondent is None else pl.lit(respondent)
            frames[kind].append(frame.with_columns(respondent=named))
    tables = Predictions(
        *(in_order(pl.concat(frames[kind]), kind) for kind in ("choice", "answer"))
    )
    if not tables.choices.height + tables.answers.height:
        raise ValactError("no answers in these files; import logs that keep their samples")
    check_predictions(tables)
    return tables


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [*path.rglob("*.eval"), *path.rglob("samples_*.jsonl")]
            inside += path.rglob("details_*.parquet")
            if not inside:
                raise ValactError(f"{path}: holds no log that could be imported")
            found += sorted(inside)
        else:
            found.append(path)
    return found


def _read(path: Path) -> Predictions:
    if not path.is_file():
        raise ValactError(f"{path}: no such file")
    if path.suffix in (".eval", ".json"):
        return _inspect(path)
    if path.suffix == ".parquet":
        try:
            columns = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise ValactError(f"{path}: cannot be read: {error}") from error
        if "model_response" in columns:
            return _choices(path, _lighteval(path))
    elif path.suffix == ".jsonl":
        try:
            with path.open("rb") as file:
                first = json.loads(next((line for line in file if line.strip()), b"{}"))
        except (OSError, ValueError, RecursionError) as error:
            raise ValactError(f"{path}: line 1: {error}") from error
        if isinstance(first, dict) and "doc" in first and "resps" in first:
            return _choices(path, _lm_eval(path))
    return read_predictions([path])


def _choices(path: Path, rows: Iterator[Row]) -> Predictions:
    found = list(rows)
    if not found:
        raise ValactError(f"{path}: holds no samples")
    try:
        table = table_of(found, "choice")
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise ValactError(f"{path}: its documents are not of this benchmark: {error}") from error
    return Predictions(table, pl.DataFrame(schema=ANSWERS))


def _inspect(path: Path) -> Predictions:
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(str(path))
    # its readers fail in their own ways, all of them about this file
    except Exception as error:
        raise ValactError(f"{path}: not a log of Inspect: {error}") from error
    rows: dict[str, list[Row]] = {"choice": [], "answer": []}
    for sample in log.samples or []:
        if sample.error is not None:
            continue  # it failed, so that there is no answer
        where = f"{path}: sample {sample.id!r}"
        told = [score.metadata or {} for score in (sample.scores or {}).values()]
        packed = next((entry for entry in told if "rows" in entry), None)
        try:
            if packed is not None:
                rows[packed["kind"]] += unpack(packed)
            else:
                rows["choice"].append(_hub_row(log, sample))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise ValactError(f"{where}: not of this benchmark: {_said(error)}") from error
    if not any(rows.values()):
        raise ValactError(f"{path}: a log without samples; run with --log-samples")
    try:
        return Predictions(*(table_of(rows[kind], kind) for kind in ("choice", "answer")))
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise ValactError(f"{path}: not of this benchmark: {error}") from error


def _hub_row(log: "EvalLog", sample: "EvalSample") -> Row:
    """A sample of Inspect's own multiple choice over a release, as ``eval.yaml`` asks it."""
    meta = sample.metadata
    if missing := [name for name in _HUB_METADATA if name not in meta]:
        raise ValueError(f"its metadata lack {missing[0]}")
    task = log.eval.task.rsplit("/", 1)[-1]
    if task not in TASKS:
        raise ValueError(f"task {task!r} is none of {', '.join(TASKS)}")
    order = [list(meta["options"]).index(text) for text in sample.choices or []]
    output = sample.output
    said = next((s.answer for s in (sample.scores or {}).values()), None)
    stop = str(output.stop_reason) if output.choices else "unknown"
    if said in LETTERS:
        answer = Answer("ok", LETTERS.index(str(said)))
    else:
        answer = parse_answer(output.completion, stop)
    return {
        "respondent": log.eval.model,
        "task": task,
        "variant": 0,
        "order": order,
        "outcome": answer.outcome,
        "letter": answer.letter,
        "choice": None if answer.letter is None else order[answer.letter],
        "seconds": output.time,
        "raw": output.completion,
        "option_words": [len(text.split()) for text in meta["options"]],
        **{name: meta[name] for name in _HUB_METADATA if name != "options"},
        "target_index": None if task == "default" else meta["target_index"],
    }


def _lm_eval(path: Path) -> Iterator[Row]:
    """One row a sample; a likelihood sample's letter is the likeliest."""
    name = _lm_eval_model(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                sample = json.loads(line)
                document = sample["doc"]
                if DOCUMENT not in document:
                    raise ValueError("its document is not of this benchmark")
                replies = sample["resps"]
                if isinstance(replies[0][0], str):
                    raw, answer = replies[0][0], parse_answer(replies[0][0])
                else:
                    likelihoods = [float(reply[0][0]) for reply in replies]
                    raw, answer = json.dumps(likelihoods), _likeliest(likelihoods)
                yield _row(document, name, raw, answer)
            except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
                raise ValactError(
                    f"{path}: line {number}: {_said(error)}; import samples of the tasks valact_*"
                ) from error


def _lm_eval_model(path: Path) -> str:
    """The model as the results file of the same run names it, else the folder's name."""
    stamp = re.search(r"_(\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl$", path.name)
    results = path.with_name(f"results_{stamp[1]}.json") if stamp else None
    if results is not None and results.exists():
        try:
            record = json.loads(results.read_text("utf-8"))
            return str(record.get("model_name") or record["model_source"])
        except (ValueError, KeyError, AttributeError, OSError):
            pass  # the folder still says which model it was
    return path.parent.name or "unknown"


def _lighteval(path: Path) -> Iterator[Row]:
    name = path.parent.parent.name or "unknown"
    for number, (doc, response) in enumerate(
        pl.read_parquet(path, columns=["doc", "model_response"]).iter_rows()
    ):
        try:
            document = json.loads(doc["specific"][DOCUMENT])
            if texts := response.get("text"):
                raw, answer = texts[0], parse_answer(texts[0])
            else:
                raw, answer = json.dumps(response["logprobs"]), _likeliest(response["logprobs"])
            yield _row(document, name, raw, answer)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValactError(
                f"{path}: row {number}: {_said(error)}; import details of the tasks valact_*"
            ) from error


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _likeliest(likelihoods: Sequence[float]) -> Answer:
    if len(likelihoods) != len(LETTERS):
        raise ValueError(f"{len(likelihoods)} likelihoods, not {len(LETTERS)}")
    return Answer("ok", max(range(len(LETTERS)), key=lambda place: likelihoods[place]))


def _row(document: Mapping[str, Any], respondent: str, raw: str, answer: Answer) -> Row:
    order = document["order"]
    return row_of(
        document,
        {
            "respondent": respondent,
            "outcome": answer.outcome,
            "letter": answer.letter,
            "choice": None if answer.letter is None else order[answer.letter],
            "seconds": None,
            "raw": raw,
        },
    )
