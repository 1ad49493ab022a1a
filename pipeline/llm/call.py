"""Asking: the ledger first, then the network, with one layer of retries and clear endings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from pipeline.config import BudgetConfig, ModelConfig
from pipeline.errors import BadInputError, BudgetError, PipelineError, StageError
from pipeline.llm import local_server
from pipeline.llm.clients import Clients
from pipeline.llm.ledger import Charge, Ledger, Reply
from pipeline.llm.prices import FREE, MICRO, Price, dollars, load_prices, price_of
from pipeline.llm.provider import CallFailed
from pipeline.llm.request import Request
from pipeline.llm.retry import TRIES, may_pass, wait

_RESTARTS = 3
_ITEM_ONLY = frozenset({400, 413, 422})
_KEY_REFUSED = frozenset({401, 403})
_TOO_MANY = 429


class Caller:
    """Answers requests for one stage; use as a context manager.

    With `replay_only` it never opens a connection: what the ledger lacks is an error.

    Attributes:
        ledger: Where every reply is kept.
        asked: Calls that went over the network.
        replayed: Requests that the ledger answered.
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
        self._prices: dict[str, Price] = {}
        self._replay_only = replay_only
        self._models = models
        self._ledger_path = ledger
        self._stack = ExitStack()
        self._server: local_server.LocalServer | None = None
        self._restarts = 0
        self.asked = 0
        self.replayed = 0

    def __enter__(self) -> Caller:
        self.ledger = self._stack.enter_context(Ledger(self._ledger_path))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_server()
        self._stack.close()

    @property
    def server_pid(self) -> int | None:
        """Process id of the local model server, if this caller has started one."""
        return self._server.pid if self._server else None

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
        )

    def ask(
        self, model: str, requests: Sequence[Request], on_reply: Callable[[Reply], None]
    ) -> list[Reply]:
        """Return the replies in the order of `requests`, each asked at most once.

        Raises:
            BadInputError: The key is missing or refused, or the endpoint rejects the request.
            BudgetError: The next call could exceed the cap.
            StageError: The endpoint stays out of reach; what was answered is in the ledger.
        """
        replies: list[Reply | None] = [self.ledger.find(request.key) for request in requests]
        for found in filter(None, replies):
            self.replayed += 1
            on_reply(found)
        missing = list({r.key: i for i, r in enumerate(requests) if replies[i] is None}.values())
        if missing and self._replay_only:
            first = requests[missing[0]]
            raise StageError(
                f"replay only: {self._ledger_path} holds no answer to {len(missing)} of "
                f"{len(requests)} requests to {model} (first: {first.item}, {first.key}); build "
                "without --replay-only to ask"
            )
        if missing:
            asyncio.run(self._ask_missing(model, requests, replies, missing, on_reply))
        answered = {reply.key: reply for reply in replies if reply is not None}
        return [answered[request.key] for request in requests]

    async def _ask_missing(
        self,
        model: str,
        requests: Sequence[Request],
        replies: list[Reply | None],
        missing: Iterable[int],
        on_reply: Callable[[Reply], None],
    ) -> None:
        config = self._models[model]
        queue = list(reversed(list(missing)))
        async with Clients(config) as clients:

            async def worker() -> None:
                while queue:
                    index = queue.pop()
                    reply = await self._ask_one(model, clients, requests[index])
                    self.asked += 1
                    replies[index] = reply
                    on_reply(reply)

            workers = [asyncio.create_task(worker()) for _ in range(config.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                # One failure stops the rest; answers on their way are paid for, so await them.
                queue.clear()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _ask_one(self, name: str, clients: Clients, request: Request) -> Reply:
        config = clients.config
        retrying = AsyncRetrying(
            retry=retry_if_exception(may_pass),
            stop=stop_after_attempt(TRIES),
            wait=wait,
            reraise=True,
        )

        async def send() -> Reply:
            async with clients.pace.slot(request):
                return await send_now()

        async def send_now() -> Reply:
            provider = clients.get(*self._endpoint(name, config))
            reservation = self._reserve(name, request)
            try:
                reply = await provider.send(request)
            except CallFailed as failure:
                if failure.status == _TOO_MANY:
                    clients.pace.throttled()
                # Where no answer came, one may have been made and charged all the same.
                lost = Charge(self._price(name).most(request), "unknown")
                if reservation is not None:
                    charge = Charge(0, "not_charged") if failure.status else lost
                    self.ledger.settle(reservation, charge)
                raise
            price = self._price(name)
            if reply.prompt_tokens:
                charge = Charge(
                    price.cost(reply.prompt_tokens, reply.completion_tokens), "measured"
                )
            else:  # an endpoint that does not say what it used
                charge = Charge(price.most(request), "unknown")
            self.ledger.record(request, reply, reservation, charge)
            clients.pace.answered()
            return reply

        try:
            return await retrying(send)
        except CallFailed as failure:
            if failure.status in _ITEM_ONLY:
                # This one item cannot be answered (too long, say); the others may be.
                reply = Reply(request.key, "error", failure.message, "", "", "", 0, 0)
                self.ledger.record(request, reply)
                return reply
            raise _ending(name, config, request, failure) from None

    def _price(self, name: str) -> Price:
        config = self._models[name]
        if config.provider == "llama_cpp":
            return FREE
        if name not in self._prices:
            path = Path(self._budget.prices)
            self._prices[name] = price_of(config.model, load_prices(path), path)
        return self._prices[name]

    def _reserve(self, name: str, request: Request) -> int | None:
        """Set aside the most that one sending can cost; free models need none.

        Raises:
            BudgetError: The cap would be exceeded; nothing was sent.
        """
        most = self._price(name).most(request)
        if not most:
            return None
        cap = round(self._budget.cap_usd * MICRO)
        reservation = self.ledger.reserve(request.key, most, cap)
        if reservation is None:
            raise BudgetError(
                f"budget.cap_usd = {self._budget.cap_usd:g}: "
                f"{dollars(self.ledger.committed())} are spent or reserved and "
                f"{request.item} may cost {dollars(most)}; it was not sent; "
                "raise the cap to go on (what was answered is kept)"
            )
        return reservation

    def _endpoint(self, name: str, config: ModelConfig) -> tuple[str, str]:
        if config.provider == "llama_cpp":
            return self._local_url(), ""
        key = os.environ.get(config.api_key_env, "") if config.api_key_env else ""
        if config.api_key_env and not key:
            raise BadInputError(
                f"models.{name}: the environment variable {config.api_key_env} is not set; "
                "it must hold the API key"
            )
        return config.base_url, key

    def _local_url(self) -> str:
        """Return the local server's address; start it when first needed, and again if it died."""
        if self._server is not None and self._server.exit_status is not None:
            status = self._server.exit_status
            self._stop_server()
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise StageError(
                    f"the local model server died {self._restarts} times (exit status {status}); "
                    "the answers so far are kept, run the same command again to go on"
                )
        if self._server is None:
            self._server = local_server.LocalServer().__enter__()
        return self._server.base_url

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None


def _ending(name: str, config: ModelConfig, request: Request, failure: CallFailed) -> PipelineError:
    """Return the one line that ends a stage whose call failed for good."""
    where = config.base_url or "the local model server"
    if failure.status in _KEY_REFUSED:
        return BadInputError(
            f"models.{name}: {where} refuses the key in {config.api_key_env or '(none)'} "
            f"(status {failure.status}); nothing further was sent"
        )
    if failure.status is None:
        return StageError(
            f"models.{name}: no answer from {where} after {TRIES} tries ({failure.code}); the "
            "answers so far are kept, run the same command again to go on"
        )
    kind = StageError if may_pass(failure) else BadInputError
    return kind(
        f"models.{name}: {where} answered status {failure.status} {failure.code} to "
        f"{request.item}: {failure.message}; the answers so far are kept, run the same command "
        "again to go on"
    )
