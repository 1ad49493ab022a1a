"""The card and the privacy checks on a release of the real size; prints what they take."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import polars as pl
import pytest

from pipeline import canary
from pipeline.artifacts import content_id, write_parquet
from pipeline.card import CARD, write_card
from pipeline.checks.card import check_canary, check_card
from pipeline.checks.privacy import Place, check_privacy
from pipeline.dist import SLOTS, table_path
from pipeline.paths import SAMPLE_POSTS
from tests.synthetic import good_actions

SCENARIOS = 3_000


def enlarge(dist: Path) -> None:
    """Fill a small release with invented scenarios of the sample's length and good actions."""
    mark = json.loads((dist / "provenance" / "config.json").read_text())["release"]["canary"]
    small = {n: pl.read_parquet(table_path(dist, n)) for n in ("questions", "scenarios", "actions")}
    posts = [json.loads(line)["selftext"] for line in SAMPLE_POSTS.open(encoding="utf-8")]
    stories = [" ".join(text.split()) for text in posts if len(text) > 900 and "@" not in text]
    pools = {value: sorted(texts) for value, texts in good_actions().items()}
    scenarios, actions, questions = [], [], []
    domains = small["scenarios"]["domain"].unique().sort().to_list()
    for n in range(SCENARIOS):
        called = "".join(chr(97 + n // 26**k % 26) for k in range(3))  # no digit: few actions have
        text = f"Call it {called}. {_plain(stories[n % len(stories)])}"
        name = content_id("s", text)
        place = {"scenario_id": name, "domain": domains[n % 5]}
        scenarios.append(place | {"subreddit": "family", "year": 2021, "scenario": text})
        mine = []
        for value, pool in pools.items():
            for generator in ("g-one", "g-two"):
                said = f"{pool[n % len(pool)]} {called} {generator[2:]} {value}"
                row = {"action_id": content_id("a", name, generator, value, said)}
                row |= {"scenario_id": name, "value": value, "generator": generator}
                row |= {
                    "action": said,
                    "flags": [],
                    "prompt": "p 1",
                    "ledger_key": row["action_id"],
                }
                mine.append(row)
        actions += mine
        for q in range(5):
            four = mine[q::5]
            row = place | {"question_id": content_id("q", n, q), "slot": n, "question_index": q}
            row |= {"scenario": text, "target_index": 0, "target_value": four[0]["value"]}
            for column, key in (("options", "action"), ("option_ids", "action_id")):
                row[column] = [each[key] for each in four]
            row["option_values"] = [each["value"] for each in four]
            row["option_generators"] = [each["generator"] for each in four]
            questions.append(row)
    for name, rows in (("questions", questions), ("scenarios", scenarios), ("actions", actions)):
        table = pl.DataFrame([{**row, "canary": mark} for row in rows])
        table = table.select(pl.col(c).cast(t) for c, t in small[name].schema.items())
        write_parquet(table, table_path(dist, name))
    slots = pl.read_parquet(dist / SLOTS)
    held = [{"slot": n, "scenario_id": row["scenario_id"], "post_id": "", "domain": row["domain"],
             "replaced": []} for n, row in enumerate(scenarios)]  # fmt: skip
    write_parquet(pl.DataFrame(held, schema=slots.schema), dist / SLOTS, {canary.KEY: mark})


def _plain(story: str) -> str:
    """Return the story without what a build would have masked."""
    from pipeline.text import mask

    return mask(story)[0]


@pytest.mark.slow
def test_card_and_privacy_of_three_thousand_scenarios(released: Path, tmp_path: Path) -> None:
    shutil.copytree(released / "dist", tmp_path / "dist")
    dist = tmp_path / "dist"
    enlarge(dist)
    told: list[str] = []
    write_card(dist)
    for name, check in (
        ("card", lambda: check_card(dist, told.append)),
        ("canary", lambda: check_canary(dist)),
        ("personal data", lambda: check_privacy(dist, Place(), told.append)),
    ):
        begun = time.process_time()
        check()
        print(f"{name}: {time.process_time() - begun:.1f} s of CPU")
    assert any(line.startswith("personal data with a form: none in ") for line in told)
    table = pl.read_parquet(table_path(dist, "actions"))
    assert table.height == 20 * SCENARIOS
    assert "| `actions` | test | 60000 |" in (dist / CARD).read_text()
