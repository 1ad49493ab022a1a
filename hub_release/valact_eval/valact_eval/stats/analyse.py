"""Everything there is to say about one or more respondents, from their tables of answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from inspect import cleandoc
from itertools import combinations
from typing import Any

import polars as pl
from threadpoolctl import threadpool_limits

from valact_eval.errors import ValactError
from valact_eval.stats.agreement import Agreement, agreement
from valact_eval.stats.declared import (
    Alpha,
    alphas,
    centred_profile,
)
from valact_eval.stats.estimate import as_plain
from valact_eval.stats.groups import GroupTest, group_tests
from valact_eval.stats.resample import Bootstrap, bootstrap
from valact_eval.stats.respondent import Respondent, RespondentResult, Settings
from valact_eval.stats.roleplay import adjusted
from valact_eval.stats.same_length import (
    HumanContrast,
    contrast,
    questions_a_scenario,
)
from valact_eval.stats.table import read_answers, read_choices


@dataclass(frozen=True)
class Results:
    """What ``analyse`` found, and how it was asked.

    ``notes`` says in words what was refused or left out. ``contrasts`` compares people with
    models and is empty without a ``match_length``; agreements are between models, or between
    people, never across.
    """

    draws: int
    seed: int
    level: float
    match_length: int | None
    respondents: tuple[RespondentResult, ...]
    agreements: tuple[Agreement, ...]
    alphas: tuple[Alpha, ...]
    groups: tuple[GroupTest, ...]
    contrasts: tuple[HumanContrast, ...]
    notes: tuple[str, ...]


def analyse(
    choices: pl.DataFrame | None,
    answers: pl.DataFrame | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> Results:
    """Computes everything for the respondents of the tables.

    Args:
        choices: the predictions table, see ``schema.CHOICES``; None for declared values only.
        answers: the questionnaire table, see ``schema.ANSWERS``; None without one.
        settings: how; the default ones if None.
        progress: is told what is being worked on.

    Raises:
        ValactError: a table contradicts itself, or the settings do not fit the tables.
    """
    # tall, narrow products are slower on several threads, and far slower on a busy machine
    with threadpool_limits(limits=1, user_api="blas"):
        return _analyse(choices, answers, settings or Settings(), progress or (lambda _: None))


def _analyse(
    choices: pl.DataFrame | None,
    answers: pl.DataFrame | None,
    how: Settings,
    tell: Callable[[str], None],
) -> Results:
    # a predictions file without questionnaire comes with an empty table, and the other way round
    choices, answers = (
        None if table is None or table.is_empty() else table for table in (choices, answers)
    )
    if choices is None and answers is None:
        raise ValactError("nothing to analyse: no answer to a question or to a questionnaire")
    read = () if choices is None else read_choices(choices)
    tables = {(table.respondent, table.task): table for table in read}
    told = (
        {}
        if answers is None
        else {found.respondent: found for found in read_answers(answers, how.key)}
    )
    names = sorted({name for name, _ in tables} | set(told))
    _check(how, names)
    scenarios = read[0].scenarios if read else ()
    boot = bootstrap(scenarios, how.draws, how.seed, "scenarios")
    asked = [tables[name, "default"] for name in how.people if (name, "default") in tables]
    block = questions_a_scenario(asked) if asked else None
    one: dict[str, Respondent] = {}
    for name in names:
        tell(f"{name}: figures")
        one[name] = Respondent(name, tables, told.get(name), boot, how, block)
    roles = adjusted(tuple(r.roles for r in one.values() if r.roles is not None))
    by_name = {role.respondent: role for role in roles}
    results = tuple(found.result(by_name.get(name)) for name, found in one.items())
    tell("agreement between respondents")
    contrasts, notes = _contrasts(one, how)
    return Results(
        draws=how.draws,
        seed=how.seed,
        level=how.level,
        match_length=how.match_length,
        respondents=results,
        agreements=_agreements(one, boot, how),
        alphas=alphas(list(told.values()), how.key, how.level),
        groups=group_tests(_figures(results), how.groups) if how.groups else (),
        contrasts=contrasts,
        notes=notes,
    )


def legend(results: object) -> dict[str, str]:
    """What each kind of result means: name of the class to its description."""
    found: dict[str, str] = {}

    def walk(node: Any) -> None:  # noqa: ANN401 - any part of a result
        if is_dataclass(node) and not isinstance(node, type):
            kind = type(node)
            found.setdefault(kind.__name__, cleandoc(kind.__doc__ or ""))
            for part in fields(node):
                walk(getattr(node, part.name))
        elif isinstance(node, dict):
            for value in node.values():
                walk(value)
        elif isinstance(node, tuple):
            for value in node:
                walk(value)

    walk(results)
    return dict(sorted(found.items()))


def to_plain(results: Results) -> dict[str, Any]:
    """The results as plain JSON data, with the legend first."""
    return {"legend": legend(results), **as_plain(results)}


def _check(how: Settings, names: list[str]) -> None:
    for what, given in (
        ("people", how.people),
        ("groups", how.groups or {}),
        ("families", how.families or {}),
    ):
        if unknown := sorted(set(given) - set(names)):
            raise ValactError(f"{what}: no respondent {unknown[0]!r}; there are {', '.join(names)}")
    if how.match_length is not None and how.match_length < 2:
        raise ValactError(f"--match-length {how.match_length}: must be 2 or more")
    if how.draws < 100:
        raise ValactError(f"draws {how.draws}: a bootstrap needs 100 or more")


def _agreements(
    one: Mapping[str, Respondent], boot: Bootstrap, how: Settings
) -> tuple[Agreement, ...]:
    found = []
    for a, b in combinations(one.values(), 2):
        if a.person != b.person or a.default is None or b.default is None:
            continue
        if a.fit is None or b.fit is None or a.shares is None or b.shares is None:
            continue
        told = None
        if a.answers and b.answers and a.runs and b.runs:
            told = (
                centred_profile(a.answers, a.runs, how.key),
                centred_profile(b.answers, b.runs, how.key),
            )
        fits, shares = (a.fit, b.fit), (a.shares, b.shares)
        found.append(agreement(a.default, b.default, fits, shares, boot, told, how.level))
    return tuple(found)


def _contrasts(
    one: Mapping[str, Respondent], how: Settings
) -> tuple[tuple[HumanContrast, ...], tuple[str, ...]]:
    ready = [found for found in one.values() if found.default is not None]
    people = [(r.default, r.answers) for r in ready if r.person and r.default is not None]
    models = [(r.default, r.answers) for r in ready if not r.person and r.default is not None]
    if not people or not models:
        return (), ()
    if how.match_length is None:
        try:
            contrast(people, models[0], None)
        except ValactError as refused:
            return (), (f"refused: {refused}",)
    found = tuple(
        contrast(people, model, how.match_length, seed=how.seed, key=how.key) for model in models
    )
    return found, ()


def _figures(results: tuple[RespondentResult, ...]) -> dict[str, dict[str, float]]:
    """The figures that groups are compared in: name to respondent to number."""
    found: dict[str, dict[str, float]] = {}

    def add(name: str, respondent: str, figure: float | None) -> None:
        if figure is not None:
            found.setdefault(name, {})[respondent] = figure

    for result in results:
        who = result.respondent
        for row in result.enacted.values if result.enacted else ():
            add(f"enacted_share {row.value}", who, row.enacted_share.estimate)
        for told in result.declared.values if result.declared else ():
            add(f"declared centred {told.value}", who, told.centred.estimate)
        for one in result.gaps[:1]:
            add("declared-enacted pearson", who, one.pearson.estimate.estimate)
        if result.role_play:
            add("role-play difference", who, result.role_play.overall.difference.estimate)
    return found
