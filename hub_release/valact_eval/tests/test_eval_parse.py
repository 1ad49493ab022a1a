import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.parse import OUTCOMES, Answer, Rating, parse_answer, parse_ratings

letters = st.sampled_from("ABCD")
prose = st.text(st.sampled_from("eghijklnopqrstuvwxyz ,.\n"), max_size=60)


@given(st.text(st.characters(exclude_categories=[])), st.sampled_from(["stop", "max_tokens", "x"]))
def test_any_text_has_one_outcome_and_a_letter_only_if_valid(raw, stop):
    answer = parse_answer(raw, stop)
    assert answer.outcome in OUTCOMES
    assert (answer.letter is not None) == (answer.outcome == "ok")


@given(letters, st.sampled_from(["{}", " {}\n", '{{"answer": "{}"}}', '{{ "answer" :"{}" }}']))
def test_strict(letter, form):
    assert parse_answer(form.format(letter)) == Answer("ok", "ABCD".index(letter), strict=True)


@given(
    prose,
    letters,
    st.sampled_from(
        ["\nAnswer: {}", "\n**{}**", "\n({})", "\n{}.", "\n\u200b{}", "\nOption {} is what I take"]
    ),
)
def test_lenient_takes_the_last_letter(text, letter, form):
    raw = f"B or C? {text}{form.format(letter)}"
    assert parse_answer(raw) == Answer("ok", "ABCD".index(letter))


@given(st.text(st.characters(exclude_categories=[])), st.integers(1, 40))
def test_any_text_has_one_rating_an_item(raw, items):
    ratings = parse_ratings(raw, items)
    assert len(ratings) == items
    for rating in ratings:
        assert rating.outcome in OUTCOMES
        assert (rating.score is not None) == (rating.outcome == "ok")


FORMS = [
    lambda scores: json.dumps({str(n): s for n, s in enumerate(scores, 1)}),
    lambda scores: "```json\n" + json.dumps({str(n): str(s) for n, s in enumerate(scores, 1)}),
    lambda scores: json.dumps({"ratings": {str(n): s for n, s in enumerate(scores, 1)}}),
    lambda scores: "\n".join(f"{n}: {s}" for n, s in enumerate(scores, 1)),
    lambda scores: "Sure!\n" + "\n".join(f"{n}. **{s}**" for n, s in enumerate(scores, 1)),
    lambda scores: ", ".join(f"{n}={s}" for n, s in enumerate(scores, 1)),
    lambda scores: " ".join(f"{n}: {s}" for n, s in enumerate(scores, 1)),
    lambda scores: "\n".join(f"| {n} | {s} |" for n, s in enumerate(scores, 1)),
    lambda scores: "\n".join(f"{n}. Has 3 cats: {s}" for n, s in enumerate(scores, 1)),
    lambda scores: "1: 1\n2: 2\n\n" + "\n".join(f"{n} - {s}" for n, s in enumerate(scores, 1)),
]


@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=40),
    st.sampled_from(range(len(FORMS))).map(FORMS.__getitem__),
)
def test_ratings_of_many_items(scores, form):
    assert parse_ratings(form(scores), len(scores)) == tuple(Rating("ok", s) for s in scores)


@pytest.mark.parametrize(
    ("raw", "scores"),
    [
        ('{"1": 7, "2": 3}', [None, 3]),
        ('{"1": 0, "2": 3.5}', [None, None]),
        ('{"1": true, "2": 3, "3": 4}', [None, 3]),
        ("1: 4/6\n2: 5", [4, 5]),
        ("1: 4.5\n2: 5", [None, 5]),
        ("1. 4 children\n2: 5", [None, 5]),
        ("4, 5", [None, None]),
        ("", [None, None]),
        ("<think>1: 1, 2: 1</think>1: 3, 2: 4", [3, 4]),
        ("1: 10\n2: 12", [None, None]),
    ],
)
def test_ratings_by_example(raw, scores):
    found = parse_ratings(raw, 2)
    assert [rating.score for rating in found] == scores
    assert {rating.outcome for rating in found} <= {"ok", "invalid"}


@pytest.mark.parametrize(
    ("raw", "score"),
    [
        ("4", 4),
        ('{"answer": 4}', 4),
        ('{"answer": "4"}', 4),
        ("**5**", 5),
        ("Between 2 and 4, so 3.", 3),
        ("4 - somewhat like me", 4),
        ("7", None),
        ("3.5", None),
        ("Rating: 4/6", 4),
        ("Rating: 4/5", None),
    ],
)
def test_the_rating_of_one_item(raw, score):
    (found,) = parse_ratings(raw, 1)
    assert found == (Rating("invalid", None) if score is None else Rating("ok", score))


def test_a_questionnaire_refused_or_cut_short():
    assert set(parse_ratings("I cannot answer: I am a model.", 3)) == {Rating("refused", None)}
    assert set(parse_ratings("1: 2\n2: 3", 2, "max_tokens")) == {Rating("truncated", None)}
    assert set(parse_ratings("1: 2\n2: 3", 2, refused=True)) == {Rating("refused", None)}


@given(st.text(st.characters(codec="ascii", exclude_characters="abcdABCD")))
def test_no_letter_is_never_valid(raw):
    assert parse_answer(raw).outcome != "ok"


@given(letters, st.sampled_from(["max_tokens", "model_length"]))
def test_a_reply_cut_short_is_truncated_whatever_it_holds(letter, stop):
    assert parse_answer(letter, stop) == Answer("truncated", None)


@pytest.mark.parametrize(
    ("raw", "outcome", "letter"),
    [
        ("", "invalid", None),
        (" \u200b\n", "invalid", None),
        ("c", "ok", 2),
        ('{"answer": "b"}', "ok", 1),
        ("\uff22", "ok", 1),  # full-width B
        ("A person in her place would wait", "invalid", None),
        ("Option A suits her", "ok", 0),
        ("A. Go\nB. Stay\nC. Call\nD. Wait", "invalid", None),  # only repeats the options
        ("A. Go\nB. Stay\nC. Call\nD. Wait\nI choose C", "ok", 2),
        ("You could take A, B, C or D.", "invalid", None),  # all of them is none
        ("Of A/B/C/D I take B", "ok", 1),
        ("B. Stay with her", "ok", 1),
        ("A/B", "invalid", None),
        ("Vitamins, A-D", "invalid", None),
        ("E", "invalid", None),
        ("I'm sorry, but I can't help with that. Option B harms.", "refused", None),
        ("As an AI, I cannot choose.", "refused", None),
        ("I won't lie to her. B", "ok", 1),
        ("Unfortunately none fits, so D", "ok", 3),
        ("<think>B or C? Option C.</think>\n\nA", "ok", 0),
        ("hm, D.\n</think>A", "ok", 0),
        ("<think>B or C? I take C", "invalid", None),
    ],
)
def test_examples(raw, outcome, letter):
    answer = parse_answer(raw)
    assert (answer.outcome, answer.letter) == (outcome, letter)


def test_the_provider_says_it_refused():
    assert parse_answer("B", refused=True) == Answer("refused", None)
    assert parse_answer("B", "content_filter") == Answer("refused", None)
