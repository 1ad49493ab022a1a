"""Ledgers of shards as one ledger: nothing twice, nothing lost, whatever their order."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import build as runner
from pipeline.artifacts import folder_digest, sha256_text
from pipeline.config import Config
from pipeline.errors import BadInputError, WaitingError
from pipeline.llm.audit import verify_ledger
from pipeline.llm.batch_book import BatchBook, Settled
from pipeline.llm.ledger import Ledger, Money
from pipeline.llm.merge import merge_ledgers
from pipeline.llm.prices import Charge
from pipeline.llm.purge import purge
from pipeline.llm.reply import Reply, without_answer
from pipeline.llm.request import KEY_TAG, Request, in_shard
from tests.conftest import command
from tests.loopback import ChatServer

CAP = 10**9


def request(number: int) -> Request:
    question = (("user", f"question {number}"),)
    return Request(
        "openai", "http://x", "m", question, 100, 0.0, 1.0, 0.0, 1, "", 0, f"item {number}", "m"
    )


def ok(number: int, text: str = "yes") -> Reply:
    return Reply(request(number).key, "ok", "", text, "stop", "m", 10, 5)


def write(path: Path, replies: Sequence[Reply], micro: int = 7) -> Path:
    """Ask for each reply, reserve money for it and settle it."""
    by_key = {request(number).key: request(number) for number in range(100)}
    with Ledger(path) as ledger:
        for reply in replies:
            reservation = ledger.reserve(reply.key, 20, CAP)
            charge = Charge(micro, "measured")
            ledger.record(by_key[reply.key], reply, reservation, charge)
    return path


def committed(path: Path) -> int:
    with Ledger(path) as ledger:
        return ledger.committed()


def content(path: Path) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    with sqlite3.connect(path) as db:
        names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            if name != "total"
            else db.execute("SELECT * FROM total").fetchall()
            for name in sorted(names)
        }


def test_shards_come_together_and_what_was_copied_stands_once(tmp_path: Path) -> None:
    base = write(tmp_path / "base", [ok(0), without_answer(request(1).key, "failed", "status 500")])
    one, two = tmp_path / "one", tmp_path / "two"
    shutil.copy(base, one)
    shutil.copy(base, two)
    write(one, [ok(1), ok(2, "two")])
    write(two, [ok(3, "three")])
    merged = merge_ledgers([one, two], tmp_path / "all")
    assert (merged.requests, merged.attempts, merged.repeated) == (4, 5, 2)
    assert merged.money == Money(5 * 7, 0, 0, 0)  # two of the base, two and one of the shards
    assert verify_ledger(tmp_path / "all") == (4, 5, [])
    with Ledger(tmp_path / "all") as ledger:
        assert ledger.committed() == 5 * 7
        assert [ledger.find(request(n).key) for n in range(4)] == [
            ok(0),
            ok(1),
            ok(2, "two"),
            ok(3, "three"),
        ]
        assert ledger.outcomes() == {"ok": 4, "failed": 1}
    again = merge_ledgers([tmp_path / "all", one], tmp_path / "again")
    assert again.attempts == 5
    assert content(tmp_path / "again") == content(tmp_path / "all")


def test_one_answer_asked_for_twice_is_one_row_and_was_paid_twice(tmp_path: Path) -> None:
    shards = [write(tmp_path / name, [ok(0)]) for name in ("one", "two")]
    with sqlite3.connect(shards[1]) as db:
        db.execute("UPDATE reservation SET opened_utc = '2026-01-01T00:00:00.000+00:00'")
        db.execute("UPDATE attempt SET finished_utc = '2026-01-01T00:00:00.100+00:00'")
    merged = merge_ledgers(shards, tmp_path / "all")
    assert (merged.requests, merged.attempts) == (1, 1)
    assert merged.money.measured == 14


def test_two_answers_to_one_request_are_an_error_that_names_both(tmp_path: Path) -> None:
    one = write(tmp_path / "one.sqlite", [ok(0, "yes"), ok(1)])
    two = write(tmp_path / "two.sqlite", [ok(0, "no")])
    done = command("ledger", "merge", str(one), str(two), "--into", str(tmp_path / "all"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert all(part in done.stderr for part in (str(one), str(two), request(0).key))
    assert not (tmp_path / "all").exists()
    assert not list(tmp_path.glob(".*"))


def test_an_answer_that_was_not_usable_gives_way_to_one_that_is(tmp_path: Path) -> None:
    bad = Reply(request(0).key, "truncated", "the reply hit max_tokens", "ye", "length", "m", 10, 5)
    shards = [write(tmp_path / "one", [bad]), write(tmp_path / "two", [ok(0)])]
    merge_ledgers(shards, tmp_path / "all")
    with Ledger(tmp_path / "all") as ledger:
        assert ledger.find(request(0).key) == ok(0)
        assert ledger.outcomes() == {"truncated": 1, "ok": 1}


def test_the_command_says_what_came_of_it(tmp_path: Path) -> None:
    shards = [write(tmp_path / "one", [ok(0)]), write(tmp_path / "two", [ok(1)], 5_000_000)]
    with Ledger(shards[0]) as ledger:
        ledger.reserve(request(9).key, 50_000, CAP)  # a build that was killed
    out = tmp_path / "all"
    done = command("ledger", "merge", *map(str, shards), f"--into={out}")
    assert done.returncode == 0, done.stderr
    assert "2 requests and 2 attempts" in done.stdout
    assert "$5.00 measured" in done.stdout
    assert "$0.05 still reserved by 1 requests" in done.stdout
    assert command("ledger", "verify", f"--ledger={out}").returncode == 0
    with Ledger(out) as ledger:
        assert ledger.money() == Money(5_000_007, 0, 50_000, 1)
        assert ledger.committed() == 5_050_007


def test_what_was_purged_in_one_shard_does_not_come_back_from_another(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [ok(0, "secret of r_abc"), ok(1)])
    two = tmp_path / "two"
    shutil.copy(one, two)
    purge(one, [request(0).key])
    for order in ([one, two], [two, one]):
        merged = merge_ledgers(order, tmp_path / "all")
        assert merged.attempts == 2
        assert verify_ledger(tmp_path / "all")[2] == []
        assert b"secret" not in (tmp_path / "all").read_bytes()
        assert b"question 0" not in (tmp_path / "all").read_bytes()
        with Ledger(tmp_path / "all") as ledger:
            assert ledger.find(request(0).key) is None
            assert ledger.find(request(1).key) == ok(1)
        (tmp_path / "all").unlink()


def batch(path: Path, numbers: Sequence[int]) -> None:
    with Ledger(path) as ledger:
        BatchBook(ledger).write_down(
            "m",
            "http://x",
            [request(n) for n in numbers],
            lambda each: ledger.reserve_within(each.key, 20, CAP),
        )


def close(path: Path) -> None:
    with Ledger(path) as ledger:
        book = BatchBook(ledger)
        (found,) = book.all()
        replies = [
            Settled(ok(int(each.item.split()[1])), Charge(4, "measured"))
            for each in book.requests(found)
        ]
        book.event(found, "submitted", "batch_1")
        book.close(found, "completed", replies, lambda key: replies[0])


def test_batches_that_ended_are_carried_and_open_ones_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [ok(5)])
    batch(one, [0, 1])
    two = tmp_path / "two"
    shutil.copy(one, two)  # it was sent before the copy was made, and ended in `one` alone
    with pytest.raises(BadInputError, match=r"one: batch 1 of m is still open; .*--abandon 1"):
        merge_ledgers([one, two], tmp_path / "all")
    close(one)
    write(two, [ok(6)])
    merged = merge_ledgers([two, one], tmp_path / "all")
    assert merged.money == Money(4 + 4 + 7 + 7, 0, 0, 0)
    with Ledger(tmp_path / "all") as ledger:
        (found,) = BatchBook(ledger).all()
        assert (found.items, found.handle, found.closed) == (2, "batch_1", "completed")
        assert ledger.find(request(0).key) == ok(0)
        rows = ledger.db.execute("SELECT batch FROM attempt ORDER BY key").fetchall()
        assert sorted(rows, key=str) == [(1,), (1,), (None,), (None,)]
        (held,) = ledger.db.execute("SELECT count(reservation) FROM batch_item").fetchone()
        assert held == 2


def test_what_cannot_be_merged_is_said_in_one_line(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [ok(0)])
    with pytest.raises(BadInputError, match="two: no such ledger"):
        merge_ledgers([one, tmp_path / "two"], tmp_path / "all")
    with pytest.raises(BadInputError, match="one: is named twice"):
        merge_ledgers([one, one], tmp_path / "all")
    with pytest.raises(BadInputError, match="one: is there already"):
        merge_ledgers([one], one)
    with pytest.raises(BadInputError, match="there is no folder"):
        merge_ledgers([one], tmp_path / "none" / "all")
    (tmp_path / "two").write_text("not a database, and long enough to be read as one")
    with pytest.raises(BadInputError, match="two: not a ledger"):
        merge_ledgers([one, tmp_path / "two"], tmp_path / "all")
    with sqlite3.connect(one) as db:
        db.execute("UPDATE request SET components = replace(components, 'question', 'answer')")
    with pytest.raises(BadInputError, match=r"one: 1 problems, .* another key"):
        merge_ledgers([one], tmp_path / "all")
    assert not list(tmp_path.glob(".*")) + list(tmp_path.glob("all*"))


def test_shards_of_a_build_make_the_release_that_one_build_makes(
    world: Callable[..., Config], server: ChatServer, tmp_path: Path
) -> None:
    one = world(build__ledger=str(tmp_path / "one.sqlite"), build__dist=str(tmp_path / "dist1"))
    runner.build(one)
    asked = len(server.bodies)
    shards = [
        world(
            build__ledger=str(tmp_path / f"shard{n}.sqlite"),
            build__workspace=str(tmp_path / f"work{n}"),
            budget__shard=f"{n}/3",
        )
        for n in range(3)
    ]
    for shard in shards:
        with pytest.raises(WaitingError, match=r"shard ./3: .* belong to other shards"):
            runner.build(shard)
    assert len(server.bodies) == 2 * asked  # each request by one shard
    merged = merge_ledgers([Path(s.build.ledger) for s in shards], tmp_path / "merged.sqlite")
    assert merged.requests == asked
    assert merged.repeated == 0
    again = world(
        build__ledger=str(tmp_path / "merged.sqlite"),
        build__workspace=str(tmp_path / "again"),
        build__dist=str(tmp_path / "dist2"),
    )
    runner.build(again, replay_only=True)
    assert folder_digest(Path(one.build.dist)) == folder_digest(Path(again.build.dist))
    with pytest.raises(BadInputError, match=r"budget\.shard: 3/3 is none of 3 shards"):
        world(budget__shard="3/3")


@given(st.integers(0, 2**64), st.integers(1, 9999))
def test_every_key_is_in_one_shard(number: int, count: int) -> None:
    key = f"{KEY_TAG}:{sha256_text(str(number))}"
    assert sum(in_shard(key, f"{k}/{count}") for k in range(min(count, 50))) <= 1
    place = int(key.removeprefix("r1:")[:8], 16) * count // 2**32
    assert in_shard(key, f"{place}/{count}")
    assert in_shard(key, "")


answers = st.sampled_from(["ok", "failed", "empty", "refused"])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 5), answers), max_size=6), min_size=2, max_size=3
    ).flatmap(lambda shards: st.tuples(st.just(shards), st.permutations(range(len(shards)))))
)
def test_the_order_of_the_shards_does_not_matter(drawn: Any) -> None:
    shards, order = drawn
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = []
        for number, rows in enumerate(shards):
            replies = [
                ok(n) if how == "ok" else Reply(request(n).key, how, "", "", "stop", "m", 1, 0)
                for n, how in rows
            ]
            paths.append(write(folder / str(number), replies))
            with sqlite3.connect(paths[-1]) as db:  # a clock of few ticks, so that times are equal
                db.execute("UPDATE attempt SET finished_utc = 'T' || (id % 2)")
                db.execute("UPDATE reservation SET opened_utc = 'T' || (id % 2)")
        first = merge_ledgers(paths, folder / "first")
        merge_ledgers([paths[k] for k in order], folder / "second")
        assert content(folder / "first") == content(folder / "second")
        assert verify_ledger(folder / "first")[2] == []
        spent = [committed(path) for path in paths]
        assert max(spent) <= first.money.measured <= sum(spent)
        merge_ledgers([folder / "first", *paths], folder / "third")
        assert content(folder / "third") == content(folder / "first")
