"""Asking: the ledger first, then each model online or by batch, all of them at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from pipeline.config import BudgetConfig
from pipeline.config_model import ModelConfig
from pipeline.errors import StageError, WaitingError
from pipeline.llm import local_server
from pipeline.llm.batch import BatchLane
from pipeline.llm.batch_book import BatchBook
from pipeline.llm.endpoints import Endpoints
from pipeline.llm.ledger import Ledger
from pipeline.llm.online import Lane
from pipeline.llm.prices import dollars
from pipeline.llm.purse import Purse
from pipeline.llm.reply import Reply
from pipeline.llm.request import Request, in_shard
from pipeline.llm.served import receipt
from pipeline.progress import Task, task


class Caller:
    """Answers requests for one stage; use as a context manager.

    With `replay_only` it never opens a connection: what the ledger lacks is an error.

    Attributes:
        ledger: Where every reply is kept.
        asked: Answers that came over the network.
        replayed: Requests that the ledger answered.
        returned: For each model, how many replies each name that came back has given.
    """

    def __init__(
        self,
        ledger: Path,
        models: dict[str, ModelConfig],
        budget: BudgetConfig,
        *,
        replay_only: bool = False,
    ) -> None:
        self._budget = budget
        self._replay_only = replay_only
        self._models = models
        self._ledger_path = ledger
        self._stack = ExitStack()
        self._endpoints = Endpoints()
        self.asked = self.replayed = 0
        self.returned: dict[str, Counter[str]] = {}
        self._served: dict[str, set[str]] = {}

    def __enter__(self) -> Caller:
        self.ledger = self._stack.enter_context(Ledger(self._ledger_path))
        self._purse = Purse(self.ledger, self._models, self._budget)
        return self

    def __exit__(self, *_: object) -> None:
        self._endpoints.close()
        self._stack.close()

    @property
    def server_pids(self) -> list[int]:
        """Process ids of the bundled model's servers that this caller has started."""
        return self._endpoints.server_pids

    def request(
        self,
        model: str,
        messages: tuple[tuple[str, str], ...],
        *,
        item: str,
        schema: str = "",
        replicate: int = 0,
        seed: int = 0,
    ) -> Request:
        """Return the request that asks `model` (a name in [models]) these messages."""
        config = self._models[model]
        local = config.provider == "llama_cpp"
        return Request(
            provider=config.provider,
            endpoint=local_server.endpoint() if local else config.base_url,
            model=config.model,
            messages=messages,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            frequency_penalty=config.frequency_penalty,
            seed=seed if config.seeded else None,
            schema=schema,
            replicate=replicate,
            item=item,
            name=model,
        )

    def ask(
        self, requests: Iterable[Request], label: str = "calls", total: int = 0
    ) -> Iterator[Reply]:
        """Answer every request, then return the replies one by one, in their order.

        Requests of several models are asked side by side if they come mixed. They are taken as
        they are needed and replies are read back from the ledger, so that neither fills memory.

        Args:
            requests: What to ask; equal requests are asked once.
            label: What the progress is called.
            total: Number of requests, if known.

        Raises:
            BadInputError: The key is missing or refused, or the endpoint rejects the request.
            BudgetError: The next call could exceed the cap.
            StageError: The endpoint stays out of reach; what was answered is in the ledger.
            WaitingError: Batches are on their way, or other shards have to ask, too.
        """
        with task(label, total) as progress:
            session = _Session(
                self._models,
                self.ledger,
                self._purse,
                self._endpoints,
                progress,
                replay_only=self._replay_only,
                shard=self._budget.shard,
            )
            try:
                asyncio.run(session.run(requests))
            finally:
                self.asked += session.asked
                self.replayed += session.replayed
        return self._replies(session.asked_for)

    def _replies(self, asked_for: list[tuple[str, str]]) -> Iterator[Reply]:
        for name, key in asked_for:
            reply = self.ledger.find(key, errors=True)
            if reply is None:
                raise StageError(f"{self._ledger_path}: {key} has no reply; this is a defect")
            self._served.setdefault(name, set()).add(key)
            if reply.model_returned:
                self.returned.setdefault(name, Counter())[reply.model_returned] += 1
            yield reply

    def notes(self) -> dict[str, object]:
        """Return what a manifest says of the models: names that came back, calls, and warnings.

        Days and costs are those of the ledger, so that a replay says the same.
        """
        returned = {name: dict(sorted(n.items())) for name, n in sorted(self.returned.items())}
        warnings = [
            f"models.{name}: the model changed in the middle of the build: "
            + ", ".join(f"{came} answered {n:,}" for came, n in counts.items())
            for name, counts in returned.items()
            if len(counts) > 1
        ]
        calls = {name: self._account(keys) for name, keys in sorted(self._served.items())}
        return {"models_returned": returned, "calls": calls, "warnings": warnings}

    def _account(self, keys: Iterable[str]) -> dict[str, object]:
        found = [each for key in keys if (each := receipt(self.ledger.db, key)) is not None]
        days = [each.date for each in found]
        return {
            "requests": len(found),
            "first_day": min(days, default=""),
            "last_day": max(days, default=""),
            "prompt_tokens": sum(each.reply.prompt_tokens for each in found),
            "completion_tokens": sum(each.reply.completion_tokens for each in found),
            "micro_usd": sum(each.micro_usd for each in found),
        }


class _Session:
    """One `ask`: where each request goes."""

    def __init__(
        self,
        models: dict[str, ModelConfig],
        ledger: Ledger,
        purse: Purse,
        endpoints: Endpoints,
        progress: Task,
        *,
        replay_only: bool,
        shard: str,
    ) -> None:
        self._models, self._ledger, self._purse = models, ledger, purse
        self._shard, self._elsewhere = shard, 0
        self._endpoints, self._progress, self._replay_only = endpoints, progress, replay_only
        self._online: dict[str, Lane] = {}
        self._batches: dict[str, BatchLane] = {}
        self._seen: set[str] = set()
        self._lacking: Counter[str] = Counter()
        self._failed = 0
        self._spent_before = purse.spent
        self.asked = self.replayed = 0
        self.asked_for: list[tuple[str, str]] = []

    async def run(self, requests: Iterable[Request]) -> None:
        first_lacking = None
        async with AsyncExitStack() as lanes:
            for request in requests:
                self.asked_for.append((request.name, request.key))
                if request.key in self._seen:
                    continue
                self._seen.add(request.key)
                if self._is_known(request.key):
                    continue
                if self._replay_only:
                    first_lacking = first_lacking or request
                    self._lacking[request.name] += 1
                elif not in_shard(request.key, self._shard):
                    self._elsewhere += 1
                else:
                    await self._put(request, lanes)
            for batches in self._batches.values():
                await batches.flush()
        if first_lacking is not None:
            self._cannot_replay(first_lacking)
        if self._batches:
            held = sum(batches.held for batches in self._batches.values())
            line = waiting(BatchBook(self._ledger), (key for _, key in self.asked_for), held)
            if line:
                raise WaitingError(line)
        if self._elsewhere:
            raise WaitingError(
                f"shard {self._shard}: its requests are answered as far as they are known; "
                f"{self._elsewhere:,} belong to other shards: merge all their ledgers "
                "(`ledger merge`) and go on with that one (docs/scale.md)"
            )

    def _is_known(self, key: str) -> bool:
        if not self._ledger.has(key, errors=self._replay_only):
            return False
        self.replayed += 1
        self._progress.advance(1, self._note())
        return True

    async def _put(self, request: Request, lanes: AsyncExitStack) -> None:
        name = request.name
        config = self._models[name]
        if config.by_batch:
            if name not in self._batches:
                batches = BatchLane(name, config, self._ledger, self._purse)
                lanes.push_async_callback(batches.close)
                await batches.settle_ended()
                self._batches[name] = batches
                if self._is_known(request.key):  # it was among what has just come
                    return
            if self._batches[name].takes(request):
                await self._batches[name].put(request)
                return
        if name not in self._online:
            lane = Lane(name, config, self._ledger, self._purse, self._endpoints, self._on_reply)
            lane.peers = self._online
            self._online[name] = await lanes.enter_async_context(lane)
        await self._online[name].put(request)

    def _on_reply(self, reply: Reply) -> None:
        self.asked += 1
        self._failed += reply.outcome != "ok"
        self._progress.advance(1, self._note())

    def _note(self) -> str:
        parts = [f"{self._failed:,} without a usable answer"] if self._failed else []
        spent = self._purse.spent - self._spent_before
        if spent:
            parts.append(f"{dollars(spent)} spent")
            to_come = self._progress.total - self.replayed
            if self.asked and to_come > 0:
                parts.append(f"about {dollars(round(spent / self.asked * to_come))} in the end")
        return ", ".join(parts)

    def _cannot_replay(self, first: Request) -> None:
        asked = sum(name == first.name for name, _ in self.asked_for)
        raise StageError(
            f"replay only: {self._ledger.path} holds no answer to {self._lacking[first.name]} of "
            f"{asked} requests to {first.name} (first: {first.item}, {first.key}); build "
            "without --replay-only to ask"
        )


def waiting(book: BatchBook, keys: Iterable[str], held: int) -> str:
    """Return how the batches of these requests stand, or "" if there is nothing to wait for."""
    numbers = {number for key in keys for number in book.holding(key)}
    batches = [batch for batch in book.all() if batch.id in numbers]
    done = [batch for batch in batches if batch.closed]
    if len(done) == len(batches) and not held:
        return ""
    left = sum(batch.items for batch in batches if not batch.closed)
    later = f", {held:,} more requests wait until those are done" if held else ""
    return (
        f"waiting: {len(done)} of {len(batches)} batches are done ({left:,} answers to "
        f"come{later}); run the same command again to go on"
    )
