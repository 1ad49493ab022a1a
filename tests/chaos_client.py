"""The builder that tests/test_chaos.py kills: asks N questions through a Caller, and says one line.

python -m tests.chaos_client LEDGER URL N CAP [--timeout S] [--concurrency N] [...]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import BudgetConfig
from pipeline.config_model import ModelConfig
from pipeline.errors import PipelineError
from pipeline.llm import retry
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from tests.chaos_server import MAX_TOKENS

KEY_VARIABLE = "VALACT_TEST_KEY"
PRICES = Path(__file__).parent / "prices.toml"
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
)


def main() -> int:
    """Ask, and return the exit status as `python -m pipeline` does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("ledger", type=Path)
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("cap", type=float)
    parser.add_argument("--timeout", type=float, default=0.75)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--requests-per-minute", type=int, default=0)
    given = parser.parse_args()
    retry.FIRST_WAIT_S = 0.001  # the waiting is real, only the unit is smaller
    model = ModelConfig(
        provider="openai",
        model="fake",
        base_url=given.url,
        api_key_env=KEY_VARIABLE,
        max_tokens=MAX_TOKENS,
        concurrency=given.concurrency,
        requests_per_minute=given.requests_per_minute,
        timeout_s=given.timeout,
    )
    budget = BudgetConfig(given.cap, str(PRICES))
    try:
        with Caller(given.ledger, {"m": model}, budget) as caller:
            replies = caller.ask(questions(caller, given.count), total=given.count)
            outcomes = Counter(reply.outcome for reply in replies)
            said = {"asked": caller.asked, "replayed": caller.replayed, "outcomes": outcomes}
            print(json.dumps(said), flush=True)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr, flush=True)
        return 130
    return 0


def questions(caller: Caller, count: int) -> Iterator[Request]:
    """Yield distinct requests of different lengths."""
    for i in range(count):
        text = f"Question {i}: " + "what would you do, and — honestly — why? " * (1 + i % 7)
        yield caller.request("m", (("user", text),), item=f"item {i}", schema=SCHEMA)


if __name__ == "__main__":
    sys.exit(main())
