"""How large a reserve must be, against counting what a simulation uses up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pipeline.reserve import SURE, most_failing, reserve_needed, shortfall


@given(st.integers(1, 400), st.integers(0, 200), st.floats(0.0, 0.9))
@settings(max_examples=60, deadline=None)
def test_the_chance_to_run_out_is_that_of_too_many_failures(
    quota: int, reserve: int, share: float
) -> None:
    expected = binom.sf(reserve, quota + reserve, share)
    assert shortfall(quota, reserve, share) == pytest.approx(expected, abs=1e-9)


def test_a_reserve_holds_in_as_many_simulated_builds_as_it_says() -> None:
    random = np.random.default_rng(1)
    reserve = reserve_needed(600, 0.08, 5)
    builds = 4_000
    failures = random.negative_binomial(600, 0.92, size=(builds, 5))
    held = (failures <= reserve).all(axis=1).mean()
    assert held >= SURE - 0.005
    fewer = (failures <= reserve - 6).all(axis=1).mean()
    assert fewer < SURE


@given(st.integers(1, 800), st.floats(0.0, 0.7), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_the_least_reserve_is_enough_and_one_less_is_not(
    quota: int, share: float, domains: int
) -> None:
    reserve, allowed = reserve_needed(quota, share, domains), (1 - SURE) / domains
    assert shortfall(quota, reserve, share) <= allowed * (1 + 1e-6)
    assert reserve == 0 or shortfall(quota, reserve - 1, share) > allowed * (1 - 1e-6)


@given(st.integers(1, 800), st.integers(0, 300), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_the_share_that_may_fail_is_the_one_whose_reserve_that_is(
    quota: int, reserve: int, domains: int
) -> None:
    share = most_failing(quota, reserve, domains)
    assert 0 < share < 1
    assert reserve_needed(quota, share * 0.999, domains) <= reserve
    assert reserve_needed(quota, min(share * 1.02 + 1e-3, 0.99), domains) >= reserve
