"""The Inspect tasks ``default``, ``selection``, ``adoption`` and ``declared``.

A sample is a question with all its prompt variants, or a questionnaire run with all of its:
Inspect's cost of a sample is then paid once for five calls.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    get_model,
)
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.scorer import Value as ScoreValue
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import EarlyStopping

from valact_eval.asks import (
    RUNS,
    VARIANTS,
    Setup,
    Unit,
    question_units,
    run_units,
)
from valact_eval.data import DEFAULT_DATA, LETTERS, TEST, load_release
from valact_eval.errors import ValactError
from valact_eval.figures import named_figures
from valact_eval.logprobs import letter_of, rating_of
from valact_eval.predictions import table_of
from valact_eval.rows import Reply, pack, unpack

MAX_TOKENS = 256
MAX_TOKENS_DECLARED = 1024
_REPLIES = "replies"


class Watcher(EarlyStopping, Protocol):
    """Told of every sample: Inspect's ``EarlyStopping``, and of failures."""

    async def admit(self, id: str) -> str | None:
        """Whether a sample may start; if not, why."""
        ...

    def failed(self, id: str, error: BaseException) -> None:
        """A sample's request failed for good."""
        ...


class NotAskedError(Exception):
    """A sample was not let start."""


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
    return Task(
        name=name,
        dataset=MemoryDataset(samples, name="valact"),
        model=model,
        solver=_asker(setup, by_id, watch),
        scorer=_reader(setup, by_id, respondent, constrained, watch),
        config=GenerateConfig(temperature=temperature, max_tokens=max_tokens, **logprobs),
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


# The solver and the scorer are made anew for each task: as arguments of registered ones, the
# questions would be written into the log's header.
def _asker(setup: Setup, units: Mapping[str, Unit], watch: Watcher | None) -> Solver:
    @solver(name="valact_ask")
    def ask() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            if watch is not None and (reason := await watch.admit(str(state.sample_id))):
                raise NotAskedError(reason)
            calls = units[str(state.sample_id)].calls(setup)
            outputs: list[ModelOutput | None] = [None] * len(calls)
            model = get_model()

            async def put(place: int) -> None:
                message = ChatMessageUser(content=calls[place].prompt)
                outputs[place] = await model.generate([message])

            try:
                async with anyio.create_task_group() as group:
                    for place in range(len(calls)):
                        group.start_soon(put, place)
            except ExceptionGroup as errors:
                error = _first(errors)
                if watch is not None:
                    watch.failed(str(state.sample_id), error)
                raise error from errors
            got = [output for output in outputs if output is not None]
            state.output = got[0]
            state.messages.append(got[0].message) if got[0].choices else None
            state.metadata[_REPLIES] = [_reply(output) for output in got]
            return state

        return solve

    return ask()


def _reader(
    setup: Setup,
    units: Mapping[str, Unit],
    respondent: str | None,
    constrained: bool,
    watch: Watcher | None,
) -> Scorer:
    @scorer(metrics=[figures()], name="valact_read")
    def read() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            try:
                return _score(state)
            except ValactError as error:
                if watch is not None:
                    watch.failed(str(state.sample_id), error)
                raise

        def _score(state: TaskState) -> Score:
            unit = units[str(state.sample_id)]
            calls = unit.calls(setup)
            found = state.metadata.pop(_REPLIES)
            replies = [Reply(**entry["reply"]) for entry in found]
            answers = {}
            if constrained:
                read = rating_of if unit.question is None else letter_of
                answers = {
                    place: read(entry["logprobs"], replies[place])
                    for place, entry in enumerate(found)
                }
            name = respondent or str(state.model)
            rows = unit.rows(setup, name, calls, replies, answers)
            usage = {
                side: sum(entry[side] for entry in found if entry[side] is not None)
                if any(entry[side] is not None for entry in found)
                else None
                for side in ("input_tokens", "output_tokens")
            }
            ok = sum(row["outcome"] == "ok" for row in rows)
            value = ok / len(rows)
            if unit.task in ("selection", "adoption"):
                hits = sum(
                    row["choice"] is not None and row["choice"] == row["target_index"]
                    for row in rows
                )
                value = hits / len(rows)
            return Score(
                value=value,
                answer=" ".join(_shown(row) for row in rows),
                metadata={"kind": unit.kind, "usage": usage, **pack(rows)},
            )

        return score

    return read()


@metric(scores="unreduced")
def figures() -> Metric:
    """The figures of ``named_figures``, one metric each; a figure that is 0/0 is left out."""

    def compute(scores: list[SampleScore]) -> ScoreValue:
        rows: list[dict[str, Any]] = []
        kind = "choice"
        for item in scores:
            found = item.score.metadata or {}
            kind = found.get("kind", kind)
            rows += unpack(found) if "rows" in found else []
        return dict(named_figures(table_of(rows, kind), kind)) if rows else {}

    return compute


def _reply(output: ModelOutput) -> dict[str, Any]:
    """What the scorer needs of an output, as plain data."""
    choice = output.choices[0] if output.choices else None
    details = choice.stop_details if choice else None
    declined = details is not None and details.type in ("refusal", "content_filter")
    usage = output.usage
    return {
        "reply": {
            "raw": output.completion,
            "stop": str(output.stop_reason) if choice else "unknown",
            "refused": declined,
            "seconds": output.time,
        },
        "logprobs": choice.logprobs.model_dump() if choice and choice.logprobs else None,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
    }


def _shown(row: Mapping[str, Any]) -> str:
    if row["outcome"] != "ok":
        return "-"
    return LETTERS[row["letter"]] if "letter" in row else str(row["score"])


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
