"""Against the real Label Studio: routing, simulated experts, crashes, collecting; and the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from pipeline.annotation.answers import progress
from pipeline.annotation.rounds import all_items, all_sealed
from pipeline.annotation.store import load_reviews
from pipeline.artifacts import sha256_file
from pipeline.labelstudio.collect import collect
from pipeline.labelstudio.connect import connect
from pipeline.labelstudio.forget import compact, forget_tasks
from pipeline.labelstudio.route import route
from pipeline.labelstudio.server import Server
from pipeline.labelstudio.studio import Studio
from pipeline.paths import ROOT
from tests.studio_office import TestOffice, answer_of, desk_office
from tests.studio_world import (
    NASTY,
    Expert,
    annotate,
    choice,
    note,
    tasks_of,
    world,
)

pytestmark = pytest.mark.slow


def ids(tasks: list[dict[str, Any]]) -> list[str]:
    return [task["data"]["item"] for task in tasks]


def test_experts_work_through_crashes(
    label_studio: Server, people: Callable[[int], httpx.Client], tmp_path: Path
) -> None:
    skill = {1: 0.95, 2: 0.85, 3: 0.75}
    office = desk_office(
        tmp_path, 12, reviews_per_value=48, skill=skill, faulty=0.1, server=label_studio.folder
    )

    # `annotate` is killed when the first project has its tasks, and runs again.
    killed = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *office.arguments("annotate")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    studio = Studio(label_studio.url, label_studio.accounts.token)
    while killed.poll() is None:
        mine = [p for p in studio.projects() if p.title.startswith("rounds: ")]
        if mine and studio.tasks(mine[0].id):
            break
        time.sleep(0.02)
    assert killed.poll() is None, "it was done before it was killed"
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    again = office.run("annotate")
    assert again.returncode == 0, again.stderr
    assert "another window" not in again.stdout, "it must not wait: the server is another's"
    projects = {int(p.title[-1]): p.id for p in studio.projects() if p.title.startswith("rounds")}
    assert sorted(projects) == [1, 2, 3]
    items = all_items(office.rounds())
    sampled = items.filter(kind="sample")
    assert (sampled.height, set(sampled["experts"].list.len())) == (60, {2})
    given = {n: items.filter(pl.col("experts").list.contains(n))["item_id"] for n in projects}
    for number, project in projects.items():
        assert sorted(ids(tasks_of(people(1), project))) == sorted(given[number])

    # Experts answer; the server is killed when they are half through.
    total = 4 * sum(len(each) for each in given.values())
    waiting = office.run("collect")
    assert waiting.returncode == 3
    assert waiting.stderr.startswith(f"waiting: 0 of {total} reviews (expert 1: ")
    left: dict[int, int] = {}
    for half in (0, 1):
        for number, project in projects.items():
            client = people(number)
            tasks = tasks_of(client, project)
            for task in tasks[half::2]:
                annotate(client, task["id"], answer_of(office, task["data"], number))
            left[number] = 4 * len(tasks[1::2])
        if not half:
            assert label_studio.pid is not None
            os.kill(label_studio.pid, signal.SIGKILL)
            assert label_studio._process is not None
            label_studio._process.wait()
            label_studio.start()
            waiting = office.run("collect")
            assert waiting.returncode == 3
            rest = ", ".join(f"expert {n}: {count} left" for n, count in left.items())
            done = total - sum(left.values())
            assert waiting.stderr == f"waiting: {done} of {total} reviews ({rest})\n"
            assert office.run("adjudicate").returncode == 3
    collected = office.run("collect")
    assert collected.returncode == 0, collected.stderr
    assert_as_meant(office)

    # One changes an answer.
    client = people(2)
    task = tasks_of(client, projects[2])[0]
    item = items.filter(item_id=task["data"]["item"]).row(0, named=True)
    action = item["action_ids"][item["actions"].index(task["data"]["action_1"])]
    meant = office.meant()[item["item_id"], action, "expert-2"]
    meant["first_value"] = "power" if meant["first_value"] != "power" else "security"
    meant["second_value"] = ""
    changed = client.patch(
        f"/api/annotations/{task['annotations'][0]['id']}/",
        json={"result": answer_of(office, task["data"], 2)},
    )
    changed.raise_for_status()
    collected = office.run("collect")
    assert collected.returncode == 0, collected.stderr
    assert ", 4 changed" in collected.stdout  # one answer, four rows: all have a newer time
    assert_as_meant(office)

    # The figures are those of a calculation that shares nothing with them but what was meant.
    judged = office.run("adjudicate", "--json")
    assert judged.returncode == 0, judged.stderr
    figures = json.loads(judged.stdout)
    said = [row for row in office.meant().values() if row["kind"] == "sample"]
    claims = {row["action_id"]: row["value"] for row in all_sealed(office.rounds()).to_dicts()}
    right = [row["first_value"] == claims[row["action_id"]] for row in said]
    (overall,) = (row for row in figures["accuracy"] if is_overall(row))
    assert (overall["reviews"], overall["correct"]) == (480, sum(right))
    assert overall["accuracy"] == pytest.approx(sum(right) / 480)
    assert 0.6 < overall["low"] < overall["accuracy"] < overall["high"] < 0.95
    by_action: dict[str, list[str]] = defaultdict(list)
    for row in said:
        by_action[row["action_id"]].append(row["first_value"])
    (alpha,) = (row for row in figures["alpha"] if row["kind"] == "sample")
    assert alpha["alpha"] == pytest.approx(nominal_alpha([*by_action.values()]))

    # Once more, and nothing changes anywhere.
    kept = office.place / "rounds" / "reviews.parquet"
    before = sha256_file(kept)
    collected = office.run("collect")
    assert collected.returncode == 0
    assert ", nothing new" in collected.stdout
    assert sha256_file(kept) == before
    again = office.run("annotate")
    assert again.returncode == 0
    for number, project in projects.items():
        assert f"expert {number}: {len(given[number])} tasks (0 new)" in again.stdout
        assert len(tasks_of(client, project)) == len(given[number])


def is_overall(row: dict[str, Any]) -> bool:
    return (row["kind"], row["group"]) == ("sample", "all")


def assert_as_meant(office: TestOffice) -> None:
    """Check that exactly what the experts meant was kept."""
    columns = ["first_value", "second_value", "naturalness", "state", "kind", "round"]
    kept = {
        (row["item_id"], row["action_id"], row["annotator"]): [row[c] for c in columns]
        for row in load_reviews(office.place / "rounds").to_dicts()
    }
    assert kept == {key: [row[c] for c in columns] for key, row in office.meant().items()}


def nominal_alpha(units: list[list[str]]) -> float:
    """Return Krippendorff's alpha for nominal data, from its coincidence matrix by hand."""
    pairs: Counter[tuple[str, str]] = Counter()
    for values in units:
        for one, other in permutations(values, 2):
            pairs[one, other] += Fraction(1, len(values) - 1)  # type: ignore[assignment]
    total = sum(pairs.values())
    each: Counter[str] = Counter()
    for (one, _), n in pairs.items():
        each[one] += n
    observed = sum(n for (one, other), n in pairs.items() if one != other)
    expected = sum(each[a] * each[b] for a, b in permutations(each, 2))
    return float(1 - (total - 1) * observed / expected)


def test_what_the_server_lets_pass_is_named(
    label_studio: Server, studio: Studio, people: Callable[[int], httpx.Client], tmp_path: Path
) -> None:
    made = world(10, experts=2, overlap=1)
    title = "Odd answers"
    with connect(label_studio.folder) as connection:
        emails = connection.emails

    def gather() -> Any:
        return collect(studio, made.items, title, tmp_path / "raw", None, emails)

    first, second = route(studio, made.items, title, tmp_path)
    one, two = people(1), people(2)
    tasks = tasks_of(one, first.project)
    expert = Expert(1, 1.0, {})
    good = [expert.answer(task["data"], made.truth) for task in tasks]

    annotate(one, tasks[0]["id"], [*good[0], choice("flags", "harmful"), note("<b>hm</b>")])
    skipped = annotate(one, tasks[1]["id"], [note("too close to me")], was_cancelled=True)
    annotate(one, tasks[2]["id"], [*good[2][2:], choice("first_1", "bliss")])
    annotate(one, tasks[3]["id"], good[3])
    twice = [part for part in good[3] if part["from_name"] != "natural_2"]
    annotate(one, tasks[3]["id"], [*twice, choice("natural_2", "1")])
    annotate(two, tasks[4]["id"], good[4])
    found = gather()
    page = f"{label_studio.url}/projects/{first.project}/data?labeling=1&task="
    assert found.problems == (
        f"round 1, expert 1, task {tasks[4]['id']}: more annotators than planned: that of account "
        f"{_user(two)} is not counted; delete it if it is a mistake",
        f"round 1, expert 1, task {tasks[2]['id']}: action 1: first_value: 'bliss' is no value; "
        "valid: achievement, benevolence, conformity, hedonism, power, security, "
        f"self_direction, stimulation, tradition, universalism ({page}{tasks[2]['id']})",
        f"round 1, expert 1, task {tasks[3]['id']}: 2 annotations by the expert; the newest counts",
    )
    reviews = found.reviews
    assert reviews.height == 4 + 4 + 3 + 4
    waiting = progress(made.items, reviews).line
    assert waiting == "waiting: 15 of 40 reviews (expert 1: 5 left, expert 2: 20 left)"
    rows = {name: reviews.filter(item_id=item) for name, item in enumerate(ids(tasks))}
    assert rows[0]["flags"].to_list() == [["harmful"]] * 4
    assert set(rows[0]["notes"]) == {"<b>hm</b>"}
    assert set(rows[1]["state"]) == {"skipped"}
    assert set(rows[1]["first_value"]) == {""}
    assert rows[1]["naturalness"].null_count() == 4
    place = tasks[3]["data"]["action_2"]
    item = made.items.filter(item_id=ids(tasks)[3]).row(0, named=True)
    action = item["action_ids"][item["actions"].index(place)]
    assert rows[3].filter(action_id=action)["naturalness"].to_list() == [1]

    # A skipped page is taken up after all, an answer is deleted.
    one.delete(f"/api/annotations/{skipped}/").raise_for_status()
    annotate(one, tasks[1]["id"], good[1])
    answers = tasks_of(one, first.project)[0]["annotations"]
    one.delete(f"/api/annotations/{answers[0]['id']}/").raise_for_status()
    found = gather()
    assert found.reviews.filter(item_id=ids(tasks)[0]).height == 0
    assert set(found.reviews.filter(item_id=ids(tasks)[1])["state"]) == {"submitted"}
    assert len(list((tmp_path / "raw" / "earlier").iterdir())) == 1

    # Items that are no longer wanted: untouched tasks go, answered ones stay and are named.
    fewer = made.items.filter(~pl.col("item_id").is_in([ids(tasks)[3], ids(tasks)[0]]))
    again, _ = route(studio, fewer, title, tmp_path)
    assert again.removed == 1
    assert again.notes == (
        f"round 1, expert 1, task {tasks[3]['id']}: no longer wanted, but annotated; it stays",
    )
    found = collect(studio, fewer, title, tmp_path / "raw", None, emails)
    assert any("one of this expert's items" in problem for problem in found.problems)
    assert second.project != first.project


def _user(client: httpx.Client) -> int:
    return int(client.get("/api/current-user/whoami").json()["id"])


def test_texts_arrive_as_they_are(label_studio: Server, studio: Studio, tmp_path: Path) -> None:
    made = world(3, experts=1, overlap=1)
    (only,) = route(studio, made.items, "Odd texts", tmp_path)
    (again,) = route(studio, made.items, "Odd texts", tmp_path)
    assert (only.added, again.added, again.removed) == (3, 0, 0)
    assert NASTY in [task.data["scenario"] for task in studio.tasks(only.project)]
    shown = " ".join(map(str, studio.export(only.project)))
    for name in ("g-one", "g-two", "gold", *made.items["action_ids"].explode()):
        assert name not in shown


def test_what_is_taken_back_leaves_no_byte_in_the_database(
    label_studio: Server, studio: Studio, people: Callable[[int], httpx.Client], tmp_path: Path
) -> None:
    made = world(4, experts=1, overlap=1)
    # Items of its own: the server is that of all these tests.
    made = replace(made, items=made.items.with_columns(pl.col("item_id") + "heron"))
    words = {
        row["item_id"]: f"heron {number} walked over the frozen harbour at dawn unseen"
        for number, row in enumerate(made.items.to_dicts())
    }
    story = pl.col("item_id").replace_strict(words)
    items = made.items.with_columns(scenario=story)
    (routed,) = route(studio, items, "a heron", tmp_path)
    client = people(1)
    for task in tasks_of(client, routed.project):
        annotate(client, task["id"], Expert(1, 1.0, {}).answer(task["data"], made.truth))
    collect(studio, items, "a heron", tmp_path / "raw")
    gone, *kept = items["item_id"]

    def in_database(item: str) -> bool:
        files = label_studio.folder.glob("label_studio.sqlite3*")
        return any(words[item].encode() in path.read_bytes() for path in files)

    assert in_database(gone)
    assert forget_tasks(studio, [gone]) == 1
    assert compact(label_studio.folder)  # beside the running server
    assert not in_database(gone)
    assert all(in_database(item) for item in kept)
    assert sorted(ids(tasks_of(client, routed.project))) == sorted(kept)
