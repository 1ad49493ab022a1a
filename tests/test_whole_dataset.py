"""A dataset of the real size, from invented scenarios to balanced questions."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import balance, compose, generate
from pipeline.config import Config
from pipeline.config_file import load
from pipeline.dist import table_path
from pipeline.stage import Context
from pipeline.values import value_ids
from pipeline.verify import verify
from tests import whole
from tests.conftest import DEMO
from tests.loopback import ChatServer
from tests.synthetic import candidates, reply

SCENARIOS = 3_000


def settings(overrides: dict[str, Any], tmp_path: Path) -> Config:
    changes = {
        "select.scenarios": SCENARIOS,
        "models.g-one.concurrency": 32,
        "models.g-two.concurrency": 32,
        "validate.reject": ["empty", "benefit_clause", "value_word", "repeated", "sentences"],
        "validate.embedding_model": "",
        "generate.repairs": 3,
        "budget.cap_usd": 100.0,
    }
    return load(DEMO, overrides | changes)


@pytest.mark.slow
def test_three_thousand_scenarios_become_fifteen_thousand_balanced_questions(
    overrides: dict[str, Any], server: ChatServer, tmp_path: Path
) -> None:
    config = settings(overrides, tmp_path)
    server.reply = reply
    table = candidates(config, SCENARIOS // len(config.domains) + 20)
    tables = {"rewrite.scenarios": table}
    written = generate.run(Context(config, tables, tmp_path, {}))
    slots, actions = written.tables["slots"], written.tables["actions"]
    assert slots["slot"].to_list() == list(range(SCENARIOS))
    assert dict(slots.group_by("domain").len().iter_rows()) == dict.fromkeys(config.domains, 600)
    assert actions.height == 20 * SCENARIOS
    # Eight of the 300 good actions give a reason and one names its value: those are asked anew.
    assert len(server.bodies) > 2 * SCENARIOS
    assert set(written.tables["violations"]["code"]) >= {"benefit_clause"}

    tables |= {f"generate.{name}": table for name, table in written.tables.items()}
    begun = time.monotonic()
    questions = compose.run(Context(config, tables, tmp_path, {})).tables["questions"]
    print(f"compose: {questions.height:,} questions in {time.monotonic() - begun:.1f} s")
    assert questions.height == 5 * SCENARIOS
    offered = Counter(option for row in questions["option_ids"].to_list() for option in row)
    assert set(offered.values()) == {1}
    assert set(offered) == set(actions["action_id"])
    counted = balance.balance(questions, value_ids())
    assert counted.two_by_two == questions.height
    for kind, span in counted.counts.items():
        if kind != "mixture":  # it cannot be even
            assert span.least == span.most == span.even, kind


@pytest.mark.slow
def test_a_release_of_three_thousand_scenarios_verifies_in_time(
    overrides: dict[str, Any], server: ChatServer, tmp_path: Path
) -> None:
    server.reply = reply
    more = {"select.scenarios": SCENARIOS, "release.dev_slots_per_domain": 24}
    config = load(DEMO, overrides | whole.OVERRIDES | more)
    dist = whole.build(config, tmp_path / "whole") / "dist"
    begun = time.monotonic()
    rows = verify(dist, config.dedup, tmp_path / "cache")
    seconds = time.monotonic() - begun
    size = sum(path.stat().st_size for path in dist.rglob("*") if path.is_file())
    print(f"verify: {rows} in {seconds:.1f} s; {size:,} bytes")
    assert rows["questions"] == rows["selection"] == 5 * SCENARIOS
    assert pl.read_parquet(table_path(dist, "questions", "dev")).height == 5 * 120
