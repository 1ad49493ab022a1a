"""One Inspect sample: a question or questionnaire run, all its prompts asked, read and scored."""

from collections.abc import Mapping
from typing import Any, Protocol

import anyio
from inspect_ai.model import GenerateConfig, ModelOutput, get_model
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.scorer import Value as ScoreValue
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import EarlyStopping

from valact_eval.asks import Setup, Unit
from valact_eval.data import LETTERS
from valact_eval.errors import ValactError
from valact_eval.figures import named_figures
from valact_eval.logprobs import letter_of, rating_of
from valact_eval.rows import Reply, pack, unpack
from valact_eval.rules import table_of
from valact_eval.straight import straight, through_inspect

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


# The solver and the scorer are made anew for each task: as arguments of registered ones, the
# questions would be written into the log's header.
def asker(
    setup: Setup,
    units: Mapping[str, Unit],
    config: GenerateConfig,
    watch: Watcher | None,
    short: bool,
) -> Solver:
    """The solver that puts all prompts of a unit at once; `watch` may refuse a sample.

    With `short`, Inspect keeps nothing of a call.
    """

    @solver(name="valact_ask")
    def ask() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            if watch is not None and (reason := await watch.admit(str(state.sample_id))):
                raise NotAskedError(reason)
            calls = units[str(state.sample_id)].calls(setup)
            outputs: list[ModelOutput | None] = [None] * len(calls)
            model = get_model()
            put = straight(model, config) if short else through_inspect(model)

            async def ask_for(place: int) -> None:
                outputs[place] = await put(calls[place].prompt)

            try:
                async with anyio.create_task_group() as group:
                    for place in range(len(calls)):
                        group.start_soon(ask_for, place)
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


def reader(
    setup: Setup,
    units: Mapping[str, Unit],
    respondent: str | None,
    constrained: bool,
    watch: Watcher | None,
) -> Scorer:
    """The scorer that reads replies into rows of the predictions."""

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
