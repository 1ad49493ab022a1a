"""What the commands share: their options, and the configuration that these lead to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.config import Config
from pipeline.config_file import load, parse_override

DEMO = Path("configs/demo.toml")
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration (TOML).")]
LedgerFile = Annotated[str, typer.Option(help="File that keeps the model replies.")]
Source = Annotated[str, typer.Option(help="File of posts, instead of source.path.")]
Scenarios = Annotated[int, typer.Option(help="Scenarios, instead of select.scenarios.")]
Limit = Annotated[int, typer.Option(help="Read only this many lines of the source.")]
Workspace = Annotated[str, typer.Option(help="Folder of the artifacts.")]
Dist = Annotated[str, typer.Option(help="Folder that receives the release.")]
Sets = Annotated[list[str], typer.Option("--set", help="Any key: section.key=value.")]


def read_config(
    file: Path,
    source: str = "",
    scenarios: int = 0,
    limit: int = 0,
    workspace: str = "",
    ledger: str = "",
    dist: str = "",
    sets: Iterable[str] = (),
) -> Config:
    """Read the configuration, with the command line over it.

    Builds from another source than the configuration's own get a workspace of their own, so that
    going to and fro redoes nothing.
    """
    given: dict[str, Any] = dict(parse_override(text) for text in sets)
    named = {
        "source.path": source,
        "source.limit": limit,
        "select.scenarios": scenarios,
        "build.workspace": workspace,
        "build.ledger": ledger,
        "build.dist": dist,
    }
    given |= {key: value for key, value in named.items() if value}
    config = load(file, given)
    if source and not workspace:
        stem = Path(source).name.split(".")[0]
        place = f"{config.build.workspace}-{stem}"
        build = dataclasses.replace(config.build, workspace=place)
        config = dataclasses.replace(config, build=build)
    return config
