"""Prices in whole micro-dollars, so that sums are exact; rounding is always against us."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from pipeline.artifacts import canonical_json
from pipeline.config_file import read_toml
from pipeline.errors import BadInputError, nearest
from pipeline.llm.request import Request

MICRO = 1_000_000
_TOKENS_AROUND_A_MESSAGE = 16
_BYTES_A_TOKEN = 3  # of English prompts, on the safe side
_STRICT = ConfigDict(extra="forbid", strict=True)
_Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Charge:
    """What one sending cost.

    Attributes:
        micro_usd: Micro-dollars.
        kind: "measured" (from usage), "not_charged" (an error status) or "unknown" (no answer, or
            one without usage; the whole reservation counts).
    """

    micro_usd: int
    kind: str


NOT_CHARGED = Charge(0, "not_charged")


@dataclass(frozen=True)
class Price:
    """What a model costs.

    Attributes:
        input_micro: Micro-dollars per million prompt tokens.
        output_micro: Micro-dollars per million completion tokens.
        batch_share: What a batch costs, as a share of the online price.
    """

    input_micro: int
    output_micro: int
    batch_share: float = 1.0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Return micro-dollars, rounded up."""
        exact = prompt_tokens * self.input_micro + completion_tokens * self.output_micro
        return -(-exact // MICRO)

    def by_batch(self) -> Price:
        """Return the price of the same tokens in a batch, rounded up."""
        share = self.batch_share
        return Price(math.ceil(self.input_micro * share), math.ceil(self.output_micro * share))

    def charge(self, request: Request, prompt_tokens: int, completion_tokens: int) -> Charge:
        """Return what an answer cost: from its usage, or the most if it does not say."""
        if prompt_tokens:
            return Charge(self.cost(prompt_tokens, completion_tokens), "measured")
        return Charge(self.most(request), "unknown")

    def most(self, request: Request) -> int:
        """Return the most that one sending of `request` can cost, in micro-dollars."""
        return self.cost(most_prompt_tokens(request), request.max_tokens)


FREE = Price(0, 0)
"""A model that the build serves itself."""


def most_prompt_tokens(request: Request) -> int:
    """Return an upper bound on the tokens of a prompt.

    Byte-level tokenisers never make more tokens than bytes; a few more stand around a message.
    """
    texts = [text for _, text in request.messages]
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return size + len(request.schema.encode()) + _TOKENS_AROUND_A_MESSAGE * (len(texts) + 1)


def likely_prompt_tokens(request: Request) -> int:
    """Return what a prompt is likely to count against a rate limit, on the safe side."""
    return most_prompt_tokens(request) // _BYTES_A_TOKEN


@checked_dataclass(frozen=True, config=_STRICT)
class _Row:
    model: str
    input_usd: _Usd
    output_usd: _Usd
    batch_share: Annotated[float, Field(gt=0, le=1)]
    date: str
    source: str


@checked_dataclass(frozen=True, config=_STRICT)
class _File:
    price: tuple[_Row, ...] = ()


def load_prices(path: Path) -> dict[str, Price]:
    """Return the price of each model in a TOML file.

    Raises:
        BadInputError: The file is missing or broken, or gives a model twice.
    """
    data = read_toml(path, "price file", "see budget.prices")
    try:
        rows = TypeAdapter(_File).validate_json(canonical_json(data)).price
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise BadInputError(f"{path}: {place}: {problem['msg']}") from None
    except (ValueError, TypeError) as error:
        raise BadInputError(f"{path}: not a price file: {error}") from None
    prices: dict[str, Price] = {}
    for row in rows:
        if row.model in prices:
            raise BadInputError(f"{path}: {row.model} has two prices; keep one")
        prices[row.model] = Price(_micro(row.input_usd), _micro(row.output_usd), row.batch_share)
    return prices


def price_of(model: str, prices: dict[str, Price], path: Path) -> Price:
    """Return the price of `model`.

    Raises:
        BadInputError: It has none.
    """
    if model not in prices:
        hint = nearest(model, prices) if prices else "the file gives no price"
        raise BadInputError(f"{path}: no price for '{model}'; add one ({hint})")
    return prices[model]


def dollars(micro: int) -> str:
    """Return micro-dollars as text, such as "$1.25"; small sums keep their digits."""
    return f"${micro / MICRO:,.2f}" if micro >= 10_000 or micro == 0 else f"${micro / MICRO:.6f}"


def _micro(usd: float) -> int:
    return math.ceil(round(usd * MICRO, 3))
