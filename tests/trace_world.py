"""A finished build whose traces are looked at, and what a trace prints."""

from __future__ import annotations

import io
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from pipeline import build as runner
from pipeline.config import Config
from pipeline.trace import Trace
from pipeline.trace.view import print_trace
from pipeline.workspace import load_table

World = Callable[..., Config]
KEY = re.compile(r"r1:[0-9a-f]{64}")


def finished(config: Config, shelf: Path) -> Config:
    """Build, or copy the build that another test left on the shelf."""
    workspace = Path(config.build.workspace)
    places = [workspace, Path(config.build.ledger), Path(config.build.dist)]
    if not any(shelf.iterdir()):
        runner.build(config)
        for place in places:
            copy = shutil.copytree if place.is_dir() else shutil.copyfile
            copy(place, shelf / place.name)
    else:
        shutil.rmtree(workspace)
        for place in places:
            copy = shutil.copytree if (shelf / place.name).is_dir() else shutil.copyfile
            copy(shelf / place.name, place)
    return config


def table(config: Config, name: str) -> pl.DataFrame:
    return load_table(Path(config.build.workspace), name)


def rewrite_table(config: Config, name: str, change: Callable[[pl.DataFrame], Any]) -> None:
    path = Path(config.build.workspace) / name.replace(".", "/")
    changed: pl.DataFrame = change(table(config, name))
    changed.write_parquet(path.with_name(f"{path.name}.parquet"))


def printed(found: Trace, *, full: bool = False, width: int = 100) -> str:
    out = io.StringIO()
    print_trace(found, Console(file=out, width=width, color_system=None), full=full)
    return out.getvalue()


def unseen(text: str) -> set[str]:
    """Return the characters of `text` that a terminal would obey or hide."""
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in bad} - {"\n"}


def schema_fields(body: dict[str, Any]) -> list[str]:
    return list(body["response_format"]["json_schema"]["schema"]["properties"])
