"""One model asked by batch: half the price, an answer within a day, nothing orphaned.

A batch is written down and its money reserved before it is uploaded; whatever moment a build is
killed at, the next one finds the batch at its provider and goes on from there. It polls once and
leaves; a build that has to wait ends, and the same command goes on later.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from openai.types.chat import ChatCompletion

from pipeline.config_model import BatchConfig, ModelConfig
from pipeline.errors import BadInputError, PipelineError, StageError
from pipeline.llm.batch_api import ENDED, BatchApi, Line, State, line_of, read_lines, write_lines
from pipeline.llm.batch_book import FAILED_WHOLE, Batch, BatchBook, Settled
from pipeline.llm.endpoints import key_of
from pipeline.llm.ledger import Ledger
from pipeline.llm.openai_chat import reply_of
from pipeline.llm.prices import NOT_CHARGED, Charge, likely_prompt_tokens
from pipeline.llm.provider import CallFailed, one_line
from pipeline.llm.purse import Purse
from pipeline.llm.reply import ERROR, FAILED, without_answer
from pipeline.llm.request import Request
from pipeline.llm.retry import ITEM_ONLY, may_pass

_TOO_MUCH_ENQUEUED = "token_limit_exceeded"
_MOST_BATCHES = 3
_OK = 200
_GONE = 404


class BatchLane:
    """Collects one model's requests into batches, and settles those that have ended.

    Attributes:
        held: Requests that wait until the provider's queue has room.
    """

    def __init__(self, name: str, config: ModelConfig, ledger: Ledger, purse: Purse) -> None:
        self._name, self._config = name, config
        self._limits = config.batch or BatchConfig()
        self._ledger, self._purse, self._book = ledger, purse, BatchBook(ledger)
        self._url = self._limits.url or config.base_url
        self._apis: dict[str, BatchApi] = {}
        self._spool: list[Request] = []
        self._bytes = self._tokens = 0
        self._full = False
        self.held = 0

    async def close(self) -> None:
        """Close its connections."""
        for api in self._apis.values():
            await api.close()

    def takes(self, request: Request) -> bool:
        """Return True if this request goes by batch, False if it is a leftover to ask online."""
        most = 1 if self._limits.leftovers == "online" else _MOST_BATCHES
        return self._book.waits_for(request.key) or self._book.askings(request.key) < most

    async def put(self, request: Request) -> None:
        """Take one request, unless a batch on its way holds it; send a batch when it is full."""
        if self._book.waits_for(request.key):
            return
        size, tokens = len(line_of(request)), likely_prompt_tokens(request)
        limits = self._limits
        if self._spool and (
            len(self._spool) >= limits.requests
            or self._bytes + size > limits.megabytes * 1_000_000
            or (limits.tokens and self._tokens + tokens > limits.tokens)
        ):
            await self.flush()
        self._spool.append(request)
        self._bytes += size
        self._tokens += tokens

    async def flush(self) -> None:
        """Send what is collected, if the provider's queue has room for it."""
        requests, tokens = self._spool, self._tokens
        self._spool, self._bytes, self._tokens = [], 0, 0
        if not requests:
            return
        self._full = self._full or bool(
            self._limits.tokens and self._queued() and self._queued() + tokens > self._limits.tokens
        )
        if self._full:
            self.held += len(requests)
            return
        price = self._purse.price(self._name).by_batch()
        key_of(self._name, self._config)  # a missing key is said before anything is written down
        batch = self._book.write_down(
            self._name,
            self._url,
            requests,
            lambda request: self._purse.reserve_within(request, price.most(request)),
        )
        await self._begin(batch)

    def _open(self) -> list[Batch]:
        return [batch for batch in self._book.all(self._name) if not batch.closed]

    def _queued(self) -> int:
        return sum(likely_prompt_tokens(r) for b in self._open() for r in self._book.requests(b))

    async def settle_ended(self) -> None:
        """Look once at every open batch: begin what was not begun, settle what has ended.

        Raises:
            BadInputError: A batch was refused as a whole.
            StageError: The provider does not answer.
        """
        refused: list[tuple[Batch, State]] = []
        for batch in self._open():
            try:
                state = await self._state(batch)
                if state.status in ENDED:
                    await self._settle(batch, state)
            except CallFailed as failure:
                raise self._ending(batch, failure) from None
            if state.status == FAILED_WHOLE:
                refused.append((batch, state))
        for batch, state in refused:
            if state.code == _TOO_MUCH_ENQUEUED and self._open():
                self._full = True  # the others have to finish first
                continue
            raise BadInputError(
                f"models.{self._name}: {batch.endpoint} refused batch {state.handle} as a whole "
                f"({state.code}: {state.problem}); nothing was charged; "
                + (
                    f"set models.{self._name}.batch.tokens to your account's limit"
                    if state.code == _TOO_MUCH_ENQUEUED
                    else f"mend this, or ask online by models.{self._name}.batch.enabled=false"
                )
            )

    async def _state(self, batch: Batch) -> State:
        if not batch.handle:
            return await self._begin(batch)
        return await self._api(batch).state(batch.handle)

    async def _begin(self, batch: Batch) -> State:
        """Upload and submit, from wherever an earlier build got to."""
        api = self._api(batch)
        try:
            file_handle = batch.file_handle
            if not file_handle:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"valact-batch-{batch.id}.jsonl"
                    write_lines(self._book.requests(batch), path)
                    file_handle = await api.upload(path)
                self._book.event(batch, "uploaded", file_handle)
            state = await api.submit(file_handle)
        except CallFailed as failure:
            if failure.status is not None and not may_pass(failure):
                # Refused with a clear status: nothing was begun, so nothing is held or charged.
                self._close(batch, FAILED_WHOLE, iter(()), lambda _: NOT_CHARGED)
            raise self._ending(batch, failure) from None
        self._book.event(batch, "submitted", state.handle)
        return state

    async def _settle(self, batch: Batch, state: State) -> None:
        """Keep every answer of a batch that ended and settle every item, one by one."""
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, file_id in enumerate(filter(None, (state.output_file, state.error_file))):
                path = Path(folder) / str(number)
                try:
                    await self._api(batch).download(file_id, path)
                except CallFailed as failure:
                    if failure.status != _GONE:
                        raise
                    continue  # deleted or expired at the provider; its items end as unknown
                files.append(path)
            answers = sum(line.status == _OK for path in files for line in read_lines(path))
            # Only answered requests are billed, and their answers are in the file: if none is
            # missing from it, an item that is in no file was never run.
            whole = state.completed is not None and answers >= state.completed
            unlisted = NOT_CHARGED if whole or state.status == FAILED_WHOLE else None
            settled = (
                item
                for path in files
                for line in read_lines(path)
                if (item := self._settled(line)) is not None
            )
            self._close(
                batch, state.status, settled, lambda request: unlisted or self._lost(request)
            )

    def abandon(self, batch: Batch) -> None:
        """Give up an open batch; its items count as charged in full."""
        self._close(batch, "abandoned", iter(()), self._lost)

    def _close(
        self,
        batch: Batch,
        how: str,
        settled: Iterator[Settled],
        cost: Callable[[Request], Charge],
    ) -> None:
        def rest(key: str) -> Settled:
            reply = without_answer(key, FAILED, f"batch {how}")
            return Settled(reply, cost(self._request(key)))

        self._purse.spent += self._book.close(batch, how, settled, rest)

    def _lost(self, request: Request) -> Charge:
        return Charge(self._purse.price(self._name).by_batch().most(request), "unknown")

    def _request(self, key: str) -> Request:
        components = self._ledger.components(key)
        if components is None:
            raise StageError(f"{self._ledger.path}: {key} is not there; this is a defect")
        return Request.from_components(components, "", self._name)

    def _settled(self, line: Line) -> Settled | None:
        if self._ledger.components(line.key) is None:
            return None  # an id that we never sent
        if line.status != _OK:
            refused = line.status in ITEM_ONLY
            detail = one_line(f"{line.status or ''} {line.problem}")
            return Settled(
                without_answer(line.key, ERROR if refused else FAILED, detail), NOT_CHARGED
            )
        request = self._request(line.key)
        try:
            reply = reply_of(request, ChatCompletion.construct(**line.body))
        except (AttributeError, TypeError, KeyError, IndexError):
            lost = without_answer(line.key, FAILED, "the answer is no chat completion")
            return Settled(lost, self._lost(request))
        price = self._purse.price(self._name).by_batch()
        return Settled(reply, price.charge(request, reply.prompt_tokens, reply.completion_tokens))

    def _api(self, batch: Batch) -> BatchApi:
        if batch.endpoint not in self._apis:
            key = key_of(self._name, self._config)
            self._apis[batch.endpoint] = BatchApi(batch.endpoint, key, self._config.timeout_s)
        return self._apis[batch.endpoint]

    def _ending(self, batch: Batch, failure: CallFailed) -> PipelineError:
        what = f"batch {batch.handle or batch.id}"
        if failure.status == _GONE and batch.handle:
            return BadInputError(
                f"models.{self._name}: {batch.endpoint} does not know {what}; is the key in "
                f"{self._config.api_key_env} of another account? To give the batch up, and count "
                f"it as charged: python -m pipeline batches --abandon {batch.id}"
            )
        kind = StageError if may_pass(failure) else BadInputError
        return kind(
            f"models.{self._name}: {batch.endpoint}: {what}: {failure.in_short}; nothing is lost, "
            "run the same command again to go on"
        )
