"""The Inspect tasks ``default``, ``selection``, ``adoption`` and ``declared``.

A sample is a question with all its prompt variants, or a questionnaire run with all of its:
Inspect's cost of a sample is then paid once for five calls.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    GenerateConfig,
    Model,
)

from valact_eval.asks import (
    RUNS,
    VARIANTS,
    Setup,
    Unit,
    question_units,
    run_units,
)
from valact_eval.data import DEFAULT_DATA, LETTERS, TEST, load_release
from valact_eval.samples import Watcher, asker, reader

MAX_TOKENS = 256
MAX_TOKENS_DECLARED = 1024


@task
def default(
    data: str | None = None,
    variants: int = VARIANTS,
    domain: str | None = None,
    order: str = "shifted",
    constrained: bool = False,
    max_tokens: int = MAX_TOKENS,
    split: str = TEST,
) -> Task:
    """Which action is the most appropriate? Figures: shares and preferences of the values.

    Args:
        data: release folder or hub name; else ``$VALACT_DATA``, else ``hub_release/dist``.
        variants: the first so many prompt variants.
        domain: only these domains, with commas between.
        order: "shifted" (variant k shifts the dealt order by k mod 4) or "published".
        constrained: choose among the letters by their log-probabilities.
        max_tokens: limit of one reply; a reply that reaches it is ``truncated``.
        split: of the release: "test", or "dev" for work on prompts.

    Raises:
        ValactError: the release cannot be read, or an argument is out of range.
    """
    setup = Setup(load_release(_source(data), split), order)
    return _choices("default", setup, variants, domain, constrained, max_tokens)


@task
def selection(
    data: str | None = None,
    variants: int = VARIANTS,
    domain: str | None = None,
    order: str = "shifted",
    describe: str = "definition",
    pvq: str | None = None,
    constrained: bool = False,
    max_tokens: int = MAX_TOKENS,
    split: str = TEST,
) -> Task:
    """Which action best expresses the target value? Figure: accuracy.

    Takes and raises what ``default`` does, and ``describe``: "definition", or "items" for
    the published form, which shows the items of the questionnaire ``pvq``.
    """
    setup = Setup(load_release(_source(data), split), order, describe, pvq=_path(pvq))
    return _choices("selection", setup, variants, domain, constrained, max_tokens)


@task
def adoption(
    data: str | None = None,
    variants: int = VARIANTS,
    domain: str | None = None,
    order: str = "shifted",
    describe: str = "definition",
    pvq: str | None = None,
    constrained: bool = False,
    max_tokens: int = MAX_TOKENS,
    split: str = TEST,
) -> Task:
    """As a person to whom the target value matters greatly, which action? Figure: accuracy.

    Takes and raises what ``selection`` does.
    """
    setup = Setup(load_release(_source(data), split), order, describe, pvq=_path(pvq))
    return _choices("adoption", setup, variants, domain, constrained, max_tokens)


@task
def declared(
    pvq: str | None = None,
    variants: int = VARIANTS,
    runs: int = RUNS,
    form: str = "together",
    prompts: str | None = None,
    constrained: bool = False,
    max_tokens: int = MAX_TOKENS_DECLARED,
) -> Task:
    """How much is each of forty people like you? Figures: declared means of the values.

    Args:
        pvq: the user's copy of the PVQ-40; else our own portraits, which are not validated.
        variants: the first so many prompt variants.
        runs: shuffled orders of the items.
        form: all items "together" in one prompt, or "single".
        prompts: prompt file in another language, in the form of the package's own.
        constrained: choose among the ratings by their log-probabilities; items "single" only.
        max_tokens: limit of one reply.

    Raises:
        ValactError: a file cannot be read, or an argument is out of range.
    """
    setup = Setup(form=form, pvq=_path(pvq), declared_prompts=_path(prompts))
    setup.check_variants(["declared"], variants)
    if constrained:
        setup.check_constrained(["declared"])
    units = run_units(runs, variants)
    return build_task(setup, "declared", units, constrained=constrained, max_tokens=max_tokens)


def build_task(
    setup: Setup,
    name: str,
    units: Sequence[Unit],
    *,
    respondent: str | None = None,
    model: Model | None = None,
    constrained: bool = False,
    max_tokens: int = MAX_TOKENS,
    temperature: float = 0,
    watch: Watcher | None = None,
    fail_on_error: bool = True,
    short: bool = False,
) -> Task:
    """The Inspect task ``name`` over some units.

    Args:
        setup: how they are asked.
        name: the task.
        units: questions or runs.
        respondent: name in the predictions; else the model's.
        model: who is asked; else Inspect's own choice.
        constrained: choose among the letters or ratings by their log-probabilities.
        max_tokens: limit of one reply.
        temperature: 0 by default.
        watch: told of every finished sample, and may stop the rest.
        fail_on_error: whether one sample's error ends the task.
        short: ask the provider straight (see straight.py); Inspect keeps nothing of a call.
    """
    by_id = {unit.id: unit for unit in units}
    samples = [
        Sample(
            id=unit.id,
            input=unit.calls(setup)[0].prompt,
            target=LETTERS[unit.question.target_index]
            if unit.question is not None and name != "default"
            else "",
            metadata={"variants": list(unit.variants)},
        )
        for unit in units
    ]
    logprobs: dict[str, Any] = {"logprobs": True, "top_logprobs": 20} if constrained else {}
    config = GenerateConfig(temperature=temperature, max_tokens=max_tokens, **logprobs)
    return Task(
        name=name,
        dataset=MemoryDataset(samples, name="valact"),
        model=model,
        solver=asker(setup, by_id, config, watch, short),
        scorer=reader(setup, by_id, respondent, constrained, watch),
        config=config,
        metadata=setup.identity(name) | {"respondent": respondent},
        version=setup.prompts(name).version,
        early_stopping=watch,
        fail_on_error=fail_on_error,
    )


def _choices(
    name: str,
    setup: Setup,
    variants: int,
    domain: str | None,
    constrained: bool,
    max_tokens: int,
) -> Task:
    setup.check_variants([name], variants)
    domains = [part.strip() for part in domain.split(",")] if domain else []
    units = question_units(name, setup.questions.pick(domains), variants)
    return build_task(setup, name, units, constrained=constrained, max_tokens=max_tokens)


def _source(data: str | None) -> str:
    return data or os.environ.get("VALACT_DATA") or DEFAULT_DATA


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None
