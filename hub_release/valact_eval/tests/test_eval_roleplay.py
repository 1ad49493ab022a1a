import numpy as np
import pytest
from eval_stats import boot_of, both_of
from scipy import stats

from valact_eval.key import VALUES
from valact_eval.stats.outcomes import summary
from valact_eval.stats.roleplay import adjusted, pair, role_play, welch
from valact_eval.stats.simulate import Respondent

ALIKE = Respondent("m", recognition=(1.2,) * 10, role=(1.2,) * 10, item_sd=1.0)


def of(who, **how):
    selection, adoption = both_of(who, **how)
    return role_play(selection, adoption, boot_of(selection, 400))


def test_items_are_paired():
    selection, adoption = both_of(Respondent("m", invalid=0.2), 12, 3)
    items = pair(selection, adoption)
    assert items.selection.shape == (60, 3)
    for table, grid in ((selection, items.selection), (adoption, items.adoption)):
        known = table.ok
        right = (table.choice == table.target)[known]
        assert np.nansum(grid) == right.sum()
        assert np.isfinite(grid).sum() == known.sum()
    part = selection.where((selection.question != 7) & (selection.variant != 1))
    fewer = pair(part, adoption)
    assert fewer.selection.shape == (59, 3)
    assert np.isnan(fewer.selection[:, 1]).all()
    whole = np.delete(items.selection, 7, axis=0)
    assert np.array_equal(fewer.selection[:, [0, 2]], whole[:, [0, 2]], equal_nan=True)


def test_difference_is_plain_over_items_valid_in_both():
    selection, adoption = both_of(Respondent("m", invalid=0.1), 40, 4)
    found = role_play(selection, adoption, boot_of(selection))
    items = pair(selection, adoption)
    both = np.isfinite(items.selection) & np.isfinite(items.adoption)
    for v, row in enumerate(found.values):
        mine = (items.value == v)[:, None] & both
        by_prompt = [(items.adoption - items.selection)[:, k][mine[:, k]].mean() for k in range(4)]
        assert row.value == VALUES[v]
        assert row.n == mine.sum()
        assert row.by_prompt == pytest.approx(by_prompt)
        assert row.difference.estimate == pytest.approx(np.mean(by_prompt))
        assert row.adoption - row.selection == pytest.approx(np.mean(by_prompt))
    assert found.overall.n == both.sum()


def test_a_real_drop_is_found_and_holm_counts_the_family():
    drop = Respondent("m", recognition=(3.0,) * 10, role=(3.0,) * 9 + (1.0,))
    found = adjusted((of(drop, scenarios=300), of(ALIKE, scenarios=300)))
    last = found[0].values[9]
    assert last.difference.high < -0.1
    assert last.p < last.p_holm < 0.001
    assert last.p_holm == pytest.approx(20 * last.p)
    assert min(row.p_holm for row in found[1].values) > 0.05
    assert found[0].overall.p_holm == pytest.approx(2 * found[0].overall.p)


def test_recognising_and_measuring_on_the_same_prompts_makes_a_drop():
    """The two tasks are equally hard; only chance tells them apart."""
    found = [of(ALIKE, scenarios=100, seed=seed).overall for seed in range(20)]
    naive = np.mean([row.recognised_same_prompts for row in found])
    split = np.mean([row.given_recognised.estimate for row in found])
    plain = np.mean([row.difference.estimate for row in found])
    assert naive < -0.01
    assert abs(split) < 0.01
    assert abs(plain) < 0.01
    covered = sum(row.given_recognised.low < 0 < row.given_recognised.high for row in found)
    assert covered >= 17


def test_one_prompt_cannot_be_split():
    found = of(ALIKE, scenarios=20, variants=1)
    assert found.overall.given_recognised is None
    assert found.overall.welch_p is None
    assert found.overall.difference.low is not None


def test_no_difference_at_all_is_not_certainty():
    sure = Respondent("m", recognition=(99.0,) * 10, role=(99.0,) * 10)
    found = of(sure, scenarios=30).overall
    assert found.difference.estimate == 0
    assert found.difference.low == pytest.approx(-(1 - 0.025 ** (1 / 30)))
    assert found.p == 1


def test_nothing_in_common():
    selection, adoption = both_of(ALIKE, 4, 1)
    even, odd = selection.question % 2 == 0, adoption.question % 2 == 1
    assert role_play(selection.where(even), adoption.where(odd), boot_of(selection)) is None


def test_welch_is_scipys():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 5))
    assert welch(one, two) == stats.ttest_ind(one, two, equal_var=False).pvalue
    assert welch(np.full(5, 0.9), np.full(5, 0.8)) is None
    assert welch(np.array([0.9]), two) is None


def test_accuracy_in_the_summary():
    selection, _ = both_of(Respondent("m", recognition=(2.0,) * 10, item_sd=0, invalid=0.1), 300)
    found = summary(selection, boot_of(selection))
    assert found.accuracy.low < 1 / (1 + np.exp(-2)) < found.accuracy.high
    assert found.accuracy_all.estimate == pytest.approx(
        found.accuracy.estimate * found.outcomes["ok"].estimate, abs=0.002
    )
    assert set(found.by_value) == set(VALUES)
    assert found.questions == 1500
