"""One layer of retries: which failures may pass by themselves, and how long to wait."""

from __future__ import annotations

import random

from tenacity import RetryCallState

from pipeline.llm.provider import CallFailed

TRIES = 8
THROTTLED_TRIES = 60
TOO_MANY = 429
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LONGEST_STATED_WAIT_S = 600.0
ITEM_ONLY = frozenset({400, 413, 422})
"""Statuses that refuse one request as it stands (too long, say), not the ones beside it."""
_PASSING = frozenset({408, 409, TOO_MANY})
_SPENT = frozenset({"insufficient_quota", "Arrearage"})  # 429 by status, but waiting cannot help


def may_pass(error: BaseException) -> bool:
    """Return True for failures that may pass: no answer, 408, 409, 429, 5xx."""
    if not isinstance(error, CallFailed) or error.code in _SPENT:
        return False
    if (error.retry_after or 0) > LONGEST_STATED_WAIT_S:
        return False
    return error.status is None or error.status in _PASSING or error.status >= 500


def wait(state: RetryCallState) -> float:
    """Return the seconds to wait: Retry-After if given, else doubling with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, CallFailed) and error.retry_after is not None:
        return error.retry_after
    ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(state.attempt_number - 1, 16))
    return float(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, never data
