"""What a stage is: a value with a name, tables in and out, and a function between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.config import Config
from pipeline.funnel import Funnel
from pipeline.scale import LOCAL, Engine, Part, Spool, parts_of
from pipeline.schema import Schema

DROPPED_TABLE = "dropped"


@dataclass(frozen=True)
class Context:
    """What a running stage is given.

    Attributes:
        config: The whole configuration; a stage reads only the sections it declares.
        tables: Its declared inputs, keyed "stage.table".
        out: Folder for files that are not tables (the release stage's); whole or absent later.
        replay_only: True if model replies may come from the ledger alone.
        manifests: Manifests of the stages before it, by stage name.
        engine: Who does the work on partitions.
        files: Where the tables lie, by the same names; needed if there are partitions.
        scratch: Folder for rows on their way, gone afterwards; None keeps them in memory.
    """

    config: Config
    tables: Mapping[str, pl.DataFrame]
    out: Path
    manifests: Mapping[str, Mapping[str, object]]
    replay_only: bool = False
    engine: Engine = LOCAL
    files: Mapping[str, Path] = field(default_factory=dict)
    scratch: Path | None = None

    def parts(self, name: str) -> list[Part]:
        """Return the rows of a table in as many parts as the engine wants."""
        if self.engine.partitions > 1:
            return parts_of(self.files[name], self.engine.partitions)
        table = self.tables[name]
        return [Part("", 0, table.height, table)]

    def spool(self, name: str, columns: Schema) -> Spool:
        """Return an empty table for rows as they come, part by part."""
        return Spool(columns, self.scratch / name if self.scratch else None)


@dataclass(frozen=True)
class Result:
    """What a stage gives back.

    Attributes:
        tables: Its declared outputs by name.
        dropped: Rows of schema.DROPPED, each item that was not kept with its one reason.
        funnel: Counts over the same rows.
        notes: Further facts for the manifest (counts, versions); plain data, no clock.
    """

    tables: Mapping[str, pl.DataFrame | Spool]
    dropped: pl.DataFrame | Spool
    funnel: Funnel
    notes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One step of the build.

    Attributes:
        name: A verb; also the name of its module and of its folder in the workspace.
        run: The work.
        inputs: Tables it reads, as "stage.table".
        outputs: Its tables and their schemas.
        sections: Sections or single keys of the configuration that it reads.
        prompts: Prompt files that it renders, from the configuration.
        models: Names in [models] that it calls, from the configuration.
        files: Files outside the workspace that it reads, from the configuration.
        reads_source: True for the stage that reads `source.path`.
        reads_funnels: True for the stage that reports the funnels of the stages before it.
        version: Raised when the meaning of its output changes but its code does not show it.
    """

    name: str
    run: Callable[[Context], Result]
    inputs: tuple[str, ...]
    outputs: Mapping[str, Schema]
    sections: tuple[str, ...]
    prompts: Callable[[Config], tuple[str, ...]] = lambda _: ()
    models: Callable[[Config], tuple[str, ...]] = lambda _: ()
    files: Callable[[Config], tuple[Path, ...]] = lambda _: ()
    reads_source: bool = False
    reads_funnels: bool = False
    version: int = 1
