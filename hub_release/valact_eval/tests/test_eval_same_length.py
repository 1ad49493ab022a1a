import json

import numpy as np
import pytest
from eval_stats import SLOPE, answers_of, default_of

from valact_eval.errors import ValactError
from valact_eval.stats import reference
from valact_eval.stats.identical_people import identical_people
from valact_eval.stats.resample import uniforms
from valact_eval.stats.same_length import (
    _by_scenario,
    contrast,
    matched_length,
    questions_a_scenario,
    short_profiles,
)
from valact_eval.stats.simulate import Respondent, shares_of, utilities_of

RISING = tuple(np.linspace(2, 5, 10).tolist())
WHO = Respondent("m", utilities=SLOPE, declared=RISING)


def test_identical_people_show_the_published_spread():
    """Length alone makes r between people run from about -0.7 to 0.9."""
    found = identical_people()
    assert (found.people, found.questions) == (55, 80)
    assert found.between_low == pytest.approx(-0.7, abs=0.1)
    assert found.between_high == pytest.approx(0.9, abs=0.05)
    assert found.declared_high - found.declared_low > 1
    assert found.declared_mean < found.declared_true - 0.1
    longer = identical_people(questions=15_000, people=4, studies=1)
    assert longer.between_low > 0.95
    assert longer.declared_mean == pytest.approx(longer.declared_true, abs=0.05)


def test_identical_people_command(cli):
    code, out, err = cli("identical-people", "--studies", 3)
    assert (code, err) == (0, "")
    assert "55 identical people, 80 questions each" in out
    code, out, _ = cli("identical-people", "--json", "--strength", 0, "--studies", 2)
    assert code == 0
    assert json.loads(out)["declared_true"] is None


def test_utilities_give_the_shares():
    shares = reference.mean_profile("enacted_share") / 100
    assert shares_of(np.array(utilities_of(shares))) == pytest.approx(shares / shares.sum())
    assert shares_of(np.array(utilities_of(shares, 0))) == pytest.approx([0.1] * 10)


def test_a_model_cut_short_is_as_noisy_as_a_person():
    table, answers = default_of(WHO, 400, 2), answers_of(WHO, 5, 2)
    found = matched_length(table, answers, 80, per_scenario=5)
    people = [
        float(np.corrcoef(*(x[0] for x in short_profiles(one, told, 80, 1)))[0, 1])
        for one, told in (
            (default_of(WHO, 16, 1, seed), answers_of(WHO, 1, 1, seed)) for seed in range(200)
        )
    ]
    assert found.pearson.mean == pytest.approx(np.mean(people), abs=0.03)
    low, high = np.quantile(people, [0.025, 0.975])
    assert (found.pearson.low, found.pearson.high) == pytest.approx((low, high), abs=0.1)
    # questions drawn at random do not offer each value equally often
    loose = matched_length(table, answers, 80)
    assert loose.with_itself.mean < found.with_itself.mean - 0.02
    whole = matched_length(table, answers, 2000).with_itself
    assert (whole.low, whole.high) == pytest.approx((1, 1))


def test_short_profiles_are_made_of_so_many_answers():
    table, answers = default_of(WHO, 20, 3), answers_of(WHO)
    shares, scores = short_profiles(table, answers, 30, 50)
    assert shares.shape == scores.shape == (50, 10)
    assert shares * 30 == pytest.approx(np.rint(shares * 30))
    assert shares.sum(axis=1) == pytest.approx(1)
    again, _ = short_profiles(table, None, 30, 50)
    assert (again == shares).all()
    assert len(np.unique(shares, axis=0)) > 40
    spread, _ = short_profiles(table, None, 20, 40, per_scenario=1)
    assert spread.sum(axis=1) == pytest.approx(1)
    with pytest.raises(ValactError, match="m has only 100 valid answers under prompt 0; give 100"):
        short_profiles(table, answers, 101)


def test_people_and_models_are_compared_at_one_length_only():
    person = Respondent("p", utilities=SLOPE, declared=RISING)
    people = [
        (default_of(person, 16, 1, seed), answers_of(person, 1, 1, seed)) for seed in range(40)
    ]
    model = (default_of(WHO, 300, 2), answers_of(WHO, 5, 2))
    with pytest.raises(ValactError, match=r"m \(3000 answers\) with people \(as few as 80\)"):
        contrast(people, model, None)
    with pytest.raises(ValactError, match="only 80 valid answers; give 80 or less"):
        contrast(people, model, 81)
    with pytest.raises(ValactError, match="no person has a valid answer"):
        contrast([], model, 80)
    found = contrast(people, model, 80)
    assert (found.people, found.items, found.per_scenario) == (40, 80, 5)
    # they are alike, and compared so they look alike
    assert abs(found.difference) < 0.06
    assert found.people_outside <= 0.2
    assert found.between_people.mean == pytest.approx(found.model_with_itself.mean, abs=0.05)
    other = Respondent("q", utilities=SLOPE[::-1], declared=RISING)
    unlike = [(default_of(other, 16, 1, k), answers_of(other, 1, 1, k)) for k in range(40)]
    assert contrast(unlike, model, 80).people_outside > 0.9


def test_questions_a_scenario():
    whole = default_of(WHO, 8, 2)
    assert questions_a_scenario([whole, whole]) == 5
    some = whole.where(whole.question % 5 < 2)
    assert questions_a_scenario([some]) == 2


def test_one_question_of_each_scenario_comes_first():
    table = default_of(WHO, 30, 1)
    keys = uniforms([str(k) for k in range(150)], 20, "x")
    ordered = np.argsort(_by_scenario(keys, table.scenario, table, 1, "p"), axis=1)
    for row in ordered:
        assert len(set(table.scenario[row[:30]].tolist())) == 30
    whole = np.argsort(_by_scenario(keys, table.scenario, table, 5, "p"), axis=1)
    for row in whole:
        assert (np.diff(table.scenario[row].reshape(30, 5)) == 0).all()
