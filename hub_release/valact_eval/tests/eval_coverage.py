"""Simulated studies: each estimand's interval and its true value."""

from functools import lru_cache

import numpy as np
import polars as pl

from valact_eval.key import VALUES
from valact_eval.stats import reference
from valact_eval.stats.agreement import agreement
from valact_eval.stats.bias import bias
from valact_eval.stats.ceiling import ceiling
from valact_eval.stats.circumplex import circumplex
from valact_eval.stats.declared import declared, profile, run_bootstrap, value_scores
from valact_eval.stats.enacted import correlate, counts, enacted, profiles, ranks
from valact_eval.stats.estimate import Estimate, mean_over, ratio
from valact_eval.stats.gap import gap
from valact_eval.stats.logit import choice_model, fit
from valact_eval.stats.outcomes import summary
from valact_eval.stats.prompts import prompt_sensitivity
from valact_eval.stats.resample import bootstrap
from valact_eval.stats.roleplay import role_play
from valact_eval.stats.simulate import Respondent, answer, choose, deal, utilities_of
from valact_eval.stats.table import read_answers, read_choices

VARIANTS = 3


@lru_cache(maxsize=1)
def respondents() -> tuple[Respondent, Respondent]:
    shares, scores = reference.profile("enacted_share"), reference.profile("declared_mean")
    common = {
        "scenario_sd": 0.5,
        "taste": 0.5,
        "invalid": 0.04,
        "generators": (0.15, -0.15),
        "per_doubling": 0.3,
        "score_sd": 0.8,
    }
    one = Respondent(
        "one",
        utilities=utilities_of(shares["gpt-4o"], 0.8),
        letters=(0.5, 0.1, -0.2, -0.4),
        declared=tuple(scores["gpt-4o"]),
        **common,
    )
    two = Respondent(
        "two",
        utilities=utilities_of(shares["claude-sonnet-4"], 0.6),
        letters=(0.0, 0.2, 0.1, -0.3),
        declared=tuple(scores["claude-sonnet-4"]),
        **common,
    )
    return one, two


def study(scenarios: int, runs: int, seed: int, draws: int) -> dict[str, Estimate]:
    """One study of two respondents; every named estimand with its interval."""
    rng = np.random.default_rng(seed)
    one, two = respondents()
    questions = deal(scenarios, rng)
    tasks = ("default", "selection", "adoption")
    frames = [choose(one, questions, task, VARIANTS, rng) for task in tasks]
    frames.append(choose(two, questions, "default", VARIANTS, rng))
    tables = {(t.respondent, t.task): t for t in read_choices(pl.concat(frames))}
    (answers,) = read_answers(answer(one, runs, VARIANTS, rng))
    default, other = tables["one", "default"], tables["two", "default"]
    boot = bootstrap(default.scenarios, draws, seed, "scenarios")
    boot_runs = run_bootstrap(answers, draws, seed)

    acted, told = enacted(default, boot), declared(answers, boot_runs)
    fitted = fit(default)
    model = choice_model(default, boot, fitted)
    shares, preferences = profiles(default, boot)
    scores = profile(answers, boot_runs)
    sizes = {"n": default.n, "clusters": default.clusters, "runs": runs}
    raw = gap("enacted_share", shares, scores, **sizes)
    top = ceiling(default, answers, raw.pearson.estimate)
    circle = circumplex(shares, scores, scores=answers.outcomes["ok"], **sizes)
    sway, spread = bias(default, boot), prompt_sensitivity(default, boot)
    roles = role_play(tables["one", "selection"], tables["one", "adoption"], boot)
    both = agreement(default, other, (fitted, fit(other)), (shares, profiles(other, boot)[0]), boot)
    chosen = summary(tables["one", "selection"], boot)
    found = {
        "declared-enacted pearson": raw.pearson.estimate,
        "declared-enacted spearman": raw.spearman.estimate,
        "pearson of preferences": gap("preference", preferences, scores, **sizes).pearson.estimate,
        "pearson corrected for attenuation": top.corrected,
        "axis openness - conservation, enacted": circle.axes[0].enacted,
        "axis difference": circle.axes[0].difference,
        "amplitude of the enacted profile": circle.enacted.amplitude,
        "profile r of two respondents": both.enacted_pearson,
        "same option as another respondent": both.same_option,
        "agreement beyond profiles": both.beyond_profiles,
        "selection accuracy": chosen.accuracy,
        "selection accuracy over all": chosen.accuracy_all,
        "invalid replies": summary(default, boot).outcomes["invalid"],
        "role-play difference": roles.overall.difference,
        "role-play given recognised": roles.overall.given_recognised,
        "own-generator share": sway.generators[0].share,
        "longest option": sway.length.longest,
        "generator utility": model.generators[0].utility,
        "utility per doubling of words": model.per_doubling,
        "same option under two prompts": spread.same_option,
        "same letter under two orders": spread.same_letter,
        "mean rating": told.mrat,
    }
    for v in (0, 2, 5, 9):
        name = VALUES[v]
        found |= {
            f"enacted share {name}": acted.values[v].enacted_share,
            f"preference {name}": acted.values[v].preference,
            f"utility {name}": model.values[v].utility,
            f"share without letters {name}": model.values[v].share_without_letters,
            f"declared {name}": told.values[v].raw,
            f"declared centred {name}": told.values[v].centred,
            f"role-play difference {name}": roles.values[v].difference,
            f"selection accuracy {name}": chosen.by_value[name],
        }
    for k, letter in enumerate("ABCD"):
        found[f"letter share {letter}"] = sway.letters[k].share
        found[f"letter utility {letter}"] = model.letters[k]
    return found


def truths(scenarios: int, runs: int, seed: int, times: int = 100) -> dict[str, float]:
    """What the same figures are without sampling: one study ``times`` as large.

    Only an r of profiles depends on their length: its truth is its mean over ``times`` studies
    of the length in question, into which the large one is cut.
    """
    found = study(scenarios * times, runs * times, seed, 2)
    rng = np.random.default_rng(seed)
    questions = deal(scenarios * times, rng)
    one, two = respondents()
    enacted_ = []
    for who in (one, two):
        (table,) = read_choices(choose(who, questions, "default", VARIANTS, rng))
        chosen, valid, _ = (x.reshape(times, scenarios, *x.shape[1:]) for x in counts(table))
        enacted_.append(mean_over(ratio(chosen.sum(axis=1), valid.sum(axis=1)), 1))
    (answers,) = read_answers(answer(one, runs * times, VARIANTS, rng))
    scores = mean_over(value_scores(answers).reshape(times, -1, 10), 1)
    values = {name: estimate.estimate for name, estimate in found.items()}
    values["profile r of two respondents"] = mean_r(*enacted_)
    values["declared-enacted pearson"] = mean_r(enacted_[0], scores)
    values["declared-enacted spearman"] = mean_r(ranks(enacted_[0]), ranks(scores))
    values["pearson of preferences"] = values["declared-enacted pearson"]
    return values


def mean_r(one, two):
    return float(np.tanh(np.arctanh(correlate(one, two)).mean()))
