"""All figures of one respondent, from its tables of answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from valact_eval.key import KEY
from valact_eval.stats.bias import Bias, bias
from valact_eval.stats.ceiling import Ceiling, ceiling
from valact_eval.stats.circumplex import Circumplex, circumplex
from valact_eval.stats.declared import (
    Declared,
    Key,
    declared,
    profile,
    run_bootstrap,
)
from valact_eval.stats.domains import DomainResult, domains
from valact_eval.stats.enacted import Enacted, enacted, profiles
from valact_eval.stats.gap import Gap, Measure, gap
from valact_eval.stats.logit import ChoiceModel, Fit, choice_model, fit, unbiased_shares
from valact_eval.stats.outcomes import TaskSummary, summary
from valact_eval.stats.prompts import PromptSensitivity, prompt_sensitivity
from valact_eval.stats.resample import Bootstrap, Profile
from valact_eval.stats.roleplay import RolePlay, role_play
from valact_eval.stats.same_length import (
    MatchedLength,
    matched_length,
)
from valact_eval.stats.table import Answers, Choices


@dataclass(frozen=True)
class RespondentResult:
    """All figures of one respondent; None or empty where a task or questionnaire is missing.

    ``gaps`` compares the declared scores with the enacted share (published), the preference,
    the utility and the share without letter bias, in this order. ``matched`` is the respondent
    cut to ``match_length`` questions.
    """

    respondent: str
    person: bool
    tasks: tuple[TaskSummary, ...]
    enacted: Enacted | None
    domains: tuple[DomainResult, ...]
    choice_model: ChoiceModel | None
    bias: Bias | None
    prompts: PromptSensitivity | None
    declared: Declared | None
    gaps: tuple[Gap, ...]
    ceiling: Ceiling | None
    circumplex: Circumplex | None
    role_play: RolePlay | None
    matched: MatchedLength | None


@dataclass(frozen=True)
class Settings:
    """How to analyse; ``people`` names the respondents who are persons.

    ``groups`` and ``families`` map a respondent to its group and to the model family whose
    options count as its own.
    """

    people: Collection[str] = ()
    groups: Mapping[str, str] | None = None
    families: Mapping[str, str] | None = None
    key: Key = field(default_factory=lambda: KEY)
    match_length: int | None = None
    draws: int = 2000
    seed: int = 0
    level: float = 0.95


class Respondent:
    """One respondent's tables with what several figures need."""

    def __init__(
        self,
        name: str,
        tables: Mapping[tuple[str, str], Choices],
        answers: Answers | None,
        boot: Bootstrap,
        how: Settings,
        block: int | None,
    ) -> None:
        """Takes everybody's tables; ``block``: the questions of a scenario that people got."""
        self.block = block
        self.name, self.answers, self.boot, self.how = name, answers, boot, how
        self.tables = [table for (of, _), table in tables.items() if of == name]
        default = tables.get((name, "default"))
        self.default = default if default is not None and default.ok.any() else None
        self.fit: Fit | None = None if self.default is None else fit(self.default)
        self.shares: Profile | None = None
        self.preferences: Profile | None = None
        if self.default is not None:
            self.shares, self.preferences = profiles(self.default, boot)
        self.runs = None if answers is None else run_bootstrap(answers, how.draws, how.seed)
        selection, adoption = (tables.get((name, task)) for task in ("selection", "adoption"))
        self.roles: RolePlay | None = None
        if selection is not None and adoption is not None:
            self.roles = role_play(selection, adoption, boot, how.level)

    @property
    def person(self) -> bool:
        """Whether it is a person."""
        return self.name in self.how.people

    def result(self, roles: RolePlay | None) -> RespondentResult:
        """Works everything out; ``roles`` comes adjusted over all respondents."""
        how, table, boot, level = self.how, self.default, self.boot, self.how.level
        family = (how.families or {}).get(self.name)
        gaps, top, circle = self._against_declared()
        matched = None
        if table is not None and how.match_length is not None and not self.person:
            matched = matched_length(
                table,
                self.answers,
                how.match_length,
                seed=how.seed,
                key=how.key,
                per_scenario=self.block,
            )
        told = scores = None
        if self.answers is not None and self.runs is not None:
            told = declared(self.answers, self.runs, how.key, level)
            scores = (profile(self.answers, self.runs, how.key), len(self.answers.runs))
        return RespondentResult(
            respondent=self.name,
            person=self.person,
            tasks=tuple(summary(part, boot, level) for part in self.tables),
            enacted=None if table is None else enacted(table, boot, level),
            domains=() if table is None else domains(table, boot, scores, level),
            choice_model=None if table is None else choice_model(table, boot, self.fit, level),
            bias=None if table is None else bias(table, boot, family, level),
            prompts=None if table is None else prompt_sensitivity(table, boot, level),
            declared=told,
            gaps=gaps,
            ceiling=top,
            circumplex=circle,
            role_play=roles,
            matched=matched,
        )

    def _against_declared(self) -> tuple[tuple[Gap, ...], Ceiling | None, Circumplex | None]:
        table, answers, fitted = self.default, self.answers, self.fit
        if table is None or answers is None or fitted is None or self.runs is None:
            return (), None, None
        if self.shares is None or self.preferences is None:
            return (), None, None
        how = self.how
        told = profile(answers, self.runs, how.key)
        drawn = fitted.draws(self.boot)[:, :10]
        freed, freed_drawn = unbiased_shares(table, fitted, self.boot)
        n, clusters, runs = int(table.ok.sum()), table.clusters, len(answers.runs)
        measures: tuple[tuple[Measure, Profile], ...] = (
            ("enacted_share", self.shares),
            ("preference", self.preferences),
            ("utility", Profile(fitted.theta[:10], drawn, drawn[:0])),
            ("share_without_letters", Profile(freed, freed_drawn, drawn[:0])),
        )
        gaps = tuple(
            gap(measure, acted, told, n=n, clusters=clusters, runs=runs, level=how.level)
            for measure, acted in measures
        )
        return (
            gaps,
            ceiling(table, answers, gaps[0].pearson.estimate, how.key, how.seed),
            circumplex(
                self.shares,
                told,
                n=n,
                clusters=clusters,
                runs=runs,
                scores=answers.outcomes["ok"],
                level=how.level,
            ),
        )
