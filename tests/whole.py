"""A release of invented scenarios in any number, made by the real stages from `generate` on."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import compose, funnel, generate, release, schema
from pipeline.artifacts import unit_interval
from pipeline.config import Config
from pipeline.keys import components, key_of
from pipeline.stage import Context, Result
from pipeline.stages import STAGES
from tests.synthetic import ACTIONS, candidates

OVERRIDES = {
    "validate.reject": ["empty", "repeated"],
    "generate.repairs": 3,
    "budget.cap_usd": 100.0,
    "models.g-one.concurrency": 32,
    "models.g-two.concurrency": 32,
}


@cache
def words() -> list[str]:
    texts = (json.loads(line)["action"] for line in ACTIONS.read_text("utf-8").splitlines())
    found = sorted({word.strip(".,;:").lower() for text in texts for word in text.split()})
    return [word for word in found if word.isalpha() and len(word) > 3]


def story(name: str) -> str:
    """Return a situation of sixty words that has nothing in common with any other."""
    drawn = [words()[int(unit_interval("story", name, i) * len(words()))] for i in range(60)]
    return f"I face this: {' '.join(drawn)}. This is case {name}. What should I do?"


def build(config: Config, folder: Path) -> Path:
    """Generate, compose and release; return the folder that holds `dist`.

    The stages before are made up: they kept what there is.
    """
    table = candidates(config, config.select.scenarios // len(config.domains))
    texts = [story(name) for name in table["scenario_id"]]
    table = table.with_columns(scenario=pl.Series(texts))
    tables = {
        "vote.votes": schema.frame([], schema.VOTES),
        "rewrite.scenarios": table,
        "rewrite.retellings": schema.frame([], schema.RETELLINGS),
        "recognise.actions": schema.frame([], schema.RECOGNISED),
    }
    manifests: dict[str, dict[str, Any]] = {}
    nothing = schema.frame([], schema.DROPPED)
    kept = funnel.count("made up", "post", table.height, table, nothing).to_json()
    for stage in STAGES:
        inputs = dict.fromkeys(stage.inputs, "")
        parts = components(stage, config, inputs, folder)
        out = folder / stage.name
        out.mkdir(parents=True, exist_ok=True)
        if stage.name == "release":
            release.run(Context(config, tables, out, manifests))
            break
        manifest = {"stage": stage.name, "key": key_of(parts), "components": parts, "files": {}}
        manifests[stage.name] = manifest | {"funnel": kept, "notes": {}}
        if stage.name in ("generate", "compose"):
            run = generate.run if stage.name == "generate" else compose.run
            result: Result = run(Context(config, tables, out, manifests))
            tables |= {f"{stage.name}.{name}": t for name, t in result.tables.items()}
            told = {"funnel": result.funnel.to_json(), "notes": dict(result.notes)}
            manifests[stage.name] = manifest | told
    return out
