"""What a build may cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import build as runner
from pipeline import show
from pipeline.config import Config
from pipeline.estimate import estimate, whole
from tests.loopback import ChatServer

World = Callable[..., Config]


def test_plan_measures_what_replies_used_and_leaves_no_ledger_behind(
    world: World, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = {"models.g-one.requests_per_minute": 2, "models.g-two.batch": {"requests": 5}}
    config = world(select__scenarios=20, select__reserve=0, **limit)
    runner.build(config, until="select")
    before = estimate(config, {"select"})
    # 3 % of 200 actions each are assumed to be asked for anew.
    assert [row.calls for row in before] == [20, 20, 6, 6]
    assert [row.minutes for row in before] == [10.0, 0.0, 3.0, 0.0]
    assert [row.measured for row in before] == [None] * 4
    assert not Path(config.build.ledger).exists()
    together = whole(before)
    assert together.calls == 52
    assert together.online_micro == sum(row.online_micro for row in before)
    # g-two is asked by batch in two stages, g-one online for 13 minutes.
    assert (together.minutes, together.batch_rounds) == (13.0, 2)
    by_model = [row.batch_micro if row.model == "g-two" else row.online_micro for row in before]
    assert together.configured_micro == sum(by_model)
    asked: list[str] = []

    def rule(body: dict[str, Any]) -> str:
        """Cut off the first four answers of g-one."""
        asked.extend(["g-one"] if body["temperature"] == 0 else [])
        return "truncated" if body["temperature"] == 0 and len(asked) <= 4 else ""

    server.rule = rule
    runner.build(world(select__scenarios=20, select__reserve=0), until="generate")
    held = Path(config.build.ledger).stat().st_size
    assert held < together.ledger_bytes < 40 * held
    after = estimate(
        world(select__scenarios=20, **{"models.g-one.top_p": 0.5}), {"select", "rewrite"}
    )
    assert [row.calls for row in after] == [20, 0, 0, 0]
    assert "0.0% of all, as in the last build" in after[2].stage
    usage = after[0].measured
    assert usage is not None
    assert (usage.replies, usage.unusable) == (24, 4)
    # Ten prompt tokens at $1 and five of completion at $4 a million; one answer in six is lost.
    assert after[0].expected_online_micro == 20 * 30 * 24 / 20
    assert after[0].expected_batch_micro == 20 * 15 * 24 / 20
    show.print_estimate(config, set())
    shown = capsys.readouterr().out
    assert "10 min at the configured limits" in shown
    assert "up to a day a round of batches" in shown
    said = show.totals(together, 2_000_000)
    assert said[0].startswith("together 52 calls: at most")
    assert said[1].endswith("as configured; the cap is $2.00")
    assert said[3].startswith("time: 0.2 hours at the configured limits and 2 rounds of batches")
    cap = round(config.budget.cap_usd * 1_000_000)
    for line in show.totals(whole(estimate(config, set())), cap):
        assert f"    {line}\n" in shown
    assert "expected from 24 replies" in shown
    assert "select.reserve = 0: with 4 wanted a domain, at most 0.1% of the posts" in shown
    assert "the last build lost vote 0 of" in shown
