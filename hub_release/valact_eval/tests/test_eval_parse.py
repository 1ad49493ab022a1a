import pytest
from hypothesis import given
from hypothesis import strategies as st

from valact_eval.parse import OUTCOMES, VALID, Answer, parse_answer

letters = st.sampled_from("ABCD")
prose = st.text(st.sampled_from("eghijklnopqrstuvwxyz ,.\n"), max_size=60)


@given(st.text(st.characters(exclude_categories=[])), st.sampled_from(["stop", "max_tokens", "x"]))
def test_any_text_has_one_outcome_and_a_letter_only_if_valid(raw, stop):
    answer = parse_answer(raw, stop)
    assert answer.outcome in OUTCOMES
    assert (answer.letter is not None) == (answer.outcome in VALID)


@given(letters, st.sampled_from(["{}", " {}\n", '{{"answer": "{}"}}', '{{ "answer" :"{}" }}']))
def test_strict(letter, form):
    assert parse_answer(form.format(letter)) == Answer("strict", "ABCD".index(letter))


@given(
    prose,
    letters,
    st.sampled_from(
        ["\nAnswer: {}", "\n**{}**", "\n({})", "\n{}.", "\n\u200b{}", "\nOption {} is what I take"]
    ),
)
def test_lenient_takes_the_last_letter(text, letter, form):
    raw = f"B or C? {text}{form.format(letter)}"
    assert parse_answer(raw) == Answer("lenient", "ABCD".index(letter))


@given(st.text(st.characters(codec="ascii", exclude_characters="abcdABCD")))
def test_no_letter_is_never_valid(raw):
    assert parse_answer(raw).outcome not in VALID


@given(letters, st.sampled_from(["max_tokens", "model_length"]))
def test_a_reply_cut_short_is_truncated_whatever_it_holds(letter, stop):
    assert parse_answer(letter, stop) == Answer("truncated", None)


@pytest.mark.parametrize(
    ("raw", "outcome", "letter"),
    [
        ("", "empty", None),
        (" \u200b\n", "empty", None),
        ("c", "lenient", 2),
        ('{"answer": "b"}', "lenient", 1),
        ("\uff22", "lenient", 1),  # full-width B
        ("A person in her place would wait", "invalid", None),
        ("Option A suits her", "lenient", 0),
        ("A. Go\nB. Stay\nC. Call\nD. Wait", "invalid", None),  # only repeats the options
        ("A. Go\nB. Stay\nC. Call\nD. Wait\nI choose C", "lenient", 2),
        ("B. Stay with her", "lenient", 1),
        ("A/B", "invalid", None),
        ("Vitamins, A-D", "invalid", None),
        ("E", "invalid", None),
        ("I'm sorry, but I can't help with that. Option B harms.", "refused", None),
        ("As an AI, I cannot choose.", "refused", None),
        ("I won't lie to her. B", "lenient", 1),
        ("Unfortunately none fits, so D", "lenient", 3),
    ],
)
def test_examples(raw, outcome, letter):
    assert parse_answer(raw) == Answer(outcome, letter)


def test_the_provider_says_it_refused():
    assert parse_answer("B", refused=True) == Answer("refused", None)
    assert parse_answer("B", "content_filter") == Answer("refused", None)
