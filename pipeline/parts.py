"""Tables in parts: rows of files, rows as they come, and rows on their way between partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl

BUCKET = "bucket"
"""Column of the partition that a row goes to."""

_BYTES_WAITING = 2**25  # of rows that move; many small files take long


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes:
        path: Parquet file; "" if the rows are at hand.
        start: First row.
        rows: Number of rows.
        frame: The rows, if they are at hand.
    """

    path: str
    start: int
    rows: int
    frame: pl.DataFrame | None = None

    def read(self) -> pl.DataFrame:
        """Return the rows."""
        return self.frame if self.frame is not None else self.scan().collect()

    def scan(self) -> pl.LazyFrame:
        """Return the rows, of which few columns may be wanted."""
        if self.frame is not None:
            return self.frame.lazy()
        return pl.scan_parquet(self.path).slice(self.start, self.rows)

    def halves(self) -> list[Part]:
        """Return the part in two; it has several rows."""
        middle = self.rows // 2
        cuts = [(0, middle), (middle, self.rows - middle)]
        frame = self.frame
        return [
            Part(self.path, self.start + at, rows, None if frame is None else frame[at : at + rows])
            for at, rows in cuts
        ]

    def __str__(self) -> str:
        """Return the file and the rows, for people."""
        return f"{self.path or 'table'}, rows {self.start:,} to {self.start + self.rows:,}"


def parts_of(path: Path, count: int) -> list[Part]:
    """Return the rows of a Parquet file in `count` parts of like size, none of them empty."""
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    ends = [rows * k // count for k in range(count + 1)]
    place = str(path.resolve())
    found = [Part(place, a, b - a) for a, b in pairwise(ends) if b > a]
    return found or [Part(place, 0, 0)]


class Spool:
    """A table on its way, in parts: in memory, or as files where a folder is given."""

    def __init__(self, columns: dict[str, pl.DataType], folder: Path | None = None) -> None:
        self.columns = pl.Schema(columns)
        self._folder = folder
        self._frames: list[pl.DataFrame] = []
        self._files: list[Path] = []
        self.height = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows at the end."""
        self.height += frame.height
        if self._folder is None:
            self._frames.append(frame)
        elif frame.height:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{len(self._files):06d}.parquet"
            frame.write_parquet(path, compression="lz4")
            self._files.append(path)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, some at a time."""
        yield from self._frames
        for path in self._files:
            yield pl.read_parquet(path)

    def table(self) -> pl.DataFrame | Spool:
        """Return the rows as a frame if they are in memory anyway."""
        if self._folder is not None:
            return self
        return pl.concat([pl.DataFrame(schema=self.columns), *self._frames])

    def lazy(self) -> pl.LazyFrame:
        """Return the rows, to be read where they are needed."""
        if self._files:
            return pl.scan_parquet(self._files)
        nothing = pl.LazyFrame(schema=self.columns)
        return pl.concat([nothing, *(frame.lazy() for frame in self._frames)])

    def parts(self) -> list[Part]:
        """Return the files as parts."""
        return [part for path in self._files for part in parts_of(path, 1)]


class Moved:
    """Rows on their way to their buckets: some in memory, the others in a folder a bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[int] = set()
        self._waiting: dict[int, list[pl.DataFrame]] = {}
        self._bytes: float = 0
        self._files = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows into the buckets that they name."""
        for (bucket,), rows in frame.partition_by(BUCKET, as_dict=True, include_key=False).items():
            self._waiting.setdefault(int(bucket), []).append(rows)
        self._bytes += frame.estimated_size()
        if self._bytes > _BYTES_WAITING:
            self._write()

    def folders(self) -> list[str]:
        """Write what waits; return the folders of all buckets that are not empty, in order."""
        self._write()
        return [str(self._folder / str(bucket)) for bucket in sorted(self._known)]

    def _write(self) -> None:
        for bucket, frames in self._waiting.items():
            folder = self._folder / str(bucket)
            folder.mkdir(exist_ok=True)
            pl.concat(frames).write_ipc(folder / f"{self._files}.arrow")
            self._known.add(bucket)
        self._files += 1
        self._waiting, self._bytes = {}, 0
