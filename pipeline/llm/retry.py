"""One layer of retries: which failures may pass by themselves, and how long to wait."""

from __future__ import annotations

import random

from tenacity import RetryCallState

from pipeline.llm.provider import CallFailed

TRIES = 5
FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_PASSING = frozenset({408, 409, 429})
_SPENT = frozenset({"insufficient_quota", "Arrearage"})  # 429 by status, but waiting cannot help


def may_pass(error: BaseException) -> bool:
    """Return True for failures that may pass: no answer, 408, 409, 429, 5xx."""
    if not isinstance(error, CallFailed) or error.code in _SPENT:
        return False
    return error.status is None or error.status in _PASSING or error.status >= 500


def wait(state: RetryCallState) -> float:
    """Return the seconds to wait: Retry-After if given, else doubling with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, CallFailed) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_WAIT_S)
    ceiling = min(_LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
    return float(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, never data
