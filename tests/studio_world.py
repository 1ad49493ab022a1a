"""Invented items for experts, and experts of known accuracy who answer what they read on a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import polars as pl

from pipeline import schema
from pipeline.artifacts import content_id, unit_interval
from pipeline.values import value_ids

NASTY = (
    "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'> <b>bold</b> & &amp; "
    '&lt;i&gt; $action_1 {{7*7}} ]]> "quote" it\'s <style>body{display:none}</style>\n\n'
    "- a list\n\nhttps://example.org/?a=1&b=2 \u202eright to left\u202c \u00e9\u4e2d\U0001f600"
)
GENERATORS = ("g-one", "g-two")


@dataclass(frozen=True)
class World:
    """Items, and what each action (by text) truly expresses."""

    items: pl.DataFrame
    truth: dict[str, str]


def world(n: int, experts: int = 3, overlap: int = 2, **fields: Any) -> World:
    """Return `n` items of four actions, dealt round-robin to experts."""
    rows, truth = [], {}
    for number in range(n):
        scenario = content_id("s", "invented", number)
        ids, texts = [], []
        for place in range(4):
            value = value_ids()[int(unit_interval("truth", number, place) * 10)]
            text = f"Action {place} of story {number}: {NASTY if number == 0 else 'do it.'}"
            truth[text] = value
            ids.append(content_id("a", scenario, GENERATORS[place % 2], value, text))
            texts.append(text)
        row = {
            "item_id": content_id("i", 1, scenario, ids),
            "round": 1,
            "kind": "gold" if number % 10 == 9 else "sample",
            "scenario_id": scenario,
            "domain": ("career", "finance")[number % 2],
            "scenario": NASTY if number == 0 else f"Story {number}. What would you do?",
            "action_ids": ids,
            "actions": texts,
            "experts": sorted((number + turn) % experts + 1 for turn in range(overlap)),
        }
        rows.append(row | fields)
    return World(schema.frame(rows, schema.ITEMS), truth)


@dataclass
class Expert:
    """A person with an account, who chooses the true value with a known probability.

    Attributes:
        number: From 1.
        accuracy: Of the first choice.
        said: {(item id, action's text): first value} of all that was submitted.
    """

    number: int
    accuracy: float
    said: dict[tuple[str, str], str]

    def choose(self, text: str, truth: Mapping[str, str]) -> str:
        if unit_interval("right", self.number, text) < self.accuracy:
            return truth[text]
        others = [value for value in value_ids() if value != truth[text]]
        return others[int(unit_interval("wrong", self.number, text) * len(others))]

    def answer(self, data: Mapping[str, Any], truth: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the results of a page, by what stands at each place of it."""
        results = []
        for place in (1, 2, 3, 4):
            text = data[f"action_{place}"]
            value = self.choose(text, truth)
            self.said[data["item"], text] = value
            results += [
                choice(f"first_{place}", value),
                choice(f"natural_{place}", str(1 + int(unit_interval("n", text) * 5))),
            ]
        return results


def choice(name: str, *chosen: str) -> dict[str, Any]:
    place = name.partition("_")[2]
    target = "scenario" if name in ("flags", "notes") else f"action_{place}"
    return {
        "id": name,
        "from_name": name,
        "to_name": target,
        "type": "choices",
        "value": {"choices": list(chosen)},
    }


def note(text: str) -> dict[str, Any]:
    return {
        "id": "notes",
        "from_name": "notes",
        "to_name": "scenario",
        "type": "textarea",
        "value": {"text": [text]},
    }


def login(url: str, email: str, password: str) -> httpx.Client:
    """Return a client that is logged in as a person is: by the form, with the API's token."""
    client = httpx.Client(base_url=url, follow_redirects=True, timeout=120, trust_env=False)
    page = client.get("/user/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    form = {"csrfmiddlewaretoken": token[1], "email": email, "password": password}
    answer = client.post("/user/login/", data=form, headers={"Referer": f"{url}/user/login/"})
    assert "/user/login" not in str(answer.url), "the password is refused"
    key = client.get("/api/current-user/token").json()["token"]
    client.close()
    headers = {"Authorization": f"Token {key}"}
    return httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False)


def tasks_of(client: httpx.Client, project: int) -> list[dict[str, Any]]:
    answer = client.get(
        "/api/tasks", params={"project": project, "page_size": 1000, "fields": "all"}
    )
    answer.raise_for_status()
    return sorted(answer.json()["tasks"], key=lambda task: task["id"])


def annotate(
    client: httpx.Client, task: int, results: Sequence[Mapping[str, Any]], **fields: Any
) -> int:
    """Submit an annotation; return its id."""
    body = {"result": list(results), "lead_time": 31.5} | fields
    answer = client.post(f"/api/tasks/{task}/annotations/", json=body)
    answer.raise_for_status()
    return int(answer.json()["id"])


def expected(world: World, experts: Iterable[Expert]) -> dict[tuple[str, str, str], str]:
    """Return {(item id, action id, annotator): first value} of all that experts submitted."""
    rows = {row["item_id"]: row for row in world.items.iter_rows(named=True)}
    found = {}
    for expert in experts:
        for (item, text), value in expert.said.items():
            row = rows[item]
            action = row["action_ids"][row["actions"].index(text)]
            found[item, action, f"expert-{expert.number}"] = value
    return found


def told(reviews: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    """Return reviews in the form of `expected`."""
    return {
        (row["item_id"], row["action_id"], row["annotator"]): row["first_value"]
        for row in reviews.iter_rows(named=True)
    }
