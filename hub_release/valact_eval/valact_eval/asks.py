"""What is put to a respondent: for every question and questionnaire run, its prompts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from valact_eval.data import Question, Release
from valact_eval.errors import ValactError
from valact_eval.instrument import Instrument, item_order, load_instrument
from valact_eval.key import ITEMS
from valact_eval.parse import Answer, Rating
from valact_eval.render import Prompts, load_prompts, render_items, render_question, shown_order
from valact_eval.rows import Reply, Row, answer_rows, choice_row
from valact_eval.schema import TASKS

ALL_TASKS = (*TASKS, "declared")
VARIANTS = 5
RUNS = 10
ORDERS = ("shifted", "published")
DESCRIPTIONS = ("definition", "items")
FORMS = ("together", "single")


@dataclass(frozen=True)
class Call:
    """One prompt.

    ``shown`` is the dealt index of the option at each letter, or the item numbers in the
    order in which they are shown.
    """

    variant: int
    shown: tuple[int, ...]
    prompt: str


@dataclass(frozen=True)
class Setup:
    """How respondents are asked; two runs compare only where their ``identity`` agrees.

    Attributes:
        release: the questions; None where only the questionnaire is asked.
        order: "shifted" (variant k shifts the dealt order by k mod 4) or "published" (as dealt).
        describe: how selection and adoption give the value: its "definition" or the
            questionnaire's "items".
        form: all forty items "together" in a prompt, or "single".
        pvq: the user's copy of the PVQ-40; None for the stand-in.
        declared_prompts: prompt file for the questionnaire, as in its language.
    """

    release: Release | None = None
    order: str = "shifted"
    describe: str = "definition"
    form: str = "together"
    pvq: Path | None = None
    declared_prompts: Path | None = None
    _loaded: dict[str, Prompts] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses what is not among the choices.

        Raises:
            ValactError: an unknown choice, or items as examples without a questionnaire.
        """
        for name, given, known in (
            ("order", self.order, ORDERS),
            ("describe", self.describe, DESCRIPTIONS),
            ("form", self.form, FORMS),
        ):
            if given not in known:
                raise ValactError(f"--{name} {given}: give {' or '.join(known)}")
        if self.describe == "items" and self.pvq is None:
            raise ValactError("--describe items needs the questionnaire; give --pvq FILE")

    @cached_property
    def instrument(self) -> Instrument:
        """The questionnaire."""
        return load_instrument(self.pvq)

    def prompts(self, task: str) -> Prompts:
        """The prompt variants of a task."""
        name = f"declared_{self.form}" if task == "declared" else task
        if name not in self._loaded:
            own = self.declared_prompts if task == "declared" else None
            self._loaded[name] = load_prompts(name, own)
        return self._loaded[name]

    def identity(self, task: str) -> dict[str, str]:
        """What the task's answers depend on, besides the respondent."""
        if task == "declared":
            own = {"form": self.form, "instrument": self.instrument.digest}
        else:
            own = {"data": self.questions.digest, "order": self.order}
        if task in ("selection", "adoption"):
            items = self.describe == "items"
            own["describe"] = self.instrument.digest if items else "definition"
        return {"prompts": self.prompts(task).identity, **own}

    @property
    def questions(self) -> Release:
        """The release.

        Raises:
            ValactError: there is none.
        """
        if self.release is None:
            raise ValactError("no questions; give a release folder or owner/name")
        return self.release

    def question_calls(self, task: str, question: Question, variants: Iterable[int]) -> list[Call]:
        """The prompts for one question."""
        value = self.questions.values[question.target_value]
        examples = self.instrument if self.describe == "items" else None
        calls = []
        for variant in variants:
            order = shown_order(variant, self.order == "published")
            template = self.prompts(task).variants[variant]
            prompt = render_question(template, question, order, value, examples)
            calls.append(Call(variant, order, prompt))
        return calls

    def run_calls(self, run: int, variants: Iterable[int]) -> list[Call]:
        """The prompts for one questionnaire run: one a variant, or forty."""
        calls = []
        for variant in variants:
            template = self.prompts("declared").variants[variant]
            order = item_order(run)
            groups = [order] if self.form == "together" else [(item,) for item in order]
            for shown in groups:
                prompt = render_items(template, self.instrument, shown)
                calls.append(Call(variant, shown, prompt))
        return calls

    def check_constrained(self, tasks: Iterable[str]) -> None:
        """Raises ValactError where a choice by log-probabilities cannot be read from a reply."""
        if "declared" in tasks and self.form != "single":
            raise ValactError(
                "--constrained: forty ratings in one reply have no one place to read; "
                "give --form single"
            )

    def check_variants(self, tasks: Iterable[str], variants: int) -> None:
        """Raises ValactError where a task has fewer prompt variants than asked for."""
        for task in tasks:
            if not 1 <= variants <= (most := len(self.prompts(task).variants)):
                raise ValactError(f"--variants {variants}: task {task} has 1 to {most}")


@dataclass(frozen=True)
class Unit:
    """What is asked, logged and resumed as a whole: one question, or one questionnaire run."""

    task: str
    id: str
    variants: tuple[int, ...]
    question: Question | None = None
    run: int = 0

    def calls(self, setup: Setup) -> list[Call]:
        """Its prompts."""
        if self.question is None:
            return setup.run_calls(self.run, self.variants)
        return setup.question_calls(self.task, self.question, self.variants)

    def rows(
        self,
        setup: Setup,
        respondent: str,
        calls: Iterable[Call],
        replies: Iterable[Reply],
        answers: Mapping[int, Answer | Rating] | None = None,
    ) -> list[Row]:
        """The rows of its replies, one a call in the same order.

        Args:
            setup: how it was asked.
            respondent: who answered.
            calls: what was asked.
            replies: what came back.
            answers: by position, where an answer was not read from the reply's text.
        """
        rows: list[Row] = []
        for place, (call, reply) in enumerate(zip(calls, replies, strict=True)):
            answer = (answers or {}).get(place)
            if self.question is None:
                ratings = [answer] if isinstance(answer, Rating) else None
                name = setup.instrument.name
                rows += answer_rows(
                    call.shown, respondent, name, self.run, call.variant, reply, ratings
                )
            else:
                answer = answer if isinstance(answer, Answer) else None
                row = choice_row(
                    self.question, respondent, self.task, call.variant, call.shown, reply, answer
                )
                rows.append(row)
        return rows

    @property
    def kind(self) -> str:
        """The table its rows belong to: "choice" or "answer"."""
        return "answer" if self.question is None else "choice"

    def expected(self, variant_count: int) -> int:
        """Rows that so many variants come to."""
        return variant_count * (ITEMS if self.question is None else 1)


def question_units(task: str, questions: Iterable[Question], variants: int) -> list[Unit]:
    """One unit a question."""
    every = tuple(range(variants))
    return [Unit(task, question.question_id, every, question) for question in questions]


def run_units(runs: int, variants: int) -> list[Unit]:
    """One unit a questionnaire run."""
    every = tuple(range(variants))
    return [Unit("declared", f"run-{run}", every, run=run) for run in range(runs)]
