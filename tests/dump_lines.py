"""Lines of a dump that tests write, in every way of packing, and what reading them gives."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.sources.dump import read_dump
from pipeline.sources.post import BadLine, Wanted

Read = Callable[..., list[dict[str, Any] | BadLine]]
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".ndjson": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}
FORMATS = pytest.mark.parametrize("suffix", PACK)
DOMAINS = {"askhr": "career", "frugal": "finance"}


def reader(folder: Path) -> Read:
    """Return a function that writes bytes to a file of a suffix and reads them as a dump."""

    def run(
        data: bytes, suffix: str = ".ndjson", limit: int = 0, **options: Any
    ) -> list[dict[str, Any] | BadLine]:
        path = folder / f"posts{suffix}"
        path.write_bytes(data)
        wanted = Wanted(DOMAINS, **({"html_escaped": True} | options))
        return list(read_dump(path, wanted, limit))

    return run


def line(post_id: str = "a", **fields: Any) -> bytes:
    post = {"id": post_id, "subreddit": "AskHR", "title": "t", "selftext": "b"} | fields
    return json.dumps({name: value for name, value in post.items() if value is not ...}).encode()


def ids(items: list[dict[str, Any] | BadLine]) -> list[str]:
    """Return each item as the id of its post, or as the reason of its bad line."""
    return [item.reason if isinstance(item, BadLine) else item["post_id"] for item in items]


def numbers(items: list[dict[str, Any] | BadLine]) -> list[int]:
    return [item.line if isinstance(item, BadLine) else item["source_line"] for item in items]


def many(count: int) -> list[bytes]:
    """Return lines that compress badly, so that a cut file is cut in the middle of posts."""
    return [
        line(f"p{i}", noise=[zlib.crc32(b"%d %d" % (i, j)) for j in range(8)]) for i in range(count)
    ]
