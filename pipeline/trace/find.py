"""Finding the way back: from an id, through the tables of a finished build, to source and calls."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.escape import on_one_line
from pipeline.trace import posts
from pipeline.trace.calls import Calls
from pipeline.trace.parts import Dropped, Scenario, Trace, Vote
from pipeline.trace.parts_question import Option, Question, Violation
from pipeline.trace.tables import Row, Tables
from pipeline.values import value_ids

_KINDS = {"q": "question", "a": "option", "s": "scenario"}
_LINE = re.compile(r"(?P<file>.+):(?P<line>\d{1,15})", re.DOTALL)


def trace(config: Config, asked: str) -> Trace:
    """Return the way back from an id to the source and the model calls.

    Args:
        config: The build; only its workspace, ledger and tombstones are read.
        asked: Id of a question (q_...), an option (a_...), a scenario (s_...) or a post, or a line
            of the source as a build names it ("FILE:LINE").

    Raises:
        BadInputError: The build holds no such id, or the ledger is no ledger.
        StageError: The stage that would hold it has not finished, or the tables do not fit
            together.
    """
    tables = Tables(Path(config.build.workspace))
    return _Finder(tables, config).trace(asked)


class _Finder:
    """One trace being put together."""

    def __init__(self, tables: Tables, config: Config) -> None:
        self._tables, self._tombstones = tables, Path(config.source.tombstones)
        self._calls = Calls(tables, Path(config.build.ledger))

    def trace(self, asked: str) -> Trace:
        if asked[:2] in {"q_", "a_", "s_"} and not _LINE.fullmatch(asked):
            return self._of_build(asked, _KINDS[asked[0]])
        return self._of_post(asked)

    def _of_build(self, asked: str, kind: str) -> Trace:
        """Trace a question, an option or a scenario."""
        only: Collection[str] | None = None
        if kind == "question":
            questions = self._known(asked, "compose.questions", question_id=asked)
            scenario = questions[0]["scenario_id"]
        elif kind == "option":
            only = {asked}
            scenario = self._known(asked, "generate.actions", action_id=asked)[0]["scenario_id"]
            questions = [
                row
                for row in self._tables.rows_if_built("compose.questions", scenario_id=scenario)
                if asked in row["option_ids"]
            ]
        else:
            self._known(asked, "rewrite.scenarios", scenario_id=asked)
            questions, scenario = self._questions(asked), asked
        because = "generate.actions" if kind == "option" else "compose.questions"
        row = self._tables.one("rewrite.scenarios", because, scenario_id=scenario)
        spare = kind == "scenario" or (kind == "option" and not questions)
        return self._whole(asked, kind, row["post_id"], row, questions, only, spare=spare)

    def _of_post(self, asked: str) -> Trace:
        """Trace a post, by its id or its line."""
        post_id = asked.removeprefix("t3_")
        rows = self._tables.rows("scrape.posts", post_id=post_id)
        place = _LINE.fullmatch(asked)
        if not rows and place:
            where = {"source_file": place["file"], "source_line": int(place["line"])}
            rows = self._tables.rows("scrape.posts", **where)
        if rows:
            post_id = rows[0]["post_id"]
            scenario = self._tables.rows_if_built("rewrite.scenarios", post_id=post_id)
            questions = self._questions(scenario[0]["scenario_id"]) if scenario else []
            row = scenario[0] if scenario else None
            return self._whole(asked, "post", post_id, row, questions, None, spare=True)
        if place:
            dropped = posts.line(self._tables, asked)
        else:
            dropped = posts.buried(self._tombstones, post_id)
        if dropped is None:
            raise BadInputError(
                f"{on_one_line(asked)}: no such post in {self._tables.workspace}; ids of "
                "questions, options and scenarios start with q_, a_ and s_, and a line that gave "
                "no post is named by FILE:LINE"
            )
        return Trace(
            asked=asked,
            kind="line" if place else "post",
            workspace=str(self._tables.workspace),
            unbuilt=self._tables.unbuilt(),
            stale=self._tables.stale(),
            dropped=dropped,
        )

    def _whole(
        self,
        asked: str,
        kind: str,
        post_id: str,
        scenario: Row | None,
        questions: list[Row],
        only: Collection[str] | None,
        *,
        spare: bool,
    ) -> Trace:
        scenario_id = scenario["scenario_id"] if scenario else ""
        actions = self._actions(scenario_id)
        wrong = self._violations(scenario_id)
        found = tuple(self._question(row, actions, wrong, only) for row in questions)
        placed = [option for question in found for option in question.options]
        left: list[Option] = []
        if spare:
            others = actions.keys() - {option.action_id for option in placed}
            chosen = (i for i in sorted(others) if only is None or i in only)
            left = [_option(actions[i], wrong) for i in chosen]
        for option in (*placed, *left):
            told = str(actions[option.action_id].get("prompt") or "")
            self._calls.add("generate", option.generator, option.ledger_key, told)
        for violation in (v for option in (*placed, *left) for v in option.violations):
            self._calls.add("generate", violation.generator, violation.ledger_key)
        reader = str(self._tables.setting("recognise", "recognise.model"))
        for option in (*placed, *left):
            if option.recognised_key:
                self._calls.add("recognise", reader, option.recognised_key)
        told_of = self._scenario(scenario) if scenario else None
        votes = tuple(self._votes(post_id))
        ended = posts.dropped(self._tables, post_id, scenario_id)
        if ended:
            self._add_failed_calls(ended)
        return Trace(
            asked=asked,
            kind=kind,
            workspace=str(self._tables.workspace),
            unbuilt=self._tables.unbuilt(),
            stale=self._tables.stale(),
            questions=found,
            spare=tuple(left),
            calls=self._calls.found(),
            scenario=told_of,
            votes=votes,
            cluster=posts.cluster(self._tables, post_id),
            violations=tuple(wrong) if ended and not actions else (),
            dropped=ended,
            post=posts.post(self._tables, self._tombstones, post_id),
        )

    def _add_failed_calls(self, ended: Dropped) -> None:
        """Note the calls whose replies could not be used, so that one sees why."""
        if ended.stage == "rewrite" and ended.reason.startswith("retelling_"):
            model = self._tables.setting("rewrite", "rewrite.model")
            self._calls.add_about("rewrite", [model] if model else [], ended.item)
        if ended.stage == "generate" and ended.reason != "reserve_unused":
            models = self._tables.setting("generate", "generate.generators") or ()
            alone = [f"{ended.item} {value}" for value in value_ids()]
            for item in (ended.item, *alone):
                self._calls.add_about("generate", models, item)

    def _actions(self, scenario_id: str) -> dict[str, Row]:
        """Return a scenario's actions by id, each with what the blind recogniser reads in it."""
        rows = self._tables.rows_if_built("generate.actions", scenario_id=scenario_id)
        read = {
            row["action_id"]: {
                "recognised": row["recognised"],
                "recognised_key": row["ledger_key"],
            }
            for row in self._tables.rows_if_built("recognise.actions", scenario_id=scenario_id)
        }
        return {row["action_id"]: {**row, **read.get(row["action_id"], {})} for row in rows}

    def _violations(self, scenario_id: str) -> list[Violation]:
        name = "generate.violations"
        rows = self._tables.rows(name, scenario_id=scenario_id) if self._tables.has(name) else []
        names = [field.name for field in dataclasses.fields(Violation)]
        found = [Violation(**{name: row[name] for name in names}) for row in rows]
        return sorted(found, key=lambda one: (one.generator, one.value, one.asking, one.code))

    def _known(self, asked: str, name: str, **equal: str) -> list[Row]:
        found = self._tables.rows(name, **equal)
        if not found:
            raise BadInputError(
                f"{on_one_line(asked)}: no such {_KINDS[asked[0]]} in {self._tables.workspace}; "
                "name its folder by --workspace (or --source) if it is of another build"
            )
        return found

    def _questions(self, scenario: str) -> list[Row]:
        found = self._tables.rows_if_built("compose.questions", scenario_id=scenario)
        return sorted(found, key=lambda row: row["question_index"])

    def _question(
        self,
        row: Row,
        actions: Mapping[str, Row],
        wrong: Iterable[Violation],
        only: Collection[str] | None,
    ) -> Question:
        target = row["target_index"]
        options = []
        for place, action_id in enumerate(row["option_ids"]):
            if action_id not in actions:
                named = {"action_id": action_id, "scenario_id": row["scenario_id"]}
                self._tables.one("generate.actions", "compose.questions", **named)
            if only is None or action_id in only:
                action = actions[action_id]
                options.append(_option(action, wrong, "ABCD"[place], target=place == target))
        return Question(
            question_id=row["question_id"],
            index=row["question_index"],
            slot=row["slot"],
            domain=row["domain"],
            target_value=row["target_value"],
            target_letter="ABCD"[target],
            options=tuple(options),
        )

    def _scenario(self, row: Row) -> Scenario:
        scenario = row["scenario_id"]
        slots = self._tables.rows_if_built("generate.slots", scenario_id=scenario)
        form = str(self._tables.setting("rewrite", "release.text"))
        retelling = None
        if form == "rewritten":
            drawn = self._tables.rows("rewrite.pairs", scenario_id=scenario)
            retelling = self._calls.retelling(
                str(self._tables.setting("rewrite", "rewrite.model")),
                row["post_id"],
                scenario,
                drawn[0]["ledger_key"] if drawn else None,
            )
        return Scenario(
            scenario_id=scenario,
            domain=row["domain"],
            rank=row["rank"],
            slot=slots[0]["slot"] if slots else None,
            replaced=tuple(slots[0]["replaced"]) if slots else (),
            form=form,
            retelling=retelling,
            text=row["scenario"],
        )

    def _votes(self, post_id: str) -> Iterable[Vote]:
        rows = self._tables.rows_if_built("vote.votes", post_id=post_id)
        for row in sorted(rows, key=lambda row: (row["breaks_tie"], row["model"])):
            self._calls.add("vote", row["model"], row["ledger_key"])
            yield Vote(
                model=row["model"],
                vote=row["vote"],
                reason=row["reason"],
                breaks_tie=row["breaks_tie"],
                ledger_key=row["ledger_key"],
            )


def _option(
    row: Row, wrong: Iterable[Violation], letter: str | None = None, *, target: bool = False
) -> Option:
    place = (row["generator"], row["value"])
    flags = row.get("flags")
    return Option(
        letter=letter,
        target=target,
        action_id=row["action_id"],
        action=row["action"],
        value=row["value"],
        generator=row["generator"],
        ledger_key=row["ledger_key"],
        flags=None if flags is None else tuple(flags),
        askings=row.get("askings"),
        violations=tuple(one for one in wrong if (one.generator, one.value) == place),
        recognised=row.get("recognised"),
        recognised_key=row.get("recognised_key"),
    )
