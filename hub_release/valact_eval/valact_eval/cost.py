"""What a run costs: an estimate before it, a count during it, and a cap."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from valact_eval.errors import ValactError

BYTES_A_TOKEN = 3
"""Fewer than in any usual language's text, so that an estimate of tokens is too high."""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens."""

    input: float
    output: float

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """The price of so many tokens."""
        return (self.input * input_tokens + self.output * output_tokens) / _MILLION


@dataclass(frozen=True)
class Estimate:
    """Calls and, at most, tokens; ``usd`` is None without a price."""

    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None

    def __str__(self) -> str:
        """As it is printed before a run."""
        money = f"${self.usd:,.2f}" if self.usd is not None else "cost unknown (no --price)"
        return (
            f"{self.calls:,} calls, at most {self.input_tokens:,} input and "
            f"{self.output_tokens:,} output tokens, {money}"
        )


@dataclass
class Meter:
    """Money spent and reserved; shared by everything that a run asks.

    Attributes:
        cap: the most US dollars to spend, or None.
        spent: US dollars so far, those of earlier starts of the same run included.
    """

    cap: float | None = None
    spent: float = 0.0
    _reserved: dict[str, float] = field(default_factory=dict)

    def reserve(self, key: str, usd: float) -> bool:
        """Sets the most that something can cost aside; False if the cap does not allow it."""
        if self.cap is not None and self.spent + sum(self._reserved.values()) + usd > self.cap:
            return False
        self._reserved[key] = usd
        return True

    def settle(self, key: str, usd: float) -> None:
        """Replaces what was set aside by what it cost."""
        self._reserved.pop(key, None)
        self.spent += usd


def estimate(prompts: Iterable[str], max_tokens: int, price: Price | None) -> Estimate:
    """What asking these prompts costs at most."""
    calls = input_tokens = 0
    for prompt in prompts:
        calls += 1
        input_tokens += tokens_at_most(prompt)
    output_tokens = calls * max_tokens
    usd = price.usd(input_tokens, output_tokens) if price else None
    return Estimate(calls, input_tokens, output_tokens, usd)


def tokens_at_most(prompt: str) -> int:
    """An upper estimate of a prompt's tokens, with some for the message around it."""
    return len(prompt.encode("utf-8", "replace")) // BYTES_A_TOKEN + 10


def parse_prices(given: Iterable[str], models: Iterable[str]) -> Mapping[str, Price]:
    """Reads ``IN/OUT`` (for all models) and ``MODEL=IN/OUT``, in dollars a million tokens.

    Raises:
        ValactError: another form, a negative price, or a model that is not asked.
    """
    models, prices = list(models), dict[str, Price]()
    for text in sorted(given, key=lambda text: "=" in text):  # one model's own price wins
        name, _, pair = text.rpartition("=")
        try:
            low, high = (float(part) for part in pair.split("/"))
            if not (0 <= low < float("inf") and 0 <= high < float("inf")):
                raise ValueError
        except ValueError as error:
            raise ValactError(
                f"--price {text}: give IN/OUT or MODEL=IN/OUT, dollars a million tokens"
            ) from error
        if name and name not in models:
            raise ValactError(f"--price {text}: {name} is not among --model {', '.join(models)}")
        prices |= dict.fromkeys([name] if name else models, Price(low, high))
    return prices
