"""What every provider's client does, and the one error that their failures become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.llm.reply import Reply, outcome_of
from pipeline.llm.request import Request


@dataclass
class CallFailed(Exception):  # noqa: N818 - reads as what happened
    """One sending gave no reply.

    Attributes:
        status: HTTP status, or None if no answer came at all.
        code: The provider's own code, such as "insufficient_quota".
        message: One line for people.
        retry_after: Seconds that the provider asks to wait, or None.
        sent: False if no connection came about, so that nothing can have been charged.
    """

    status: int | None
    code: str
    message: str
    retry_after: float | None = None
    sent: bool = True

    @property
    def in_short(self) -> str:
        """Status, code and message, for the ledger."""
        return " ".join(str(part) for part in (self.status, self.code, self.message) if part)


class Provider(Protocol):
    """A client of one endpoint; it puts a request on the wire once, since each may be charged."""

    async def send(self, request: Request) -> Reply:
        """Send one request and return its reply, whatever the outcome.

        Raises:
            CallFailed: There is no reply.
        """
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


def received(
    request: Request,
    *,
    text: str,
    finish_reason: str,
    refusal: str,
    model: str,
    prompt_tokens: int,
    completion_tokens: int,
) -> Reply:
    """Return what came back as a Reply, its outcome decided."""
    outcome, detail = outcome_of(text, finish_reason, refusal, request.schema)
    return Reply(
        key=request.key,
        outcome=outcome,
        detail=detail,
        text=text,
        finish_reason=finish_reason,
        model_returned=model,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


def one_line(text: object) -> str:
    """Return any text in one line of at most 200 characters."""
    return " ".join(str(text).split())[:200]


def seconds(stated: str | None) -> float | None:
    """Return a Retry-After header as seconds; dates and nonsense give None."""
    try:
        value = float(stated or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
