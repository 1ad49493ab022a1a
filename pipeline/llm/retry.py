"""One layer of retries: which errors may pass, how long to wait, and how to name them."""

from __future__ import annotations

import random

import openai
from tenacity import RetryCallState

TRIES = 5
FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


def may_pass(error: BaseException) -> bool:
    """Return True for errors that may pass by themselves: no answer, 408, 409, 429, 5xx."""
    if isinstance(error, openai.APIStatusError):
        spent = isinstance(error, openai.RateLimitError) and error.code == "insufficient_quota"
        return not spent and (error.status_code in {408, 409, 429} or error.status_code >= 500)
    return isinstance(error, openai.APIConnectionError)


def wait(state: RetryCallState) -> float:
    """Return the seconds to wait: Retry-After if given, else doubling with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, openai.APIStatusError):
        stated = error.response.headers.get("retry-after", "")
        if stated.replace(".", "", 1).isdigit():
            return min(float(stated), _LONGEST_WAIT_S)
    ceiling = min(_LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
    return float(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, never data


def one_line(error: openai.APIError) -> str:
    """Return an error's message in one line of at most 200 characters."""
    return " ".join(str(error.message).split())[:200]
