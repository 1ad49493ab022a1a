"""Results as a short printed report."""

from valact_eval.key import VALUES
from valact_eval.stats.analyse import Results
from valact_eval.stats.estimate import Estimate
from valact_eval.stats.respondent import RespondentResult
from valact_eval.stats.roleplay import RoleFigure


def lines(results: Results) -> list[str]:
    """The report; brackets are intervals over scenarios (declared scores: over runs)."""
    percent = f"{100 * results.level:g} %"
    found = [f"{percent} intervals in brackets: over scenarios, declared scores over runs"]
    people = {result.respondent for result in results.respondents if result.person}
    for result in results.respondents:
        if not result.person:
            found += _respondent(result)
    if people:
        found += ["", f"{len(people)} people: their own figures are in the JSON"]
    for pair in results.agreements:
        if pair.one in people:
            continue
        found += [
            f"{pair.one} and {pair.two}: profiles r {pair.enacted_pearson.explain(2)}, one option "
            f"{pair.same_option.explain()} of {pair.questions:,} questions "
            f"(chance 0.250, by profiles alone {_number(pair.by_profiles)})"
        ]
    for row in results.contrasts:
        if row.people_r and row.model_r:
            found.append(
                f"{row.people} people and {row.model} at {row.items} questions: declared-enacted "
                f"r {row.people_r.mean:.2f} and {row.model_r.mean:.2f}; 95 % of short forms of "
                f"the model between {row.model_r.low:.2f} and {row.model_r.high:.2f}, "
                f"{row.people_outside:.0%} of people outside"
            )
    for test in results.groups:
        means = ", ".join(f"{group} {mean:.3f}" for group, mean in test.means.items())
        found.append(
            f"{test.figure}: {means}; p {_p(test.p)} (least possible {test.least_p:.3f}, "
            f"Holm {_p(test.p_holm)})"
        )
    return found + [f"note: {note}" for note in results.notes]


def domain_lines(results: Results) -> list[str]:
    """Each respondent's enacted shares by domain, with the r of each; intervals over scenarios."""
    found = []
    for result in results.respondents:
        if not result.domains:
            continue
        found += ["", result.respondent]
        parts = result.domains
        found.append(f"  {'enacted share':<24}" + "".join(f"{part.domain:<22}" for part in parts))
        for v, value in enumerate(VALUES):
            cells = (part.enacted.values[v].enacted_share.explain() for part in parts)
            found.append(f"  {value:<24}" + "".join(f"{cell:<22}" for cell in cells))
        rows = {
            "valid answers": [f"{part.n:,}" for part in parts],
            "r with all domains": [_number(part.r_with_overall) for part in parts],
            "declared-enacted r": [
                "n/a" if part.declared_pearson is None else part.declared_pearson.explain(2)
                for part in parts
            ],
        }
        for name, cells_ in rows.items():
            found.append(f"  {name:<24}" + "".join(f"{cell:<22}" for cell in cells_))
    return [line.rstrip() for line in found[1:]] or ["no valid answer in the task default"]


def _respondent(result: RespondentResult) -> list[str]:
    found = ["", result.respondent]
    for task in result.tasks:
        became = ", ".join(
            f"{name} {share.estimate:.3f}"
            for name, share in task.outcomes.items()
            if share.estimate is not None and (name == "ok" or share.estimate > 0)
        )
        right = "" if task.accuracy is None else f"; accuracy {task.accuracy.explain()}"
        found.append(
            f"  {task.task}: {task.questions:,} questions x {len(task.variants)} prompts: "
            f"{became}{right}"
        )
    if result.declared is not None:
        told = result.declared
        every = sum(told.outcomes.values())
        became = ", ".join(
            f"{name} {count / every:.3f}"
            for name, count in told.outcomes.items()
            if name == "ok" or count
        )
        found.append(
            f"  {told.instrument}: {told.runs} runs x {len(told.variants)} prompts: {became}; "
            f"mean rating {told.mrat.explain(2)}"
        )
        if told.flat_runs:
            every = told.runs * len(told.variants)
            found.append(
                f"    {told.flat_runs} of {every} questionnaires rate every item alike and say "
                "nothing of values"
            )
    found += _values(result)
    if result.gaps:
        shares = result.gaps[0]
        fisher = shares.pearson.fisher
        found.append(
            f"  declared-enacted r {shares.pearson.estimate.explain()}, "
            f"Spearman {shares.spearman.estimate.explain()}"
        )
        if fisher is not None:
            found.append(
                f"    if the ten values were a sample: [{fisher[0]:.2f}, {fisher[1]:.2f}]; "
                f"random pairings as far from 0: p {_p(shares.pearson.permutation_p)}"
            )
        known = [row for row in shares.leave_one_out if row.pearson is not None]
        if known:
            low, high = (f(known, key=lambda row: row.pearson or 0.0) for f in (min, max))
            found.append(
                f"    without one value: {_number(low.pearson)} ({low.value}) to "
                f"{_number(high.pearson)} ({high.value})"
            )
    if result.ceiling is not None:
        top = result.ceiling
        found.append(
            f"    noise ceiling {_number(top.ceiling)} (enacted {_number(top.enacted)}, declared "
            f"by {top.declared_by}); corrected r {top.corrected.explain()}"
        )
    if result.bias is not None:
        letters = "  ".join(f"{row.letter} {row.share.explain()}" for row in result.bias.letters)
        found.append(f"  letters (chance 0.250): {letters}")
        for row in result.bias.generators:
            if row.own:
                found.append(
                    f"  options by its own family ({row.generator}): {row.share.explain()}, "
                    f"offered {_number(row.offered)}"
                )
    if result.prompts is not None:
        found.append(
            f"  same option under two prompts: {result.prompts.same_option.explain()}; "
            f"least r between prompts' profiles {_number(result.prompts.least_r)}"
        )
    if result.role_play is not None:
        found.append(
            f"  {'role-play':<18}{'selection':>9}{'adoption':>9}  {'adoption - selection':<24}"
            "  p (Holm)"
        )
        found += [_role(row) for row in (result.role_play.overall, *result.role_play.values)]
    return found


def _values(result: RespondentResult) -> list[str]:
    if result.enacted is None and result.declared is None:
        return []
    rows = [
        f"  {'value':<18}{'enacted share':<22}{'preference':<22}{'without letters':<22}"
        f"{'declared':<20}centred"
    ]
    for v, value in enumerate(VALUES):
        cells: list[Estimate | None] = [None] * 5
        if result.enacted is not None:
            cells[0] = result.enacted.values[v].enacted_share
            cells[1] = result.enacted.values[v].preference
        if result.choice_model is not None:
            cells[2] = result.choice_model.values[v].share_without_letters
        if result.declared is not None:
            cells[3], cells[4] = result.declared.values[v].raw, result.declared.values[v].centred
        shown = [
            "-" if cell is None else cell.explain(3 if k < 3 else 2) for k, cell in enumerate(cells)
        ]
        rows.append(
            f"  {value:<18}{shown[0]:<22}{shown[1]:<22}{shown[2]:<22}{shown[3]:<20}{shown[4]}"
        )
    return rows


def _role(row: RoleFigure) -> str:
    return (
        f"  {row.value:<18}{_number(row.selection):>9}{_number(row.adoption):>9}  "
        f"{row.difference.explain():<24}  {_p(row.p)} ({_p(row.p_holm)})"
    )


def _number(figure: float | None) -> str:
    return "n/a" if figure is None else f"{figure:.3f}"


def _p(p: float | None) -> str:
    return "<0.001" if p is not None and p < 0.0005 else _number(p)
