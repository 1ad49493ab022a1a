import json
from math import comb

import numpy as np
import pytest
from eval_stats import SLOPE, boot_of, default_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from valact_eval.errors import ValactError
from valact_eval.stats.enacted import enacted
from valact_eval.stats.groups import group_test, group_tests, groupings, least_p
from valact_eval.stats.power import needed, plan, scenarios_for
from valact_eval.stats.simulate import Respondent, utilities_of


def named(sizes):
    return {f"m{g}{k}": f"g{g}" for g, size in enumerate(sizes) for k in range(size)}


@pytest.mark.parametrize("sizes", [(4, 6), (3, 3), (2, 3, 4)])
def test_p_agrees_with_scipy(sizes):
    groups = named(sizes)
    rng = np.random.default_rng(sum(sizes))
    figure = dict(zip(groups, rng.normal(size=len(groups)), strict=True))
    samples = [
        np.array([figure[m] for m, g in groups.items() if g == f"g{k}"]) for k in range(len(sizes))
    ]

    def apart(*parts, axis=-1):
        grand = np.concatenate(samples).mean()
        return sum(p.shape[axis] * (p.mean(axis=axis) - grand) ** 2 for p in parts)

    exact = stats.permutation_test(
        samples, apart, alternative="greater", n_resamples=np.inf, vectorized=True
    )
    found = group_test("x", figure, groups)
    assert found.exact
    assert found.p == pytest.approx(exact.pvalue)
    assert found.groupings == len(exact.null_distribution)
    assert found.least_p <= found.p <= 1


@given(st.lists(st.integers(1, 3), min_size=2, max_size=3))
def test_the_least_p_is_reached_by_groups_far_apart(sizes):
    groups = named(sizes)
    figure = {m: 10.0 ** (3 * int(g[1:])) + k for k, (m, g) in enumerate(groups.items())}
    # groups far apart and each tight: only swaps of equal groups are as far
    tight = {m: 100.0 * 3 ** int(groups[m][1:]) + 1e-6 * k for k, m in enumerate(figure)}
    found = group_test("x", tight, groups)
    assert found.p >= found.least_p - 1e-12
    if len(sizes) == 2:
        assert found.p == pytest.approx(least_p(sizes))


def test_least_p_by_hand():
    assert least_p((3, 3)) == pytest.approx(0.1)
    assert least_p((4, 6)) == pytest.approx(1 / 210)
    assert groupings((2, 2, 2)) == 90
    assert least_p((2, 2, 2)) == pytest.approx(6 / 90)
    assert least_p((1, 2)) == pytest.approx(1 / 3)


def test_many_respondents_are_sampled():
    groups = named((15, 15))
    figure = {m: float(g == "g0") + 0.01 * k for k, (m, g) in enumerate(groups.items())}
    found = group_test("x", figure, groups)
    assert not found.exact
    assert found.groupings == comb(30, 15)
    assert 0 < found.p < 0.001


def test_holm_over_all_figures_and_missing_respondents():
    groups = named((5, 5))
    rng = np.random.default_rng(1)
    figures = {f"f{k}": dict(zip(groups, rng.normal(size=10), strict=True)) for k in range(4)}
    del figures["f0"]["m00"]
    figures["f0"]["stranger"] = 3.0
    found = group_tests(figures, groups)
    assert found[0].sizes == {"g0": 4, "g1": 5}
    assert min(t.p_holm for t in found) == pytest.approx(min(1, 4 * min(t.p for t in found)))
    with pytest.raises(ValactError, match="needs two groups"):
        group_tests(figures, dict.fromkeys(groups, "g0"))


def test_the_plan_foretells_the_half_width():
    from valact_eval.stats import reference

    shares = reference.mean_profile("enacted_share")
    table = default_of(Respondent("m", utilities=utilities_of(shares), consistency=1.0), 200, 1)
    found = enacted(table, boot_of(table))
    half = np.mean([(r.enacted_share.high - r.enacted_share.low) / 2 for r in found.values])
    rows = {row.figure: row.half_width for row in plan(200).figures}
    assert half == pytest.approx(rows["enacted share of one value"], rel=0.1)


@pytest.mark.parametrize("figure", [row.figure for row in plan(2).figures])
def test_scenarios_for_a_half_width_are_the_fewest(figure):
    count = scenarios_for(0.03, figure)
    width = [
        next(row.half_width for row in plan(n).figures if row.figure == figure)
        for n in (count - 1, count)
    ]
    assert width[1] <= 0.03 < width[0]
    assert scenarios_for(0.03, figure, design_effect=2.0) == pytest.approx(2 * count, rel=0.1)


def test_a_pilot_tells_how_many_more():
    pilot = enacted(*(lambda t: (t, boot_of(t)))(default_of(Respondent("m", SLOPE), 50)))
    share = pilot.values[9].enacted_share
    half = (share.high - share.low) / 2
    assert needed(share, half) == 50
    assert needed(share, half / 2) == pytest.approx(200, abs=1)


def test_power_command(cli):
    code, out, err = cli("power", "--scenarios", 100)
    assert (code, err) == (0, "")
    assert "declared-enacted r" in out
    code, out, _ = cli("power", "--half-width", 0.05, "--json")
    found = json.loads(out)
    assert found["accuracy"] == scenarios_for(0.05, "accuracy")
    code, _, err = cli("power")
    assert (code, err.count("\n")) == (2, 1)
    assert "either --scenarios or --half-width" in err
    code, _, err = cli("power", "--half-width", 0)
    assert (code, err.count("\n")) == (2, 1)
