"""What the model calls of a build may cost, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import generate
from pipeline.build import load_table
from pipeline.config import Config
from pipeline.llm.call import Caller
from pipeline.llm.ledger import Ledger, Money
from pipeline.llm.prices import FREE, load_prices, most_prompt_tokens, price_of

_TOKENS_A_WORD = 1.4
"""English words under byte-pair tokenisers have 1.2 to 1.4 tokens; used only without posts."""


@dataclass(frozen=True)
class Estimate:
    """Upper bounds for one generator's first askings; every re-asking comes on top.

    Attributes:
        generator: Its name in [models].
        calls: Calls to make.
        answered: Calls that the ledger answers already.
        prompt_tokens: At most so many (bytes of the real prompts), or an assumption.
        completion_tokens: At most so many.
        online_micro: Cost at the online price, micro-dollars.
        batch_micro: Cost at the batch price, micro-dollars.
        assumed: True if no scenarios are drawn yet and each was taken to be as long as
            `screen.max_words` allows.
    """

    generator: str
    calls: int
    answered: int
    prompt_tokens: int
    completion_tokens: int
    online_micro: int
    batch_micro: int
    assumed: bool


def estimate(config: Config, *, selected: bool) -> list[Estimate]:
    """Return an estimate for each generator.

    Args:
        config: The build.
        selected: True if the scenarios of this very configuration are drawn already.

    Raises:
        BadInputError: A model has no price.
    """
    workspace = Path(config.build.workspace)
    assumed = not selected
    scenarios = [("s", "")] if assumed else _scenarios(config, workspace)
    found = []
    with Caller(Path(config.build.ledger), config.models, config.budget) as caller:
        for name in config.generate.generators:
            model = config.models[name]
            requests = [
                generate.first_request(config, caller, name, scenario_id, text)
                for scenario_id, text in scenarios
            ]
            left = [request for request in requests if caller.ledger.find(request.key) is None]
            prompt = sum(most_prompt_tokens(request) for request in left)
            calls, answered = len(left), len(requests) - len(left)
            if assumed:
                frame = most_prompt_tokens(requests[0])
                calls, answered = config.select.scenarios, 0
                prompt = calls * (frame + round(config.screen.max_words * _TOKENS_A_WORD))
            completion = calls * model.max_tokens
            path = Path(config.budget.prices)
            local = model.provider == "llama_cpp"
            price = FREE if local else price_of(model.model, load_prices(path), path)
            online = price.cost(prompt, completion)
            batch = -(-online * round(price.batch_share * 1000) // 1000)
            found.append(
                Estimate(name, calls, answered, prompt, completion, online, batch, assumed)
            )
    return found


def spent(config: Config) -> Money:
    """Return what the build's ledger knows of its spending."""
    with Ledger(Path(config.build.ledger)) as ledger:
        return ledger.money()


def _scenarios(config: Config, workspace: Path) -> list[tuple[str, str]]:
    quota = config.select.scenarios // len(config.domains)
    candidates = load_table(workspace, "select.candidates").filter(pl.col("rank") < quota)
    return list(candidates.select("scenario_id", "scenario").iter_rows())
