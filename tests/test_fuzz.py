"""No damaged file makes a reader fall over: some tries; `python -m tests.fuzz` makes more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz import Finding, Reader, readers, tries

TRIES = 60


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused_in_one_line(reader: Reader, tmp_path: Path) -> None:
    first, *others = tries(reader, TRIES, tmp_path)
    assert first == "read"  # the good file itself
    assert [result for result in others if isinstance(result, Finding)] == []
    assert len(others) == TRIES - 1


def test_a_reader_that_falls_over_is_found(tmp_path: Path) -> None:
    def careless(path: Path) -> int:
        return len(path.read_bytes().decode().splitlines())

    reader = Reader("careless", ".txt", lambda: "\u00e9\n".encode() * 20, careless, lambda _: 20)
    said = Counter(type(result).__name__ for result in tries(reader, 100, tmp_path))
    assert said["Finding"] > 50
