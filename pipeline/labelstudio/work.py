"""Rounds go to Label Studio, and what experts said comes back into the store of reviews."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.annotation import answers, store
from pipeline.annotation.plan import Plan
from pipeline.annotation.rounds import Round, all_items
from pipeline.annotation.tables import OPINIONS
from pipeline.labelstudio.collect import changes, collect, merged
from pipeline.labelstudio.connect import Connection, connect
from pipeline.labelstudio.route import SETTLE_SECONDS, Routed, route
from pipeline.labelstudio.server import PORT
from pipeline.labelstudio.tasks import forgotten


@dataclass(frozen=True)
class Office:
    """Where the experts' work is kept.

    Attributes:
        rounds: Folder of rounds and reviews.
        server: Folder of our own server, of raw answers and of what is needed after a crash.
        title: What projects belong together by; "" takes the name of the rounds' folder.
        port: Of our own server, on 127.0.0.1.
    """

    rounds: Path
    server: Path
    title: str = ""
    port: int = PORT

    @property
    def name(self) -> str:
        """The title, never empty."""
        return self.title or f"{self.rounds.name}: values in actions"

    @contextmanager
    def connect(self, rounds: Sequence[Round] = ()) -> Iterator[Connection]:
        """Connect to the server; these rounds' experts get accounts on our own."""
        experts = all_items(rounds)["experts"].explode().drop_nulls().unique().to_list()
        with connect(self.server, sorted(experts), self.port) as connection:
            yield connection


@dataclass(frozen=True)
class Taken:
    """What a collection brought.

    Attributes:
        reviews: Rows of schema.REVIEWS, as they are now kept.
        problems: What a person should look at, one line each.
        counts: How many reviews are new, changed and gone.
        state: How far the experts are.
    """

    reviews: pl.DataFrame
    problems: tuple[str, ...]
    counts: Mapping[str, int]
    state: answers.Progress


def give(connection: Connection, office: Office, rounds: Sequence[Round]) -> list[Routed]:
    """Give the rounds' items to their experts; what is there stays.

    Raises:
        PipelineError: As route.
    """
    return route(
        connection.studio,
        all_items(rounds),
        office.name,
        office.server,
        all_opinions(rounds),
        # What an earlier run sent cannot be under way on a server that was started since.
        0.0 if connection.server else SETTLE_SECONDS,
    )


def take(
    connection: Connection,
    office: Office,
    plan: Plan,
    rounds: Sequence[Round],
    emails: Mapping[int, str] | None = None,
) -> Taken:
    """Read every answer and keep it where `reviews-import` keeps those of a CSV.

    Args:
        connection: To the server.
        office: Where things are kept.
        plan: The annotation's plan.
        rounds: All that were drawn.
        emails: Experts' accounts by number, on a server that is not our own.

    Raises:
        PipelineError: As collect.
    """
    items = all_items(rounds)
    before = store.load_reviews(office.rounds)
    found = collect(
        connection.studio,
        items,
        office.name,
        office.server / "raw" / office.rounds.name,
        all_opinions(rounds),
        emails or connection.emails,
    )
    gone = [row["item_id"] for row in items.iter_rows(named=True) if forgotten(row)]
    after = merged(before, found, gone)
    store.save_reviews(office.rounds, after)
    state = answers.progress(items, after, plan.excluded)
    return Taken(after, found.problems, changes(before, after), state)


def all_opinions(rounds: Sequence[Round]) -> pl.DataFrame:
    """Return the opinions that adjudicators are shown, of all rounds."""
    return pl.concat([pl.DataFrame(schema=OPINIONS), *(each.opinions for each in rounds)])
