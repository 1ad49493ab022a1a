"""What the commands share: their options, and the configuration that these lead to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipeline.config import Config
from pipeline.config_file import load, parse_override
from pipeline.errors import BadInputError

if TYPE_CHECKING:
    import polars as pl

DEMO = Path("configs/demo.toml")
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration (TOML).")]
LedgerFile = Annotated[str, typer.Option(help="File that keeps the model replies.")]
Source = Annotated[str, typer.Option(help="File of posts, instead of source.path.")]
Scenarios = Annotated[int, typer.Option(help="Scenarios, instead of select.scenarios.")]
Limit = Annotated[int, typer.Option(help="Read only this many lines of the source.")]
Workspace = Annotated[str, typer.Option(help="Folder of the artifacts.")]
Dist = Annotated[str, typer.Option(help="Folder that receives the release.")]
EngineName = Annotated[
    Literal["", "local", "ray"],
    typer.Option(help="Who does the heavy stages: this machine, or the cluster of RAY_ADDRESS."),
]
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


def with_engine(config: Config, name: Literal["", "local", "ray"]) -> Config:
    """Return the configuration with another engine; "" leaves it."""
    if not name:
        return config
    return dataclasses.replace(config, build=dataclasses.replace(config.build, engine=name))


def check_out(*files: Path | None) -> None:
    """Check that files can be written, before any work; None is a file that is not wanted.

    Raises:
        BadInputError: One is a folder, or lies in none.
    """
    for file in files:
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            what = "is a folder" if file.is_dir() else f"there is no folder {file.parent}"
            raise BadInputError(f"{file}: {what}; name a file in a folder that exists")


def read_table(file: Path) -> pl.DataFrame:
    """Return the posts of a Parquet file: the columns of schema.POSTS, in this order.

    Raises:
        BadInputError: It is no such table.
    """
    import polars as pl

    from pipeline import schema

    try:
        return schema.check(
            pl.read_parquet(file, columns=list(schema.POSTS)), schema.POSTS, "posts"
        )
    except (OSError, TypeError, pl.exceptions.PolarsError) as error:
        what = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"{file}: not a table of posts ({what}); `python -m pipeline ingest` writes one"
        ) from None
