"""Files as they lie on disk, plain, gzip or zstd, read as blocks, lines or elements of an array.

Every step holds a bounded amount of memory, whatever the file holds: a block is at most 4 MiB, and
a line or an element over MAX_LINE is reported and passed over.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from pipeline.errors import BadInputError
from pipeline.sources.post import BadLine

MAX_LINE = 8 << 20  # bytes; Reddit's own limit is 40,000 characters, so every field has room
_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 17
_GZIP = 31  # zlib's code for a gzip header
_GZIP_MAGIC = b"\x1f\x8b"
_AT_ONCE = 32  # blocks of zstd in one call; after each a thread waits for the interpreter
_WINDOW = 1 << 31  # that of the published dumps; decoders refuse it by default
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = frozenset(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16))
_BOM = b"\xef\xbb\xbf"
_MARK = re.compile(rb'["{}\[\],]')
_MARK_IN_STRING = re.compile(rb'["\\]')


class _CutError(Exception):
    """The file ends in the middle of a frame."""


def blocks(path: Path) -> Iterator[bytes | BadLine]:
    """Yield a file's unpacked bytes, of at most 4 MiB each; a broken or cut archive as a BadLine.

    Raises:
        BadInputError: The file cannot be opened, or is not what its name says from its first byte.
    """
    try:
        # A read of the disk ends the thread's turn too.
        with io.BufferedReader(io.FileIO(path), _BLOCK) as handle:
            magic = handle.peek(4)[:4]
            if path.suffix == ".zst" or magic == _ZSTD_MAGIC:
                yield from _guarded(path, "zstd", _ahead(_zstd(handle)))
            elif path.suffix == ".gz" or magic[:2] == _GZIP_MAGIC:
                yield from _guarded(path, "gzip", _gzip(handle))
            elif path.suffix in {".bz2", ".xz", ".zip", ".7z"}:
                raise BadInputError(f"{path}: is not read packed like this; pack it as .zst or .gz")
            else:
                while block := handle.read(_BLOCK):
                    yield block
    except OSError as error:
        raise BadInputError(
            f"{path}: {error.strerror}; give a file of posts by SOURCE=path (or source.path in "
            "the config)"
        ) from None


def lines(blocks: Iterable[bytes | BadLine]) -> Iterator[bytes | BadLine]:
    """Yield lines without their ends; one over MAX_LINE, and where a file is cut, as a BadLine."""
    rest, skipping, first = b"", False, True
    for block in blocks:
        if isinstance(block, BadLine):
            if rest or skipping:
                yield _sized(rest, skipping)
            yield block
            return
        if first:
            first, block = False, block.removeprefix(_BOM)
        head, *parts = block.split(b"\n")
        rest += b"" if skipping else head
        for part in parts:
            yield _sized(rest, skipping)
            rest, skipping = part, False
        if len(rest) > MAX_LINE:
            rest, skipping = b"", True
    if rest or skipping:
        yield _sized(rest, skipping)


def elements(blocks: Iterable[bytes | BadLine]) -> Iterator[bytes | BadLine]:
    """Yield the elements of one JSON array, still as JSON; what is over MAX_LINE as a BadLine.

    Only quotes, brackets and commas are looked at, so an element that is no JSON spoils no other
    as long as these are in order.
    """
    depth, quoted, position = 0, False, 0
    rest, skipping = b"", False
    source = iter(blocks)
    for block in source:
        if isinstance(block, BadLine):
            yield block
            return
        begin = 0
        while match := (_MARK_IN_STRING if quoted else _MARK).search(block, position):
            position, mark = match.end(), match[0]
            if quoted:
                quoted = mark != b'"'
                position += mark == b"\\"  # and what it escapes, which may be in the next block
                continue
            quoted = mark == b'"'
            depth += (mark in b"{[") - (mark in b"}]")
            if depth == 1 and mark == b"[":
                begin = position
            elif (depth == 1 and mark == b",") or depth == 0:
                element = rest + block[begin : position - 1]
                if depth or skipping or element.strip():
                    yield _sized(element, skipping)
                rest, skipping, begin = b"", False, position
                if depth == 0:
                    yield from _after_array(chain([block[position:]], source))
                    return
        rest += b"" if skipping else block[begin:]
        if len(rest) > MAX_LINE:
            rest, skipping = b"", True
        position = max(0, position - len(block))
    yield BadLine(0, "truncated_file", "the file ends in the middle of its array")


def _after_array(blocks: Iterable[bytes | BadLine]) -> Iterator[BadLine]:
    for block in blocks:
        if isinstance(block, BadLine) or block.strip():
            wrong = BadLine(0, "not_json", "text goes on after the end of the array")
            yield block if isinstance(block, BadLine) else wrong
            return


def _sized(line: bytes, skipping: bool) -> bytes | BadLine:
    if skipping or len(line) > MAX_LINE:
        return BadLine(0, "line_too_long", f"over {MAX_LINE:,} bytes")
    return line


def _guarded(path: Path, kind: str, unpacked: Iterator[bytes]) -> Iterator[bytes | BadLine]:
    any_output = False
    try:
        for block in unpacked:
            if block:
                any_output = True
                yield block
    except _CutError:
        yield BadLine(0, "truncated_file", "the archive ends in the middle of a frame")
    except (zstandard.ZstdError, zlib.error) as error:
        if not any_output:
            raise BadInputError(
                f"{path}: not readable as {kind} ({error}); fetch the file again"
            ) from None
        yield BadLine(0, "broken_archive", str(error))


def _ahead(unpacked: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same blocks; each is unpacked while the one before is read."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, unpacked, None)
        while (block := following.result()) is not None:
            following = pool.submit(next, unpacked, None)
            yield block


def _zstd(handle: BinaryIO) -> Iterator[bytes]:
    """Yield what the frames hold; of a broken one what stands before the block that is broken."""
    while magic := handle.read(4):
        if magic in _SKIPPABLE:
            left = int.from_bytes(_exactly(handle, 4), "little")
            while left:
                left -= len(_exactly(handle, min(left, _BLOCK)))
            continue
        if magic != _ZSTD_MAGIC:
            if _ZSTD_MAGIC.startswith(magic):
                raise _CutError
            raise zstandard.ZstdError("no frame begins where one should")
        begin, given = handle.tell(), 0
        try:
            for some in _frame(handle, _AT_ONCE):
                given += len(some)
                yield some
        except zstandard.ZstdError:  # somewhere in so many blocks
            handle.seek(begin)
            for some in _frame(handle, 1):
                yield some[max(0, given) :]
                given -= len(some)


def _frame(handle: BinaryIO, at_once: int) -> Iterator[bytes]:
    """Yield what a frame holds, so many blocks at once; `handle` stands behind its magic number.

    Block by block, since a block never gives more than 128 KiB, while a whole read of a few
    kilobytes may give gigabytes. It also tells a frame's end from a cut; the library's own reader
    does not.
    """
    frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    descriptor = _exactly(handle, 1)
    flags = descriptor[0]
    single = flags >> 5 & 1
    size = (not single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
    waiting, count, last = [_ZSTD_MAGIC + descriptor + _exactly(handle, size)], 0, False
    try:
        while not last:
            header = _exactly(handle, 3)
            word = int.from_bytes(header, "little")
            last = bool(word & 1)
            repeated = word >> 1 & 3 == 1  # one byte, and how often
            size = 1 if repeated else word >> 3
            body = handle.read(size)
            waiting += (header, body)
            if len(body) < size:
                raise _CutError
            count += 1
            if last or count % at_once == 0:
                yield frame.decompress(b"".join(waiting))
                waiting = []
    except _CutError:
        yield frame.decompress(b"".join(waiting))
        raise
    if flags >> 2 & 1:
        yield frame.decompress(_exactly(handle, 4))  # a wrong checksum raises here


def _exactly(handle: BinaryIO, size: int) -> bytes:
    data = handle.read(size)
    if len(data) < size:
        raise _CutError
    return data


def _gzip(handle: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of a file of one or more gzip members, up to where it breaks."""
    member: Any = None
    started = False
    while packed := handle.read(_PACKED_BLOCK):
        while packed:
            if member is None:
                packed = packed.lstrip(b"\0") if started else packed  # padding between members
                if not packed:
                    break
                member, started = zlib.decompressobj(_GZIP), True
            before = member.copy()
            try:
                yield member.decompress(packed, _BLOCK)
            except zlib.error:
                yield _before_break(before, packed)
                raise
            packed = member.unused_data if member.eof else member.unconsumed_tail
            member = None if member.eof else member
    while member is not None and not member.eof:
        block = member.decompress(b"", _BLOCK)  # what was unpacked but did not fit the last block
        if not block:
            if not member.eof:
                raise _CutError
            return
        yield block


def _before_break(member: Any, packed: bytes) -> bytes:
    """Return what `packed` gives before it breaks, by halving: zlib itself withholds that."""
    good, bad, found = 0, len(packed), b""
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            found = member.copy().decompress(packed[:middle], _BLOCK)
            good = middle
        except zlib.error:
            bad = middle
    return found
