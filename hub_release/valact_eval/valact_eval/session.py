"""One sitting: models are opened, asked all that is left, and their predictions are read."""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valact_eval.asks import ALL_TASKS, RUNS, VARIANTS, Setup, Unit, question_units, run_units
from valact_eval.cost import parse_prices
from valact_eval.data import TEST, load_release
from valact_eval.errors import ValactError
from valact_eval.journal import Journal
from valact_eval.predictions import Predictions, read_predictions

_HTTP = ("aiohttp", "httpx")


@dataclass(frozen=True)
class Session:
    """Who is asked what, and how; as the options of ``valact-eval run`` say."""

    data: str | None
    models: Sequence[str]
    out: Path | None
    tasks: Sequence[str] = ALL_TASKS
    respondents: Sequence[str] = ()
    limit: int | None = None
    scenarios: int | None = None
    split: str = TEST
    domains: Sequence[str] = ()
    variants: int = VARIANTS
    order: str = "shifted"
    describe: str = "definition"
    pvq: Path | None = None
    runs: int = RUNS
    form: str = "together"
    declared_prompts: Path | None = None
    constrained: bool = False
    temperature: float = 0.0
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    extra_body: str | None = None
    base_url: str | None = None
    model_args: Sequence[str] = ()
    http: str = "aiohttp"
    max_connections: int | None = None
    max_retries: int = 3
    cache: bool = False
    prices: Sequence[str] = ()
    max_cost: float | None = None
    estimate: bool = False
    overwrite: bool = False
    log_samples: bool = False


@contextmanager
def _few_collections() -> Iterator[None]:
    """Lets the garbage collector run seldom: a call makes thousands of objects, few of them cycles.

    At Python's own thresholds it takes a quarter of a run's CPU time (benchmarks/README.md).
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@_few_collections()
def ask(session: Session) -> tuple[Predictions | None, str | None]:
    """Asks what is not answered yet.

    Returns:
        What ``out`` holds then (None where only an estimate was asked for), and what is
        missing in one line, if anything is.

    Raises:
        ValactError: an option is bad, or no request succeeds.
        KeyboardInterrupt: the user stopped it.
    """
    tasks = list(dict.fromkeys(session.tasks))
    for name in tasks:
        if name not in ALL_TASKS:
            raise ValactError(f"--task {name}: no such task; give one of {', '.join(ALL_TASKS)}")
    models, out = session.models, session.out
    if not models or out is None:
        raise ValactError(f"{'--out' if models else '--model'} is missing; see valact-eval --help")
    names = _respondents(models, session.respondents)
    if session.http not in _HTTP:
        raise ValactError(f"--http {session.http}: give {' or '.join(_HTTP)}")
    prices = parse_prices(session.prices, models)
    setup, units = _asked(session, tasks)

    # Inspect takes seconds to import, and bad input should not wait for it
    from valact_eval.models import generate_config, open_model, parse_args, shown_args
    from valact_eval.run import Limits, Respondent, ask_all

    args = parse_args(list(session.model_args))
    config = generate_config(
        max_retries=session.max_retries,
        max_connections=session.max_connections,
        reasoning_effort=session.reasoning_effort,
        extra_body=session.extra_body,
        cache=session.cache,
    )
    settings = {
        "base_url": session.base_url,
        "model_args": shown_args(args),
        "reasoning_effort": session.reasoning_effort,
        "extra_body": session.extra_body,
    }
    respondents = [
        Respondent(
            name,
            open_model(
                title, base_url=session.base_url, args=args, config=config, http=session.http
            ),
            {"model": title, **{k: v for k, v in settings.items() if v}},
            prices.get(title),
        )
        for name, title in names.items()
    ]
    longest = {name: session.max_tokens or (1024 if name == "declared" else 256) for name in units}
    limits = Limits(longest, session.temperature, session.constrained)
    journal = Journal.open(out, session.overwrite)
    try:
        missing = ask_all(
            setup,
            journal,
            respondents,
            units,
            limits,
            session.max_cost,
            session.estimate,
            session.log_samples,
        )
        if session.estimate:
            return None, None
        journal.finish()
        return read_predictions([out]), missing
    finally:
        journal.close()


def _asked(session: Session, tasks: Sequence[str]) -> tuple[Setup, Mapping[str, Sequence[Unit]]]:
    choices = [name for name in tasks if name != "declared"]
    if choices and session.data is None:
        raise ValactError(f"task {choices[0]} needs DATA, a release folder or owner/name")
    release = load_release(session.data, session.split) if choices and session.data else None
    setup = Setup(
        release,
        session.order,
        session.describe,
        session.form,
        session.pvq,
        session.declared_prompts,
    )
    setup.check_variants(tasks, session.variants)
    if session.constrained:
        setup.check_constrained(tasks)
    questions = release.pick(session.domains, session.limit, session.scenarios) if release else ()
    if (clusters := len({question.scenario_id for question in questions})) > 1:
        _tell_power(clusters, tasks)
    units: dict[str, Any] = {
        name: question_units(name, questions, session.variants) for name in choices
    }
    if "declared" in tasks:
        units["declared"] = run_units(session.runs, session.variants)
        print(f"questionnaire: {setup.instrument.name}", file=sys.stderr)
    return setup, units


def _tell_power(scenarios: int, tasks: Sequence[str]) -> None:
    """Says before anything is asked how sure the figures can get."""
    from valact_eval.stats.power import plan

    wanted = {
        "enacted share of one value": "default" in tasks,
        "declared-enacted r": {"default", "declared"} <= {*tasks},
        "accuracy": "selection" in tasks or "adoption" in tasks,
        "role-play difference": {"selection", "adoption"} <= {*tasks},
    }
    widths = [
        f"{row.figure} -+{row.half_width:.3f}"
        for row in plan(scenarios).figures
        if wanted.get(row.figure)
    ]
    print(
        f"valact-eval: with {scenarios:,} scenarios expect 95 % intervals of {', '.join(widths)} "
        "(see valact-eval power)",
        file=sys.stderr,
    )


def _respondents(models: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Respondent name to model, in the order given."""
    if given and len(given) != len(models):
        raise ValactError(f"{len(given)} --respondent for {len(models)} --model; give one each")
    names = given or models
    if again := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise ValactError(f"respondent {again!r} comes twice; name them by --respondent")
    return dict(zip(names, models, strict=True))
