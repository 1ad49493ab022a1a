"""What a release folder says of itself: everything that its card shows, from the folder alone.

Counts come from the tables, what became of the posts and what it cost from the stages' manifests,
titles and promises from provenance/config.json. Nothing else is read, so that whoever has the
folder can write the card again and compare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import canary
from pipeline.artifacts import read_json, sha256_text
from pipeline.balance import COUNTED, balance
from pipeline.dist import KEYS, SLOTS, SPLITS, head
from pipeline.errors import StageError
from pipeline.funnel import Funnel

CONFIG = Path("provenance") / "config.json"
FIGURE = Path("figures") / "funnel.svg"
_PROMPTS = Path("provenance") / "prompts"
_VERSION = re.compile(r"^version = (\d+)$", re.MULTILINE)
_WRITERS = "generate"


@dataclass(frozen=True)
class File:
    """A table of the release.

    Attributes:
        config: Name by which it is loaded.
        split: Its split.
        path: Below the folder.
        rows: How many.
        bytes: Size of the file.
    """

    config: str
    split: str
    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Prompt:
    """A prompt that made something of this release.

    Attributes:
        name: File below provenance/prompts, without ending.
        version: Its own number.
        sha256: Of the file, without the canary's line.
        stages: Stages that rendered it.
    """

    name: str
    version: int
    sha256: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Used:
    """What one stage asked of one model.

    Attributes:
        stage: The stage.
        name: The model's name in the build.
        settings: Its resolved settings: model, provider, temperature and so on.
        returned: Replies by the name that came back.
        calls: What Caller.notes says.
    """

    stage: str
    name: str
    settings: Mapping[str, Any]
    returned: Mapping[str, int]
    calls: Mapping[str, Any]


def facts(dist: Path) -> dict[str, Any]:
    """Return what the card's template is given.

    Raises:
        StageError: A file that a number comes from is missing or broken.
    """
    config = _read(dist / CONFIG)
    manifests = {
        name: _read(dist / "provenance" / "manifests" / f"{name}.json") for name in config["stages"]
    }
    files = data_files(dist)
    questions = _table(dist, files, "questions")
    scenarios = _table(dist, files, "scenarios").unique("scenario_id")
    slots = _parquet(dist / SLOTS)
    kept_back = pl.col("split") == "held_out" if "split" in slots.columns else pl.lit(value=False)
    notes = {name: _part(dist, name, manifest, "notes") for name, manifest in manifests.items()}
    funnels = {
        name: Funnel.from_json(_part(dist, name, manifest, "funnel"))
        for name, manifest in manifests.items()
    }
    values = _read(dist / "values.json")
    ids = [value["id"] for value in values]
    used = list(_used(manifests, notes))
    domains = config["domains"]
    writers = [each for each in used if each.stage == _WRITERS]
    return {
        "build": config["build"],
        "release": config["release"],
        "source": config["source"],
        "files": files,
        "head": head(dist, _by_config(files)),
        "rows": {name: sum(f.rows for f in files if f.config == name) for name in KEYS},
        "bytes": sum(file.bytes for file in files),
        "values": values,
        "letters": "ABCD",
        "counted": COUNTED,
        "balances": [
            (split, balance(part, ids))
            for split, part in [("all", questions), *_by_split(dist, files)]
        ],
        "domains": [
            (
                domain,
                part["scenario_id"].n_unique(),
                balance(part, ids),
                sorted(scenarios.filter(domain=domain)["subreddit"].unique()),
            )
            for domain, part in ((d, questions.filter(domain=d)) for d in domains)
        ],
        "years": (scenarios["year"].min(), scenarios["year"].max()),
        "words": {
            "scenario": _median_words(scenarios["scenario"]),
            "action": _median_words(questions["options"].explode()),
        },
        "example": questions.row(0, named=True),
        "funnels": [(name, each, each.reasons()) for name, each in funnels.items()],
        "holes": slots.filter(~kept_back, scenario_id="")["slot"].to_list(),
        "held_out": slots.filter(kept_back).height,
        "notes": notes,
        "used": used,
        "writers": writers,
        "local_writers": all(each.settings["provider"] == "llama_cpp" for each in writers),
        "total": {
            key: sum(each.calls[key] for each in used)
            for key in ("requests", "prompt_tokens", "completion_tokens", "micro_usd")
        },
        "days": (
            min((each.calls["first_day"] for each in used if each.calls["first_day"]), default=""),
            max((each.calls["last_day"] for each in used if each.calls["last_day"]), default=""),
        ),
        "told": {
            "repairs": setting(manifests[_WRITERS], "generate.repairs"),
            "min_words": setting(manifests["screen"], "screen.min_words"),
            "max_words": setting(manifests["screen"], "screen.max_words"),
            "shared_run": setting(manifests["rewrite"], "rewrite.shared_run"),
        },
        "experts": notes.get("adjudicate", {}).get("findings", {}),
        "recognised": notes["recognise"],
        "warnings": [line for stage in notes.values() for line in stage.get("warnings", [])],
        "prompts": list(
            _prompts(dist, manifests, {u.stage for u in used}, config["release"]["canary"])
        ),
        "figure": FIGURE.as_posix(),
        "wheels": sorted(p.relative_to(dist).as_posix() for p in dist.glob("evaluator/*.whl")),
    }


def setting(manifest: Mapping[str, Any], dotted: str) -> Any:
    """Return what a stage was told, from its manifest.

    Raises:
        KeyError: It was told no such thing.
    """
    return json.loads(manifest["components"][f"config.{dotted}"])


def data_files(dist: Path) -> list[File]:
    """Return the tables of the folder, by config and split: `questions` and `test` come first."""
    found = []
    for path in sorted((dist / "data").glob("*/*.parquet")):
        split = path.stem.rpartition("-")[0]
        rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
        place = path.relative_to(dist).as_posix()
        found.append(File(path.parent.name, split, place, rows, path.stat().st_size))
    known = [*KEYS]

    def place_of(file: File) -> tuple[int, str, int, str]:
        config = known.index(file.config) if file.config in known else len(known)
        split = SPLITS.index(file.split) if file.split in SPLITS else len(SPLITS)
        return config, file.config, split, file.path

    return sorted(found, key=place_of)


def _by_config(files: Iterable[File]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for file in files:
        found.setdefault(file.config, {})[file.split] = file.path
    return found


def _table(dist: Path, files: Iterable[File], config: str) -> pl.DataFrame:
    parts = [_parquet(dist / file.path) for file in files if file.config == config]
    if not parts:
        raise StageError(f"{dist}: holds no table '{config}'; build the release again")
    return pl.concat(parts)


def _by_split(dist: Path, files: Iterable[File]) -> list[tuple[str, pl.DataFrame]]:
    """Return the questions of each split, if there is more than one."""
    mine = [file for file in files if file.config == "questions"]
    return [(f.split, _parquet(dist / f.path)) for f in mine] if len(mine) > 1 else []


def _used(
    manifests: Mapping[str, Mapping[str, Any]], notes: Mapping[str, Mapping[str, Any]]
) -> Iterable[Used]:
    for stage, manifest in manifests.items():
        settings: dict[str, dict[str, Any]] = {}
        for key, value in manifest["components"].items():
            if key.startswith("config.models."):
                name, _, field = key.removeprefix("config.models.").rpartition(".")
                settings.setdefault(name, {})[field] = json.loads(value)
        # Whoever asks models has to say what came of it.
        for name, calls in (notes[stage]["calls"] if settings else {}).items():
            returned = notes[stage]["models_returned"].get(name, {})
            yield Used(stage, name, settings[name], returned, calls)


def _prompts(
    dist: Path, manifests: Mapping[str, Mapping[str, Any]], asked: Collection[str], mark: str
) -> Iterable[Prompt]:
    stages: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    for stage, manifest in manifests.items():
        for key, digest in manifest["components"].items():
            if key.startswith("prompt.") and stage in asked:
                name = key.removeprefix("prompt.")
                stages.setdefault(name, []).append(stage)
                digests[name] = digest
    for name in sorted(stages):
        path = dist / _PROMPTS / f"{name}.md"
        try:
            text = canary.without_stamp(path.read_text(encoding="utf-8"), path.suffix, mark)
        except (OSError, UnicodeDecodeError):
            raise StageError(f"{path}: missing or no text; build the release again") from None
        version = _VERSION.search(text)
        if sha256_text(text) != digests[name] or not version:
            raise StageError(
                f"{path}: is not the prompt that {', '.join(stages[name])} rendered "
                f"({digests[name][:12]}…); build the release again"
            )
        yield Prompt(name, int(version[1]), digests[name], tuple(stages[name]))


def _median_words(texts: pl.Series) -> int:
    counts = texts.str.count_matches(r"\S+").drop_nulls()
    return int(counts.quantile(0.5, "nearest") or 0)


def _part(dist: Path, stage: str, manifest: Any, name: str) -> Mapping[str, Any]:
    found = manifest.get(name) if isinstance(manifest, dict) else None
    if not isinstance(found, dict):
        path = dist / "provenance" / "manifests" / f"{stage}.json"
        raise StageError(f"{path}: holds no '{name}'; build the release again")
    return found


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: {_line(error)}; build the release again") from None


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StageError(f"{path}: {_line(error)}; build the release again") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
