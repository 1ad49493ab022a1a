import math
from itertools import permutations

import numpy as np
import pytest
from eval_stats import SLOPE, answers_of, boot_of, default_of
from scipy import stats

from valact_eval.key import VALUES
from valact_eval.stats.ceiling import ceiling, enacted_reliability, split
from valact_eval.stats.circle import ANGLES, HIGHER_ORDER
from valact_eval.stats.circumplex import circumplex, waves
from valact_eval.stats.declared import profile, run_bootstrap
from valact_eval.stats.enacted import profiles
from valact_eval.stats.gap import fisher, gap, pairings
from valact_eval.stats.simulate import Respondent, shares_of

WAVE = tuple(3.5 + 1.2 * math.cos(angle - math.radians(170)) for angle in ANGLES)
WHO = Respondent("m", utilities=SLOPE, declared=WAVE, scenario_sd=0.3)


def parts(who=WHO, scenarios=100, runs=6, draws=400):
    table, answers = default_of(who, scenarios), answers_of(who, runs)
    shares = profiles(table, boot_of(table, draws))[0]
    scores = profile(answers, run_bootstrap(answers, draws, 0))
    return table, answers, shares, scores, {"n": table.n, "clusters": table.clusters, "runs": runs}


def test_coefficients_are_scipys():
    *_, shares, scores, sizes = parts()
    found = gap("enacted_share", shares, scores, **sizes)
    x, y = shares.figures, scores.figures
    assert found.pearson.estimate.estimate == pytest.approx(stats.pearsonr(x, y)[0])
    assert found.spearman.estimate.estimate == pytest.approx(stats.spearmanr(x, y)[0])
    interval = stats.pearsonr(x, y).confidence_interval()
    assert found.pearson.fisher == pytest.approx((interval.low, interval.high))
    for v, row in enumerate(found.leave_one_out):
        assert row.value == VALUES[v]
        assert row.pearson == pytest.approx(stats.pearsonr(*np.delete([x, y], v, 1))[0])
        assert row.spearman == pytest.approx(stats.spearmanr(*np.delete([x, y], v, 1))[0])


def test_values_as_a_sample_are_far_less_sure_than_scenarios():
    _, _, shares, scores, sizes = parts(scenarios=300)
    found = gap("enacted_share", shares, scores, **sizes).pearson
    width = np.diff(np.arctanh([found.estimate.low, found.estimate.high]))
    assert np.diff(np.arctanh(found.fisher)) > 3 * width


def test_random_pairings_agree_with_all_of_them():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7))
    every = np.array([np.corrcoef(x, y[list(order)])[0, 1] for order in permutations(range(7))])
    (low, high), p, turned = pairings(x, y)
    assert p == pytest.approx(np.mean(np.abs(every) >= abs(np.corrcoef(x, y)[0, 1])), abs=0.012)
    assert (low, high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.02)
    assert turned >= 1 / 7


def test_fisher_of_spearman_is_wider():
    assert fisher(0.5, 10, factor=math.sqrt(1.06))[0] < fisher(0.5, 10)[0]


def test_one_run_is_named_as_such():
    _, _, shares, scores, sizes = parts(runs=1)
    found = gap("enacted_share", shares, scores, **sizes).pearson.estimate
    assert "one questionnaire run, taken as exact" in found.over
    assert found.low < found.estimate < found.high


def test_few_runs_widen_the_interval():
    noisy = Respondent("m", utilities=SLOPE, declared=WAVE, score_sd=2.5)
    _, _, shares, scores, sizes = parts(noisy, scenarios=2000, runs=2)
    two = gap("enacted_share", shares, scores, **sizes).pearson.estimate
    _, _, shares, scores, sizes = parts(noisy, scenarios=2000, runs=60)
    many = gap("enacted_share", shares, scores, **sizes).pearson.estimate
    # one degree of freedom: t of 12.7 instead of 2, beside the larger error
    assert math.atanh(two.high) - math.atanh(two.low) > 6 * (
        math.atanh(many.high) - math.atanh(many.low)
    )


def test_a_flat_profile_has_no_r():
    flat = Respondent("m", utilities=SLOPE, declared=(4.0,) * 10, score_sd=0.0)
    _, answers, shares, scores, sizes = parts(flat)
    found = gap("enacted_share", shares, scores, **sizes)
    assert found.pearson.estimate.estimate is None
    assert found.pearson.fisher is None
    circle = circumplex(shares, scores, scores=answers.outcomes["ok"], **sizes)
    assert circle.declared.peak is None


def test_waves_come_back():
    level, amplitude, peak = waves(np.array(WAVE))
    assert (level, amplitude, peak) == pytest.approx((3.5, 1.2, 170))
    table, answers, shares, scores, sizes = parts(scenarios=400)
    found = circumplex(shares, scores, scores=answers.outcomes["ok"], **sizes)
    assert found.declared.r_squared > 0.95
    assert found.declared.peak == pytest.approx(170, abs=6)
    assert found.declared.amplitude.low < 1.2 < found.declared.amplitude.high + 0.1
    # SLOPE rises around the circle from self-direction to universalism
    assert found.enacted.peak == pytest.approx(waves(np.array(SLOPE))[2], abs=15)
    assert found.turn.low < found.turn.estimate < found.turn.high
    assert found.axes[0].enacted.high < 0
    assert table.n == sizes["n"]


def test_turn_is_covered_and_withheld_without_a_wave():
    true = waves(shares_of(np.array(SLOPE)))[2] - 170
    blind = Respondent("m", declared=WAVE)
    _, answers, shares, scores, sizes = parts(blind, scenarios=20)
    assert circumplex(shares, scores, scores=1, **sizes).turn.low is None
    hits = 0
    for seed in range(100):
        table, answers = default_of(WHO, 60, 1, seed), answers_of(WHO, 6, 1, seed)
        found = circumplex(
            profiles(table, boot_of(table, 200, seed))[0],
            profile(answers, run_bootstrap(answers, 200, seed)),
            n=table.n,
            clusters=60,
            runs=6,
            scores=240,
        )
        hits += found.turn.low < true < found.turn.high
    assert 88 <= hits <= 99


def test_higher_order_weights():
    assert sum(sum(weights.values()) for weights in HIGHER_ORDER.values()) == 10


def test_halves_are_halves():
    for n in (2, 5, 60):
        sizes = split([str(k) for k in range(n)], "x").sum(axis=1)
        assert set(sizes.tolist()) == {n // 2, (n + 1) // 2}


def test_the_ceiling():
    table, answers, shares, scores, sizes = parts(scenarios=40, runs=4)
    raw = gap("enacted_share", shares, scores, **sizes).pearson.estimate
    found = ceiling(table, answers, raw)
    assert found.ceiling == pytest.approx(math.sqrt(found.enacted * found.declared_runs))
    assert found.corrected.estimate == pytest.approx(raw.estimate / found.ceiling)
    assert abs(found.corrected.estimate) > abs(raw.estimate)
    assert found.declared_by == "runs"
    # the same by another way: errors from the bootstrap
    error = shares.draws.var(axis=0).mean()
    assert found.enacted == pytest.approx(1 - error / shares.figures.var(), abs=0.06)
    longer = enacted_reliability(default_of(WHO, 600))
    assert longer > found.enacted
    assert longer > 0.97


def test_noise_is_not_corrected():
    blind = Respondent("m", declared=WAVE)
    table, answers, shares, scores, sizes = parts(blind, scenarios=12, runs=1)
    raw = gap("enacted_share", shares, scores, **sizes).pearson.estimate
    found = ceiling(table, answers, raw)
    assert found.declared_by == "items"
    assert found.enacted < 0.25
    assert found.corrected.estimate is None
    assert raw.estimate is not None
