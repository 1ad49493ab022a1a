import polars as pl
import pytest
from eval_helpers import VALUES, answer_row, choice_row, question_rows
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.figures import named_figures, report, summarise
from valact_eval.key import KEY, VALUE_OF
from valact_eval.predictions import OUTCOMES, Predictions, table_of

ROWS = question_rows()


def mean(numbers):
    return sum(numbers) / len(numbers) if numbers else None


@st.composite
def choices(draw, task):
    found = []
    keys = st.tuples(st.integers(0, 11), st.integers(0, 4))
    for number, variant in draw(st.lists(keys, unique=True, min_size=1, max_size=20)):
        row = ROWS[number]
        outcome = draw(st.sampled_from(OUTCOMES))
        order = draw(st.permutations(range(4)))
        letter = draw(st.integers(0, 3)) if outcome == "ok" else None
        found.append(
            choice_row(
                task=task,
                question_id=row["question_id"],
                variant=variant,
                order=order,
                outcome=outcome,
                letter=letter,
                choice=None if letter is None else order[letter],
                target_index=None if task == "default" else row["target_index"],
                option_ids=row["option_ids"],
                option_values=row["option_values"],
            )
        )
    return found


@given(st.sampled_from(["default", "selection", "adoption"]).flatmap(choices))
def test_figures_of_choices_agree_with_plain_counting(rows):
    found = summarise(table_of(rows, "choice"), "choice")
    valid = [row for row in rows if row["outcome"] == "ok"]
    assert found.n == len(rows)
    for outcome, rate in found.rates.items():
        assert rate == sum(row["outcome"] == outcome for row in rows) / len(rows)
    for place, letter in enumerate("ABCD"):
        if valid:
            assert found.letters[letter] == sum(r["letter"] == place for r in valid) / len(valid)
    per = {v: [r for r in valid if r["variant"] == v] for v in {r["variant"] for r in valid}}
    for row in found.values:
        if rows[0]["task"] == "default":
            hits = {
                v: sum(r["option_values"][r["choice"]] == row.value for r in part)
                for v, part in per.items()
            }
            offers = {
                v: sum(r["option_values"].count(row.value) for r in part) for v, part in per.items()
            }
            assert row.share == pytest.approx(mean([hits[v] / len(per[v]) for v in per]))
            assert row.preference == pytest.approx(
                mean([hits[v] / offers[v] for v in per if offers[v]])
            )
        else:
            mine = {
                v: [r for r in part if r["option_values"][r["target_index"]] == row.value]
                for v, part in per.items()
            }
            right = [
                mean([r["choice"] == r["target_index"] for r in part])
                for part in mine.values()
                if part
            ]
            assert row.share == pytest.approx(mean(right))
    if rows[0]["task"] == "default":
        assert found.accuracy is None is found.accuracy_all
        if valid:
            assert sum(row.share for row in found.values) == pytest.approx(1)
    else:
        right = [mean([r["choice"] == r["target_index"] for r in part]) for part in per.values()]
        assert found.accuracy == pytest.approx(mean(right))


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(1, 40)),
        unique=True,
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_figures_of_answers_agree_with_plain_counting(keys, random):
    rows = []
    for run, variant, item in keys:
        outcome = random.choice(OUTCOMES)
        score = random.randint(1, 6) if outcome == "ok" else None
        rows.append(answer_row(run=run, variant=variant, item=item, outcome=outcome, score=score))
    found = summarise(table_of(rows, "answer"), "answer")
    valid = [row for row in rows if row["outcome"] == "ok"]
    per = {v: [r for r in valid if r["variant"] == v] for v in {r["variant"] for r in valid}}
    mrats = {v: mean([r["score"] for r in part]) for v, part in per.items()}
    assert found.mrat == pytest.approx(mean(list(mrats.values())))
    assert [row.value for row in found.values] == list(KEY)
    for row in found.values:
        means = {
            v: mean([r["score"] for r in part if VALUE_OF[r["item"]] == row.value])
            for v, part in per.items()
        }
        kept = {v: m for v, m in means.items() if m is not None}
        assert row.mean == pytest.approx(mean(list(kept.values())))
        assert row.centred == pytest.approx(mean([m - mrats[v] for v, m in kept.items()]))


def test_no_valid_answer_gives_no_figure():
    row = choice_row(outcome="invalid", choice=None, letter=None)
    table = table_of([row], "choice")
    named = named_figures(table, "choice")
    assert named == {
        "n": 1,
        "rate_ok": 0,
        "rate_invalid": 1,
        "rate_refused": 0,
        "rate_truncated": 0,
        "accuracy_all": 0,
    }
    said = report(Predictions(table, pl.DataFrame(schema=table_of([], "answer").schema)))
    assert "accuracy n/a of valid answers, 0.000 of all (chance 0.250)" in said


def test_every_value_is_named_in_circle_order():
    assert list(KEY) == VALUES
