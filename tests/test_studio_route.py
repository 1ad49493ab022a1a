"""Routing and collecting against the loopback Label Studio: idempotence, faults, Enterprise."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from filelock import FileLock
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pipeline.annotation.answers import progress
from pipeline.annotation.rounds import all_items
from pipeline.artifacts import folder_digest
from pipeline.errors import BadInputError, BusyError, StageError
from pipeline.labelstudio import route as routing
from pipeline.labelstudio.collect import changes, collect, merged
from pipeline.labelstudio.forget import compact, forget_files, forget_tasks, still_shown
from pipeline.labelstudio.route import route
from pipeline.labelstudio.studio import Studio
from tests import loopback_studio
from tests.loopback_studio import KEY, studio_server
from tests.studio_office import answer_of, desk_office
from tests.studio_world import Expert, choice, expected, told, world

TITLE = "A title that is much longer than the fifty characters that the server takes"
EMAILS = {n: f"expert-{n}@valact.local" for n in (1, 2, 3)}


@pytest.fixture
def fake() -> Iterator[loopback_studio.Studio]:
    with studio_server() as running:
        yield running


@pytest.fixture
def studio(fake: loopback_studio.Studio) -> Iterator[Studio]:
    with Studio(fake.url, KEY) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "CHUNK", 7)


def once_at(path: str, answer: Response) -> Any:
    """Return a fault that answers the first POST to a path so."""
    left = [answer]

    def fault(method: str, at: str) -> Response | None:
        return left.pop() if left and method == "POST" and at.endswith(path) else None

    return fault


def held(fake: loopback_studio.Studio) -> dict[int, list[str]]:
    return {
        number: sorted(task["data"]["item"] for task in fake.project_tasks(number))
        for number in fake.projects
    }


def wanted(items: pl.DataFrame) -> list[list[str]]:
    return [sorted(items.filter(pl.col("experts").list.contains(n))["item_id"]) for n in (1, 2, 3)]


def test_routing_twice_makes_nothing_twice(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    items = world(30).items
    done = route(studio, items, TITLE, tmp_path)
    assert [each.added for each in done] == [20, 20, 20]
    assert [*held(fake).values()] == wanted(items)
    titles = [project["title"] for project in fake.projects.values()]
    assert all(len(title) <= 50 for title in titles)
    assert titles[1].endswith(", round 1, expert 2")
    assert all(project["skip_queue"] == "IGNORE_SKIPPED" for project in fake.projects.values())
    fake.calls.clear()
    again = route(studio, items, TITLE, tmp_path)
    assert [(each.added, each.removed, each.notes) for each in again] == [(0, 0, ())] * 3
    assert {method for method, _ in fake.calls} == {"GET"}
    assert [each.url for each in done] == [
        f"{fake.url}/projects/{n}/data?labeling=1" for n in (1, 2, 3)
    ]
    # Changed guidelines reach the projects that are there.
    fake.projects[2]["expert_instruction"] = "old"
    route(studio, items, TITLE, tmp_path)
    assert [call for call in fake.calls if call[0] == "PATCH"] == [("PATCH", "/api/projects/2/")]


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("path", ["/api/projects/", "/import"])
def test_an_answer_that_got_lost(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path, path: str, carried_out: bool
) -> None:
    items = world(30).items
    lost = once_at(path, JSONResponse({"detail": "gone\naway"}, 502))
    if carried_out:
        fake.after = lost
    else:
        fake.fault = lost
    with pytest.raises(StageError, match="status 502, gone away"):
        route(studio, items, TITLE, tmp_path)
    route(studio, items, TITLE, tmp_path, settle_seconds=0.1)
    assert [*held(fake).values()] == wanted(items)


def test_an_import_that_outlives_its_sender(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    items = world(30).items
    late: list[threading.Timer] = []

    def fault(method: str, path: str) -> Response | None:
        if late or not path.endswith("/import"):
            return None
        data = [{"data": each} for each in routing.desks(items)[0].tasks()[:7]]
        late.append(threading.Timer(0.3, fake.add, (1, data)))
        late[0].start()
        return Response(status_code=504)

    fake.fault = fault
    with pytest.raises(StageError, match="status 504"):
        route(studio, items, TITLE, tmp_path)
    assert fake.project_tasks(1) == []
    done = route(studio, items, TITLE, tmp_path)  # waits for it
    assert done[0].added == 13
    assert [*held(fake).values()] == wanted(items)


def test_a_copy_that_comes_in_while_we_import(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    items = world(30).items
    copies = [{"data": each} for each in routing.desks(items)[0].tasks()[:7]]

    def after(method: str, path: str) -> Response | None:
        if copies and path.endswith("/import"):
            fake.add(1, copies)
            copies.clear()
        return None

    fake.after = after
    done = route(studio, items, TITLE, tmp_path)
    assert [each.removed for each in done] == [7, 0, 0]
    assert [*held(fake).values()] == wanted(items)


def test_a_second_project_goes_if_it_is_empty(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    items = world(6).items
    route(studio, items, TITLE, tmp_path)
    fake.projects[9] = fake.projects[1] | {"id": 9}
    fake.projects[8] = fake.projects[2] | {"id": 8}
    fake.add(8, [{"data": fake.project_tasks(2)[0]["data"]}])
    number = max(fake.tasks)
    fake.annotate(number, [])
    done = route(studio, items, TITLE, tmp_path)
    assert sorted(fake.projects) == [1, 2, 3, 8]
    # The one with answers is filled, the other named.
    assert done[1].project == 8
    assert done[1].notes == (
        "round 1, expert 2: project 2 is a second one beside 8; nothing in it is read: look into "
        "it and delete it",
    )


def test_changed_and_unwanted_items(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    items = world(6, experts=1, overlap=1).items
    route(studio, items, TITLE, tmp_path)
    first, second, third, *_ = fake.project_tasks(1)
    fake.annotate(first["id"], [])
    for task in (first, second):
        task["data"] |= {"scenario": "somebody wrote into it"}
    third["drafts"] = [{"id": 1}]
    fewer = items.filter(pl.col("item_id") != third["data"]["item"])
    (done,) = route(studio, fewer, TITLE, tmp_path)
    assert (done.added, done.removed) == (1, 1)
    assert done.notes == (
        f"round 1, expert 1, task 1: its texts are no longer those of item "
        f"{first['data']['item']}, and it was annotated as it was",
        "round 1, expert 1, task 3: no longer wanted, but annotated; it stays",
    )
    found = collect(studio, fewer, TITLE, tmp_path / "raw")
    assert found.problems == (
        "round 1, expert 1, task 1: its texts are not those of its item; not counted",
    )


def test_two_runs_at_once(studio: Studio, tmp_path: Path) -> None:
    with FileLock(tmp_path / "route.lock"), pytest.raises(BusyError, match="another run"):
        route(studio, world(3).items, TITLE, tmp_path)


def answer_all(fake: loopback_studio.Studio, made: Any) -> list[Expert]:
    experts = [Expert(n, 0.8, {}) for n in (1, 2, 3)]
    for expert in experts:
        for task in fake.project_tasks(expert.number):
            result = expert.answer(task["data"], made.truth)
            fake.annotate(task["id"], result, user=expert.number + 1)
    return experts


@pytest.mark.parametrize("enterprise", [False, True])
def test_collecting_gives_what_was_said(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path, enterprise: bool
) -> None:
    fake.enterprise = enterprise
    made = world(12)
    raw = tmp_path / "raw"
    empty = collect(studio, made.items, TITLE, raw)
    assert empty.problems[0] == "round 1, expert 1: no project yet; `make annotate` makes it"
    assert empty.unread == {(1, f"expert-{n}") for n in (1, 2, 3)}
    waiting = progress(made.items, empty.reviews).line
    assert waiting.startswith("waiting: 0 of 96 reviews (expert 1: 32 left, expert 2")
    route(studio, made.items, TITLE, tmp_path)
    experts = answer_all(fake, made)
    found = collect(studio, made.items, TITLE, raw, None, {} if enterprise else EMAILS)
    assert found.problems == ()
    assert found.unread == frozenset()
    assert progress(made.items, found.reviews).left == {}
    assert told(found.reviews) == expected(made, experts)
    before = folder_digest(raw)
    for task in fake.tasks.values():
        task["annotations"].reverse()
    fake.tasks = dict(reversed(fake.tasks.items()))
    again = collect(studio, made.items, TITLE, raw, None, {} if enterprise else EMAILS)
    assert again.reviews.equals(found.reviews)
    assert folder_digest(raw) == before
    assert changes(found.reviews, again.reviews) == {"new": 0, "changed": 0, "gone": 0}


def test_changed_deleted_and_foreign_annotations(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    made, raw = world(3, experts=1, overlap=1), tmp_path / "raw"
    route(studio, made.items, TITLE, tmp_path)
    expert = Expert(1, 1.0, {})
    for task in fake.project_tasks(1):
        fake.annotate(task["id"], expert.answer(task["data"], made.truth))
    one = collect(studio, made.items, TITLE, raw)
    tasks = fake.project_tasks(1)
    # Another account answers and skips, another one edits; the expert answers again, later.
    result = tasks[0]["annotations"][0]["result"]
    fake.annotate(1, result, user=7, updated_at="2027-01-01T00:00:00Z")
    tasks[1]["annotations"][0]["updated_by"] = 7
    newer = [part for part in result if part["from_name"] != "first_1"]
    fake.annotate(1, [*newer, choice("first_1", "power")], id=99, updated_at="2026-02-01T00:00:00Z")
    tasks[2]["annotations"] = []
    two = collect(studio, made.items, TITLE, raw)
    assert two.problems == (
        "round 1, expert 1, task 1: more annotators than planned: that of account 7 is not "
        "counted; delete it if it is a mistake",
        "round 1, expert 1, task 2: account 7 changed the expert's answer last",
        "round 1, expert 1, task 1: 2 annotations by the expert; the newest counts",
    )
    assert changes(one.reviews, two.reviews) == {"new": 0, "changed": 4, "gone": 4}
    waiting = progress(made.items, two.reviews).line
    assert waiting == "waiting: 8 of 12 reviews (expert 1: 4 left)"
    # What was deleted on the server goes; what came by CSV stays, and the newest word counts.
    by_csv = one.reviews.with_columns(source=pl.lit("csv"))
    assert merged(one.reviews, two).height == 8
    kept = merged(by_csv, two)
    assert kept.height == 12
    assert kept["source"].value_counts(sort=True).rows() == [("label_studio", 8), ("csv", 4)]
    (old,) = (raw / "earlier").iterdir()
    assert b"round-1" not in zstandard.decompress(old.read_bytes())[:10]
    assert len((raw / "round-1-expert-1.json").read_bytes()) > 100
    # An account that the server does not know.
    found = collect(studio, made.items, TITLE, raw, None, {1: "nobody@example.org"})
    assert found.problems[0] == (
        "round 1, expert 1: the server has no account 'nobody@example.org'"
    )
    assert found.reviews.height == 0
    # A project that could not be read takes nothing away.
    assert found.unread == {(1, "expert-1")}
    assert merged(one.reviews, found).equals(one.reviews)


def test_what_is_taken_back_leaves_server_and_kept_answers(
    fake: loopback_studio.Studio, studio: Studio, tmp_path: Path
) -> None:
    made, raw = world(6), tmp_path / "raw" / "rounds"
    route(studio, made.items, TITLE, tmp_path)
    collect(studio, made.items, TITLE, raw)
    answer_all(fake, made)
    collect(studio, made.items, TITLE, raw)  # the state before is put into earlier/
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "project-1-at-2026.json").write_text("[]")
    gone = made.items.row(1, named=True)
    kept = set(made.items["item_id"]) - {gone["item_id"]}

    def texts() -> str:
        packed = [zstandard.decompress(path.read_bytes()) for path in raw.rglob("*.zst")]
        plain = [path.read_bytes() for path in raw.rglob("*.json")]
        return b"".join([*packed, *plain]).decode()

    assert gone["actions"][2] in texts()
    assert still_shown(studio, [gone["item_id"]]) == len(gone["experts"]) == 2
    assert forget_tasks(studio, [gone["item_id"]]) == 2
    assert still_shown(studio, [gone["item_id"]]) == 0
    assert {item for held_ in held(fake).values() for item in held_} == kept
    lines = list(forget_files(tmp_path, [gone["item_id"]]))
    assert len(lines) == 5, lines  # two experts, now and earlier, and the export
    assert gone["actions"][2] not in texts()
    assert all(item in texts() for item in kept)
    assert forget_tasks(studio, [gone["item_id"]]) == 0
    assert list(forget_files(tmp_path, [gone["item_id"]])) == []
    assert not compact(tmp_path)  # this server has no database here


def test_servers_that_answer_otherwise(fake: loopback_studio.Studio, tmp_path: Path) -> None:
    with (
        Studio(fake.url, "wrong-" + KEY) as studio,
        pytest.raises(BadInputError, match="does not let this key log in") as refused,
    ):
        studio.whoami()
    assert KEY not in str(refused.value)
    with Studio(fake.url, KEY) as studio:
        fake.fault = lambda method, path: PlainTextResponse("<html>log in first</html>")
        with pytest.raises(StageError, match=r"log in first|not Label Studio's"):
            studio.projects()
        fake.fault = lambda method, path: JSONResponse({"detail": "x"}, 500)
        with pytest.raises(StageError, match="status 500, x"):
            studio.export(1)
    with (
        Studio("http://127.0.0.1:9", KEY) as studio,
        pytest.raises(StageError, match="the same command goes on"),
    ):
        studio.projects()
    with pytest.raises(BadInputError, match="no address"):
        Studio("example.org", KEY)


def test_commands_with_a_server_of_ones_own(fake: loopback_studio.Studio, tmp_path: Path) -> None:
    office = desk_office(tmp_path)
    environment = {"LABEL_STUDIO_URL": fake.url, "LABEL_STUDIO_API_KEY": KEY}
    early = office.run("collect", env=environment)
    assert early.returncode == 2
    assert "no round is drawn; `annotate` or `reviews-form` draws one" in early.stderr
    done = office.run("annotate", env=environment)
    assert done.returncode == 0, done.stderr
    items = all_items(office.rounds())
    counts = {n: items.filter(pl.col("experts").list.contains(n)).height for n in (1, 2, 3)}
    said = f"round 1, expert 3: {counts[3]} tasks ({counts[3]} new): {fake.url}/projects/3/data"
    assert said in done.stdout
    assert not (tmp_path / "private" / "accounts.json").exists()
    for task in fake.tasks.values():
        result = answer_of(office, task["data"], task["project"])
        fake.annotate(task["id"], result, user=task["project"] + 1)
    accounts = [f"--account={n}={email}" for n, email in EMAILS.items()]
    done = office.run("collect", *accounts, env=environment)
    assert done.returncode == 0, done.stderr
    total = 4 * sum(counts.values())
    assert f"{total} reviews in {tmp_path / 'rounds'}, {total} new" in done.stdout
    assert f"all {total} reviews are there" in done.stdout
    judged = office.run("adjudicate", "--json")
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout)["expert_checked"] is True

    fake.tasks[1]["annotations"] = []
    done = office.run("collect", *accounts, env=environment)
    assert done.returncode == 3
    assert done.stderr == f"waiting: {total - 4} of {total} reviews (expert 1: 4 left)\n"
    assert f"{total - 4} reviews in {tmp_path / 'rounds'}, 4 gone" in done.stdout
    assert office.run("adjudicate").returncode == 3

    # Texts that must be forgotten leave the server where nobody answered them yet.
    item = office.item(fake.tasks[1]["data"]["item"])
    gone = office.run("annotation-forget", item["scenario_id"])
    assert gone.returncode == 0, gone.stderr
    again = office.run("annotate", env=environment)
    assert again.returncode == 0, again.stderr
    assert "1 removed" in again.stdout
    assert 1 not in fake.tasks
    done = office.run("collect", *accounts, env=environment)
    assert done.returncode == 0, done.stderr
    assert "not (or no longer) one of this expert's items" in done.stdout
    assert f"{total - 4} reviews in {tmp_path / 'rounds'}, nothing new" in done.stdout

    for arguments, change, words in (
        (["--account=jane"], {}, "--account jane: write it as 1=name@place.org"),
        ([], {"LABEL_STUDIO_API_KEY": ""}, "LABEL_STUDIO_API_KEY is empty; set both"),
        ([], {"LABEL_STUDIO_API_KEY": "no"}, "does not let this key log in"),
    ):
        failed = office.run("collect", *arguments, env=environment | change)
        assert failed.returncode == 2
        assert words in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
