"""All text of a release: the lines of every text column of every table, and its text files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.errors import StageError

_LETTER = r"^\(?[A-D][).:]\s+"
_WORD = "[A-Za-z0-9_]+"
_QUOTE = "\x01"
_BINARY = frozenset({".parquet", ".whl", ".zip", ".gz", ".png"})


@dataclass(frozen=True)
class Column:
    """The texts of one column of one table.

    Attributes:
        path: The table.
        name: The column; the fields of lists and structs count as the column's own.
        lines: Its different lines, without the letter of an option.
    """

    path: Path
    name: str
    lines: pl.Series

    def row_of(self, text: str) -> str:
        """Return where a line stands: the row's number (from 0), and its id where it has one."""
        table = pl.read_parquet(self.path)
        for number, cell in enumerate(_strings(table[self.name], keep_rows=True).to_list()):
            if text in "\n".join(filter(None, cell)):
                name = next((c for c in table.columns if c.endswith("_id")), "")
                told = f" ({table[name][number]})" if name else ""
                return f"row {number}{told}"
        return "a row"


def tables(dist: Path) -> list[Path]:
    """Return the tables of a folder, sorted."""
    return sorted(dist.rglob("*.parquet"))


def columns(dist: Path) -> Iterator[Column]:
    """Yield every column that holds text, with the lines that no column before it had.

    Prompts repeat scenarios, options repeat actions, and calls repeat both.
    """
    seen = pl.Series("lines", [], dtype=pl.String)
    for path in tables(dist):
        try:
            table = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            what = " ".join(str(error).split())[:200]
            raise StageError(f"{path}: not readable ({what}); build the release again") from None
        for name in table.columns:
            if _holds_text(table[name].dtype):
                lines = (
                    _opened(_strings(table[name]).drop_nulls().unique())
                    .str.split("\n")
                    .explode()
                    .drop_nulls()
                    .str.replace(_LETTER, "")
                    .str.strip_chars()
                    .unique()
                    .sort()
                    .alias("lines")
                )
                fresh = lines.filter(~lines.is_in(seen.implode()) & (lines != ""))
                seen = pl.concat([seen, fresh])
                yield Column(path, name, fresh)


def _opened(texts: pl.Series) -> pl.Series:
    """Return texts with JSON taken apart, so that what stands elsewhere as well is read once."""
    json = texts.str.contains(r"^\s*[\[{]")
    parts = (
        texts.filter(json)
        .str.replace_all('\\"', _QUOTE, literal=True)
        .str.replace_all('"', "\n", literal=True)
        .str.replace_all(_QUOTE, '"', literal=True)
        .str.replace_all("\\n", "\n", literal=True)
    )
    return pl.concat([texts.filter(~json), parts])


def words(lines: pl.Series) -> set[str]:
    """Return the different words of some lines."""
    return set(lines.str.extract_all(_WORD).explode().drop_nulls().unique())


def text_files(dist: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file that is no table and no archive, with its text."""
    for path in sorted(dist.rglob("*")):
        if path.is_file() and path.suffix not in _BINARY:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def names_in(text: str, names: Collection[str]) -> list[str]:
    """Return those names that stand in a text as words, sorted."""
    return sorted(set(re.findall(_WORD, text)) & set(names))


def _holds_text(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List):
        return _holds_text(pl.Series([], dtype=dtype).explode().dtype)
    if isinstance(dtype, pl.Struct):
        return any(_holds_text(pl.Series([], dtype=field.dtype).dtype) for field in dtype.fields)
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def _strings(column: pl.Series, *, keep_rows: bool = False) -> pl.Series:
    """Return the texts of a column, one a row, or as a list for each row."""
    if isinstance(column.dtype, pl.List):
        if isinstance(column.explode().dtype, pl.Struct):
            column = column.list.eval(pl.element().struct.json_encode())
        if keep_rows:
            return column.cast(pl.List(pl.String))
        column = column.explode()
    elif isinstance(column.dtype, pl.Struct):
        column = column.struct.json_encode()
    texts = column.cast(pl.String)
    return texts.reshape((-1, 1)).cast(pl.List(pl.String)) if keep_rows else texts
