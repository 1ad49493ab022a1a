"""The commands `dedup` and `dedup-review`: duplicates among any posts, and where to cut."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli_options import (
    DEMO,
    ConfigFile,
    Sets,
    Source,
    Workspace,
    check_out,
    read_config,
    read_table,
)
from pipeline.errors import BadInputError
from pipeline.progress import say

if TYPE_CHECKING:
    import polars as pl

    from pipeline.config import Config

_SHOWN = 50  # pairs a method on either side of its threshold


def dedup(
    posts: Annotated[
        list[Path],
        typer.Argument(help="Tables of posts (`ingest`, `screen`), dumps, or exports."),
    ],
    pairs: Annotated[Path, typer.Option(help="CSV file to write: removed, keeper, method.")],
    out: Annotated[Path | None, typer.Option(help="Parquet file for the posts that stay.")] = None,
    review: Annotated[
        Path | None, typer.Option(help="HTML page of the pairs nearest the thresholds.")
    ] = None,
    mapping: Annotated[str, typer.Option(help="How exports are read, as in `ingest`.")] = "",
    words_only: Annotated[
        bool, typer.Option("--words-only", help="Compare no meanings (no embeddings).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
    config_file: ConfigFile = DEMO,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Find the posts that tell another one's story: each with the one that stays, and why.

    All posts are compared, whatever the configuration's pool; posts of any subreddit are read.
    """
    import polars as pl

    from pipeline.artifacts import write_parquet
    from pipeline.duplicates import find
    from pipeline.duplicates.earlier import scenarios_of
    from pipeline.embedding import embedder_of
    from pipeline.near_pairs import nearest, write_page

    config = read_config(config_file, sets=sets)
    source = dataclasses.replace(config.source, mapping=mapping or config.source.mapping)
    model = "" if words_only else config.dedup.embedding_model
    chosen = dataclasses.replace(config.dedup, embedding_model=model)
    config = dataclasses.replace(config, source=source, dedup=chosen)
    check_out(pairs, out, review)
    # Progress goes to standard error if standard output is for the counts alone.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        table = _posts(posts, config)
        found = find(table, chosen, embedder_of(config), scenarios_of(chosen.earlier))
    _write_csv(found.removals, pairs)
    if out is not None:
        gone = pl.Series(found.removals["removed_id"])
        write_parquet(table.filter(~pl.col("post_id").is_in(gone.to_list())), out)
    if review is not None:
        write_page(nearest(found.near, table, _SHOWN), review)
    methods = dict(
        found.removals.group_by("method").len().sort("len", "method", descending=True).rows()
    )
    kept = table.height - found.removals.height
    if as_json:
        counts = {
            "posts": table.height,
            "kept": kept,
            "removed": methods,
            "without_text": found.without_text,
        }
        typer.echo(json.dumps(counts))
        return
    say(f"{pairs}: {kept:,} of {table.height:,} posts stay")
    for method, n in methods.items():
        say(f"    {method:<18} {n:>9,}")
    say(f"    ({found.without_text:,} posts have no text that could be compared)")


def dedup_review(
    config_file: ConfigFile = DEMO,
    source: Source = "",
    workspace: Workspace = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    method: Annotated[str, typer.Option(help="Only lexical, contained or semantic pairs.")] = "",
    count: Annotated[int, typer.Option(min=1, help="Pairs on either side.")] = 5,
    html: Annotated[Path | None, typer.Option(help="HTML page to write as well.")] = None,
) -> None:
    """Show a build's pairs nearest the thresholds of deduplication, on either side."""
    from rich.console import Console

    from pipeline.near_pairs import nearest, print_pairs, write_page
    from pipeline.workspace import load_table

    check_out(html)
    config = read_config(config_file, source, workspace=workspace, sets=sets)
    place = Path(config.build.workspace)
    near, posts = load_table(place, "dedup.near"), load_table(place, "screen.posts")
    print_pairs(nearest(near, posts, count, method), Console())
    if html is not None:
        write_page(nearest(near, posts, _SHOWN, method), html)
        say(f"{html}: {_SHOWN} pairs at most on either side of each threshold")


def _posts(files: Sequence[Path], config: Config) -> pl.DataFrame:
    """Return the posts of tables and of other files, with the text that is compared."""
    import polars as pl

    from pipeline.sources.read import read_posts
    from pipeline.sources.snapshots import one_each
    from pipeline.tag import with_text

    for file in files:
        if file.is_dir() or not file.exists():
            raise BadInputError(f"{file}: no such file; name files of posts")
    tables = []
    for file in (file for file in files if file.suffix == ".parquet"):
        tables.append(read_table(file))
    others = [file for file in files if file.suffix != ".parquet"]
    if others:
        tables.append(read_posts(others, config, all_subreddits=True).posts)
    every, _ = one_each(pl.concat(tables))
    return with_text(every)


def _write_csv(table: pl.DataFrame, path: Path) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        table.write_csv(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
