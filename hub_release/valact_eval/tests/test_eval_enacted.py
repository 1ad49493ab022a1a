from collections import Counter

import numpy as np
import polars as pl
import pytest
from eval_stats import SLOPE, answers_of, boot_of, default_of
from hypothesis import given, settings
from hypothesis import strategies as st

from valact_eval.key import VALUES
from valact_eval.stats.bias import bias, same_family
from valact_eval.stats.declared import profile, run_bootstrap
from valact_eval.stats.domains import domains
from valact_eval.stats.enacted import correlate, enacted, ranks
from valact_eval.stats.logit import choice_model
from valact_eval.stats.outcomes import summary
from valact_eval.stats.prompts import prompt_sensitivity
from valact_eval.stats.simulate import Respondent, choose, deal, shares_of
from valact_eval.stats.table import read_choices


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.9), st.integers(1, 3))
def test_figures_agree_with_plain_counting(seed, invalid, variants):
    rng = np.random.default_rng(seed)
    who = Respondent("m", utilities=SLOPE, invalid=invalid)
    rows = choose(who, deal(3, rng), "default", variants, rng).to_dicts()
    (table,) = read_choices(pl.DataFrame(rows, schema_overrides={"target_index": pl.Int64}))
    boot = boot_of(table, 50)
    found, letters, outcomes = enacted(table, boot), bias(table, boot), summary(table, boot)
    shares, preferences = ({v: [] for v in VALUES} for _ in range(2))
    places = {k: [] for k in range(4)}
    for variant in range(variants):
        ok = [r for r in rows if r["variant"] == variant and r["outcome"] == "ok"]
        chosen = Counter(r["option_values"][r["choice"]] for r in ok)
        offered = Counter(v for r in ok for v in r["option_values"])
        shown = Counter(r["letter"] for r in ok)
        for v in VALUES:
            shares[v] += [chosen[v] / len(ok)] if ok else []
            preferences[v] += [chosen[v] / offered[v]] if offered[v] else []
        for k in places:
            places[k] += [shown[k] / len(ok)] if ok else []
    for row in found.values:
        for estimate, plain in (
            (row.enacted_share, shares[row.value]),
            (row.preference, preferences[row.value]),
        ):
            assert estimate.estimate == (pytest.approx(np.mean(plain)) if plain else None)
    for k, row in enumerate(letters.letters):
        assert row.share.estimate == (pytest.approx(np.mean(places[k])) if places[k] else None)
    valid = sum(r["outcome"] == "ok" for r in rows) / len(rows)
    assert outcomes.outcomes["ok"].estimate == pytest.approx(valid)


def test_share_and_preference_are_not_one():
    found = enacted(*with_boot(default_of(Respondent("m", utilities=SLOPE))))
    for row in found.values:
        # each value is offered in two questions of five
        assert row.preference.estimate == pytest.approx(row.enacted_share.estimate * 2.5)
        assert row.blind == pytest.approx(0.1)
    assert sum(row.enacted_share.estimate for row in found.values) == pytest.approx(1)


def with_boot(table):
    return table, boot_of(table)


def test_letter_bias_moves_shares_and_not_utilities():
    """Hedonism stands first and power last more often than not; the respondent likes A."""
    weights = np.zeros(10)
    weights[2], weights[4] = 0.6, -0.6
    who = Respondent("m", letters=(1.5, 0.3, -0.6, -1.2))
    fair = default_of(Respondent("m"), 1500, 1, at_letter=weights, shift=False)
    table = default_of(who, 1500, 1, at_letter=weights, shift=False)
    found = enacted(*with_boot(table))
    model = choice_model(*with_boot(table))
    first, last = (found.values[v].enacted_share for v in (2, 4))
    # without values of its own it should choose each one time in ten
    assert first.low > 0.15
    assert last.high < 0.07
    for row in model.values:
        assert abs(row.utility.estimate) < min(3.5 * row.utility.se, 0.2)
        assert row.share_without_letters.estimate == pytest.approx(0.1, abs=0.012)
    for term, true in zip(model.letters, who.letters, strict=True):
        assert abs(term.estimate - true) < min(3.5 * term.se, 0.2)
    assert model.letter_p < 1e-6
    same = enacted(*with_boot(fair))
    assert [r.enacted_share.estimate for r in same.values] == pytest.approx([0.1] * 10, abs=0.01)


def test_balanced_letters_still_flatten_raw_shares():
    """Permuting averages a bias over values; what it hides of the values stays hidden."""
    steep = tuple(1.5 * u for u in SLOPE)
    table = default_of(Respondent("m", utilities=steep, letters=(2.5, 0, -1, -1.5)), 1500, 4)
    true = shares_of(np.array(steep))
    found, model = enacted(*with_boot(table)), choice_model(*with_boot(table))
    assert true[9] > 0.22
    assert found.values[9].enacted_share.high < true[9] - 0.03
    freed = [row.share_without_letters for row in model.values]
    assert [row.estimate for row in freed] == pytest.approx(true, abs=0.012)
    assert freed[9].low < true[9] < freed[9].high


def test_prompts_and_letters():
    fixed = default_of(Respondent("m", utilities=SLOPE, consistency=1.0), 40, 4)
    found = prompt_sensitivity(*with_boot(fixed))
    assert found.same_option.estimate == 1
    assert found.same_letter.estimate == 0
    assert found.least_r == pytest.approx(1)
    stuck = default_of(Respondent("m", letters=(50, 0, 0, 0)), 40, 4)
    found = prompt_sensitivity(*with_boot(stuck))
    assert found.same_letter.estimate == 1
    assert found.same_option.estimate == 0
    assert bias(*with_boot(stuck)).letters[0].share.estimate == 1
    assert prompt_sensitivity(*with_boot(default_of(Respondent("m"), 10, 1))) is None
    unshifted = default_of(Respondent("m"), 10, 2, shift=False)
    assert prompt_sensitivity(*with_boot(unshifted)).same_letter is None


def test_own_generator_and_length():
    who = Respondent("openai/gpt-4o-2024-08-06", generators=(1.0, -1.0), per_doubling=3.0)
    found = bias(*with_boot(default_of(who, 200)))
    (own,) = [row for row in found.generators if row.own]
    assert own.generator == "gpt-4o"
    assert own.share.low > 0.6
    assert own.offered == pytest.approx(0.5)
    assert found.length.longest.low > 0.4
    assert found.length.more_words.low > 2


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("dashscope/qwen-max", "Qwen2.5-72B-Instruct", True),
        ("openrouter/meta-llama/llama-3.1-70b", "Llama-3.3", True),
        ("gpt-4o", "qwen2.5-72b", False),
        ("openai/claude-like", "gpt-4o", False),
        ("some-model", "some-model", False),
        ("openai-api/local/smollm2-135m", "SmolLM2", True),
    ],
)
def test_families(one, two, same):
    assert same_family(one, two) is same
    assert same_family(two, one) is same


def test_domains():
    table = default_of(Respondent("m", utilities=SLOPE), 100)
    told = answers_of(Respondent("m", declared=tuple(np.linspace(2, 5, 10))))
    boot, scores = boot_of(table), profile(told, run_bootstrap(told, 400, 0))
    found = domains(table, boot, (scores, len(told.runs)))
    assert [row.domain for row in found] == sorted(table.domains)
    assert sum(row.n for row in found) == table.ok.sum()
    for row in found:
        shares = [value.enacted_share for value in row.enacted.values]
        assert sum(share.estimate for share in shares) == pytest.approx(1)
        assert shares[0].clusters == 20
        assert row.r_with_overall > 0.8
        r = np.corrcoef([share.estimate for share in shares], scores.figures)[0, 1]
        assert row.declared_pearson.estimate == pytest.approx(r)
        assert row.declared_pearson.low < r < row.declared_pearson.high
    assert domains(table, boot)[0].declared_pearson is None


@given(st.lists(st.integers(0, 5), min_size=3, max_size=12))
def test_ranks_and_r_agree_with_scipy(xs):
    from scipy import stats

    x = np.array(xs, dtype=float)
    assert ranks(x).tolist() == stats.rankdata(x).tolist()
    y = np.arange(len(x)) ** 2.0
    if np.ptp(x) > 0:
        assert float(correlate(x, y)) == pytest.approx(stats.pearsonr(x, y)[0])
    else:
        assert np.isnan(correlate(x, y))
