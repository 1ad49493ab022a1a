import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from eval_stats import SLOPE, answers_of, boot_of, default_of

from valact_eval.errors import ValactError
from valact_eval.stats import text
from valact_eval.stats.agreement import agreement
from valact_eval.stats.analyse import analyse, legend, to_plain
from valact_eval.stats.declared import centred_profile, run_bootstrap
from valact_eval.stats.enacted import profiles
from valact_eval.stats.logit import fit
from valact_eval.stats.respondent import Settings
from valact_eval.stats.simulate import Respondent, answer, choose, deal
from valact_eval.stats.table import read_choices

RISING = tuple(np.linspace(2, 5, 10).tolist())
MODELS = ("gpt-4o", "qwen2.5-72b", "llama-3.1")
PEOPLE = ("p1", "p2", "p3")
GROUPS = {"gpt-4o": "US", "llama-3.1": "US", "qwen2.5-72b": "CN"}


def world(seed=0, scenarios=20):
    rng = np.random.default_rng(seed)
    questions, asked = deal(scenarios, rng), deal(4, rng)
    choices, answers = [], []
    for name in MODELS:
        who = Respondent(
            name, utilities=SLOPE, declared=RISING, invalid=0.05, letters=(0.4, 0, -0.1, -0.3)
        )
        choices += [choose(who, questions, t, 3, rng) for t in ("default", "selection", "adoption")]
        answers.append(answer(who, 4, 3, rng))
    for name in PEOPLE:
        who = Respondent(name, utilities=SLOPE, declared=RISING)
        own = pl.col("question_id", "scenario_id").str.replace("0", "p", literal=True)
        choices.append(choose(who, asked, "default", 1, rng).with_columns(own))
        answers.append(answer(who, 1, 1, rng))
    return pl.concat(choices), pl.concat(answers)


CHOICES, ANSWERS = world()
HOW = Settings(people=PEOPLE, groups=GROUPS, match_length=20, draws=200)
ALL = analyse(CHOICES, ANSWERS, HOW)


def test_everything_is_there():
    assert [r.respondent for r in ALL.respondents] == sorted([*MODELS, *PEOPLE])
    for result in ALL.respondents:
        assert result.person == (result.respondent in PEOPLE)
        assert [gap.measure for gap in result.gaps] == [
            "enacted_share",
            "preference",
            "utility",
            "share_without_letters",
        ]
        assert result.enacted
        assert result.choice_model
        assert result.declared
        assert result.ceiling
        assert result.circumplex
        assert (result.role_play is None) == result.person
        assert (result.matched is None) == result.person
    pairs = [{pair.one, pair.two} for pair in ALL.agreements]
    assert len(pairs) == 6
    assert all(len(pair & set(PEOPLE)) in (0, 2) for pair in pairs)
    assert [row.model for row in ALL.contrasts] == sorted(MODELS)
    assert {test.sizes["US"] for test in ALL.groups} == {2}
    assert len(ALL.groups) == 22
    assert len(ALL.alphas) == 10
    assert ALL.notes == ()


def test_results_are_json_that_explains_itself():
    found = json.loads(json.dumps(to_plain(ALL), allow_nan=False))
    assert found["respondents"][0]["enacted"]["values"][0]["enacted_share"]["over"].startswith(
        "scenarios"
    )
    # every kind of result says what it is
    assert set(found["legend"]) == set(legend(ALL))
    for name in ("Estimate", "Correlation", "RoleFigure", "Ceiling", "Agreement", "GroupTest"):
        assert len(found["legend"][name]) > 80


def test_order_of_rows_changes_no_byte():
    shuffled = [table.sample(fraction=1, shuffle=True, seed=5) for table in (CHOICES, ANSWERS)]
    assert to_plain(analyse(*shuffled, HOW)) == to_plain(ALL)


def test_other_respondents_change_no_byte():
    alone = analyse(
        CHOICES.filter(respondent="gpt-4o"),
        ANSWERS.filter(respondent="gpt-4o"),
        Settings(match_length=20, draws=200),
    ).respondents[0]
    together = next(r for r in ALL.respondents if r.respondent == "gpt-4o")
    # Holm's p is over the whole family, and a model is cut short as the people's test was
    assert alone.role_play.overall.difference == together.role_play.overall.difference
    apart = {"role_play": None, "matched": None}
    assert replace(alone, **apart) == replace(together, **apart)


def test_another_seed_moves_intervals_only():
    other = analyse(CHOICES, ANSWERS, replace(HOW, seed=1)).respondents[0]
    one, two = (r.enacted.values[0].enacted_share for r in (other, ALL.respondents[0]))
    assert one.estimate == two.estimate
    assert one.low != two.low


def test_people_and_models_without_a_length_are_refused():
    found = analyse(CHOICES, ANSWERS, replace(HOW, match_length=None))
    assert found.contrasts == ()
    (note,) = found.notes
    assert note.startswith("refused: comparison of gpt-4o")
    assert "give --match-length 20" in note
    with pytest.raises(ValactError, match="a person has only 20 valid answers"):
        analyse(CHOICES, ANSWERS, replace(HOW, match_length=21))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"people": ("nobody",)}, "people: no respondent 'nobody'; there are gpt-4o"),
        ({"groups": {"x": "US"}}, "groups: no respondent 'x'"),
        ({"families": {"x": "gpt"}}, "families: no respondent 'x'"),
        ({"match_length": 1}, "--match-length 1"),
        ({"draws": 10}, "draws 10"),
        ({"groups": {"gpt-4o": "US"}}, "needs two groups"),
    ],
)
def test_settings_that_do_not_fit(change, said):
    with pytest.raises(ValactError) as caught:
        analyse(CHOICES, ANSWERS, replace(HOW, **change))
    assert said in str(caught.value)


def test_parts_that_are_missing():
    only = analyse(None, ANSWERS, Settings(draws=100))
    assert only.respondents[0].enacted is None
    assert only.respondents[0].declared is not None
    chosen = analyse(CHOICES.filter(task="selection"), ANSWERS.clear(), Settings(draws=100))
    assert chosen.respondents[0].enacted is None
    assert chosen.respondents[0].role_play is None
    assert chosen.respondents[0].tasks[0].accuracy.estimate > 0.5
    with pytest.raises(ValactError, match="nothing to analyse"):
        analyse(CHOICES.clear(), None)


def test_nobody_answers_validly():
    mute = CHOICES.filter(task="default", respondent="gpt-4o").with_columns(
        outcome=pl.lit("refused"),
        choice=pl.lit(None, dtype=pl.Int64),
        letter=pl.lit(None, dtype=pl.Int64),
    )
    found = analyse(mute, ANSWERS, Settings(draws=100)).respondents[0]
    assert found.tasks[0].outcomes["refused"].estimate == 1
    assert found.enacted is None
    assert found.gaps == ()


def test_a_single_scenario_has_figures_and_no_interval():
    first = CHOICES["scenario_id"].min()
    part = CHOICES.filter(pl.col("scenario_id") == first, pl.col("respondent").is_in(MODELS))
    found = analyse(part, None, Settings(draws=100))
    share = found.respondents[0].enacted.values[0].enacted_share
    assert share.estimate is not None
    assert share.low is None
    assert "[-]" in "\n".join(text.lines(found))


def test_progress_and_text():
    said = []
    found = analyse(CHOICES, ANSWERS, HOW, said.append)
    assert said[0] == "gpt-4o: figures"
    report = "\n".join(text.lines(found))
    assert "nan" not in report
    assert "3 people: their own figures are in the JSON" in report
    assert "gpt-4o and llama-3.1: profiles r" in report
    assert "least possible 0.333" in report
    assert "options by its own family (gpt-4o)" in report


def two(taste, same=True, utilities=SLOPE, letters=(0.0,) * 4, scenarios=400):
    rng = np.random.default_rng(0)
    questions = deal(scenarios, rng)
    frames = [
        choose(
            Respondent(
                name,
                utilities=utilities if name == "a" or same else utilities[::-1],
                taste=taste,
                letters=letters,
            ),
            questions,
            "default",
            1,
            rng,
        )
        for name in "ab"
    ]
    a, b = read_choices(pl.concat(frames))
    boot = boot_of(a)
    shares = tuple(profiles(table, boot)[0] for table in (a, b))
    return agreement(a, b, (fit(a), fit(b)), shares, boot)


def test_equal_profiles_hide_disagreement():
    """With one profile and no common taste in options, the profiles foretell the agreement."""
    found = two(0.0)
    assert found.enacted_pearson.estimate > 0.97
    assert found.enacted_pearson_corrected == pytest.approx(1, abs=0.02)
    assert found.same_option.high < 0.45
    assert found.beyond_profiles.low < 0 < found.beyond_profiles.high
    assert found.by_profiles == pytest.approx(found.same_option.estimate, abs=0.03)


def test_common_taste_shows_beyond_profiles():
    found = two(1.5)
    assert found.beyond_profiles.low > 0.05


def test_opposed_profiles_agree_below_chance():
    found = two(0.0, same=False)
    assert found.enacted_pearson.high < -0.85
    assert found.same_option.high < 0.25
    assert found.by_profiles < 0.25


def test_letters_make_agreement_without_values():
    found = two(0.0, utilities=(0.0,) * 10, letters=(2.0, 0.0, -1.0, -1.0))
    assert found.beyond_profiles.low > 0.1
    assert found.by_model == pytest.approx(found.same_option.estimate, abs=0.03)


def test_declared_profiles_of_two():
    rng = np.random.default_rng(0)
    told = [answers_of(Respondent(name, declared=tuple(rng.uniform(2, 5, 10))), 3) for name in "ab"]
    table = default_of(Respondent("a"), 10)
    boot, fitted = boot_of(table), fit(table)
    centred = tuple(centred_profile(t, run_bootstrap(t, 400, 0)) for t in told)
    shares = profiles(table, boot)[0]
    found = agreement(table, table, (fitted, fitted), (shares, shares), boot, centred)
    x, y = (p.figures for p in centred)
    assert found.declared_pearson == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.declared_distance == pytest.approx(np.sqrt(((x - y) ** 2).sum()))
    assert found.same_option.estimate == 1
