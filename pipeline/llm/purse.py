"""The cap: what each model costs, and money set aside before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import BudgetConfig
from pipeline.config_model import ModelConfig
from pipeline.errors import BudgetError
from pipeline.llm.ledger import Ledger
from pipeline.llm.prices import FREE, MICRO, Price, dollars, load_prices, price_of
from pipeline.llm.request import Request


class Purse:
    """Prices of a build's models and its cap, over one ledger.

    Attributes:
        spent: Micro-dollars charged, or lost, since it was opened.
    """

    def __init__(
        self, ledger: Ledger, models: Mapping[str, ModelConfig], budget: BudgetConfig
    ) -> None:
        self._ledger, self._models, self._budget = ledger, models, budget
        self._prices: dict[str, Price] = {}
        self.spent = 0

    def price(self, name: str) -> Price:
        """Return the price of a model (a name in [models]).

        Raises:
            BadInputError: It has none.
        """
        config = self._models[name]
        if config.provider == "llama_cpp":
            return FREE
        if name not in self._prices:
            path = Path(self._budget.prices)
            self._prices[name] = price_of(config.model, load_prices(path), path)
        return self._prices[name]

    def reserve(self, request: Request) -> int | None:
        """Set aside the most that one sending can cost; free models need none.

        Returns:
            The reservation's number.

        Raises:
            BudgetError: The cap would be exceeded; nothing was sent.
        """
        most = self.price(request.name).most(request)
        if not most:
            return None
        with self._ledger.transaction():
            return self.reserve_within(request, most)

    def reserve_within(self, request: Request, most: int) -> int | None:
        """Set aside `most` micro-dollars within an open transaction; see `reserve`."""
        if not most:
            return None
        cap = round(self._budget.cap_usd * MICRO)
        reservation = self._ledger.reserve_within(request.key, most, cap)
        if reservation is None:
            raise BudgetError(
                f"budget.cap_usd = {self._budget.cap_usd:g}: "
                f"{dollars(self._ledger.committed())} are spent or reserved and "
                f"{request.item} may cost {dollars(most)}; it was not sent; "
                "raise the cap to go on (what was answered is kept)"
            )
        return reservation
