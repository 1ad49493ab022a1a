"""Reads every annotation of every project back into reviews, and says what is wrong or missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import progress, schema
from pipeline.annotation.answers import merge
from pipeline.annotation.plan import pseudonym
from pipeline.labelstudio.answers import WrongError, read_answer, updated
from pipeline.labelstudio.raw import keep_raw
from pipeline.labelstudio.route import by_key, fullest_first, project_url
from pipeline.labelstudio.studio import Studio
from pipeline.labelstudio.tasks import Desk, Item, desks, task_data

Annotation = Mapping[str, Any]

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Collected:
    """What experts said so far.

    Attributes:
        reviews: Rows of schema.REVIEWS, by review_id; the same answers give the same rows.
        problems: What a person should look at, one line each: names task and expert.
        unread: Rounds and annotators whose project is not there, or whose account is unknown.
    """

    reviews: pl.DataFrame
    problems: tuple[str, ...]
    unread: frozenset[tuple[int, str]]


@dataclass
class _Found:
    reviews: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: set[tuple[int, str]] = field(default_factory=set)


def collect(
    studio: Studio,
    items: pl.DataFrame,
    title: str,
    raw: Path,
    opinions: pl.DataFrame | None = None,
    emails: Mapping[int, str] | None = None,
) -> Collected:
    """Collect the reviews of all rounds and experts.

    Args:
        studio: The server.
        items: As given to route.
        title: As given to route.
        raw: Folder that keeps the server's JSON: private, it has texts and accounts.
        opinions: As given to route.
        emails: Experts' accounts, by number. Without one, the account with the most annotations
            in a project is taken for the expert's.

    Raises:
        StageError: The server refuses something, or goes away; run it again.
    """
    given = desks(items, opinions)
    there = by_key(studio.projects(), (desk.key(title) for desk in given))
    members = studio.members() if emails else {}
    found = _Found()
    with progress.task("projects", len(given)) as shown:
        for desk in given:
            projects = fullest_first(studio, there[desk.key(title)])
            if not projects:
                found.problems.append(f"{desk.name()}: no project yet; `make annotate` makes it")
            if not projects or not _read(studio, desk, projects[0].id, raw, members, emails, found):
                found.unread.add((desk.round, pseudonym(desk.expert)))
            shown.advance(1, desk.name())
    reviews = schema.frame(found.reviews, schema.REVIEWS).sort("review_id")
    return Collected(reviews, tuple(found.problems), frozenset(found.unread))


def _read(
    studio: Studio,
    desk: Desk,
    project: int,
    raw: Path,
    members: Mapping[int, str],
    emails: Mapping[int, str] | None,
    found: _Found,
) -> bool:
    """Read one project; return False if the expert's account is not known there."""
    email = (emails or {}).get(desk.expert, "")
    tasks = studio.export(project)
    keep_raw(tasks, raw / f"round-{desk.round}-expert-{desk.expert}.json")
    account = _account(email, members, tasks)
    if email and not account:
        found.problems.append(f"{desk.name()}: the server has no account '{email}'")
        return False
    _Reader(desk, project_url(studio, project), account, found).read(tasks)
    return True


def merged(
    kept: pl.DataFrame, collected: Collected, forgotten: Collection[str] = ()
) -> pl.DataFrame:
    """Return what is kept after a collection; of each expert's words on an action the newest.

    An answer that was deleted on the server goes. What came from elsewhere stays, and so does what
    an earlier collection read in a project that this one could not read.

    Args:
        kept: Rows of schema.REVIEWS that were kept before.
        collected: What was found now.
        forgotten: Ids of items whose texts were blanked; what was said of them stays, too.
    """
    unread = [f"{number} {name}" for number, name in collected.unread]
    desk = pl.format("{} {}", "round", "annotator")
    stays = (
        (pl.col("source") != "label_studio")
        | desk.is_in(unread)
        | pl.col("item_id").is_in(list(forgotten))
    )
    return merge(kept.filter(stays), collected.reviews)[0]


def changes(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, int]:
    """Return how many reviews are new, changed and gone between two collections."""
    one = {row["review_id"]: row for row in before.iter_rows(named=True)}
    two = {row["review_id"]: row for row in after.iter_rows(named=True)}
    return {
        "new": len(two.keys() - one.keys()),
        "changed": sum(one[key] != two[key] for key in two.keys() & one.keys()),
        "gone": len(one.keys() - two.keys()),
    }


def _account(email: str, members: Mapping[int, str], tasks: Sequence[Mapping[str, Any]]) -> int:
    """Return the user id of the project's expert; 0 if there is none yet."""
    if email:
        return next((user for user, name in members.items() if name == email.lower()), 0)
    users = Counter(_user(each) for task in tasks for each in _annotations(task))
    return min(users, key=lambda user: (-users[user], user)) if users else 0


@dataclass
class _Reader:
    """Reads one project.

    Attributes:
        desk: What was given to the expert.
        url: Of the project's page.
        account: The expert's user id.
        found: Where it all goes.
    """

    desk: Desk
    url: str
    account: int
    found: _Found

    def read(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Read every task's annotations."""
        items = {item["item_id"]: item for item in self.desk.items}
        by_item: dict[str, list[tuple[int, Annotation]]] = defaultdict(list)
        for task in sorted(tasks, key=lambda task: int(task.get("id", 0))):
            number, data = int(task.get("id", 0)), task.get("data") or {}
            item = items.get(str(data.get("item", "")))
            mine = list(self._mine(number, task))
            if mine and item is None:
                self._say(number, "not (or no longer) one of this expert's items; not counted")
            elif mine and item is not None and not self._as_given(data, item):
                self._say(number, "its texts are not those of its item; not counted")
            elif item is not None:
                by_item[item["item_id"]] += [(number, each) for each in mine]
        for item_id, answers in by_item.items():
            if answers:
                self._newest(items[item_id], answers)

    def _mine(self, number: int, task: Mapping[str, Any]) -> Iterator[Annotation]:
        """Yield the expert's own annotations; name the others."""
        for annotation in _annotations(task):
            if _user(annotation) == self.account:
                editor = _id(annotation.get("updated_by"))
                if editor and editor != self.account:
                    self._say(number, f"account {editor} changed the expert's answer last")
                yield annotation
            else:
                self._say(
                    number,
                    f"more annotators than planned: that of account {_user(annotation)} is not "
                    "counted; delete it if it is a mistake",
                )

    def _as_given(self, data: Mapping[str, Any], item: Item) -> bool:
        desk = self.desk
        given = task_data(item, desk.expert, desk.opinions, with_opinions=desk.adjudicates)
        return dict(data) == given

    def _newest(self, item: Item, answers: Sequence[tuple[int, Annotation]]) -> None:
        number, newest = max(answers, key=_when)
        if len(answers) > 1:
            self._say(number, f"{len(answers)} annotations by the expert; the newest counts")
        answer = read_answer(newest, item, self.desk.expert)
        self.found.reviews += answer.reviews
        for problem in answer.problems:
            self._say(number, f"{problem} ({self.url}&task={number})")

    def _say(self, number: int, what: str) -> None:
        self.found.problems.append(f"{self.desk.name()}, task {number}: {what}")


def _when(answer: tuple[int, Annotation]) -> tuple[datetime, int]:
    try:
        return updated(answer[1]), int(answer[1].get("id") or 0)
    except WrongError:  # said when it is read
        return _LONG_AGO, int(answer[1].get("id") or 0)


def _annotations(task: Mapping[str, Any]) -> list[Annotation]:
    found = task.get("annotations")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _user(annotation: Annotation) -> int:
    return _id(annotation.get("completed_by"))


def _id(user: Any) -> int:
    """Return a user's id; an export may hold the number, or an object with it."""
    if isinstance(user, dict):
        user = user.get("id")
    return user if isinstance(user, int) else 0
