"""The `ingest` command: files of posts become one table, as stage scrape would make it."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli_options import DEMO, ConfigFile, Sets, check_out, read_config
from pipeline.errors import BadInputError
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.sources.read import Reading


def ingest(
    files: Annotated[list[Path], typer.Argument(help="Dumps, or exports of one mapping.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    mapping: Annotated[
        str, typer.Option(help="How the columns are read (configs/mappings.toml); for exports.")
    ] = "",
    all_subreddits: Annotated[
        bool,
        typer.Option(
            "--all-subreddits",
            help="Keep posts of subreddits that the configuration does not name; their domain "
            "is null. Without it they are set aside as other_subreddit, as in a build.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    config_file: ConfigFile = DEMO,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Read files of posts into one Parquet file, one row a post; say what was set aside and why.

    It reads as stage scrape does, by the configuration's source and domains. Of several snapshots
    of a post, in whatever file, the one with the longest body stays.
    """
    from pipeline.artifacts import write_parquet
    from pipeline.sources.read import read_posts

    config = read_config(config_file, sets=sets)
    if mapping:
        config = dataclasses.replace(
            config, source=dataclasses.replace(config.source, mapping=mapping)
        )
    for file in files:
        if file.is_dir() or not file.exists():  # a pipe will do
            raise BadInputError(f"{file}: no such file; name files of posts")
        if out.exists() and out.samefile(file):
            raise BadInputError(f"{out}: is one of the files to read; name another by --out")
    check_out(out)
    # Progress goes to standard error if standard output is for the report alone.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        found = read_posts(files, config, all_subreddits=all_subreddits)
    fresh = out.with_name(f".{out.name}.new")
    try:
        write_parquet(found.posts, fresh)
        fresh.replace(out)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise BadInputError(f"{out}: {error.strerror}; name another file by --out") from None
    finally:
        fresh.unlink(missing_ok=True)
    report = _report(files, out, found)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _show(report)


def _report(files: list[Path], out: Path, found: Reading) -> dict[str, Any]:
    """Return what was read and what became of it, as plain data."""
    kept = dict(found.posts["source_file"].value_counts().iter_rows())
    aside: dict[str, dict[str, dict[str, Any]]] = {file.name: {} for file in files}
    for name, reason, lines, first, detail in found.aside().iter_rows():
        aside[name][reason] = {"lines": lines, "first": first, "detail": detail}
    counts = {file.name: sum(e["lines"] for e in aside[file.name].values()) for file in files}
    return {
        "out": str(out),
        "posts": found.posts.height,
        "lines": found.entered,
        "files": [
            {
                "file": str(file),
                "lines": kept.get(file.name, 0) + counts[file.name],
                "posts": kept.get(file.name, 0),
                "aside": aside[file.name],
            }
            for file in files
        ],
        **found.notes,
    }


def _show(report: dict[str, Any]) -> None:
    table = Table(title="Read", title_justify="left")
    for column in (
        "file",
        "lines",
        "posts",
        "set aside: how many, where first, and what was there",
    ):
        right = column in {"lines", "posts"}
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for file in report["files"]:
        aside = [
            f"{reason} {entry['lines']:,}, {entry['first']:,}: {entry['detail']}"
            for reason, entry in file["aside"].items()
        ]
        row = [Path(file["file"]).name, f"{file['lines']:,}", f"{file['posts']:,}"]
        table.add_row(*map(Text, [*row, "\n".join(aside)]))
    Console().print(table)
    for warning in report["warnings"]:
        say(f"warning: {warning}")
    say(f"{report['out']}: {report['posts']:,} posts from {report['lines']:,} lines")
