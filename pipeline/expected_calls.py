"""What the stages of a build will ask which model, before anything is sent."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import generate, recognise, rewrite, vote
from pipeline.config import Config
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.slots import slots_before, slots_of
from pipeline.values import value_ids
from pipeline.workspace import load_manifest, load_table

_ANEW = 0.03
"""Share of actions that break a rule, until a build has measured it."""
_UNWRITTEN = {"action_id": "", "scenario_id": "", "action": "unwritten " * 60}
"""Stands for an action that is still to be written; 60 words are the most that one may have."""


@dataclass(frozen=True)
class ExpectedCalls:
    """What one stage will ask one model.

    Attributes:
        stage: The stage.
        model: The model's name in [models].
        items: Posts or scenarios that it is asked about, at most.
        texts: Yields the (id, text) of each, if they are drawn already.
        requests: Returns the requests about one post (id, text), the same number for each.
        unwritten: True if its prompts hold actions that are still to be written.
    """

    stage: str
    model: str
    items: int
    texts: Callable[[], Iterator[tuple[str, str]]]
    requests: Callable[[Caller, str, str], list[Request]]
    unwritten: bool = False


def expected_calls(config: Config, done: Collection[str]) -> Iterator[ExpectedCalls]:
    """Yield what each stage will ask each model.

    Args:
        config: The build.
        done: Stages whose output is that of this very configuration.
    """
    domains = len(config.domains)
    quota = config.select.scenarios // domains
    pool = (quota + config.select.reserve) * domains
    roles = [("vote", voter) for voter in config.vote.voters]
    if config.vote.voters:
        roles.append(("vote, ties at most", config.vote.tie_breaker))
    for role, voter in roles:
        texts = partial(_posts, config, pool)
        yield ExpectedCalls(role, voter, pool, texts, partial(_vote, config, voter))
    if config.release.text == "rewritten":
        needed = min(pool, (quota + config.rewrite.reserve) * domains)
        texts = partial(_posts, config, needed)
        yield ExpectedCalls(
            "rewrite", config.rewrite.model, needed, texts, partial(_retelling, config)
        )
    total = config.select.scenarios
    texts = partial(_scenarios, config) if "rewrite" in done else partial(_posts, config, total)
    for name in config.generate.generators:
        yield ExpectedCalls("generate", name, total, texts, partial(_actions, config, name))
    if "generate" not in done and config.generate.repairs:
        for name in config.generate.generators:
            share, source = _anew(config, name)
            anew = math.ceil(share * len(value_ids()) * total)
            some = partial(_first_of, texts, anew)
            role = f"generate, actions anew ({share:.1%} of all, {source})"
            yield ExpectedCalls(role, name, anew, some, partial(_single, config, name))
    if config.recognise.model:
        yield _recognising(config, done, total, texts)


def _recognising(
    config: Config,
    done: Collection[str],
    total: int,
    texts: Callable[[], Iterator[tuple[str, str]]],
) -> ExpectedCalls:
    model = config.recognise.model
    if "generate" not in done:
        assumed = [_UNWRITTEN] * 2 * len(value_ids())
        ask = partial(_recognition, config, defaultdict(lambda: assumed))
        return ExpectedCalls("recognise", model, total, texts, ask, unwritten=True)
    workspace = Path(config.build.workspace)
    written = load_table(workspace, "generate.actions").to_dicts()
    ask = partial(_recognition, config, recognise.order(written, config.build.seed))
    return ExpectedCalls("recognise", model, total, partial(_written, config), ask)


def _anew(config: Config, generator: str) -> tuple[float, str]:
    """Return how many actions of all are asked for anew, and where that is known from."""
    manifest = load_manifest(Path(config.build.workspace), "generate") or {"notes": {}}
    written = manifest["notes"].get("written", {}).get(generator)
    if not written or not written["first"]:
        return _ANEW, "assumed"
    return written["askings_anew"] / written["first"], "as in the last build"


def _first_of(texts: Callable[[], Iterator[tuple[str, str]]], n: int) -> Iterator[tuple[str, str]]:
    """Yield `n` texts, the same ones again if there are fewer."""
    known = list(itertools.islice(texts(), n))
    return itertools.islice(itertools.cycle(known), n)


def _single(
    config: Config, generator: str, caller: Caller, post_id: str, text: str
) -> list[Request]:
    scenario = {"scenario_id": rewrite.scenario_id(text), "scenario": text}
    return [generate.single_request(config, caller, generator, scenario)]


def _vote(config: Config, voter: str, caller: Caller, post_id: str, text: str) -> list[Request]:
    return [vote.first_request(config, caller, voter, post_id, text)]


def _retelling(config: Config, caller: Caller, post_id: str, text: str) -> list[Request]:
    return [rewrite.first_request(config, caller, post_id, text)]


def _actions(
    config: Config, generator: str, caller: Caller, post_id: str, text: str
) -> list[Request]:
    scenario = {"scenario_id": rewrite.scenario_id(text), "scenario": text}
    return generate.first_requests(config, caller, generator, scenario)


def _recognition(
    config: Config,
    actions: Mapping[str, Sequence[Mapping[str, Any]]],
    caller: Caller,
    scenario_id: str,
    text: str,
) -> list[Request]:
    return [recognise.first_request(config, caller, scenario_id, text, actions[scenario_id])]


def _posts(config: Config, most: int) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of the posts that are drawn first, the same number of each domain."""
    table = load_table(Path(config.build.workspace), "select.pool")
    rows = table.filter(pl.col("rank") < most // len(config.domains)).sort("post_id")
    yield from rows.select("post_id", "text").iter_rows()


def _scenarios(config: Config) -> Iterator[tuple[str, str]]:
    table = load_table(Path(config.build.workspace), "rewrite.scenarios")
    for slot in slots_of(config, table, slots_before(config.select.slots).scenarios)[0]:
        yield slot.scenario["scenario_id"], slot.scenario["scenario"]


def _written(config: Config) -> Iterator[tuple[str, str]]:
    workspace = Path(config.build.workspace)
    slots = load_table(workspace, "generate.slots").select("scenario_id")
    texts = load_table(workspace, "rewrite.scenarios").join(slots, on="scenario_id", how="semi")
    yield from texts.sort("scenario_id").select("scenario_id", "scenario").iter_rows()
