"""Pushshift and Arctic Shift submission dumps: NDJSON, plain, gzip or zstd, in one pass.

Fields drift over the years; `post.Submission` holds the types seen from 2005 to 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import BadInputError
from pipeline.sources.post import ERROR, BadLine, Submission, Wanted, row
from pipeline.sources.unpack import blocks, lines


def read_dump(path: Path, wanted: Wanted, limit: int = 0) -> Iterator[dict[str, Any] | BadLine]:
    """Yield one row of schema.POSTS, or one BadLine, for every line of a dump.

    Args:
        path: File of one JSON object a line; `.gz` and `.zst` are unpacked as they are read.
        wanted: What is wanted.
        limit: Stop after this many lines; 0 reads all.

    Raises:
        BadInputError: The file is missing, or not what its name says from the first byte.
    """
    yield from read_lines(dump_lines(path, limit), path.name, 1, wanted)


def dump_lines(path: Path, limit: int = 0) -> Iterator[bytes | BadLine]:
    """Yield the lines of a dump, unread; see `read_dump`."""
    number = 0
    for number, line in enumerate(lines(blocks(path)), start=1):
        yield line
        if number == limit:
            return
    if number == 0:
        raise BadInputError(f"{path}: holds no line; expected one JSON object a line")


def read_lines(
    some: Iterable[bytes | BadLine], name: str, first: int, wanted: Wanted
) -> Iterator[dict[str, Any] | BadLine]:
    """Yield one row of schema.POSTS, or one BadLine, for each of some lines of a dump.

    Args:
        some: Lines that follow each other.
        name: The dump's name.
        first: Number of the first line, from 1.
        wanted: What is wanted.
    """
    decoder = msgspec.json.Decoder(Submission)
    for number, line in enumerate(some, start=first):
        if isinstance(line, BadLine):
            yield BadLine(number, line.reason, line.detail)
        elif not line.strip():
            yield BadLine(number, "blank_line", "")
        else:
            try:
                post = decoder.decode(line)
            except (ValueError, RecursionError) as error:
                yield bad_json(line, number, error)
            else:
                yield _row(post, name, number, wanted)


def _row(post: Submission, name: str, number: int, wanted: Wanted) -> dict[str, Any] | BadLine:
    try:
        return row(post, name, number, wanted)
    except Exception as error:  # one line of millions must not end the reading
        return BadLine(number, ERROR, type(error).__name__)


def bad_json(line: bytes, number: int, error: Exception) -> BadLine:
    """Return why a line of JSON could not be read; nothing of the line itself is repeated."""
    if isinstance(error, msgspec.ValidationError):
        return BadLine(number, "bad_field", str(error))
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        return BadLine(number, "bad_encoding", f"not UTF-8: {wrong.reason} at byte {wrong.start}")
    if b"\0" in line:  # no JSON holds one; every second byte of UTF-16 is one
        return BadLine(number, "bad_encoding", "holds NUL bytes, as UTF-16 does")
    return BadLine(number, "not_json", str(error))
