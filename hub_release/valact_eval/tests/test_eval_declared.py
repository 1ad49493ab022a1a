import numpy as np
import polars as pl
import pytest
from eval_stats import answers_of
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.key import KEY, VALUES
from valact_eval.stats.ceiling import item_reliability, run_reliability
from valact_eval.stats.declared import alphas, declared, profile, run_bootstrap
from valact_eval.stats.simulate import Respondent, answer
from valact_eval.stats.table import read_answers

WHO = Respondent("m", declared=tuple(np.linspace(2, 5, 10)), score_sd=1.0, invalid=0.1)


def of(answers, draws=400):
    return declared(answers, run_bootstrap(answers, draws, 0))


@given(st.integers(0, 10**6))
def test_scores_agree_with_plain_counting(seed):
    frame = answer(WHO, 3, 2, np.random.default_rng(seed))
    (answers,) = read_answers(frame)
    found = of(answers, 20)
    scores = {}
    for row in frame.iter_rows(named=True):
        scores.setdefault((row["variant"], row["run"]), {})[row["item"]] = row["score"]
    for row in found.values:
        raw, centred = [], []
        for variant in (0, 1):
            runs, apart = [], []
            for run in range(3):
                known = {i: s for i, s in scores[variant, run].items() if s is not None}
                mine = [known[i] for i in KEY[row.value] if i in known]
                if mine:
                    runs.append(np.mean(mine))
                    apart.append(np.mean(mine) - np.mean(list(known.values())))
            raw.append(np.mean(runs))
            centred.append(np.mean(apart))
        assert row.raw.estimate == pytest.approx(np.mean(raw))
        assert row.centred.estimate == pytest.approx(np.mean(centred))
    assert found.outcomes["ok"] + found.outcomes["invalid"] == 240


def test_centring_removes_a_style_of_answering():
    scores = np.array([3, 4, 3, 2, 2, 4, 4, 3, 5, 5])
    frames = []
    for name, shift in (("low", 0), ("high", 1)):
        rows = [
            {"item": item, "score": int(scores[v]) + shift}
            for v, value in enumerate(VALUES)
            for item in KEY[value]
        ]
        frames.append(
            pl.DataFrame(rows).with_columns(
                respondent=pl.lit(name),
                instrument=pl.lit("i"),
                run=0,
                variant=0,
                outcome=pl.lit("ok"),
            )
        )
    high, low = (of(answers) for answers in read_answers(pl.concat(frames)))
    assert high.mrat.estimate - low.mrat.estimate == pytest.approx(1)
    for one, two in zip(high.values, low.values, strict=True):
        assert one.raw.estimate - two.raw.estimate == pytest.approx(1)
        assert one.centred.estimate == pytest.approx(two.centred.estimate)
    # one run: nothing to resample
    assert high.values[0].raw.low is None
    assert high.values[0].run_sd is None


def test_run_sd_is_of_one_prompt():
    answers = answers_of(Respondent("m", score_sd=1.0), runs=400, variants=2)
    found = of(answers)
    # four items of rounded scores with SD sqrt(1 + 1/12), cut at 1 and 6
    assert found.values[0].run_sd == pytest.approx(np.sqrt((1 + 1 / 12) / 4), rel=0.1)
    assert found.values[0].raw.se == pytest.approx(found.values[0].run_sd / np.sqrt(800), rel=0.2)


def test_flat_runs_are_counted():
    frame = answer(Respondent("m", score_sd=0.0), 3, 1, np.random.default_rng(0))
    (answers,) = read_answers(frame)
    assert of(answers).flat_runs == 3
    assert of(answers_of(WHO)).flat_runs == 0


def people(spread, n=300, noise=0.8):
    """People whose true values differ with SD ``spread``, one run each."""
    rng = np.random.default_rng(1)
    frames = [
        answer(
            Respondent(f"p{k}", declared=tuple(rng.normal(3.5, spread, 10)), score_sd=noise),
            1,
            1,
            rng,
        )
        for k in range(n)
    ]
    return read_answers(pl.concat(frames))


def test_alpha_is_across_respondents_only():
    assert alphas(read_answers(answer(WHO, 50, 1, np.random.default_rng(0)))) == ()
    for row in alphas(people(0.8)):
        k = len(KEY[row.value])
        error = 0.8**2 + 1 / 12
        assert row.items == k
        assert row.low < k * 0.64 / (k * 0.64 + error) < row.high + 0.05
    for row in alphas(people(0.0)):
        assert row.low < 0.15
        assert row.alpha < 0.3


def test_alpha_by_hand():
    who = people(0.7, n=5)
    x = np.array([[p.scores[0, 0, i - 1] for i in KEY["hedonism"]] for p in who])
    plain = 3 / 2 * (1 - x.var(axis=0, ddof=1).sum() / x.sum(axis=1).var(ddof=1))
    (row,) = [row for row in alphas(who) if row.value == "hedonism"]
    assert row.alpha == pytest.approx(plain)
    assert row.respondents == 5


def test_reliability_is_the_share_of_true_variance():
    noisy = Respondent("m", declared=tuple(np.linspace(3, 4, 10)), score_sd=2.0)
    found = [run_reliability(answers_of(noisy, 10, 1, seed)) for seed in range(40)]
    rho = []
    for seed in range(40):
        answers = answers_of(noisy, 10, 1, seed)
        rho.append(profile(answers, run_bootstrap(answers, 2, 0)).figures)
    true = 1 - np.var(rho, axis=0).mean() / np.var(rho, axis=1).mean()
    assert np.mean(found) == pytest.approx(true, abs=0.08)
    assert run_reliability(answers_of(noisy, 1)) is None
    assert item_reliability(answers_of(WHO, 1)) > 0.7
