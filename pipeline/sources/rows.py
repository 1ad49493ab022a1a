"""Rows of CSV, TSV and JSON files as {column: value}, in one pass and bounded memory."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import BadInputError
from pipeline.sources.dump import bad_json
from pipeline.sources.post import BadLine
from pipeline.sources.unpack import MAX_LINE, blocks, elements, lines

Cells = dict[str, Any]
Check = Callable[[list[str]], None]
_BOM = b"\xef\xbb\xbf"


def json_rows(path: Path, check: Check) -> Iterator[Cells | BadLine]:
    """Yield each element of a JSON array, or each line of a file of JSON lines.

    Args:
        path: The file; which of the two it is shows by its first character.
        check: Called once with the columns of the first row.

    Raises:
        BadInputError: See `blocks`, and what `check` raises.
    """
    parts = blocks(path)
    head = next(parts, b"")
    if isinstance(head, bytes):
        head = head.removeprefix(_BOM)
    whole = chain([head], parts)
    is_array = isinstance(head, bytes) and head.lstrip()[:1] == b"["
    checked = False
    for text in elements(whole) if is_array else lines(whole):
        if isinstance(text, BadLine):
            yield text
            continue
        if not is_array and not text.strip():
            yield BadLine(0, "blank_line", "")
            continue
        try:
            cells = msgspec.json.decode(text)
        except (ValueError, RecursionError) as error:
            yield bad_json(text, 0, error)
            continue
        if not isinstance(cells, dict):
            yield BadLine(0, "bad_field", "is no JSON object")
            continue
        if not checked:
            check(list(cells))
            checked = True
        yield cells


def csv_rows(path: Path, delimiter: str, check: Check) -> Iterator[Cells | BadLine]:
    """Yield the rows of a file by RFC 4180: a header, quoted cells with any character in them.

    Args:
        path: The file, in UTF-8.
        delimiter: What stands between cells.
        check: Called once with the columns of the header.

    Raises:
        BadInputError: See `blocks`; the header cannot be read; and what `check` raises.
    """
    csv.field_size_limit(MAX_LINE)
    feed = _Feed(lines(blocks(path)))
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        feed.next_row()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _UnusableError) as error:
            bad = feed.spoilt(error)
            if not header:
                raise BadInputError(f"{path}: its header cannot be read: {bad.detail}") from None
            yield bad
            continue
        if not header:
            if feed.wrong_bytes or any("\0" in field for field in fields):
                raise BadInputError(
                    f"{path}: its header is not UTF-8; convert the file, as by `iconv -f UTF-16`"
                )
            if not fields:
                continue
            check(fields)
            header = fields
        elif feed.wrong_bytes:
            yield BadLine(0, "bad_encoding", feed.wrong_bytes)
        elif not fields:
            yield BadLine(0, "blank_line", "")
        elif len(fields) != len(header):
            yield BadLine(
                0, "wrong_columns", f"{len(fields)} columns, the header has {len(header)}"
            )
        else:
            yield dict(zip(header, fields, strict=True))


class _UnusableError(Exception):
    """A line that no row can hold."""


class _Feed:
    """Lines for csv.reader, which takes as many as a row has.

    A row that turns out broken may have run over good ones (a quote too many does that), so its
    lines are kept until it is whole, and all but the first are read again if it is not.
    """

    def __init__(self, source: Iterable[bytes | BadLine]) -> None:
        self._source = iter(source)
        self._again: deque[bytes | BadLine] = deque()
        self._taken: list[bytes | BadLine] = []
        self._size = 0
        self.wrong_bytes = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._source)
        self._taken.append(line)
        if isinstance(line, BadLine):
            raise _UnusableError
        self._size += len(line)
        if self._size > MAX_LINE:
            raise csv.Error(f"over {MAX_LINE:,} bytes; is a quote not closed?")
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError as error:
            self.wrong_bytes = f"not UTF-8: {error.reason}"
            return line.decode(errors="replace") + "\n"

    def next_row(self) -> None:
        """Forget the lines of the row before."""
        self._taken, self._size, self.wrong_bytes = [], 0, ""

    def spoilt(self, error: Exception) -> BadLine:
        """Return the first line of the row as bad; the others are read again."""
        first, *others = self._taken or [BadLine(0, "broken_row", str(error))]
        self._again.extendleft(reversed(others))
        if isinstance(first, BadLine):
            return first
        if others and isinstance(others[-1], BadLine):
            return BadLine(0, "broken_row", "goes on into a line that cannot be read")
        return BadLine(0, "broken_row", str(error))
