"""One model asked online: workers at its pace, one layer of retries, money settled by each answer.

A lane belongs to one event loop. When one of its calls fails for good, the others stop before
their next sending; answers on their way are paid for, so they are awaited and kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from pipeline.config_model import ModelConfig
from pipeline.errors import BadInputError, BudgetError, PipelineError, StageError
from pipeline.llm.breaker import Breaker
from pipeline.llm.clients import Clients
from pipeline.llm.endpoints import Endpoints
from pipeline.llm.ledger import Ledger
from pipeline.llm.prices import NOT_CHARGED, Charge
from pipeline.llm.provider import CallFailed, Provider
from pipeline.llm.purse import Purse
from pipeline.llm.reply import ERROR, FAILED, Reply, without_answer
from pipeline.llm.request import Request
from pipeline.llm.retry import (
    ITEM_ONLY,
    LONGEST_STATED_WAIT_S,
    THROTTLED_TRIES,
    TOO_MANY,
    TRIES,
    may_pass,
    wait,
)

_KEY_REFUSED = frozenset({401, 403})
_ALL_REFUSED = 10
_LOOK_AGAIN_S = 0.05


class Lane:
    """Asks one model; use as an async context manager, `put` requests, and leave it to finish.

    Attributes:
        failure: What ended it, or None.
        peers: The lanes of the other models that are asked at the same time.
    """

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        ledger: Ledger,
        purse: Purse,
        endpoints: Endpoints,
        on_reply: Callable[[Reply], None],
    ) -> None:
        self._name, self._config = name, config
        self._ledger, self._purse, self._endpoints = ledger, purse, endpoints
        self._on_reply = on_reply
        self._clients, self._breaker = Clients(config), Breaker()
        self._queue: asyncio.Queue[Request | None] = asyncio.Queue(2 * config.concurrency)
        self._workers: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None] | None] = set()
        self._closing = False
        self._answered = self._refused = 0
        self.failure: BaseException | None = None
        self.peers: Mapping[str, Lane] = {}

    @property
    def sending(self) -> bool:
        """True while a request is on its way."""
        return bool(self._sending)

    async def __aenter__(self) -> Lane:
        count = self._config.concurrency
        self._workers = [asyncio.create_task(self._work()) for _ in range(count)]
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None:
            self.stop(error)
        while not all(worker.done() for worker in self._workers):
            try:
                if self.failure is None:
                    for _worker in self._workers:
                        await self._queue.put(None)
                else:
                    self._closing = True
                    self._cancel_idle()
                await asyncio.wait(self._workers)
            except asyncio.CancelledError as interruption:  # Ctrl-C
                self.stop(interruption)
        await self._clients.close()
        if error is None and self.failure is not None:
            raise self.failure

    async def put(self, request: Request) -> None:
        """Hand in one request, waiting while enough are queued.

        Raises:
            PipelineError: An earlier request ended the lane.
        """
        if self.failure is not None:
            raise self.failure
        await self._queue.put(request)

    async def _work(self) -> None:
        while not self._closing and (request := await self._queue.get()) is not None:
            if self.failure is not None:
                continue  # empties the queue, so that nobody waits for a place in it
            try:
                self._on_reply(await self._answer(request))
            except Exception as error:  # raised again where the lane is left
                self.stop(error)

    def stop(self, error: BaseException) -> None:
        """Send nothing more, nor let the peers; `error` is raised where the lanes are left."""
        for lane in (self, *self.peers.values()):
            lane.failure = lane.failure or error
            lane._cancel_idle()

    def _cancel_idle(self) -> None:
        """End every worker that waits; those whose request is on its way finish it."""
        for worker in self._workers:
            if worker not in self._sending and worker is not asyncio.current_task():
                worker.cancel()

    async def _answer(self, request: Request) -> Reply:
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda e: self.failure is None and may_pass(e)),
            stop=_Patience(self._breaker),
            wait=wait,
            reraise=True,
        )
        try:
            return await retrying(self._send, request)
        except CallFailed as failure:
            return self._end(request, failure)

    async def _send(self, request: Request) -> Reply:
        while True:
            async with (
                self._breaker.passage() as probe,
                self._clients.pace.slot(request) as sent_in,
            ):
                if probe or not self._breaker.open:  # it may have opened while this call waited
                    async with self._endpoints.lent(self._name, self._config) as place:
                        provider = self._clients.get(*place)
                        return await self._send_now(provider, request, sent_in, probe=probe)

    async def _send_now(
        self, provider: Provider, request: Request, sent_in: int, *, probe: bool
    ) -> Reply:
        price = self._purse.price(self._name)
        reservation = await self._reserve(request)
        try:
            reply = await self._exchange(provider, request)
        except CallFailed as failure:
            # Where no answer came, one may have been made and charged all the same.
            lost = failure.status is None and failure.sent
            charge = Charge(price.most(request), "unknown") if lost else NOT_CHARGED
            reply = without_answer(request.key, FAILED, failure.in_short)
            self._keep(request, reply, reservation, charge)
            self._note_failure(request, failure, sent_in, probe=probe)
            raise
        charge = price.charge(request, reply.prompt_tokens, reply.completion_tokens)
        self._keep(request, reply, reservation, charge)
        self._breaker.answered()
        self._clients.pace.answered()
        self._answered += 1
        return reply

    async def _reserve(self, request: Request) -> int | None:
        """Set money aside; where only calls on their way fill the cap, wait for what they leave."""
        while True:
            try:
                return self._purse.reserve(request)
            except BudgetError:
                if not any(lane.sending for lane in (self, *self.peers.values())):
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _exchange(self, provider: Provider, request: Request) -> Reply:
        """Send once; the SDKs limit the time of each read, this limits the whole."""
        seconds = self._config.timeout_s
        try:
            with self._on_its_way():
                async with asyncio.timeout(seconds):
                    return await provider.send(request)
        except TimeoutError:
            raise CallFailed(None, "timeout", f"no whole answer in {seconds:g} s") from None

    @contextmanager
    def _on_its_way(self) -> Iterator[None]:
        worker = asyncio.current_task()
        self._sending.add(worker)
        try:
            yield
        finally:
            self._sending.discard(worker)

    def _keep(
        self, request: Request, reply: Reply, reservation: int | None, charge: Charge
    ) -> None:
        self._ledger.record(request, reply, reservation, charge)
        self._purse.spent += charge.micro_usd

    def _note_failure(
        self, request: Request, failure: CallFailed, sent_in: int, *, probe: bool
    ) -> None:
        if failure.status == TOO_MANY:
            self._clients.pace.throttled(sent_in)
        self._clients.pace.hold(failure.retry_after)
        if failure.status is None or failure.status >= 500:
            self._breaker.failed(request.key, probe=probe)
        else:
            self._breaker.answered()

    def _end(self, request: Request, failure: CallFailed) -> Reply:
        """Keep a request that cannot be answered as such, or raise what ends the stage."""
        passing = may_pass(failure) and failure.status != TOO_MANY
        poison = passing and (self._answered or self._answered_before(failure))
        if failure.status in ITEM_ONLY:
            self._refused += 1
            if self._refused >= _ALL_REFUSED and not self._answered:
                raise _ending(self._name, self._config, request, failure) from None
        elif not poison or self._breaker.open or self.failure is not None:
            raise _ending(self._name, self._config, request, failure) from None
        reply = without_answer(request.key, ERROR, failure.in_short)
        self._ledger.record(request, reply)
        return reply

    def _answered_before(self, failure: CallFailed) -> bool:
        """Return True if an endpoint that answers at all has answered this model's requests."""
        config = self._config
        known = self._ledger.usage(config.model, config.max_tokens, config.temperature)
        return failure.status is not None and known.replies > 0


class _Patience:
    """When one request has failed too often; a 429 or an outage is not its own failure."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._throttled = self._failed = 0

    def __call__(self, state: RetryCallState) -> bool:
        """Return True to give up; while the circuit is open, wait on."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, CallFailed) and error.status == TOO_MANY:
            self._throttled += 1
            return self._throttled >= THROTTLED_TRIES
        if self._breaker.open:
            return self._breaker.exhausted
        self._failed += 1
        return self._failed >= TRIES


def _ending(name: str, config: ModelConfig, request: Request, failure: CallFailed) -> PipelineError:
    """Return the one line that ends a stage whose call failed for good."""
    where = config.base_url or "the local model server"
    go_on = "the answers so far are kept, run the same command again to go on"
    if failure.status in _KEY_REFUSED:
        return BadInputError(
            f"models.{name}: {where} refuses the key in {config.api_key_env or '(none)'} "
            f"(status {failure.status}); nothing further was sent"
        )
    if failure.status is None:
        return StageError(
            f"models.{name}: no answer from {where} after many tries ({failure.code}); {go_on}"
        )
    if (failure.retry_after or 0) > LONGEST_STATED_WAIT_S:
        return StageError(
            f"models.{name}: {where} answered status {failure.status} {failure.code} and asks to "
            f"wait {failure.retry_after:.0f} s ({failure.message}); {go_on} then"
        )
    kind = StageError if may_pass(failure) else BadInputError
    return kind(
        f"models.{name}: {where} answered status {failure.status} {failure.code} to "
        f"{request.item}: {failure.message}; {go_on}"
    )
