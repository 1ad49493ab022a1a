"""Damaged files for every reader of outside data: `python -m tests.fuzz [--inputs N] [--only R]`.

A good file is altered at random (from the number of the try alone): bytes flipped, cut, doubled,
put elsewhere, replaced by what breaks parsers. A reader may then read it, or refuse it in one line
that names the file. Anything else is a finding: another exception, a second line, a hang, and,
where rows are counted, a row that is neither read nor named.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import zstandard
from valact_eval.errors import ValactError
from valact_eval.harness import DOCUMENT
from valact_eval.imports import import_predictions
from valact_eval.instrument import load_instrument
from valact_eval.parse import parse_answer, parse_ratings
from valact_eval.predictions import read_predictions

from pipeline import config_file, tombstones
from pipeline.annotation import csv_reviews
from pipeline.annotation.gold import load_gold
from pipeline.annotation.plan import FILE as PLAN
from pipeline.annotation.plan import PlannedRound, load_plan
from pipeline.annotation.rounds import draw_round
from pipeline.cli_actions import _read as read_actions
from pipeline.errors import PipelineError
from pipeline.labelstudio.answers import read_answer
from pipeline.llm.batch_api import read_lines
from pipeline.llm.ledger import Ledger
from pipeline.llm.prices import load_prices
from pipeline.llm.reply import outcome_of
from pipeline.paths import ROOT
from pipeline.slots import slots_before
from pipeline.sources.dump import read_dump
from pipeline.sources.export import read_export
from pipeline.sources.mapping import load_mapping, load_mappings
from pipeline.sources.post import Wanted
from tests.simulated import people, plan_of

SECONDS = 10.0
"""A reader of such small files that takes longer hangs."""

_TOKENS = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"'", b"\\", b"\\ud800", b","),
    *(
        b"{",
        b"}",
        b"[" * 2000,
        b"null",
        b"NaN",
        b"-1e999",
        b"9" * 400,
        b"\xe2\x80\xae",
        b"\t",
        b";",
    ),
    *(b"= [[", b"'''", b"true", b"1970-01-01", b"<script>", b"{{7*7}}", b"%s", b"\x1b[2J", b"\x1a"),
)
_WANTED = Wanted({"askhr": "career"}, True, all_subreddits=True)


@dataclass(frozen=True)
class Reader:
    """A reader and a good file for it.

    Attributes:
        name: What it reads.
        suffix: Of the file.
        good: The bytes of a good file.
        read: Reads a file. Returns how many rows it told of, or None where rows are not counted.
        rows: How many rows a file has for it, or None.
    """

    name: str
    suffix: str
    good: Callable[[], bytes]
    read: Callable[[Path], int | None]
    rows: Callable[[bytes], int] | None = None


@dataclass(frozen=True)
class Finding:
    """What must not happen, and the try that shows it."""

    name: str
    number: int
    what: str


def damaged(good: bytes, name: str, number: int) -> bytes:
    """Return a good file altered in one to four places; try 0 is the good file itself."""
    draw = random.Random(f"{name} {number}")
    data = bytearray(good)
    for _ in range(draw.randint(1, 4) if number else 0):
        at = draw.randrange(len(data) + 1)
        end = min(len(data), at + draw.choice((1, 2, 8, 64, 1024)))
        match draw.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end]
            case 3:
                data[at:at] = draw.choice(_TOKENS)
            case 4:
                del data[at:]
            case _:
                piece = bytes(data[at:end])
                del data[at:end]
                to = draw.randrange(len(data) + 1)
                data[to:to] = piece
    return bytes(data)


def tries(reader: Reader, inputs: int, folder: Path) -> Iterator[Finding | str]:
    """Yield "read", "refused" or a Finding for each of so many damaged files."""
    good = reader.good()
    for number in range(inputs):
        data = damaged(good, reader.name, number)
        path = folder / f"{number}{reader.suffix}"
        path.write_bytes(data)
        began = time.monotonic()
        try:
            told = reader.read(path)
        except (PipelineError, ValactError) as error:
            text = str(error)
            wrong = "more than one line" if "\n" in text else ""
            wrong = wrong or ("" if path.name in text else "the file is not named")
            yield Finding(reader.name, number, f"{wrong}: {text[:200]}") if wrong else "refused"
        except (Exception, pl.exceptions.PanicException) as error:
            yield Finding(reader.name, number, f"{type(error).__name__}: {str(error)[:200]}")
        else:
            has = None if reader.rows is None or told is None else reader.rows(data)
            lost = has is not None and has != told
            what = f"{has} rows, {told} told of"
            yield Finding(reader.name, number, what) if lost else "read"
        if time.monotonic() - began > SECONDS:
            yield Finding(reader.name, number, f"took more than {SECONDS:g} s")
        for left in folder.glob(f"{path.name}*"):
            left.unlink()


def readers() -> list[Reader]:
    """Return every reader of outside data."""
    posts, mapping = _posts(), load_mapping("umbrae")
    return [
        Reader("dump", ".ndjson", lambda: posts, _dump, _lines),
        Reader("dump, gzip", ".ndjson.gz", lambda: gzip.compress(posts, mtime=0), _dump),
        Reader("dump, zstd", ".ndjson.zst", lambda: zstandard.compress(posts), _dump),
        Reader("export, CSV", ".csv", _csv, lambda p: len([*read_export(p, mapping, _WANTED)])),
        Reader("export, JSON", ".json", _json, lambda p: len([*read_export(p, mapping, _WANTED)])),
        Reader("configuration", ".toml", _bytes("configs/demo.toml"), _none(config_file.load)),
        Reader("mappings", ".toml", _bytes("configs/mappings.toml"), _none(load_mappings)),
        Reader("prices", ".toml", _bytes("configs/prices.toml"), _none(load_prices)),
        Reader("annotation plan", ".toml", lambda: Path(PLAN).read_bytes(), _none(load_plan)),
        Reader("gold items", ".toml", _bytes("annotations/gold.toml"), _none(load_gold)),
        Reader("tombstones", ".ndjson", _tombstones, _none(tombstones.load)),
        Reader("actions", ".ndjson", _bytes("tests/actions_good.ndjson"), _none(read_actions)),
        Reader("reviews, CSV", ".csv", _form, _reviews),
        Reader("Label Studio export", ".json", _annotations, _label_studio),
        Reader("batch output", ".jsonl", _batch, lambda p: len([*read_lines(p)]) and None),
        Reader("slots", ".parquet", _slots, _none(lambda path: slots_before(str(path)))),
        Reader("ledger", ".sqlite", _ledger, _open_ledger),
        Reader("model replies", ".json", _reply, _model_reply),
        Reader("predictions, JSONL", ".jsonl", _predictions(".jsonl"), _read_predictions),
        Reader("predictions, Parquet", ".parquet", _predictions(".parquet"), _read_predictions),
        Reader("lm-eval samples", ".jsonl", _samples, lambda p: _none(import_predictions)([p])),
        Reader("questionnaire", ".csv", _portraits, _none(load_instrument)),
        Reader("a respondent's replies", ".txt", _answer, _respondent_reply),
    ]


def _none(read: Callable[[Any], object]) -> Callable[[Any], None]:
    def run(path: Any) -> None:
        read(path)

    return run


def _bytes(name: str) -> Callable[[], bytes]:
    return (ROOT / name).read_bytes


def _posts() -> bytes:
    lines = (ROOT / "pipeline/sources/sample_posts.ndjson").read_bytes().splitlines(keepends=True)
    return b"".join(lines[:6])


def _lines(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n"))


def _dump(path: Path) -> int:
    return sum(1 for _ in read_dump(path, _WANTED))


def _csv() -> bytes:
    names = ("id", "title", "selftext", "created_utc", "score", "num_comments", "over_18")
    head = ",".join([*names, "link_flair_text"])
    text = '"What, now?","He said ""no"".\nThen some days went by."'
    rows = [f'p{i},{text},13766{i}0000,{i},2,False,"x"' for i in range(6)]
    return "\r\n".join([head, *rows, ""]).encode()


def _json() -> bytes:
    posts = [json.loads(line) for line in _posts().splitlines()]
    return json.dumps([post | {"link_flair_text": None} for post in posts], indent=1).encode()


def _tombstones() -> bytes:
    stone = {"post_id": "inv1", "reason": "deleted", "noted": "2026-01-01"}
    return b"".join(json.dumps(stone | {"post_id": f"inv{i}"}).encode() + b"\n" for i in range(5))


@cache
def _round() -> Any:
    return draw_round(plan_of(rounds=(PlannedRound(20),)), 1, people(2), ())


def _form() -> bytes:
    drawn = _round()
    name = f"expert-{drawn.items['experts'][0][0]}"
    columns = ("item_id", "action_number", "annotator", "first_value", "second_value")
    head = ",".join([*columns, "naturalness", "updated_utc"])
    item = drawn.items["item_id"][0]
    time_ = "2026-01-31T12:00:00Z"
    rows = [f"{item},{n},{name},power,,4,{time_}" for n in (1, 2, 3, 4)]
    return "\n".join([head, *rows, ""]).encode()


def _reviews(path: Path) -> None:
    csv_reviews.read_reviews(path, _round().items, plan_of(rounds=(PlannedRound(20),)))


def _annotations() -> bytes:
    result = [
        {
            "from_name": f"{name}_{place}",
            "value": {"choices": ["power" if name == "first" else "4"]},
        }
        for place in (1, 2, 3, 4)
        for name in ("first", "natural")
    ]
    one = {"id": 1, "result": result, "lead_time": 12.5, "updated_at": "2026-01-01T00:00:00Z"}
    return json.dumps([one | {"was_cancelled": False}, one | {"was_cancelled": True}]).encode()


def _label_studio(path: Path) -> None:
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return  # the SDK's to refuse
    item = _round().items.row(0, named=True)
    for annotation in data if isinstance(data, list) else []:
        if isinstance(annotation, dict):
            read_answer(annotation, item, 1)


def _batch() -> bytes:
    body = {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], "usage": {}}
    line = {"custom_id": "r1:abc", "response": {"status_code": 200, "body": body}, "error": None}
    return b"".join(json.dumps(line | {"custom_id": f"r1:{i}"}).encode() + b"\n" for i in range(4))


def _slots() -> bytes:
    table = pl.DataFrame({"slot": range(20), "scenario_id": [f"s_{i}" for i in range(20)]})
    with tempfile.TemporaryDirectory() as folder:
        table.write_parquet(Path(folder) / "slots.parquet")
        return (Path(folder) / "slots.parquet").read_bytes()


def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder) / "ledger.sqlite") as ledger:
            ledger.db.execute("PRAGMA journal_mode=DELETE")
        return (Path(folder) / "ledger.sqlite").read_bytes()


def _open_ledger(path: Path) -> None:
    with Ledger(path):
        pass


def _reply() -> bytes:
    return json.dumps({"power": "I would ask for the post.", "tradition": "I would wait."}).encode()


def _model_reply(path: Path) -> None:
    shape = {
        "type": "object",
        "properties": {"power": {"type": "string"}, "tradition": {"type": "string"}},
        "required": ["power", "tradition"],
    }
    text = path.read_bytes().decode("utf-8", "replace")
    outcome, detail = outcome_of(text, "stop", "", json.dumps(shape))
    assert outcome in {"ok", "invalid", "empty"}
    assert (outcome == "ok") == (not detail)
    assert "\n" not in detail


def _predictions(suffix: str) -> Callable[[], bytes]:
    def good() -> bytes:
        from valact_eval.predictions import write_predictions
        from valact_eval.schema import CHOICES

        rows = [
            {
                "respondent": "m",
                "task": "default",
                "question_id": f"q{i}",
                "scenario_id": f"s{i}",
                "domain": "career",
                "variant": 0,
                "order": [0, 1, 2, 3],
                "outcome": "ok",
                "choice": 1,
                "letter": 1,
                "target_index": None,
                "option_ids": [f"o{i}{k}" for k in range(4)],
                "option_values": ["power", "security", "tradition", "hedonism"],
                "option_generators": ["g1", "g2", "g1", "g2"],
                "option_words": [4, 5, 6, 7],
                "seconds": 0.5,
                "raw": "B",
            }
            for i in range(5)
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"predictions{suffix}"
            write_predictions(path, pl.DataFrame(rows, schema=CHOICES))
            return path.read_bytes()

    return good


def _read_predictions(path: Path) -> None:
    read_predictions([path])


def _samples() -> bytes:
    document = {
        DOCUMENT: "prompts",
        "task": "default",
        "variant": 0,
        "order": [0, 1, 2, 3],
        "scenario_id": "s0",
        "domain": "career",
        "target_index": None,
        "option_ids": ["a", "b", "c", "d"],
        "option_values": ["power", "security", "tradition", "hedonism"],
        "option_generators": ["g1", "g2", "g1", "g2"],
        "option_words": [4, 5, 6, 7],
    }
    lines = [
        {"doc_id": i, "doc": document | {"question_id": f"q{i}"}, "resps": [["B"]]}
        for i in range(3)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _portraits() -> bytes:
    folder = ROOT / "hub_release" / "valact_eval" / "valact_eval" / "instruments"
    return (folder / "portraits.csv").read_bytes()


def _answer() -> bytes:
    return b'I think {"answer": "B"} fits.\n1: 4\n2: 5/6\n{"1": 4, "2": 6}\n**C**'


def _respondent_reply(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    answer = parse_answer(text)
    assert (answer.letter is None) == (answer.outcome != "ok")
    assert len(parse_ratings(text, 40)) == 40


def main() -> None:
    """Try every reader, print a line each, and end with status 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000, help="damaged files a reader")
    parser.add_argument("--only", default="", help="one reader")
    arguments = parser.parse_args()
    chosen = [each for each in readers() if arguments.only in ("", each.name)]
    found: list[Finding] = []
    print("| reader | files tried | read | refused in one line | findings | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for reader in chosen:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results = list(tries(reader, arguments.inputs, Path(folder)))
        bad = [result for result in results if isinstance(result, Finding)]
        counts = Counter(result for result in results if isinstance(result, str))
        print(
            f"| {reader.name} | {arguments.inputs:,} | {counts['read']:,} | "
            f"{counts['refused']:,} | {len(bad):,} | {time.monotonic() - began:.1f} |",
            flush=True,
        )
        found += bad
    for finding in found[:40]:
        print(f"{finding.name}, try {finding.number}: {finding.what}", file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
