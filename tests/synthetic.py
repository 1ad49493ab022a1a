"""Invented scenarios and actions in any number, for tests and measurements of a whole dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl

from pipeline import schema
from pipeline.artifacts import unit_interval
from pipeline.config import Config
from pipeline.paths import ROOT
from pipeline.validators import ActionRow

ACTIONS = ROOT / "tests" / "actions_good.ndjson"
_SUBJECTS = ("My sister", "My landlord", "A colleague", "My father", "An old friend", "My manager")
_WANTS = (
    "wants me to sign for a loan",
    "asks me to keep quiet about a mistake in the accounts",
    "offers me a place in a new firm abroad",
    "will not speak to me since the wedding",
    "says that I should give up the course and come home",
    "has read my letters and told the others",
)
_BUTS = (
    "I had planned to move in spring",
    "the others count on me to say something",
    "we have known each other since school",
    "there is little money left this month",
    "the doctor told me to rest",
    "nobody else knows of it yet",
)


def candidates(config: Config, per_domain: int) -> pl.DataFrame:
    """Return rows of schema.CANDIDATES, so many a domain, each with another text."""
    rows = []
    for place, domain in enumerate(config.domains):
        for rank in range(per_domain):
            name = f"s_{place}_{rank:04d}"
            subject, wants, but = (
                options[int(unit_interval(kind, name) * len(options))]
                for kind, options in (("a", _SUBJECTS), ("b", _WANTS), ("c", _BUTS))
            )
            text = f"{subject} {wants}, and {but}. This is case {name}. What should I do?"
            rows.append(
                {
                    "scenario_id": name,
                    "post_id": f"p{place}_{rank}",
                    "domain": domain,
                    "subreddit": config.domains[domain][0],
                    "year": 2010 + rank % 10,
                    "rank": rank,
                    "scenario": text,
                    "body_sha256": "",
                }
            )
    return schema.frame(rows, schema.CANDIDATES)


@cache
def good_actions() -> dict[str, list[str]]:
    """Return the invented actions of tests/actions_good.ndjson by value."""
    found: dict[str, list[str]] = {}
    for line in ACTIONS.read_text(encoding="utf-8").splitlines():
        row = ActionRow(**json.loads(line))
        found.setdefault(row.value, []).append(row.action)
    return found


def reply(body: Mapping[str, Any]) -> str:
    """Return a good generator's reply: for each value an action, by case, model and asking."""
    text = json.dumps(body["messages"])
    case = re.search(r"case (s_\w+)", text)
    assert case
    names = list(body["response_format"]["json_schema"]["schema"]["properties"])
    told = {}
    for name in names:
        value = name
        if name == "action":
            asked = re.search(r"- ([a-z_]+):", text)
            assert asked
            value = asked[1]
        pool = good_actions()[value]
        drawn = unit_interval(case[1], str(body["temperature"]), value, str(len(text)))
        told[name] = pool[int(drawn * len(pool))]
    return json.dumps(told)
