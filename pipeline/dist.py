"""Files of a release folder: where its tables lie, how they are named, what types they have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.artifacts import sha256_file
from pipeline.errors import StageError

if TYPE_CHECKING:
    from datasets import Features

TABLES = {
    "questions": "question_id",
    "selection": "question_id",
    "adoption": "question_id",
    "scenarios": "scenario_id",
    "actions": "action_id",
}
"""Each config that every release has, and the column that names its rows; the first is default."""
KEYS = TABLES | {"reviews": "review_id"}
"""The same, with the configs that only some releases have."""
_OPTIONAL = KEYS.keys() - TABLES.keys()
TEST, DEV, HELD_OUT = "test", "dev", "held_out"
SLOTS = Path("provenance") / "slots.parquet"
"""Where a release keeps the table of its slots."""
SPLITS = (TEST, DEV)
"""Splits of a release; what is held out is no part of it."""
LETTERS = ("A", "B", "C", "D")
_CLASSES = {"answer": LETTERS}
"""Columns of numbers that stand for names. Texts stay texts: the Hub's viewer counts those of few
values by itself, and tables join by them."""
_ROW_GROUP = 10_000


def write_table(dist: Path, name: str, table: pl.DataFrame, split: str = TEST) -> str:
    """Write a split of a table; return its path below `dist`.

    The file's name carries its hash: `datasets` caches a local folder by file names alone and
    would go on serving the rows of an earlier build. Pages are cut by content, so that a Hub stores
    again only what a patch release changes.
    """
    import pyarrow.parquet as pq

    folder = dist / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{split}.parquet"
    pq.write_table(
        table.rechunk().to_arrow().cast(features_of(table).arrow_schema),
        fresh,
        compression="zstd",
        compression_level=3,
        row_group_size=_ROW_GROUP,
        write_page_index=True,
        use_content_defined_chunking=True,
    )
    final = folder / f"{split}-{sha256_file(fresh)[:12]}.parquet"
    fresh.rename(final)
    return final.relative_to(dist).as_posix()


def features_of(table: pl.DataFrame) -> Features:
    """Return the columns' types as `datasets` and the Hub's viewer name them."""
    import datasets

    return datasets.Features(
        {
            name: datasets.ClassLabel(names=list(_CLASSES[name]))
            if name in _CLASSES
            else _feature(dtype)
            for name, dtype in table.schema.items()
        }
    )


def _feature(dtype: Any) -> Any:
    import datasets

    if isinstance(dtype, pl.List):
        return datasets.List(_feature(dtype.inner))
    return datasets.Value("bool" if dtype == pl.Boolean else str(dtype).lower())


def table_paths(dist: Path, name: str) -> dict[str, Path]:
    """Return the file of each split of a table.

    Raises:
        StageError: The folder holds no such table, or a split of it twice.
    """
    folder = dist / "data" / name
    found = {split: sorted(folder.glob(f"{split}-*.parquet")) for split in SPLITS}
    for split, paths in found.items():
        # Reviews may be all of one split; every other table has rows in test.
        if len(paths) > 1 or (split == TEST and not paths and name not in _OPTIONAL):
            of = "" if split == TEST else f", split {split},"
            raise StageError(
                f"{dist}: holds {len(paths)} files of the table '{name}'{of} instead of one; "
                "build it with `make build-dataset`"
            )
    return {split: paths[0] for split, paths in found.items() if paths}


def table_path(dist: Path, name: str, split: str = TEST) -> Path:
    """Return the path of a split of a release's table.

    Raises:
        StageError: See `table_paths`; or there is no such split.
    """
    paths = table_paths(dist, name)
    if split not in paths:
        raise StageError(f"{dist}: table '{name}' has no split {split}")
    return paths[split]


def read_table(dist: Path, name: str) -> pl.DataFrame:
    """Return all rows of a table, its splits one after the other.

    Raises:
        StageError: See `table_paths`.
    """
    return pl.concat([pl.read_parquet(path) for path in table_paths(dist, name).values()])


def configs_of(dist: Path) -> list[str]:
    """Return the names of the tables that a release holds, the default first."""
    return [name for name in KEYS if name in TABLES or [*dist.glob(f"data/{name}/*.parquet")]]


def head(dist: Path, files: Mapping[str, Mapping[str, str]]) -> str:
    """Return the part of a card's head that lets a Hub load, type and size the tables, as YAML.

    Args:
        dist: The folder.
        files: Path of each table's splits below it.
    """
    import pyarrow.parquet as pq
    import yaml
    from datasets import Features

    configs: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for name, paths in files.items():
        places = [{"split": split, "path": path} for split, path in paths.items()]
        default = {} if configs else {"default": True}
        configs.append({"config_name": name, **default, "data_files": places})
        tables = {split: pq.read_table(dist / path) for split, path in paths.items()}
        splits = [
            {"name": split, "num_bytes": table.nbytes, "num_examples": table.num_rows}
            for split, table in tables.items()
        ]
        schema = next(iter(tables.values())).schema
        told.append(
            {
                "config_name": name,
                "features": Features.from_arrow_schema(schema)._to_yaml_list(),
                "splits": splits,
                "download_size": sum((dist / path).stat().st_size for path in paths.values()),
                "dataset_size": sum(each["num_bytes"] for each in splits),
            }
        )
    found = {"configs": configs, "dataset_info": told}
    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=1000))
