import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.stats.estimate import Estimate, from_se, holm, interval, p_value, to_json
from valact_eval.stats.resample import bootstrap, rate_each, uniforms

SCALE = st.sampled_from(["linear", "proportion", "correlation"])


def test_weights_come_from_ids_alone():
    one = bootstrap(["a", "b", "c"], 500, 7, "x")
    two = bootstrap(["c", "z", "a"], 500, 7, "x")
    assert (one.weights[0] == two.weights[2]).all()
    assert (one.weights[2] == two.weights[0]).all()
    assert (one.weights[0] != bootstrap(["a"], 500, 8, "x").weights[0]).any()
    assert (one.weights[0] != bootstrap(["a"], 500, 7, "y").weights[0]).any()
    # these very numbers, on any machine and under any version of numpy
    assert uniforms(["a"], 2, "p")[:, 0].tolist() == pytest.approx(
        [0.020447543595396134, 0.4012844980339034], abs=1e-15
    )


def test_weights_are_poisson_and_independent():
    weights = bootstrap([str(k) for k in range(200)], 4000, 0, "x").weights
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert [(weights == k).mean() for k in range(4)] == pytest.approx(
        [math.exp(-1) / math.factorial(k) for k in range(4)], abs=0.005
    )
    r = np.corrcoef(weights)[np.triu_indices(200, 1)]
    assert r.std() == pytest.approx(1 / math.sqrt(4000), rel=0.05)
    along = np.corrcoef(weights[:, :-1].ravel(), weights[:, 1:].ravel())[0, 1]
    assert abs(along) < 0.005


def test_the_bootstrap_gives_the_error_of_a_ratio():
    rng = np.random.default_rng(1)
    whole = rng.integers(1, 9, (400, 1, 1)).astype(float)
    part = rng.binomial(whole.astype(int), rng.beta(2, 4, whole.shape)).astype(float)
    (found,) = rate_each(part, whole, bootstrap([str(k) for k in range(400)], 4000, 0, "x"))
    p = part.sum() / whole.sum()
    linearised = math.sqrt(((part - p * whole) ** 2).sum()) / whole.sum()
    assert found.estimate == pytest.approx(p)
    assert found.se == pytest.approx(linearised, rel=0.05)
    assert (found.n, found.clusters) == (int(whole.sum()), 400)


@given(SCALE, st.floats(0, 1), st.floats(0, 1), st.integers(2, 500))
def test_an_interval_holds_its_figure_and_stays_in_range(scale, figure, se, clusters):
    found = from_se(figure, se, n=1, clusters=clusters, over="x", scale=scale)
    assert found.low <= figure + 1e-12
    assert found.high >= figure - 1e-12
    if scale == "proportion":
        assert found.low >= 0
        assert found.high <= 1
    if scale == "correlation":
        assert found.low >= -1
        assert found.high <= 1
    wider = from_se(figure, se, n=1, clusters=clusters, over="x", scale=scale, level=0.99)
    assert wider.low <= found.low + 1e-12
    assert wider.high >= found.high - 1e-12


def test_wilson_without_clusters():
    from scipy.stats import binomtest

    n, hits = 2000, 130
    p = hits / n
    found = from_se(
        p, math.sqrt(p * (1 - p) / n), n=n, clusters=10**6, over="x", scale="proportion"
    )
    exact = binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_nothing_varied():
    found = from_se(1.0, 0.0, n=60, clusters=20, over="x", scale="proportion")
    assert found.high == 1
    assert 0.7 < found.low < 0.9


@pytest.mark.parametrize("clusters", [0, 1])
def test_one_cluster_gives_no_interval(clusters):
    found = interval(0.5, np.array([0.5, 0.5]), n=3, clusters=clusters, over="x")
    assert (found.estimate, found.low, found.se) == (0.5, None, None)
    assert found.explain() == "0.500 [-]"


def test_zero_by_zero_is_none():
    found = interval(math.nan, np.array([math.nan]), n=0, clusters=5, over="x")
    assert (found.estimate, found.low) == (None, None)
    assert found.explain() == "n/a"
    assert p_value(found) is None


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm(p):
    found = holm(p)
    known = sorted((value, k) for k, value in enumerate(p) if value is not None)
    for rank, (value, k) in enumerate(known):
        worst = max(min(1, (len(known) - r) * v) for r, (v, _) in enumerate(known[: rank + 1]))
        assert found[k] == worst >= value
    assert [x is None for x in found] == [x is None for x in p]


def test_holm_agrees_with_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).uniform(0, 0.1, 40)
    assert holm(p.tolist()) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_json_holds_no_nan():
    found = json.loads(to_json({"a": (math.nan, 1 / 3), "b": Estimate(*[None] * 4, 0, 0, "x")}))
    assert found["a"] == [None, 0.333333333333]
    assert found["b"]["over"] == "x"
