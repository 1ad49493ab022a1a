import numpy as np
import polars as pl
import pytest
from eval_stats import SLOPE, boot_of, default_of

from valact_eval.stats import logit
from valact_eval.stats.simulate import Respondent, choose, deal
from valact_eval.stats.table import read_choices

WHO = Respondent(
    "m",
    utilities=SLOPE,
    letters=(0.6, 0.1, -0.2, -0.5),
    generators=(0.25, -0.25),
    per_doubling=0.4,
    invalid=0.05,
)


def test_the_terms_come_back():
    table = default_of(WHO, 2000, 4)
    found = logit.fit(table)
    true = np.concatenate([WHO.utilities, WHO.letters, WHO.generators, [WHO.per_doubling]])
    z = (found.theta - true) / found.se
    assert np.abs(z).max() < 3.5
    assert found.se.max() < 0.04
    for part in (np.s_[:10], np.s_[10:14], np.s_[14:16]):
        assert found.theta[part].sum() == pytest.approx(0, abs=1e-9)


def test_the_bootstrap_agrees_with_the_sandwich_and_with_refits():
    table = default_of(WHO, 120, 3)
    found, boot = logit.fit(table), boot_of(table, 2000)
    assert found.draws(boot).std(axis=0) == pytest.approx(found.se, rel=0.12)
    refits = []
    for draw in range(60):
        times = boot.weights[:, draw].astype(int)[table.scenario]
        refits.append(logit.fit(table.where(np.repeat(np.arange(table.n), times))).theta)
    assert np.std(refits, axis=0) == pytest.approx(found.se, rel=0.35)


def test_agrees_with_statsmodels():
    models = pytest.importorskip("statsmodels.discrete.conditional_models")
    table = default_of(WHO, 100, 2)
    rows = table.where(table.ok)
    x = logit.design(rows)
    # one term of each kind is the reference there
    keep = [k for k in range(x.shape[2]) if k not in (9, 13, 15)]
    chosen = (np.arange(4) == rows.choice[:, None]).astype(int)
    model = models.ConditionalLogit(
        chosen.ravel(), x[:, :, keep].reshape(-1, len(keep)), groups=np.repeat(range(rows.n), 4)
    )
    theirs = model.fit(method="bfgs", disp=False, maxiter=500, gtol=1e-8).params
    ours = logit.fit(table).theta
    assert ours[:9] - ours[9] == pytest.approx(theirs[:9], abs=0.01)
    assert ours[10:13] - ours[13] == pytest.approx(theirs[9:12], abs=0.01)
    assert ours[14] - ours[15] == pytest.approx(theirs[12], abs=0.01)
    assert ours[16] == pytest.approx(theirs[13], abs=0.01)


def test_agrees_with_choix_without_other_terms():
    choix = pytest.importorskip("choix")
    plain = default_of(Respondent("m", utilities=SLOPE), 300, 1)
    data = [
        (int(values[choice]), [int(v) for k, v in enumerate(values) if k != choice])
        for values, choice in zip(plain.values, plain.choice, strict=True)
    ]
    theirs = choix.opt_top1(10, data, alpha=logit.PRIOR_SD**-2)
    found = logit.fit(plain).theta[:10]
    # ours has terms for letters and length beside, which are near 0 here
    assert found == pytest.approx(theirs - theirs.mean(), abs=0.05)


def test_a_value_never_chosen_stays_finite():
    shy = (-60.0, *([0.0] * 9))
    found = logit.choice_model(*(lambda t: (t, boot_of(t)))(default_of(Respondent("m", shy))))
    assert -12 < found.values[0].utility.estimate < -3
    assert found.values[0].share_without_letters.estimate < 0.005


def test_what_the_questions_cannot_tell_is_left_out():
    rng = np.random.default_rng(0)
    frame = choose(Respondent("m"), deal(30, rng), "default", 1, rng)
    same = frame.with_columns(
        option_generators=pl.lit(["g"] * 4, dtype=pl.List(pl.String)),
        option_words=pl.lit([7] * 4, dtype=pl.List(pl.Int64)),
    )
    (table,) = read_choices(same)
    found = logit.choice_model(table, boot_of(table))
    assert found.generators == ()
    assert found.per_doubling is None
    assert found.null == pytest.approx(-table.n * np.log(4))
    assert found.log_likelihood > found.null
    with pytest.raises(ValueError, match="no valid answer"):
        logit.fit(table.where(np.zeros(table.n, dtype=bool)))
