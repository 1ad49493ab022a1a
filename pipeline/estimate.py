"""What the model calls of a build may cost and how long they take, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.config_model import ModelConfig
from pipeline.expected_calls import ExpectedCalls, expected_calls
from pipeline.llm.call import Caller
from pipeline.llm.ledger import IN_MEMORY, Ledger, Money, Usage
from pipeline.llm.prices import FREE, Price, likely_prompt_tokens, load_prices, most_prompt_tokens
from pipeline.llm.prices import price_of as price_in

_TOKENS_A_WORD = 1.4
"""English words under byte-pair tokenisers have 1.2 to 1.4 tokens; used only without posts."""
_ENOUGH_REPLIES = 20
_BYTES_A_TOKEN = 5
_BYTES_A_ROW = 2_000
"""What the ledger holds of a call beside prompt and reply: keys, settings, money, an index."""


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
        ledger_bytes: What the calls will take in the ledger, at most.
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
    ledger_bytes: int


@dataclass(frozen=True)
class Whole:
    """All calls of a build that are left; bounds as in `Estimate`.

    Attributes:
        calls: Calls to make.
        prompt_tokens: At most so many.
        completion_tokens: At most so many.
        configured_micro: Cost of these as configured, each model online or by batch.
        online_micro: Cost if all were asked online.
        batch_micro: Cost if all were asked by batch.
        minutes: Least time of the models that are asked online, one after the other.
        batch_rounds: Stages with a model that is asked by batch; each takes up to a day.
        ledger_bytes: What the calls will take in the ledger, at most.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    configured_micro: int
    online_micro: int
    batch_micro: int
    minutes: float
    batch_rounds: int
    ledger_bytes: int


def whole(rows: Sequence[Estimate]) -> Whole:
    """Return what all stages and models come to."""
    by_batch = {row.stage for row in rows if row.by_batch and row.calls}
    return Whole(
        calls=sum(row.calls for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        configured_micro=sum(row.batch_micro if row.by_batch else row.online_micro for row in rows),
        online_micro=sum(row.online_micro for row in rows),
        batch_micro=sum(row.batch_micro for row in rows),
        minutes=sum(row.minutes for row in rows if not row.by_batch),
        batch_rounds=len(by_batch),
        ledger_bytes=sum(row.ledger_bytes for row in rows),
    )


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
        return [_estimate(config, caller, row, done) for row in expected_calls(config, done)]


def _estimate(
    config: Config, caller: Caller, row: ExpectedCalls, done: Collection[str]
) -> Estimate:
    selected = "select" in done
    model = config.models[row.model]
    calls = answered = prompt = likely = held = 0
    if selected:
        for post_id, text in row.texts():
            for request in row.requests(caller, post_id, text):
                if caller.ledger.has(request.key):
                    answered += 1
                    continue
                calls += 1
                prompt += most_prompt_tokens(request)
                likely += likely_prompt_tokens(request)
    else:
        frames = [most_prompt_tokens(request) for request in row.requests(caller, "p", "")]
        calls = row.items * len(frames)
        longest = round(config.screen.max_words * _TOKENS_A_WORD)
        prompt = likely = row.items * (sum(frames) + longest * len(frames))
        held = row.items * (sum(frames) + _BYTES_A_TOKEN * longest * len(frames))
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
        # A token of a text is taken to be as long as five bytes; what was counted is bytes.
        ledger_bytes=_BYTES_A_ROW * calls + (held or prompt) + _BYTES_A_TOKEN * completion,
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


def spent(config: Config) -> Money:
    """Return what the build's ledger knows of its spending."""
    ledger = Path(config.build.ledger)
    with Ledger(ledger if ledger.is_file() else IN_MEMORY) as opened:
        return opened.money()
