"""Pushshift and Arctic Shift submission dumps: NDJSON, plain, gzip or zstd, in one pass.

The published dumps are compressed with a window of 2 GiB, which decoders refuse by default.
Fields drift over the years; the types below are those seen from 2008 to 2026.
"""

from __future__ import annotations

import html
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from pipeline.errors import BadInputError

_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 17
_GZIP = 31  # zlib's code for a gzip header
_MAX_LINE = 8 << 20  # Reddit's own limit is 40,000 characters; this leaves room for every field
_WINDOW = 1 << 31
_LARGEST = 1 << 53
_GONE = {"[removed]": "removed", "[removedbyreddit]": "removed", "[deleted]": "deleted"}

Number = int | float | str | None


class _Submission(msgspec.Struct):
    """The fields that are read; absent ones stay None, all others are skipped unread."""

    id: str
    subreddit: str | None = None
    title: str | None = None
    selftext: str | None = None
    created_utc: Number = None
    score: Number = None
    num_comments: Number = None
    over_18: bool | None = None
    link_flair_text: str | None = None
    removed_by_category: str | None = None
    link_id: str | None = None  # only comments have one
    meta: dict[str, Any] | None = msgspec.field(name="_meta", default=None)


@dataclass(frozen=True)
class BadLine:
    """A line that gave no post: where, why in one word, and what the parser said."""

    line: int
    reason: str
    detail: str


def read_dump(
    path: Path, domain_of: Mapping[str, str], *, html_escaped: bool, limit: int = 0
) -> Iterator[dict[str, Any] | BadLine]:
    """Yield one row of schema.POSTS, or one BadLine, for every line of a dump.

    Args:
        path: File of one JSON object a line; `.gz` and `.zst` are unpacked as they are read.
        domain_of: Domain of each subreddit, keyed in lower case; others are "other_subreddit".
        html_escaped: Undo one level of HTML escaping in title, body and flair.
        limit: Stop after this many lines; 0 reads all.

    Raises:
        BadInputError: The file is missing, or not what its name says from the first byte.
    """
    decoder = msgspec.json.Decoder(_Submission)
    unescape = html.unescape if html_escaped else str
    number = 0
    for number, line in enumerate(_lines(path), start=1):
        if isinstance(line, BadLine):
            yield BadLine(number, line.reason, line.detail)
        elif not line.strip():
            yield BadLine(number, "blank_line", "")
        else:
            yield _parse(line, number, decoder, domain_of, unescape, path.name)
        if number == limit:
            return
    if number == 0:
        raise BadInputError(f"{path}: holds no line; expected one JSON object a line")


def _parse(
    line: bytes,
    number: int,
    decoder: msgspec.json.Decoder[_Submission],
    domain_of: Mapping[str, str],
    unescape: Any,
    file: str,
) -> dict[str, Any] | BadLine:
    try:
        post = decoder.decode(line)
        created, score = _timestamp(post.created_utc), _integer(post.score)
        comments = _integer(post.num_comments)
    except msgspec.ValidationError as error:
        return BadLine(number, "bad_field", str(error))
    except (msgspec.DecodeError, RecursionError) as error:
        return BadLine(number, "not_json", str(error))
    except (UnicodeDecodeError, ValueError, OverflowError, OSError) as error:
        reason = "bad_encoding" if isinstance(error, UnicodeDecodeError) else "bad_field"
        return BadLine(number, reason, str(error))
    if not post.id:
        return BadLine(number, "bad_field", "id: is empty")
    if post.link_id is not None and post.title is None:
        return BadLine(number, "comment", post.id)
    domain = domain_of.get((post.subreddit or "").lower())
    if domain is None:
        return BadLine(number, "other_subreddit", post.subreddit or "(no subreddit)")
    body = unescape(post.selftext or "")
    return {
        "post_id": post.id,
        "subreddit": post.subreddit,
        "domain": domain,
        "title": unescape(post.title or ""),
        "body": body,
        "created_utc": created,
        "score": score,
        "num_comments": comments,
        "over_18": bool(post.over_18),
        "flair": unescape(post.link_flair_text) if post.link_flair_text else None,
        "removal": _removal(post, body),
        "source_file": file,
        "source_line": number,
    }


def _removal(post: _Submission, body: str) -> str:
    stated = _GONE.get("".join(body[:40].split()).lower())
    if stated:
        return stated
    if post.meta and post.meta.get("was_deleted_later"):
        return "deleted"
    if post.removed_by_category:
        return "deleted" if post.removed_by_category in {"deleted", "author"} else "removed"
    return "none"


def _timestamp(value: Number) -> datetime | None:
    if value is None or value == "":
        return None
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError(f"created_utc: {value!r} is not a time")
    return datetime.fromtimestamp(seconds, tz=UTC)


def _integer(value: Number) -> int | None:
    if value is None or value == "":
        return None
    number = int(float(value))
    if abs(number) >= _LARGEST:
        raise ValueError(f"{value!r} is no count")
    return number


def _lines(path: Path) -> Iterator[bytes | BadLine]:
    """Yield the lines of a file; a line over the limit or a cut-off file as a BadLine."""
    rest, skipping = b"", False
    for block in _blocks(path):
        if isinstance(block, BadLine):
            if rest or skipping:
                yield _sized(rest, skipping)
            yield block
            return
        head, *parts = block.split(b"\n")
        rest += b"" if skipping else head
        for part in parts:
            yield _sized(rest, skipping)
            rest, skipping = part, False
        if len(rest) > _MAX_LINE:
            rest, skipping = b"", True
    if rest or skipping:
        yield _sized(rest, skipping)


def _sized(line: bytes, skipping: bool) -> bytes | BadLine:
    if skipping or len(line) > _MAX_LINE:
        return BadLine(0, "line_too_long", f"over {_MAX_LINE:,} bytes")
    return line


def _blocks(path: Path) -> Iterator[bytes | BadLine]:
    try:
        with path.open("rb") as handle:
            if path.suffix == ".zst":
                context = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
                yield from _unpack(path, handle, "zstd", context.decompressobj)
            elif path.suffix == ".gz":
                yield from _unpack(path, handle, "gzip", lambda: zlib.decompressobj(_GZIP))
            else:
                while block := handle.read(_BLOCK):
                    yield block
    except OSError as error:
        raise BadInputError(
            f"{path}: {error.strerror}; give a dump by SOURCE=path (or source.path in the config)"
        ) from None


def _unpack(
    path: Path, handle: BinaryIO, kind: str, new_frame: Callable[[], Any]
) -> Iterator[bytes | BadLine]:
    """Yield blocks of an archive of one or more frames.

    Frame by frame, since the libraries' own readers end a truncated frame without a word (zstd),
    or lose what came before the cut (gzip).
    """
    frame, packed, any_output, inside = new_frame(), b"", False, False
    while packed := packed or handle.read(_PACKED_BLOCK):
        try:
            block = frame.decompress(packed)
        except (zstandard.ZstdError, zlib.error) as error:
            if not any_output:
                raise BadInputError(
                    f"{path}: not readable as {kind} ({error}); fetch the file again"
                ) from None
            yield BadLine(0, "broken_archive", str(error))
            return
        if block:
            any_output = True
            yield block
        packed, inside = frame.unused_data, not frame.eof
        if frame.eof:
            frame = new_frame()
    if inside:
        yield BadLine(0, "truncated_file", "the archive ends in the middle of a frame")
