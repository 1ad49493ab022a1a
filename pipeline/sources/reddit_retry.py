"""Which failures of Reddit may pass by themselves, and how long to wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import prawcore
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
)

if TYPE_CHECKING:
    from requests import Response

TRIES = 8
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
LONGEST_STATED_WAIT_S = 900.0


class Passing(Exception):  # noqa: N818
    """A failure that may pass by itself.

    Attributes:
        wait: Seconds to wait, if Reddit named them.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class Requestor(prawcore.Requestor):
    """Hands failures that may pass to the one layer of retries, past prawcore's own.

    It also holds the timeout: PRAW's `timeout` is not used for API calls.
    """

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Response:
        """Send one request.

        Raises:
            Passing: No answer came, or one that says that a later one may be better.
        """
        try:
            response = super().request(*args, timeout=self.timeout, **kwargs)
        except prawcore.RequestException as error:
            cause = error.original_exception
            if isinstance(cause, OSError) and not isinstance(cause, ValueError):
                raise Passing(f"no answer ({type(cause).__name__})") from None
            raise
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise Passing(f"status {response.status_code}", _stated_wait(response))
        return response


def patient() -> Retrying:
    """Return what calls a function until it succeeds, or fails in a way that will not pass."""
    return Retrying(
        stop=stop_after_attempt(TRIES) | stop_after_delay(LONGEST_STATED_WAIT_S),
        retry=retry_if_exception(worth_waiting),
        wait=_wait,
        reraise=True,
    )


def worth_waiting(error: BaseException) -> bool:
    """Return True for failures that may pass within a time that is worth waiting."""
    return isinstance(error, Passing) and (error.wait or 0) <= LONGEST_STATED_WAIT_S


def _wait(attempts: RetryCallState) -> float:
    error = attempts.outcome.exception() if attempts.outcome else None
    if isinstance(error, Passing) and error.wait is not None:
        return error.wait
    return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempts.attempt_number - 1)))


def _stated_wait(response: Response) -> float | None:
    """Return the seconds that a refusal asks to wait: Retry-After, or the end of the window."""
    throttled = response.status_code == 429
    for name in ("retry-after", "x-ratelimit-reset")[: 1 + throttled]:
        try:
            return max(0.0, float(response.headers[name]))
        except (KeyError, ValueError):
            continue
    return None
