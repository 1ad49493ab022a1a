"""What a ledger says of single calls: what was asked, what came back, when, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError
from pipeline.llm.audit import opened
from pipeline.llm.reply import ERROR, FAILED, PURGED


@dataclass(frozen=True)
class Receipt:
    """One call.

    Attributes:
        components: What makes the key; see Request.components.
        outcome: Of the reply that is served.
        text: The reply.
        model_returned: By the name that came back.
        prompt_tokens: By the endpoint's count.
        completion_tokens: Likewise.
        date: Day of the reply, UTC.
        micro_usd: Its measured cost, as Ledger.account counts it for the card.
    """

    components: Mapping[str, Any]
    outcome: str
    text: str
    model_returned: str
    prompt_tokens: int
    completion_tokens: int
    date: str
    micro_usd: int


def receipts(path: Path, keys: Iterable[str]) -> dict[str, Receipt]:
    """Return the calls under these keys.

    Raises:
        BadInputError: The file is no ledger, or lacks a call.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    found: dict[str, Receipt] = {}
    with opened(path) as db:
        costs = dict(
            db.execute(
                "SELECT r.key, max(s.micro_usd) FROM reservation r JOIN settlement s "
                "ON s.reservation = r.id WHERE s.kind = 'measured' GROUP BY r.key"
            )
        )
        for key in wanted:
            row = db.execute(
                # the reply that Ledger.find serves
                "SELECT r.components, a.outcome, a.text, a.model_returned, a.prompt_tokens, "
                "a.completion_tokens, substr(a.finished_utc, 1, 10) FROM attempt a "
                "JOIN request r USING (key) WHERE a.key = ? AND a.outcome NOT IN (?, ?) "
                "ORDER BY a.outcome = 'ok' DESC, a.outcome <> ? DESC, a.id DESC LIMIT 1",
                (key, FAILED, PURGED, ERROR),
            ).fetchone()
            if row is None:
                raise BadInputError(
                    f"{path}: holds no reply to {key}, on which the release rests; put back the "
                    "ledger that the build was made with, or build anew with --from vote"
                )
            asked, outcome, text, returned, prompt, completion, date = row
            found[key] = Receipt(
                components=json.loads(asked),
                outcome=outcome,
                text=text,
                model_returned=returned,
                prompt_tokens=prompt,
                completion_tokens=completion,
                date=date,
                micro_usd=costs.get(key, 0),
            )
    return found
