"""The tables of the report, as text cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from valact_eval.key import VALUES
from valact_eval.plot_style import titled
from valact_eval.stats import reference
from valact_eval.stats.analyse import Results
from valact_eval.stats.estimate import Estimate
from valact_eval.stats.respondent import RespondentResult


@dataclass(frozen=True)
class Table:
    """A table of the page; the first column names the row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def summary(models: Sequence[RespondentResult]) -> Table:
    """One row a model: declared-enacted r, its ceiling, and accuracies."""
    head = (
        *("model", "declared-enacted r", "noise ceiling", "r corrected", "Spearman"),
        *("selection", "adoption", "adoption - selection"),
    )
    rows = []
    for one in models:
        tasks = {task.task: task.accuracy for task in one.tasks}
        gap, top, role = one.gaps[0] if one.gaps else None, one.ceiling, one.role_play
        rows.append(
            (
                one.respondent,
                _cell(gap.pearson.estimate if gap else None, 2),
                _number(top.ceiling if top else None, 2),
                _cell(top.corrected if top else None, 2),
                _cell(gap.spearman.estimate if gap else None, 2),
                _cell(tasks.get("selection")),
                _cell(tasks.get("adoption")),
                _cell(role.overall.difference if role else None),
            )
        )
    return Table("", head, rows)


def outcomes(models: Sequence[RespondentResult]) -> Table:
    """One row a model and task: how many replies are ok, invalid, refused, truncated."""
    rows = [
        (
            f"{one.respondent}, {task.task}",
            f"{task.questions:,} x {len(task.variants)}",
            f"{task.scenarios:,}",
            *(_number(share.estimate) for share in task.outcomes.values()),
        )
        for one in models
        for task in one.tasks
    ]
    for one in models:
        if one.declared is not None:
            told = one.declared
            asked = max(sum(told.outcomes.values()), 1)
            shares = (_number(count / asked) for count in told.outcomes.values())
            name = f"{one.respondent}, {told.instrument}"
            rows.append((name, f"{told.runs} x {len(told.variants)}", "-", *shares))
    head = ("asked", "questions or runs x prompts", "scenarios", "ok", "invalid", "refused")
    return Table("What became of the replies", (*head, "truncated"), rows)


def values(one: RespondentResult) -> Table:
    """One row a value: what a model enacts and declares."""
    rows = []
    for v, value in enumerate(VALUES):
        acted = one.enacted.values[v] if one.enacted else None
        liked = one.choice_model.values[v] if one.choice_model else None
        told = one.declared.values[v] if one.declared else None
        rows.append(
            (
                titled(value),
                _cell(acted.enacted_share if acted else None),
                _cell(acted.preference if acted else None),
                _cell(liked.share_without_letters if liked else None),
                _cell(liked.utility if liked else None, 2),
                _cell(told.raw if told else None, 2),
                _cell(told.centred if told else None, 2),
                _number(told.run_sd if told else None, 2),
            )
        )
    head = ("value", "enacted share", "preference", "share without letters", "utility, logits")
    return Table(one.respondent, (*head, "declared", "declared, centred", "SD over runs"), rows)


def left_out(models: Sequence[RespondentResult]) -> Table:
    """One row a value: r of each model without that value."""
    shown = [one for one in models if one.gaps]
    rows = []
    for k, left in enumerate(shown[0].gaps[0].leave_one_out if shown else ()):
        cells = (_number(one.gaps[0].leave_one_out[k].pearson, 2) for one in shown)
        rows.append((titled(left.value), *cells))
    head = ("r without", *(one.respondent for one in shown))
    return Table("", head, rows)


def r_table(models: Sequence[RespondentResult]) -> Table:
    """One row a model and measure of enacting, and the published models below."""
    rows: list[tuple[str, ...]] = []
    for one in models:
        for gap in one.gaps:
            r = gap.pearson
            name = gap.measure.replace("_", " ")
            chance = "-" if r.chance is None else f"[{r.chance[0]:.2f}, {r.chance[1]:.2f}]"
            fisher = "-" if r.fisher is None else f"[{r.fisher[0]:.2f}, {r.fisher[1]:.2f}]"
            cells = (_cell(r.estimate, 2), _cell(gap.spearman.estimate, 2), fisher, chance)
            rows.append((f"{one.respondent}, {name}", *cells, _p(r.permutation_p)))
    found = reference.reference()
    for model, r_ in found.pearson.items():
        low, high = found.fisher[model]
        published = (f"{r_:.2f}", f"{found.spearman[model]:.2f}", f"[{low:.2f}, {high:.2f}]")
        rows.append((f"{model} (published)", *published, "-", "-"))
    head = ("enacted measure", "Pearson r", "Spearman", "if the ten values were a sample")
    return Table("", (*head, "95 % of random pairings", "p of random pairings"), rows)


def pair_table(results: Results) -> Table:
    """One row a pair of models: how alike their profiles and their answers are."""
    people = {one.respondent for one in results.respondents if one.person}
    rows = [
        (
            f"{pair.one} and {pair.two}",
            _cell(pair.enacted_pearson, 2),
            _number(pair.declared_pearson, 2),
            f"{pair.questions:,}",
            _cell(pair.same_option),
            _number(pair.by_profiles),
            _cell(pair.beyond_profiles),
        )
        for pair in results.agreements
        if pair.one not in people
    ]
    head = ("models", "enacted r", "declared r", "answers in common", "same option")
    return Table("", (*head, "by profiles alone", "beyond profiles"), rows)


def role_play(one: RespondentResult) -> Table:
    """One row a value: accuracy in selection and adoption, and their difference."""
    assert one.role_play is not None
    rows = [
        (
            "All values" if row.value == "all" else titled(row.value),
            _number(row.selection),
            _number(row.adoption),
            _cell(row.difference),
            _p(row.p),
            _p(row.p_holm),
            _cell(row.given_recognised),
            _p(row.welch_p),
        )
        for row in (one.role_play.overall, *one.role_play.values)
    ]
    head = ("value", "selection", "adoption", "adoption - selection", "p", "p, Holm")
    last = ("given recognised on other prompts", "p of Welch over prompts (as published)")
    return Table(one.respondent, (*head, *last), rows)


def bias(models: Sequence[RespondentResult]) -> Table:
    """One row a model and letter, generator and length: chosen beside chance."""
    rows = []
    for one in models:
        if one.bias is None:
            continue
        for letter in one.bias.letters:
            rows.append((f"{one.respondent}, letter {letter.letter}", _cell(letter.share), "0.250"))
        for writer in one.bias.generators:
            own = " (its own family)" if writer.own else ""
            name = f"{one.respondent}, options by {writer.generator}{own}"
            rows.append((name, _cell(writer.share), _number(writer.offered)))
        name = f"{one.respondent}, the longest option"
        rows.append((name, _cell(one.bias.length.longest), "0.250"))
    return Table("", ("choices of", "share", "chance"), rows)


def domains(models: Sequence[RespondentResult]) -> Table:
    """One row a model and domain."""
    rows = [
        (
            f"{one.respondent}, {part.domain}",
            f"{part.n:,}",
            _number(part.r_with_overall, 2),
            _cell(part.declared_pearson, 2),
        )
        for one in models
        for part in one.domains
    ]
    return Table("", ("domain", "answers", "r with all domains", "declared-enacted r"), rows)


def people(results: Results) -> Table:
    """One row a model beside people of the same number of questions."""
    rows = []
    for row in results.contrasts:
        if row.people_r and row.model_r:
            r, short = row.people_r, row.model_r
            rows.append(
                (
                    row.model,
                    f"{row.people} people, {row.items} questions",
                    f"{r.mean:.2f} [{r.low:.2f}, {r.high:.2f}]",
                    f"{short.mean:.2f} [{short.low:.2f}, {short.high:.2f}]",
                    _number(row.people_outside, 2),
                )
            )
    head = ("model", "beside", "people's r", "model's r", "share of people outside the model's")
    return Table("", head, rows)


def groups(results: Results) -> Table:
    """One row a figure: the means of groups of models, and p by permutation."""
    rows = [
        (
            test.figure.replace("_", " "),
            ", ".join(f"{group} {mean:.3f}" for group, mean in test.means.items()),
            _p(test.p),
            _number(test.least_p),
            _p(test.p_holm),
        )
        for test in results.groups
    ]
    return Table("", ("figure", "group means", "p", "least possible p", "p, Holm"), rows)


def published() -> Table:
    """One row a published model, and their mean."""
    found = reference.reference()
    rows = [
        (
            model,
            f"{r:.3f}",
            f"{found.spearman[model]:.2f}",
            f"{found.selection_accuracy[model]:.3f}" if model in found.selection_accuracy else "-",
            f"{found.adoption_accuracy[model]:.3f}" if model in found.adoption_accuracy else "-",
        )
        for model, r in found.pearson.items()
    ]
    rows.append(("mean", f"{found.mean_pearson:.3f}", f"{found.mean_spearman:.2f}", "-", "-"))
    head = ("model", "declared-enacted r", "Spearman", "selection", "adoption")
    return Table(f"Recomputed from {found.source}", head, rows)


def published_together() -> Table:
    """What the published models show together."""
    found = reference.reference()
    largest = f"{found.largest_drop_model}, {titled(found.largest_drop_value)}"
    rows = [
        ("mean r without self-direction", f"{found.mean_pearson_without_self_direction:.2f}"),
        ("r between models' enacted profiles, mean", f"{found.mean_intermodel_enacted:.3f}"),
        ("r between models' enacted profiles, least", f"{found.min_intermodel_enacted:.3f}"),
        ("r between models' declared profiles, mean", f"{found.mean_intermodel_declared:.2f}"),
        ("r between models' declared profiles, least", f"{found.min_intermodel_declared:.2f}"),
        (f"largest drop in points ({largest})", f"{found.largest_drop_points:.2f}"),
        (f"Welch tests with p < .05, of {found.welch_tests}", f"{found.welch_p05}"),
        ("of these after Holm", f"{found.welch_holm}"),
    ]
    return Table("All ten", ("figure", ""), rows)


def _cell(found: Estimate | None, digits: int = 3) -> str:
    return "-" if found is None else found.explain(digits)


def _number(figure: float | None, digits: int = 3) -> str:
    return "-" if figure is None else f"{figure:.{digits}f}"


def _p(p: float | None) -> str:
    return "<0.001" if p is not None and p < 0.0005 else _number(p)
