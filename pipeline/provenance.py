"""What a release says of its making: the model calls that it rests on, and what decided the build.

No secrets, and nothing that leads to a person: of every call before `generate` the messages, the
reply, the reply's hash and the scenario are left out. What they are about is a post.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.artifacts import canonical_json, sha256_text, write_json, write_parquet
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.llm.receipts import receipts
from pipeline.llm.served import Receipt
from pipeline.paths import PROMPTS
from pipeline.prompts import load_prompt
from pipeline.text import mask

FOLDER = Path("provenance")
CALLS = FOLDER / "calls.parquet"
LOCK = FOLDER / "build.lock"
ABOUT_POSTS = ("vote", "rewrite")
_TELLS_OF_PEOPLE = "personal_data"
Manifests = Mapping[str, Mapping[str, Any]]
Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class _Use:
    """A call that a table names.

    Attributes:
        stage: The stage.
        model: Its name in [models].
        scenario: Id of the scenario.
        generator: The writer, where the call is to write.
    """

    stage: str
    model: str
    scenario: str
    generator: str = ""


def calls(
    config: Config, tables: Tables, manifests: Manifests, slots: pl.DataFrame
) -> pl.DataFrame:
    """Return rows of schema.CALLS: the calls behind these slots, each once, sorted by key.

    Args:
        config: The build.
        tables: The build's tables, keyed "stage.table".
        manifests: Of the stages before the release.
        slots: The slots that are released.

    Raises:
        BadInputError: The ledger lacks a call.
    """
    uses = dict(_uses(config, tables, slots))
    known = receipts(Path(config.build.ledger), uses)
    # A reply with personal data was replaced, and stands in what was asked after it.
    hidden = {
        (row["scenario_id"], row["generator"])
        for row in tables["generate.violations"].filter(code=_TELLS_OF_PEOPLE).to_dicts()
    }
    rows = (_row(config, manifests, uses[key], *known[key], hidden) for key in sorted(uses))
    return schema.frame(rows, schema.CALLS)


def _uses(config: Config, tables: Tables, slots: pl.DataFrame) -> Iterator[tuple[str, _Use]]:
    scenarios = dict(slots.select("post_id", "scenario_id").rows())
    mine = set(scenarios.values())
    for row in tables["vote.votes"].to_dicts():
        if row["post_id"] in scenarios:
            yield row["ledger_key"], _Use("vote", row["model"], scenarios[row["post_id"]])
    for row in tables["rewrite.retellings"].to_dicts():
        if row["scenario_id"] in mine:
            yield row["ledger_key"], _Use("rewrite", config.rewrite.model, row["scenario_id"])
    for name in ("violations", "actions"):
        for row in tables[f"generate.{name}"].to_dicts():
            if row["scenario_id"] in mine:
                writer = row["generator"]
                yield row["ledger_key"], _Use("generate", writer, row["scenario_id"], writer)
    for row in tables["recognise.actions"].to_dicts():
        if row["scenario_id"] in mine:
            yield row["ledger_key"], _Use("recognise", config.recognise.model, row["scenario_id"])


def _row(
    config: Config,
    manifests: Manifests,
    use: _Use,
    asked: Mapping[str, Any],
    call: Receipt,
    hidden: set[tuple[str, str]],
) -> dict[str, Any]:
    reply = call.reply
    about_a_post = use.stage in ABOUT_POSTS
    kept = not about_a_post and (use.scenario, use.generator) not in hidden
    # Of a release of ids the situation is a post, and stands in what was asked.
    told = kept and config.release.text != "ids"
    prompt, digest = _prompt(config, manifests, use.stage, asked["schema"])
    return {
        "ledger_key": reply.key,
        "stage": use.stage,
        "scenario_id": "" if about_a_post else use.scenario,
        "model": use.model,
        "provider": asked["provider"],
        "model_asked": asked["model"],
        "model_returned": reply.model_returned,
        "temperature": float(asked["temperature"]),
        "max_tokens": asked["max_tokens"],
        "seed": asked["seed"],
        "asking": asked["replicate"] + 1,
        "date": call.date,
        "outcome": reply.outcome,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "cost_micro_usd": call.micro_usd,
        "prompt": prompt,
        "prompt_sha256": digest,
        "reply_sha256": None if about_a_post else sha256_text(reply.text),
        "messages": canonical_json(asked["messages"]) if told else None,
        "reply": reply.text if kept and not _has_contacts(reply.text) else None,
        "canary": config.release.canary,
    }


def _has_contacts(reply: str) -> bool:
    """Return True if a reply holds contact data, which is masked in what was made of it."""
    with suppress(ValueError):  # it may be no JSON, and is looked at as it is
        reply = canonical_json(json.loads(reply))  # without "\u0040" for "@"
    return bool(mask(reply)[1])


def _prompt(config: Config, manifests: Manifests, stage: str, form: str) -> tuple[str, str]:
    """Return name and version of the prompt that a call was asked by, and its hash."""
    section = getattr(config, stage)
    alone = stage == "generate" and '"action"' in form
    name = section.single_prompt if alone else section.prompt
    digest = str(manifests[stage]["components"].get(f"prompt.{name}", ""))
    try:
        prompt = load_prompt(name)
    except BadInputError:  # of another checkout than the one that asked
        return name, digest
    return f"{name} {prompt.version}" if prompt.digest == digest else name, digest


def write_provenance(
    dist: Path, config: Config, tables: Tables, manifests: Manifests, slots: pl.DataFrame
) -> None:
    """Write the calls, the stages' manifests, the prompts and `build.lock`.

    Args:
        dist: The release folder.
        config: The build.
        tables: The build's tables, keyed "stage.table".
        manifests: Of the stages before the release.
        slots: The slots that are released.

    Raises:
        BadInputError: See `calls`.
    """
    canary = {"canary": config.release.canary}
    folder = dist / FOLDER
    for name, manifest in manifests.items():
        write_json({**manifest, **canary}, folder / "manifests" / f"{name}.json")
    write_parquet(calls(config, tables, manifests, slots), dist / CALLS)
    write_json({**lock(config, manifests), **canary}, dist / LOCK)
    # The manifests and the calls name them by hash, which the canary's line is no part of.
    (folder / "prompts").mkdir()
    for path in sorted(PROMPTS.iterdir()):
        if path.suffix in {".md", ".toml"}:
            shutil.copyfile(path, folder / "prompts" / path.name)


def lock(config: Config, manifests: Manifests) -> dict[str, Any]:
    """Return what decided the build: settings, packages, code and prompts, each with its hash.

    It is drawn from the stages' manifests, so it holds what they rest on and no more: no place,
    no name of a secret, no clock.
    """
    found: dict[str, dict[str, Any]] = {"config": {}, "packages": {}, "code": {}, "prompts": {}}
    kinds = {"config": "config", "package": "packages", "code": "code", "prompt": "prompts"}
    for manifest in manifests.values():
        for name, value in manifest["components"].items():
            kind, _, rest = name.partition(".")
            if kind in kinds:
                found[kinds[kind]][rest] = json.loads(value) if kind == "config" else value
    for key in ("dev_slots_per_domain", "held_out_slots_per_domain", "text", "title"):
        found["config"][f"release.{key}"] = getattr(config.release, key)
    return {
        **found,
        "python": platform.python_version(),
        "stages": {name: manifest["key"] for name, manifest in manifests.items()},
    }
