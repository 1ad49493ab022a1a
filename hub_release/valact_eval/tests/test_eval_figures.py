import pytest
from eval_helpers import VALUES, answer_row, choice_row, question_rows
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.figures import named_figures
from valact_eval.key import KEY
from valact_eval.rules import table_of
from valact_eval.schema import OUTCOMES

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
    found = named_figures(table_of(rows, "choice"), "choice")
    valid = [row for row in rows if row["outcome"] == "ok"]
    per = {v: [r for r in valid if r["variant"] == v] for v in {r["variant"] for r in valid}}
    wanted = {"n": len(rows)}
    counted = {o: sum(row["outcome"] == o for row in rows) for o in OUTCOMES}
    variants = {row["variant"] for row in rows}
    every = {v: [r for r in rows if r["variant"] == v] for v in variants}
    for outcome in counted:  # a rate is the mean of the prompts' rates
        shares = [mean([r["outcome"] == outcome for r in part]) for part in every.values()]
        wanted[f"rate_{outcome}"] = mean(shares)
    for place, letter in enumerate("ABCD"):
        wanted[f"letter_{letter}"] = mean(
            [mean([r["letter"] == place for r in part]) for part in per.values()]
        )
    if rows[0]["task"] != "default":
        right = {v: [r["choice"] == r["target_index"] for r in part] for v, part in every.items()}
        wanted["accuracy_all"] = mean([mean(part) for part in right.values()])
        wanted["accuracy"] = mean(
            [mean([r["choice"] == r["target_index"] for r in part]) for part in per.values()]
        )
    for value in VALUES:
        if rows[0]["task"] == "default":
            hits = {
                v: [r["option_values"][r["choice"]] == value for r in part]
                for v, part in per.items()
            }
            offers = {
                v: sum(r["option_values"].count(value) for r in part) for v, part in per.items()
            }
            wanted[f"enacted_{value}"] = mean([mean(part) for part in hits.values()])
            wanted[f"preference_{value}"] = mean(
                [sum(hits[v]) / offers[v] for v in per if offers[v]]
            )
        else:
            aimed = [
                [r for r in part if r["option_values"][r["target_index"]] == value]
                for part in per.values()
            ]
            wanted[f"accuracy_{value}"] = mean(
                [mean([r["choice"] == r["target_index"] for r in part]) for part in aimed if part]
            )
    assert found == pytest.approx({k: v for k, v in wanted.items() if v is not None})


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
    found = named_figures(table_of(rows, "answer"), "answer")
    valid = [row for row in rows if row["outcome"] == "ok"]
    assert found["n"] == len(rows)
    for outcome in OUTCOMES:
        share = sum(row["outcome"] == outcome for row in rows) / len(rows)
        assert found[f"rate_{outcome}"] == pytest.approx(share)

    def scored(wanted):  # a score is the mean over prompts of the mean over runs
        per_prompt = []
        for variant in sorted({row["variant"] for row in valid}):
            per_run = [
                mean(
                    [
                        r["score"]
                        for r in valid
                        if (r["run"], r["variant"]) == (run, variant) and r["item"] in wanted
                    ]
                )
                for run in sorted({row["run"] for row in valid})
            ]
            per_prompt.append(mean([score for score in per_run if score is not None]))
        return mean([score for score in per_prompt if score is not None])

    wanted = {f"declared_{value}": scored(items) for value, items in KEY.items()}
    wanted["mrat"] = scored(range(1, 41))
    for name, score in wanted.items():
        assert found.get(name) == (None if score is None else pytest.approx(score))


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


def test_every_value_is_named_in_circle_order():
    assert list(KEY) == VALUES
