"""How a run goes: counts, money and failures, and the sight of every sample that ends."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from inspect_ai.dataset import Sample
from inspect_ai.scorer import SampleScore
from inspect_ai.util import EarlyStop
from pydantic import JsonValue

from valact_eval.asks import Setup, Unit
from valact_eval.cost import Meter, Price, tokens_at_most
from valact_eval.journal import Journal
from valact_eval.models import plain_error
from valact_eval.rows import unpack

if TYPE_CHECKING:
    from inspect_ai.log import EvalSpec

_EVERY_S = 10.0
_FAILURES_AT_FIRST = 5
_FAILURES_IN_A_ROW = 20


@dataclass
class Tally:
    """How a run goes, over all its tasks and respondents."""

    total: int
    meter: Meter
    progress: bool
    asked: int = 0
    failed: int = 0
    in_a_row: int = 0
    capped: bool = False
    last_error: str = ""
    underway: int = 0
    freed: anyio.Event = field(default_factory=anyio.Event)
    _said: float = field(default_factory=time.monotonic)

    @property
    def broken(self) -> bool:
        """Whether so much fails that to go on is of no use."""
        at_first = self.asked == 0 and self.failed >= _FAILURES_AT_FIRST
        return at_first or self.in_a_row >= _FAILURES_IN_A_ROW

    def settle(self, key: str, usd: float) -> None:
        """A sample ended, well or not."""
        self.meter.settle(key, usd)
        self.underway -= 1
        self.freed.set()
        self.freed = anyio.Event()
        now = time.monotonic()
        if self.progress and (now - self._said >= _EVERY_S):
            self._said = now
            failed = f", {self.failed:,} failed" if self.failed else ""
            money = f", ${self.meter.spent:,.2f}" if self.meter.spent else ""
            say(f"{self.asked:,} of {self.total:,} samples{failed}{money}")


@dataclass
class Watch:
    """Sees every sample of one task and respondent: Inspect's ``EarlyStopping``."""

    journal: Journal
    tally: Tally
    setup: Setup
    respondent: str
    price: Price | None
    max_tokens: int
    units: Mapping[str, Unit]

    async def start_task(self, task: "EvalSpec", samples: list[Sample], epochs: int) -> str:
        """Nothing is to be prepared."""
        return "valact-eval"

    async def schedule_sample(self, id: str | int, epoch: int) -> EarlyStop | None:
        """Inspect asks only where it logs samples: ``admit`` is asked in all cases."""
        return None

    async def admit(self, id: str) -> str | None:
        """Lets a sample start when the cap allows it, or says why it may not start at all."""
        tally, unit = self.tally, self.units[id]
        usd = self._at_most(unit)
        while not tally.broken:
            if tally.meter.reserve(self._key(unit), usd):
                tally.underway += 1
                return None
            if not tally.underway:
                tally.capped = True
                return "the cap is reached"
            await tally.freed.wait()
        return "too many requests fail"

    async def complete_sample(
        self, id: str | int, epoch: int, scores: dict[str, SampleScore]
    ) -> None:
        """Writes a sample's rows down."""
        unit = self.units[str(id)]
        found = next((score.score.metadata for score in scores.values()), None)
        if not found:  # it failed, and the solver has said so
            return
        usage = dict(found["usage"])
        usd = self._usd(unit, usage)
        self.journal.add(unit, self.respondent, unpack(found), {"id": unit.id, **usage, "usd": usd})
        self.tally.asked += 1
        self.tally.in_a_row = 0
        self.tally.settle(self._key(unit), usd or 0.0)

    async def complete_task(self) -> dict[str, JsonValue]:
        """Nothing is to be told."""
        return {}

    def failed(self, id: str, error: BaseException) -> None:
        """A sample's request failed for good."""
        self.tally.failed += 1
        self.tally.in_a_row += 1
        self.tally.last_error = f"{self.respondent}: {plain_error(error)}"
        self.tally.settle(self._key(self.units[id]), 0.0)

    def _key(self, unit: Unit) -> str:
        return f"{self.respondent}\0{unit.task}\0{unit.id}"

    def _at_most(self, unit: Unit) -> float:
        price = self.price
        if price is None:
            return 0.0
        calls = unit.calls(self.setup)
        return price.usd(
            sum(tokens_at_most(call.prompt) for call in calls), len(calls) * self.max_tokens
        )

    def _usd(self, unit: Unit, usage: Mapping[str, int | None]) -> float | None:
        price = self.price
        if price is None:
            return None
        if usage["input_tokens"] is None or usage["output_tokens"] is None:
            return self._at_most(unit)  # the provider counts nothing: the most it can be
        return price.usd(usage["input_tokens"], usage["output_tokens"])


def say(line: str) -> None:
    """A line of progress, on stderr."""
    print(f"valact-eval: {line}", file=sys.stderr, flush=True)
