import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.errors import ValactError
from valact_eval.key import KEY
from valact_eval.stats.simulate import Respondent, answer, choose, deal
from valact_eval.stats.table import read_answers, read_choices

RNG = np.random.default_rng(0)
WHO = Respondent("m", invalid=0.2)
QUESTIONS = deal(4, RNG)
CHOICES = pl.concat([choose(WHO, QUESTIONS, task, 2, RNG) for task in ("default", "selection")])
ANSWERS = answer(WHO, 2, 2, RNG)


def test_arrays_agree_with_the_rows():
    for table in read_choices(CHOICES):
        rows = CHOICES.filter(task=table.task).sort("question_id", "variant")
        assert table.n == rows.height == 40
        for k, row in enumerate(rows.iter_rows(named=True)):
            assert table.scenarios[table.scenario[k]] == row["scenario_id"]
            assert table.domains[table.domain[k]] == row["domain"]
            assert table.variants[table.variant[k]] == row["variant"]
            assert [table.generator_names[g] for g in table.generators[k]] == (
                row["option_generators"]
            )
            assert [list(KEY)[v] for v in table.values[k]] == row["option_values"]
            assert table.choice[k] == (-1 if row["choice"] is None else row["choice"])
            assert table.target[k] == (-1 if row["target_index"] is None else row["target_index"])
            assert [row["order"][place] for place in table.places[k]] == [0, 1, 2, 3]
            if row["outcome"] == "ok":
                assert table.chosen(table.places)[k] == row["letter"]


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random):
    places = list(range(CHOICES.height))
    random.shuffle(places)
    for one, two in zip(read_choices(CHOICES), read_choices(CHOICES[places]), strict=True):
        for name in ("scenario", "question", "values", "places", "choice", "options", "words"):
            assert (getattr(one, name) == getattr(two, name)).all()


def altered(column, value, row=7):
    # a row of `selection` with a valid answer, wherever the noise put it
    places = CHOICES.with_row_index().filter(pl.col("task") == "selection", outcome="ok")["index"]
    at = places[row]
    cell = pl.lit(pl.Series([value], dtype=CHOICES.schema[column], strict=False)).first()
    return CHOICES.with_row_index().with_columns(
        pl.when(pl.col("index") == at).then(cell).otherwise(pl.col(column)).alias(column)
    ).drop("index"), at + 1


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("task", "x", "task must be one of default, selection, adoption"),
        ("task", None, "task is missing"),
        ("outcome", "fine", "outcome must be one of ok, invalid"),
        ("outcome", "refused", "choice must be null unless outcome is ok"),
        ("choice", None, "choice is missing under outcome ok"),
        ("choice", 4, "choice must be 0..3"),
        ("target_index", None, "target_index is missing"),
        ("target_index", 4, "target_index must be 0..3"),
        ("order", [0, 1, 2], "order must be a permutation"),
        ("order", [0, 1, 2, 2], "order must be a permutation"),
        ("order", [1, 2, 3, 4], "order must be a permutation"),
        (
            "option_values",
            ["power", "wealth", "security", "tradition"],
            "option_values must be among",
        ),
        ("option_values", ["power", None, "security", "tradition"], "must have four entries"),
        ("option_ids", ["a", "a", "b", "c"], "option_ids must differ"),
        ("option_ids", ["a", None, "b", "c"], "option_ids must have four entries"),
        ("option_generators", ["g", "g", "g"], "option_generators must have four"),
        ("option_words", [3, 0, 5, 6], "option_words must be 1 or more"),
        ("scenario_id", "elsewhere", "another scenario_id than in an earlier row"),
    ],
)
def test_a_broken_row_is_named(column, value, said):
    frame, row = altered(column, value)
    with pytest.raises(ValactError) as caught:
        read_choices(frame)
    assert said in str(caught.value)
    if column != "scenario_id":
        assert f"predictions: row {row} (m, q" in str(caught.value)


def test_other_faults_of_the_table():
    with pytest.raises(ValactError, match="comes twice"):
        read_choices(pl.concat([CHOICES, CHOICES[5:6]]))
    with pytest.raises(ValactError, match="no column order"):
        read_choices(CHOICES.drop("order"))
    with pytest.raises(ValactError, match="wrong type"):
        read_choices(CHOICES.with_columns(variant=pl.lit("first")))
    with pytest.raises(ValactError, match="no rows"):
        read_choices(CHOICES.clear())


def test_questionnaire_scores_stand_at_their_items():
    (found,) = read_answers(ANSWERS.sample(fraction=1, shuffle=True, seed=3))
    assert found.scores.shape == (2, 2, 40)
    assert found.asked.all()
    for row in ANSWERS.iter_rows(named=True):
        score = found.scores[row["run"], row["variant"], row["item"] - 1]
        assert score == row["score"] if row["outcome"] == "ok" else np.isnan(score)
    assert sum(found.outcomes.values()) == ANSWERS.height


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"item": 41}, "item must be 1..40"),
        ({"score": 7, "outcome": "ok"}, "score must be 1..6"),
        ({"score": None, "outcome": "ok"}, "score is missing under outcome ok"),
        ({"score": 3, "outcome": "refused"}, "score must be null unless outcome is ok"),
        ({"outcome": "?"}, "outcome must be one of"),
        ({"item": 2}, "comes twice"),
        ({"instrument": "another"}, "two instruments"),
    ],
)
def test_a_broken_answer_is_named(change, said):
    first = pl.DataFrame([ANSWERS.row(0, named=True) | change], schema=ANSWERS.schema)
    with pytest.raises(ValactError, match=r"questionnaire: row .*m, item") as caught:
        read_answers(pl.concat([first, ANSWERS[1:]]))
    assert said in str(caught.value)


def test_a_key_must_be_whole():
    with pytest.raises(ValactError, match="scoring key"):
        read_answers(ANSWERS, {**KEY, "power": (2, 17)})
    with pytest.raises(ValactError, match="scoring key"):
        read_answers(ANSWERS, {value: items for value, items in KEY.items() if value != "power"})
