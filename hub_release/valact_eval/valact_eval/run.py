"""Asks models all that is left to ask, and keeps what they answered."""

import gc
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import Model

from valact_eval.asks import Setup, Unit
from valact_eval.cost import Meter, Price, estimate
from valact_eval.errors import ValactError
from valact_eval.journal import Journal
from valact_eval.models import plain_error
from valact_eval.tasks import build_task
from valact_eval.watch import Tally, Watch, say


@dataclass(frozen=True)
class Respondent:
    """A model to be asked, under the name that the predictions give it."""

    name: str
    model: Model
    settings: Mapping[str, Any]
    price: Price | None = None


@dataclass(frozen=True)
class Limits:
    """How long replies may be, by task, and how they are drawn."""

    max_tokens: Mapping[str, int]
    temperature: float = 0
    constrained: bool = False


def ask_all(
    setup: Setup,
    journal: Journal,
    respondents: Sequence[Respondent],
    units: Mapping[str, Sequence[Unit]],
    limits: Limits,
    cap: float | None = None,
    only_estimate: bool = False,
    log_samples: bool = False,
) -> str | None:
    """Asks every respondent what it has not answered yet.

    Args:
        setup: how they are asked.
        journal: where answers go.
        respondents: who is asked.
        units: what is asked, by task.
        limits: how replies are drawn.
        cap: the most US dollars to spend, over all starts of the run.
        only_estimate: ask nothing.
        log_samples: keep every sample in Inspect's log too.

    Returns:
        None if all is answered, else what is missing and why, in one line.

    Raises:
        ValactError: settings that differ from those of an earlier start, a cap without
            prices, or not one request that succeeded.
        KeyboardInterrupt: the user stopped it.
    """
    if cap is not None and (bare := [r.name for r in respondents if r.price is None]):
        raise ValactError(f"--max-cost needs the price of {bare[0]}; give --price IN/OUT")
    left: list[tuple[Respondent, str, list[Unit]]] = []
    for respondent in respondents:
        if not only_estimate:
            journal.agree(
                respondent.name,
                {task: _settings(setup, task, respondent, limits) for task in units},
            )
        for task, every in units.items():
            if todo := journal.left(respondent.name, every):
                left.append((respondent, task, todo))
    _tell_estimate(setup, left, limits, journal, sum(map(len, units.values())) * len(respondents))
    if only_estimate or not left:
        return None
    tally = Tally(
        total=sum(len(todo) for _, _, todo in left),
        meter=Meter(cap, journal.spent),
        progress=not sys.stdout.isatty(),
    )
    tasks = []
    for respondent, task, todo in left:
        most = limits.max_tokens[task]
        asked = {unit.id: unit for unit in todo}
        watch = Watch(journal, tally, setup, respondent.name, respondent.price, most, asked)
        tasks.append(
            build_task(
                setup,
                task,
                todo,
                respondent=respondent.name,
                model=respondent.model,
                constrained=limits.constrained,
                max_tokens=most,
                temperature=limits.temperature,
                watch=watch,
                fail_on_error=False,
                short=not log_samples and not respondent.model.config.cache,
            )
        )
    try:
        gc.freeze()  # what is loaded by now stays, and need not be looked through again
        logs = inspect_eval(
            tasks,
            model=respondents[0].model,  # tasks name their own; Inspect wants one all the same
            log_dir=str(journal.folder / "logs"),
            display="rich" if sys.stdout.isatty() else "none",
            log_level="critical",
            # the journal is what a killed run goes on from, and costs less than Inspect's own
            log_realtime=False,
            log_samples=log_samples,
            log_model_api=None if log_samples else False,
            ctl_server=False,
            score_display=False,
            max_tasks=len(respondents),
        )
    # a provider may fail in its own way; what was answered is in the journal
    except Exception as error:
        raise ValactError(f"{plain_error(error)}; check --model") from error
    finally:
        gc.unfreeze()
    return _verdict(logs, tally)


def _settings(setup: Setup, task: str, respondent: Respondent, limits: Limits) -> dict[str, Any]:
    own = {
        "max_tokens": limits.max_tokens[task],
        "temperature": limits.temperature,
        "constrained": limits.constrained,
    }
    return {**setup.identity(task), **own, **respondent.settings}


def _tell_estimate(
    setup: Setup,
    left: Iterable[tuple[Respondent, str, list[Unit]]],
    limits: Limits,
    journal: Journal,
    total: int,
) -> None:
    todo = 0
    for respondent, task, units in left:
        todo += len(units)
        prompts = (call.prompt for unit in units for call in unit.calls(setup))
        found = estimate(prompts, limits.max_tokens[task], respondent.price)
        say(f"{respondent.name}, {task}: {len(units):,} samples, {found}")
    if todo < total:
        spent = f" for ${journal.spent:,.2f}" if journal.spent else ""
        say(f"{total - todo:,} of {total:,} samples are answered already{spent}")


def _verdict(logs: Sequence[EvalLog], tally: Tally) -> str | None:
    if any(log.status == "cancelled" for log in logs):
        raise KeyboardInterrupt
    missing = tally.total - tally.asked
    if not missing:
        return None
    error = tally.last_error or next((log.error.message for log in logs if log.error), "")
    if not tally.asked and not tally.capped:
        raise ValactError(
            f"{error or 'no request succeeded'}; check --model and that its server is up "
            f"(log: {logs[0].location if logs else 'none'})"
        )
    reasons = []
    if tally.failed:
        reasons.append(f"{tally.failed:,} failed, the last with {error}")
    if tally.capped:
        reasons.append(f"the cap of ${tally.meter.cap:,g} is reached")
    return (
        f"{missing:,} of {tally.total:,} samples are not answered: {'; '.join(reasons) or error}; "
        "the same command again asks only these"
    )
