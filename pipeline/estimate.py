"""What the model calls of a build may cost and how long they take, before anything is sent."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import generate, recognise, rewrite, vote
from pipeline.build import load_table
from pipeline.config import Config
from pipeline.config_model import ModelConfig
from pipeline.llm.call import Caller
from pipeline.llm.ledger import IN_MEMORY, Ledger, Money, Usage
from pipeline.llm.prices import FREE, Price, likely_prompt_tokens, load_prices, most_prompt_tokens
from pipeline.llm.prices import price_of as price_in
from pipeline.llm.request import Request
from pipeline.values import value_ids

_TOKENS_A_WORD = 1.4
"""English words under byte-pair tokenisers have 1.2 to 1.4 tokens; used only without posts."""
_ENOUGH_REPLIES = 20
_UNWRITTEN = {"action_id": "", "scenario_id": "", "action": "unwritten " * 60}
"""Stands for an action that is still to be written; 60 words are the most that one may have."""


@dataclass(frozen=True)
class Estimate:
    """One stage's calls to one model. Bounds are for first askings; asking again comes on top.

    Attributes:
        stage: The stage.
        model: The model's name in [models].
        calls: Calls to make.
        answered: Calls that the ledger answers already.
        prompt_tokens: At most so many (bytes of the real prompts), or an assumption.
        completion_tokens: At most so many.
        online_micro: Cost of these at the online price, micro-dollars.
        batch_micro: The same at the batch price.
        by_batch: True if the configuration asks this model by batch.
        minutes: Least time at the configured requests and tokens a minute; 0 without limits.
        measured: What this model's replies in the ledger used, or None if they are too few.
        expected_online_micro: Cost by what was measured, what is asked again included.
        expected_batch_micro: The same at the batch price.
        assumed: True if no scenarios are drawn yet and each was taken to be as long as
            `screen.max_words` allows.
        unwritten: True if the actions in the prompts are not written yet and each was taken to
            have 60 words.
    """

    stage: str
    model: str
    calls: int
    answered: int
    prompt_tokens: int
    completion_tokens: int
    online_micro: int
    batch_micro: int
    by_batch: bool
    minutes: float
    measured: Usage | None
    expected_online_micro: int
    expected_batch_micro: int
    assumed: bool
    unwritten: bool


def estimate(config: Config, done: Collection[str]) -> list[Estimate]:
    """Return an estimate for each stage and model that it asks.

    Args:
        config: The build.
        done: Stages whose output is that of this very configuration; with "select" the real texts
            are counted, with "rewrite" the real scenarios too.

    Raises:
        BadInputError: A model has no price.
    """
    ledger = Path(config.build.ledger)
    place = ledger if ledger.is_file() else IN_MEMORY
    with Caller(place, config.models, config.budget) as caller:
        return [_estimate(config, caller, row, done) for row in _rounds(config, done)]


@dataclass(frozen=True)
class _Round:
    """One stage's questions to one model.

    Attributes:
        stage: The stage.
        model: The model's name in [models].
        items: Posts or scenarios that it is asked about, at most.
        texts: Yields the (id, text) of each, if they are drawn already.
        first_request: Returns the request about one post (id, text).
        unwritten: True if its prompts hold actions that are still to be written.
    """

    stage: str
    model: str
    items: int
    texts: Callable[[], Iterator[tuple[str, str]]]
    first_request: Callable[[Caller, str, str], Request]
    unwritten: bool = False


def _rounds(config: Config, done: Collection[str]) -> Iterator[_Round]:
    domains = len(config.domains)
    quota = config.select.scenarios // domains
    pool = (quota + config.select.reserve) * domains
    roles = [("vote", voter) for voter in config.vote.voters]
    if config.vote.voters:
        roles.append(("vote, ties at most", config.vote.tie_breaker))
    for role, voter in roles:
        texts = partial(_posts, config, pool)
        yield _Round(role, voter, pool, texts, partial(_vote, config, voter))
    if config.release.text == "rewritten":
        needed = min(pool, (quota + config.rewrite.reserve) * domains)
        texts = partial(_posts, config, needed)
        yield _Round("rewrite", config.rewrite.model, needed, texts, partial(_retelling, config))
    total = config.select.scenarios
    texts = partial(_scenarios, config) if "rewrite" in done else partial(_posts, config, total)
    for name in config.generate.generators:
        yield _Round("generate", name, total, texts, partial(_action, config, name))
    if config.recognise.model:
        yield _recognising(config, done, total, texts)


def _recognising(
    config: Config,
    done: Collection[str],
    total: int,
    texts: Callable[[], Iterator[tuple[str, str]]],
) -> _Round:
    model = config.recognise.model
    if "generate" not in done:
        assumed = [_UNWRITTEN] * 2 * len(value_ids())
        ask = partial(_recognition, config, defaultdict(lambda: assumed))
        return _Round("recognise", model, total, texts, ask, unwritten=True)
    workspace = Path(config.build.workspace)
    written = load_table(workspace, "generate.actions").to_dicts()
    ask = partial(_recognition, config, recognise.order(written, config.build.seed))
    return _Round("recognise", model, total, partial(_written, config), ask)


def _vote(config: Config, voter: str, caller: Caller, post_id: str, text: str) -> Request:
    return vote.first_request(config, caller, voter, post_id, text)


def _retelling(config: Config, caller: Caller, post_id: str, text: str) -> Request:
    return rewrite.first_request(config, caller, post_id, text)


def _action(config: Config, generator: str, caller: Caller, post_id: str, text: str) -> Request:
    scenario = {"scenario_id": rewrite.scenario_id(text), "scenario": text}
    return generate.first_request(config, caller, generator, scenario)


def _recognition(
    config: Config,
    actions: Mapping[str, Sequence[Mapping[str, Any]]],
    caller: Caller,
    scenario_id: str,
    text: str,
) -> Request:
    return recognise.first_request(config, caller, scenario_id, text, actions[scenario_id])


def _estimate(config: Config, caller: Caller, row: _Round, done: Collection[str]) -> Estimate:
    selected = "select" in done
    model = config.models[row.model]
    calls = answered = prompt = likely = 0
    if selected:
        for post_id, text in row.texts():
            request = row.first_request(caller, post_id, text)
            if caller.ledger.has(request.key):
                answered += 1
                continue
            calls += 1
            prompt += most_prompt_tokens(request)
            likely += likely_prompt_tokens(request)
    else:
        frame = most_prompt_tokens(row.first_request(caller, "p", ""))
        calls = row.items
        prompt = likely = calls * (frame + round(config.screen.max_words * _TOKENS_A_WORD))
    price = _price(config, model)
    usage = caller.ledger.usage(model.model, model.max_tokens, model.temperature)
    known = usage if usage.replies >= _ENOUGH_REPLIES else None
    completion = calls * model.max_tokens
    return Estimate(
        stage=row.stage,
        model=row.model,
        calls=calls,
        answered=answered,
        prompt_tokens=prompt,
        completion_tokens=completion,
        online_micro=price.cost(prompt, completion),
        batch_micro=price.by_batch().cost(prompt, completion),
        by_batch=model.by_batch,
        minutes=_minutes(model, calls, likely + completion),
        measured=known,
        expected_online_micro=_expected(price, known, calls),
        expected_batch_micro=_expected(price.by_batch(), known, calls),
        assumed=not selected,
        unwritten=row.unwritten,
    )


def _price(config: Config, model: ModelConfig) -> Price:
    if model.provider == "llama_cpp":
        return FREE
    path = Path(config.budget.prices)
    return price_in(model.model, load_prices(path), path)


def _minutes(model: ModelConfig, calls: int, tokens: int) -> float:
    by_requests = calls / model.requests_per_minute if model.requests_per_minute else 0.0
    by_tokens = tokens / model.tokens_per_minute if model.tokens_per_minute else 0.0
    return max(by_requests, by_tokens)


def _expected(price: Price, usage: Usage | None, calls: int) -> int:
    if usage is None:
        return 0
    each = price.cost(usage.prompt_tokens, usage.completion_tokens) / usage.replies
    # A share p of answers is unusable, and so is the same share of those asked again.
    askings = 1 / (1 - usage.unusable / usage.replies) if usage.unusable < usage.replies else 1.0
    return math.ceil(calls * each * askings)


def _posts(config: Config, most: int) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of the posts that are drawn first, the same number of each domain."""
    table = load_table(Path(config.build.workspace), "select.pool")
    rows = table.filter(pl.col("rank") < most // len(config.domains)).sort("post_id")
    yield from rows.select("post_id", "text").iter_rows()


def _scenarios(config: Config) -> Iterator[tuple[str, str]]:
    table = load_table(Path(config.build.workspace), "rewrite.scenarios")
    for slot in generate.slots_of(config, table)[0]:
        yield slot.scenario["scenario_id"], slot.scenario["scenario"]


def _written(config: Config) -> Iterator[tuple[str, str]]:
    workspace = Path(config.build.workspace)
    slots = load_table(workspace, "generate.slots").select("scenario_id")
    texts = load_table(workspace, "rewrite.scenarios").join(slots, on="scenario_id", how="semi")
    yield from texts.sort("scenario_id").select("scenario_id", "scenario").iter_rows()


def spent(config: Config) -> Money:
    """Return what the build's ledger knows of its spending."""
    ledger = Path(config.build.ledger)
    with Ledger(ledger if ledger.is_file() else IN_MEMORY) as opened:
        return opened.money()
