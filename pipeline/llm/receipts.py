"""What a ledger says of single calls: what was asked, what came back, when, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError
from pipeline.llm.audit import opened
from pipeline.llm.served import Receipt, receipt


def receipts(path: Path, keys: Iterable[str]) -> dict[str, tuple[Mapping[str, Any], Receipt]]:
    """Return what makes each key (see Request.components), and the reply that is served for it.

    Raises:
        BadInputError: The file is no ledger, or lacks a call.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    found: dict[str, tuple[Mapping[str, Any], Receipt]] = {}
    with opened(path) as db:
        for key in wanted:
            call = receipt(db, key, errors=True)
            if call is None:
                raise BadInputError(
                    f"{path}: holds no reply to {key}, on which the release rests; put back the "
                    "ledger that the build was made with, or build anew with --from vote"
                )
            (asked,) = db.execute("SELECT components FROM request WHERE key = ?", (key,)).fetchone()
            found[key] = json.loads(asked), call
    return found
