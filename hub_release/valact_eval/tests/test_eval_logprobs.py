import pytest

from valact_eval.errors import ValactError
from valact_eval.logprobs import letter_of, rating_of
from valact_eval.parse import Answer, Rating
from valact_eval.rows import Reply


def logprobs(*tokens):
    """Each token with what else the model might have said there."""
    return {
        "content": [
            {
                "token": said,
                "top_logprobs": [{"token": t, "logprob": p} for t, p in likely.items()],
            }
            for said, likely in tokens
        ]
    }


@pytest.mark.parametrize(
    ("found", "score"),
    [
        ([("3", {"3": -0.1, "4": -2})], 3),
        ([("The", {"The": -0.1, "1": -3.2, " 2": -3.1, "2": -9})], 2),  # none said: first token
        ([('{"', {"1": -0.1}), ("answer", {}), ("5", {"5": -1, "6": -0.5})], 6),
        ([("x", {"x": -0.1, "7": -1, "12": -1, "0": -1, "": -2})], None),
        ([("４", {"４": -0.5, "1": -1})], 4),  # noqa: RUF001
        ([("1", {"1": -1, "6": -1})], 1),
    ],
)
def test_rating(found, score):
    outcome = "ok" if score else "invalid"
    assert rating_of(logprobs(*found), Reply("...", "max_tokens")) == Rating(outcome, score)


def test_refusals_stay_and_missing_log_probabilities_are_named():
    some = logprobs(("3", {"3": -0.1}))
    for reply in (Reply("3", "content_filter"), Reply("3", refused=True)):
        assert rating_of(some, reply) == Rating("refused", None)
        assert letter_of(some, reply) == Answer("refused", None)
    for none in (None, {"content": []}, logprobs(("3", {}))):
        for read in (rating_of, letter_of):
            with pytest.raises(ValactError, match="gives no log-probabilities"):
                read(none, Reply("3"))
