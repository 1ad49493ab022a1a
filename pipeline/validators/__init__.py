"""Checks of single actions: each a pure function with a reason code of its own.

Rules on words know English only and are a first sieve: what an action means, and whether it acts
out its value, is for models and experts.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config_actions import ValidateConfig
from pipeline.embedding import Embedder
from pipeline.validators.content import language, personal_data, refusal, value_word
from pipeline.validators.form import empty, first_person, length, placeholder, sentences
from pipeline.validators.harm import harmful
from pipeline.validators.reasons import benefit_clause
from pipeline.validators.rows import ActionRow, Alone, Violation
from pipeline.validators.sets import (
    Vectors,
    distinct,
    on_scenario,
    repeated,
    stranger_of,
    strangers,
    ten_values,
)

__all__ = ["CODES", "FORM", "ActionRow", "Violation", "check"]

CODES: tuple[tuple[str, str], ...] = (
    ("empty", "there is no word in it"),
    ("placeholder", "it holds a rest of a template, markup, a list or JSON, or breaks off"),
    ("language", "it is not in English"),
    ("first_person", "it does not start as something that I do"),
    ("sentences", "it has more than two sentences"),
    ("length", "it has fewer than 3 words or more than 60"),
    ("benefit_clause", "it says why, what for, or how good it is"),
    ("repeated", "it has the words of another action of its scenario"),
    ("distinct", "it says in other words what another action of its scenario says"),
    ("value_word", "it holds its value's name or a word of that family"),
    ("refusal", "the model declines, or speaks of itself"),
    ("personal_data", "it holds a name, a place or other personal data"),
    ("harmful", "it is violence, self-harm or a crime"),
    ("on_scenario", "it is far from its scenario and no nearer to it than to another one"),
    ("ten_values", "its set does not hold each of the ten values once"),
)
"""Every reason code with its meaning, in the order in which violations are listed."""

FORM: tuple[str, ...] = tuple(code for code, _ in CODES[:9])
"""The codes that speak of an action's form, whatever it says."""

_ALONE: tuple[Alone, ...] = (
    placeholder,
    first_person,
    sentences,
    length,
    benefit_clause,
    value_word,
    refusal,
    harmful,
)


def check(
    rows: Sequence[ActionRow],
    thresholds: ValidateConfig = ValidateConfig(),  # noqa: B008 - it is frozen
    embedder: Embedder | None = None,
    others: Sequence[str] | None = None,
) -> list[tuple[Violation, ...]]:
    """Return what is wrong with each action, at most once a code, in the order of CODES.

    An action without words has the codes `empty` and `ten_values` only. What is found depends
    neither on the order of the rows nor on other scenarios.

    Args:
        rows: The actions; those of one scenario and one generator are a set; `repeated` and
            `distinct` compare with all of the scenario.
        thresholds: Where rules cut.
        embedder: Gives the vectors; without one, nothing is checked for `distinct` and
            `on_scenario`.
        others: Texts of which each scenario is held against one; None for the bundled ones.

    Returns:
        One tuple a row, in the order of `rows`.
    """
    found: list[dict[str, Violation]] = [{} for _ in rows]

    def note(places: Sequence[int], violations: Sequence[Violation | None]) -> None:
        for i, violation in zip(places, violations, strict=True):
            if violation:
                found[i][violation.code] = violation

    note(range(len(rows)), [empty(row, thresholds) for row in rows])
    note(range(len(rows)), ten_values(rows))
    places = [i for i in range(len(rows)) if "empty" not in found[i]]
    some = [rows[i] for i in places]
    for validator in _ALONE:
        note(places, [validator(row, thresholds) for row in some])
    note(places, personal_data(some))
    note(places, language(some))
    note(places, repeated(some))
    if embedder is not None and some:
        others = strangers() if others is None else others
        compared = {stranger_of(row, others) for row in some if row.scenario.strip()}
        texts = {text for row in some for text in (row.action, row.scenario)} | compared
        vectors = Vectors((text for text in texts if text.strip()), embedder)
        note(places, on_scenario(some, thresholds, vectors, others))
        note(places, distinct(some, thresholds, vectors))
    return [tuple(each[code] for code, _ in CODES if code in each) for each in found]
