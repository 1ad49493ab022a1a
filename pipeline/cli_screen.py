"""The command `screen`: tags and rules over a table of posts, without a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_options import DEMO, ConfigFile, Sets, check_out, read_config, read_table
from pipeline.progress import say


def screen(
    posts: Annotated[Path, typer.Argument(help="Posts as `ingest` writes them (Parquet).")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    config_file: ConfigFile = DEMO,
    sets: Sets = [],  # noqa: B006 - typer copies it
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Tag posts and drop those that cannot become scenarios; rules only, no model."""
    from pipeline import tag
    from pipeline.artifacts import write_parquet
    from pipeline.screen import decide

    config = read_config(config_file, sets=sets)
    table = read_table(posts)
    check_out(out)
    kept, dropped = decide(tag.tagged(table), config.screen)
    write_parquet(kept, out)
    reasons = dict(dropped.group_by("reason").len().sort("len", "reason", descending=True).rows())
    if as_json:
        counts = {"read": table.height, "kept": kept.height, "dropped": reasons}
        typer.echo(json.dumps(counts))
        return
    say(f"{out}: {kept.height:,} of {table.height:,} posts are kept")
    for reason, n in reasons.items():
        say(f"    {reason:<18} {n:>9,}")
