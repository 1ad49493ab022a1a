"""The choice among the letters, or the ratings of one item, by their log-probabilities."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from valact_eval.data import LETTERS
from valact_eval.errors import ValactError
from valact_eval.key import SCALE
from valact_eval.parse import Answer, Rating, parse_answer
from valact_eval.rows import Reply

_RATINGS = tuple(str(rating) for rating in range(SCALE[0], SCALE[1] + 1))
_NOT_A_MARK = re.compile(r"[\W_]+")


def letter_of(logprobs: Mapping[str, Any] | None, reply: Reply) -> Answer:
    """The letter A-D with the greatest log-probability where the reply gives its answer.

    That place is the first token that is a letter but for marks around it; in a reply
    without one, its first token. Of several tokens of one letter (as " A" and "A") the
    likeliest counts; where none is among the tokens that the backend lists, the reply is
    invalid. Refusals that the provider marks stay refusals.

    Args:
        logprobs: Inspect's ``Logprobs`` as data.
        reply: the reply they belong to.

    Raises:
        ValactError: the backend gave none.
    """
    if _declined(reply):
        return Answer("refused", None)
    chosen = _likeliest(logprobs, LETTERS)
    return Answer("invalid", None) if chosen is None else Answer("ok", chosen)


def rating_of(logprobs: Mapping[str, Any] | None, reply: Reply) -> Rating:
    """The rating 1-6 of the one item shown; found, and raises, as ``letter_of`` does."""
    if _declined(reply):
        return Rating("refused", None)
    chosen = _likeliest(logprobs, _RATINGS)
    return Rating("invalid", None) if chosen is None else Rating("ok", chosen + SCALE[0])


def _declined(reply: Reply) -> bool:
    return parse_answer("", reply.stop, reply.refused).outcome == "refused"


def _likeliest(logprobs: Mapping[str, Any] | None, marks: Sequence[str]) -> int | None:
    """The place of the likeliest of ``marks``."""
    tokens = (logprobs or {}).get("content") or []
    if not tokens or not any(token.get("top_logprobs") for token in tokens):
        raise ValactError(
            "--constrained: the model gives no log-probabilities of its tokens; leave it out"
        )
    place = next((token for token in tokens if _bare(token["token"]) in marks), tokens[0])
    best: dict[str, float] = {}
    for candidate in place.get("top_logprobs") or []:
        if (mark := _bare(candidate["token"])) in marks:
            best[mark] = max(best.get(mark, -float("inf")), candidate["logprob"])
    if not best:
        return None
    return marks.index(min(best, key=lambda mark: (-best[mark], mark)))


def _bare(token: str) -> str:
    return _NOT_A_MARK.sub("", unicodedata.normalize("NFKC", token))
