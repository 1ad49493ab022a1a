"""Letting the generators write a scenario's actions; those that break a rule once more, alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline import asking
from pipeline.asking import Answer, Question
from pipeline.config import Config
from pipeline.embedding import Embedder
from pipeline.llm.call import Caller
from pipeline.prompts import Prompt, load_prompt
from pipeline.text import clean, mask
from pipeline.validators import ActionRow, Violation, check
from pipeline.values import load_values, value_ids

Row = Mapping[str, Any]
Place = tuple[str, str]
"""Generator and value: where an action stands among a scenario's twenty."""
UNUSABLE = "no_usable_actions"


@dataclass(frozen=True)
class Draft:
    """An action as one asking gave it.

    Attributes:
        text: The action.
        asking: From 1: which of the askings for this generator and value.
        prompt: File and version of the prompt.
        key: Ledger key of the reply.
    """

    text: str
    asking: int
    prompt: str
    key: str


@dataclass(frozen=True)
class Noted:
    """What a validator found wrong with a draft, mended later or not."""

    place: Place
    draft: Draft
    violation: Violation


@dataclass
class Sheet:
    """What has been written for one scenario.

    Attributes:
        scenario: Row of schema.CANDIDATES.
        drafts: The newest draft at each place.
        wrong: What is wrong with them now.
        noted: What was ever wrong.
        failure: (reason, detail) if the scenario cannot be used.
    """

    scenario: Row
    drafts: dict[Place, Draft] = field(default_factory=dict)
    wrong: dict[Place, tuple[Violation, ...]] = field(default_factory=dict)
    noted: list[Noted] = field(default_factory=list)
    failure: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """Id of the scenario."""
        return str(self.scenario["scenario_id"])

    def others(self, place: Place, rejected: frozenset[str]) -> list[str]:
        """Return the actions of the same generator that may stay, in the circle's order."""
        generator, value = place
        return [
            self.drafts[generator, other].text
            for other in value_ids()
            if other != value
            and (generator, other) in self.drafts
            and not self.rejected((generator, other), rejected)
        ]

    def rejected(self, place: Place, codes: frozenset[str]) -> list[Violation]:
        """Return what is wrong with the draft at a place and must not stay."""
        return [found for found in self.wrong.get(place, ()) if found.code in codes]


class Writer:
    """Asks the generators of a build and checks what they write.

    Args:
        config: The build.
        caller: The call layer.
        embedder: Gives the vectors for the validators, or None.
    """

    def __init__(self, config: Config, caller: Caller, embedder: Embedder | None) -> None:
        self._config, self._caller, self._embedder = config, caller, embedder
        self._reject = frozenset[str](config.validate.reject)

    def write(self, scenarios: Sequence[Row]) -> list[Sheet]:
        """Return one sheet a scenario, in their order: twenty actions, or why there are none.

        What becomes of a scenario does not depend on the others.

        Raises:
            PipelineError: As Caller.ask.
        """
        sheets = [Sheet(scenario) for scenario in scenarios]
        self._ask_first(sheets)
        changed = [sheet for sheet in sheets if not sheet.failure]
        for repair in range(self._config.generate.repairs + 1):
            self._check(changed)
            places = [(s, place) for s in changed for place in s.drafts
                      if s.rejected(place, self._reject)]  # fmt: skip
            if not places:
                break
            if repair == self._config.generate.repairs:
                for sheet, _ in places:
                    sheet.failure = sheet.failure or self._failure_of(sheet)
                break
            self._ask_again(places, repair + 1)
            changed = list({id(sheet): sheet for sheet, _ in places}.values())
        return sheets

    def _ask_first(self, sheets: Sequence[Sheet]) -> None:
        asked = [
            (sheet, generator, values, question)
            for sheet in sheets
            for generator in self._config.generate.generators
            for values, question in first_questions(self._config, generator, sheet.scenario)
        ]
        answers = self._ask([question for *_, question in asked], "actions")
        for (sheet, generator, values, question), answer in zip(asked, answers, strict=True):
            if answer.data is None:
                told = f"{generator}: {answer.problem}"
                sheet.failure = sheet.failure or (UNUSABLE, told)
                continue
            for value in values:
                text = answer.data[value if len(values) > 1 else "action"]
                prompt = self._prompt_of(question)
                sheet.drafts[generator, value] = Draft(tidy(text), 1, prompt, answer.key)

    def _ask_again(self, places: Sequence[tuple[Sheet, Place]], repair: int) -> None:
        questions = [self._asked_again(*one, repair) for one in places]
        label = f"actions mended, round {repair}"
        answers = self._ask(questions, label, attempts=1)
        for (sheet, place), answer in zip(places, answers, strict=True):
            if answer.data is not None:  # else the old one stays, and what is wrong with it
                prompt = prompt_name(self._config.generate.single_prompt)
                text = tidy(answer.data["action"])
                sheet.drafts[place] = Draft(text, repair + 1, prompt, answer.key)

    def _asked_again(self, sheet: Sheet, place: Place, turn: int) -> Question:
        if place[0] in self._config.generate.one_by_one:
            # A weak model copies what it is shown as wrong: it is only asked anew, by another seed.
            return single_question(self._config, sheet.scenario, place, turn=turn)
        return single_question(
            self._config,
            sheet.scenario,
            place,
            others=sheet.others(place, self._reject),
            failed=sheet.drafts[place].text,
            violations=sheet.rejected(place, self._reject),
            turn=turn,
        )

    def _ask(
        self, questions: Sequence[Question], label: str, attempts: int | None = None
    ) -> list[Answer]:
        return asking.ask(
            self._caller,
            questions,
            lambda *_: "",
            attempts=attempts or self._config.generate.attempts,
            seed=self._config.build.seed,
            label=label,
        )

    def _check(self, sheets: Sequence[Sheet]) -> None:
        at = [(sheet, place) for sheet in sheets for place in sorted(sheet.drafts)]
        rows = [
            ActionRow(s.id, value, s.drafts[generator, value].text, s.scenario["scenario"],
                      generator)
            for s, (generator, value) in at
        ]  # fmt: skip
        found = check(rows, self._config.validate, self._embedder)
        for (sheet, place), violations in zip(at, found, strict=True):
            sheet.wrong[place] = violations
            for violation in violations:
                noted = Noted(place, sheet.drafts[place], violation)
                if not any(_same(noted, other) for other in sheet.noted):
                    sheet.noted.append(noted)

    def _failure_of(self, sheet: Sheet) -> tuple[str, str]:
        """Return why a scenario whose actions could not be mended goes: the first code, and all."""
        told = [
            (violation.code, f"{generator}, {value}: {violation.code}: {violation.detail}")
            for generator, value in sorted(sheet.drafts)
            for violation in sheet.rejected((generator, value), self._reject)
        ]
        return f"action_{told[0][0]}", "; ".join(line for _, line in told)

    def _prompt_of(self, question: Question) -> str:
        generate = self._config.generate
        single = question.model in generate.one_by_one
        return prompt_name(generate.single_prompt if single else generate.prompt)


def first_questions(
    config: Config, generator: str, scenario: Row
) -> Iterator[tuple[tuple[str, ...], Question]]:
    """Yield what a generator is asked about a scenario at first, and the values that it covers."""
    if generator in config.generate.one_by_one:
        for value in value_ids():
            yield (value,), single_question(config, scenario, (generator, value))
        return
    prompt = load_prompt(config.generate.prompt)
    values = [{"id": v.id, "definition": v.definition, "words": v.words} for v in load_values()]
    question = Question(
        model=generator,
        item=str(scenario["scenario_id"]),
        messages=prompt.render(scenario=scenario["scenario"], values=values),
        schema=_form(config, generator, prompt, value_ids()),
    )
    yield value_ids(), question


def single_question(
    config: Config,
    scenario: Row,
    place: Place,
    *,
    others: Sequence[str] = (),
    failed: str = "",
    violations: Sequence[Violation] = (),
    turn: int = 0,
) -> Question:
    """Return what a generator is asked about one value.

    Args:
        config: The build.
        scenario: Row of schema.CANDIDATES.
        place: Generator and value.
        others: Actions from which this one must differ.
        failed: The one that cannot be used.
        violations: What is wrong with it.
        turn: Askings that went before.
    """
    generator, value_id = place
    value = next(v for v in load_values() if v.id == value_id)
    prompt = load_prompt(config.generate.single_prompt)
    messages = prompt.render(
        scenario=scenario["scenario"],
        value={"id": value.id, "definition": value.definition, "words": value.words},
        others=list(others),
        failed=failed,
        violations=[f"{found.code}: {found.detail}" for found in violations],
    )
    item = f"{scenario['scenario_id']} {value_id}"
    form = _form(config, generator, prompt, ("action",))
    return Question(generator, item, messages, form, turn)


def prompt_name(name: str) -> str:
    """Return a prompt file's name and version, as data has it."""
    return f"{name} {load_prompt(name).version}"


def tidy(text: str) -> str:
    """Return an action on one line, cleaned, with contact data masked."""
    return mask(" ".join(clean(text).split()))[0]


def _form(config: Config, generator: str, prompt: Prompt, names: Sequence[str]) -> str:
    """Return the JSON schema of a reply: one text a name, in this order."""
    text: dict[str, Any] = {"type": "string"}
    if config.models[generator].limits_in_schema:
        text["pattern"] = prompt.output["pattern"]
    # Not sorted: endpoints make the model write the fields in the order of the schema.
    return json.dumps(
        {
            "type": "object",
            "properties": dict.fromkeys(names, text),
            "required": list(names),
            "additionalProperties": False,
        }
    )


def _same(one: Noted, other: Noted) -> bool:
    return (one.place, one.draft.asking, one.violation.code) == (
        other.place,
        other.draft.asking,
        other.violation.code,
    )
