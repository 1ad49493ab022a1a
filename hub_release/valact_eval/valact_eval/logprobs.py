"""The choice among the letters by their log-probabilities, where a backend gives them."""

import re
from collections.abc import Mapping
from typing import Any

from valact_eval.data import LETTERS
from valact_eval.errors import ValactError
from valact_eval.parse import Answer, parse_answer
from valact_eval.rows import Reply

_NOT_A_LETTER = re.compile(r"[\W_]+")


def letter_of(logprobs: Mapping[str, Any] | None, reply: Reply) -> Answer:
    """The letter with the greatest log-probability where the reply gives its answer.

    That place is the first token that is a letter A-D but for marks around it; in a reply
    without one, its first token. Of several tokens of one letter (as " A" and "A") the
    likeliest counts. Refusals that the provider marks stay refusals.

    Args:
        logprobs: Inspect's ``Logprobs`` as data.
        reply: the reply they belong to.

    Raises:
        ValactError: the backend gave none.
    """
    told = parse_answer("", reply.stop, reply.refused)
    if told.outcome == "refused":
        return told
    tokens = (logprobs or {}).get("content") or []
    if not tokens or not any(token.get("top_logprobs") for token in tokens):
        raise ValactError(
            "--constrained: the model gives no log-probabilities of its tokens; leave it out"
        )
    place = next((token for token in tokens if _letter(token["token"])), tokens[0])
    best: dict[str, float] = {}
    for candidate in place.get("top_logprobs") or []:
        if letter := _letter(candidate["token"]):
            best[letter] = max(best.get(letter, -float("inf")), candidate["logprob"])
    if not best:
        return Answer("invalid", None)
    chosen = min(best, key=lambda letter: (-best[letter], letter))
    return Answer("ok", LETTERS.index(chosen))


def _letter(token: str) -> str | None:
    bare = _NOT_A_LETTER.sub("", token)
    return bare if bare in LETTERS else None
