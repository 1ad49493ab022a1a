"""Chaos: a builder that is killed at random, against a server that fails as real ones do.

Real processes, sockets and SDK. The server (tests/chaos_server.py) outlives the builder
(tests/chaos_client.py) and keeps its own books, against which the ledger is held.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.llm.audit import verify_ledger
from pipeline.llm.breaker import _PROBES, _TRIP
from pipeline.llm.ledger import Ledger
from pipeline.llm.prices import MICRO, dollars
from pipeline.llm.reply import FAILED
from pipeline.llm.retry import LONGEST_STATED_WAIT_S, TRIES
from pipeline.paths import ROOT
from tests.chaos_client import KEY_VARIABLE
from tests.chaos_server import (
    FINAL,
    LOST,
    Arrival,
    ChaosServer,
    Kill,
    chaos_server,
    kills,
    mixture,
)
from tests.conftest import SECRET

pytestmark = pytest.mark.slow

SEED = "chaos 1"
CONCURRENCY = 32
FIRST_ROUND = 4
"""Calls in flight at the beginning; see pipeline/llm/pace.py."""


@contextmanager
def builder(
    server: ChaosServer, ledger: Path, count: int, cap: float = 10.0, **options: float
) -> Iterator[subprocess.Popen[str]]:
    """Start a builder that asks `count` questions; `options` are those of its command line."""
    options = {"concurrency": CONCURRENCY, **options}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    where = [str(ledger), server.base_url, str(count), str(cap)]
    server.ledger = ledger
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos_client", *where, *flags],
        cwd=ROOT,
        env=os.environ | {KEY_VARIABLE: SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Ended:
    """How a builder ended: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def outcomes(self) -> dict[str, int]:
        assert (self.status, self.err) == (0, "")
        return json.loads(self.out)["outcomes"]

    def stopped_with_one_line(self, *parts: str) -> bool:
        one = self.err.startswith("error: ") and self.err.count("\n") == 1
        return self.status == 1 and one and all(part in self.err for part in parts)


def build(
    server: ChaosServer,
    ledger: Path,
    count: int,
    cap: float = 10.0,
    kill: Kill | None = None,
    **options: float,
) -> Ended:
    """Run a builder to its end, or until the server kills it."""
    with builder(server, ledger, count, cap, **options) as process:
        if kill is not None:
            server.kill, server.do_kill = kill, process.kill
        out, err = process.communicate(timeout=300)
    server.wait_until_idle()
    return Ended(process.returncode, out, err)


def build_and_kill(
    server: ChaosServer, ledger: Path, count: int, cap: float, points: list[Kill]
) -> list[int]:
    """Kill one builder after the other, check what each left; return how many requests were open.

    Copies are looked at, so that the next builder is the first to recover the original.
    """
    copy = ledger.parent / "copy" / ledger.name
    left: list[int] = []
    for point in points:
        assert build(server, ledger, count, cap, point).status == -signal.SIGKILL
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        for name in (ledger.name, f"{ledger.name}-wal"):
            shutil.copy(ledger.parent / name, copy.parent / name)
        with Ledger(copy) as found:
            assert found.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert found.db.execute("PRAGMA foreign_key_check").fetchall() == []
            money, committed = found.money(), found.committed()
        assert committed == money.measured + money.unknown + money.open
        assert server.bill <= committed <= cap * MICRO
        left.append(money.open_requests - sum(left))
        assert left[-1] <= CONCURRENCY
    return left


@dataclass
class Kept:
    """What a ledger says of one question.

    Attributes:
        final: Outcomes of the attempts that did not fail.
        sent: Reservations; each stands for one request on the wire, or just before it.
        unsure: Those that are open, or were settled without usage: an answer may be charged.
        spent: Micro-dollars settled or reserved.
    """

    final: list[str] = field(default_factory=list)
    sent: int = 0
    unsure: int = 0
    spent: int = 0


class Account:
    """A ledger beside its server's own books."""

    def __init__(self, path: Path, server: ChaosServer) -> None:
        self._path, self._server = path, server
        self.items: defaultdict[int, Kept] = defaultdict(Kept)
        with Ledger(path) as ledger:
            self.money = ledger.money()
            self._attempts = ledger.outcomes().total()
            for item, outcome in ledger.db.execute(
                "SELECT item, outcome FROM attempt JOIN request USING (key) WHERE outcome <> ?",
                (FAILED,),
            ):
                self.items[_number(item)].final.append(outcome)
            for item, sent, unsure, spent in ledger.db.execute(
                "SELECT item, count(*), sum(coalesce(kind, 'unknown') = 'unknown'), "
                "sum(coalesce(s.micro_usd, r.micro_usd)) FROM reservation r "
                "LEFT JOIN settlement s ON s.reservation = r.id JOIN request USING (key) "
                "GROUP BY item"
            ):
                kept = self.items[_number(item)]
                kept.sent, kept.unsure, kept.spent = sent, unsure, spent

    @property
    def outcomes(self) -> Counter[str]:
        """How the questions ended."""
        return Counter(outcome for kept in self.items.values() for outcome in kept.final)

    def check(self, count: int) -> None:
        """Check that each of `count` questions has one answer and that nothing was paid unseen."""
        server, money = self._server, self.money
        assert server.broken == []
        assert verify_ledger(self._path)[2] == []
        assert server.bill - (money.measured + money.unknown) <= money.open
        assert (
            sum(kept.sent for kept in self.items.values()) == self._attempts + money.open_requests
        )
        assert sorted(self.items) == list(range(count))
        for item, kept in self.items.items():  # each, so that none hides in what another has spare
            done = server.kinds[item]
            assert len(kept.final) == 1
            assert kept.final[0] in done
            assert done.total() <= kept.sent
            # What was worked on and is not the answer kept, the ledger knows to be lost or open.
            assert sum(done[kind] for kind in FINAL | LOST) - 1 <= kept.unsure
            assert server.bills[item] <= kept.spent
            assert server.bills[item] == kept.spent or kept.unsure
        for path in self._path.parent.glob(f"{self._path.name}*"):
            assert SECRET.encode() not in path.read_bytes()

    def report(self, left_open: list[int]) -> str:
        """Return what happened, in a few lines."""
        server, money, kinds = self._server, self.money, self._server.all_kinds
        spend = money.measured + money.unknown
        lost = sum(kept.unsure for kept in self.items.values()) - money.open_requests
        again = sum(sum(done[kind] for kind in FINAL) > 1 for done in server.kinds.values())
        lines = {
            "calls": f"{len(self.items):,}: {_list(self.outcomes)}",
            "requests received": f"{kinds.total():,}: {_list(kinds)}",
            "answered again": f"{again} questions, whose first answer did not arrive or was killed",
            "kills": f"{len(left_open)}; requests on their way at each: {left_open}",
            "server's bill": dollars(server.bill),
            "ledger's spend": f"{dollars(spend)}: {dollars(money.measured)} measured from usage, "
            f"{dollars(money.unknown)} at most for {lost:,} lost answers",
            "open reservations": f"{dollars(money.open)} at most, for the {money.open_requests:,} "
            "requests on their way at the kills",
            "bill - spend": f"{server.bill - spend:,} micro-dollars (bill - measured: "
            f"{server.bill - money.measured:,}); open reservations: {money.open:,}",
            "most committed": f"{dollars(server.most_committed)}, seen at a request",
        }
        return "\n".join(["", *(f"  {name:<18} {text}" for name, text in lines.items())])


def _number(item: str) -> int:
    return int(item.split()[1])


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common())


def test_a_build_that_is_killed_twenty_times_answers_every_request_once_and_knows_its_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls, cap, ledger = 5_000, 2.5, tmp_path / "ledger.sqlite"
    shares = {"429": 0.05, "429 0.01": 0.05, "500": 0.05, "drop": 0.01, "cut": 0.01, "slow": 0.02}
    shares |= {"invalid": 0.02, "truncated": 0.01, "refused": 0.01}
    with chaos_server(mixture(shares, SEED), SECRET) as server:
        left_open = build_and_kill(server, ledger, calls, cap, kills(20, 5_900, SEED))
        ended = build(server, ledger, calls, cap)
    account = Account(ledger, server)
    with capsys.disabled():
        print(account.report(left_open))
    account.check(calls)
    assert ended.outcomes == account.outcomes
    assert account.money.open_requests == sum(left_open)
    assert server.most_committed <= cap * MICRO
    received = server.all_kinds
    for kind, share in shares.items():
        assert received[kind] / received.total() == pytest.approx(share, rel=0.35), kind


def test_a_cap_that_is_too_low_holds_at_every_kill_and_raising_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls, cap, ledger = 400, 0.11, tmp_path / "ledger.sqlite"
    shares = {"500": 0.05, "drop": 0.02, "slow": 0.02, "invalid": 0.02, "truncated": 0.01}
    with chaos_server(mixture(shares, SEED), SECRET) as server:
        left_open = build_and_kill(server, ledger, calls, cap, kills(3, 150, SEED))
        for _ in range(2):
            ended = build(server, ledger, calls, cap)
            assert ended.stopped_with_one_line(f"budget.cap_usd = {cap}", "raise the cap to go on")
            with Ledger(ledger) as stopped:
                assert stopped.committed() <= cap * MICRO
        assert server.most_committed <= cap * MICRO
        assert len(server.kinds) < calls
        assert build(server, ledger, calls, cap=10.0).status == 0
    account = Account(ledger, server)
    with capsys.disabled():
        print(account.report(left_open))
    account.check(calls)
    assert account.money.open_requests == sum(left_open)


async def until(true: Callable[[], object]) -> None:
    """Hold an answer back until `true()`."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "never came"
        await asyncio.sleep(0.005)


class Outage:
    """A provider that is well for `first` requests and then down for `length`.

    It goes down in the worst way: `together` requests in its hands fail at the same moment.

    Attributes:
        failed: Requests that failed.
        most_together: Most in hand at a time, of those that were sent while it was known.
        back_together: Most in hand at a time once it was back; it answers when they are enough.
    """

    def __init__(self, first: int, together: int, length: float) -> None:
        self._first, self._together, self._length = first, together, length
        self._in_hand = self.failed = self.most_together = self.back_together = 0

    async def __call__(self, arrival: Arrival) -> str:
        self._in_hand += 1
        try:
            return await self._answer(arrival.number - self._first)
        finally:
            self._in_hand -= 1

    async def _answer(self, number: int) -> str:
        if number <= 0:
            return "ok"
        if number > self._length:
            if number > self._length + 1:  # that was the probe
                await until(self._are_enough)
            return "ok"
        self.failed += 1
        if number <= self._together:
            await until(lambda: self.failed >= self._together)
        elif number > self._together + _TRIP - 1:
            self.most_together = max(self.most_together, self._in_hand)
            await asyncio.sleep(0.02)  # in which another would show
        return "500"

    def _are_enough(self) -> bool:
        self.back_together = max(self.back_together, self._in_hand)
        return self.back_together >= CONCURRENCY // 2


def test_an_outage_is_waited_for_with_one_probe_at_a_time(tmp_path: Path) -> None:
    # All that are in flight fail, then at most five more before that is known, then some probes.
    outage = Outage(first=100, together=CONCURRENCY, length=CONCURRENCY + _TRIP - 1 + 2)
    with chaos_server(outage, SECRET) as server:
        ended = build(server, tmp_path / "ledger.sqlite", 300, timeout=30)
    assert ended.outcomes == {"ok": 300}
    assert outage.most_together == 1
    assert outage.back_together >= CONCURRENCY // 2  # at once, not one by one
    assert len(server.arrivals) == 300 + outage.failed
    Account(tmp_path / "ledger.sqlite", server).check(300)


@pytest.mark.parametrize("first", [0, 100])
def test_an_endpoint_that_stays_down_is_asked_a_bounded_number_of_times(
    tmp_path: Path, first: int
) -> None:
    in_flight = CONCURRENCY if first else FIRST_ROUND
    outage = Outage(first, together=in_flight, length=float("inf"))
    with chaos_server(outage, SECRET) as server:
        ended = build(server, tmp_path / "ledger.sqlite", 300, timeout=30)
        assert ended.stopped_with_one_line("answered status 500", "run the same command again")
        # Those in flight, those sent again before the circuit was open, and the probes.
        assert in_flight + _PROBES <= outage.failed <= in_flight + _TRIP - 1 + _PROBES
        assert outage.most_together == 1
        server.rule = mixture({}, SEED)
        assert build(server, tmp_path / "ledger.sqlite", 300).status == 0
    Account(tmp_path / "ledger.sqlite", server).check(300)


def failures_kept(ledger: Path) -> int:
    """Return how many failed sendings a builder has noted."""
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as db:
        (count,) = db.execute("SELECT count(*) FROM attempt WHERE outcome = 'failed'").fetchone()
    return int(count)


class Throttling:
    """Answers the first request with a Retry-After, and holds the others of the first round.

    Attributes:
        at: When it asked to wait, in seconds of the monotonic clock.
    """

    def __init__(self, ledger: Path, kind: str, first_round: int = FIRST_ROUND) -> None:
        self._ledger, self._kind, self._first_round = ledger, kind, first_round
        self._arrived = 0
        self.at = 0.0

    async def __call__(self, arrival: Arrival) -> str:
        self._arrived += 1
        if arrival.number == 1:
            await until(lambda: self._arrived == self._first_round)
            self.at = time.monotonic()
            return self._kind
        if arrival.number <= self._first_round:
            await until(lambda: failures_kept(self._ledger))
            await self.go_on()
        return "ok"

    async def go_on(self) -> None:
        """Do more before the others of the first round are answered."""


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("a_minute", "first_round"), [(0, FIRST_ROUND), (100, 1)])
def test_retry_after_holds_for_every_request_of_the_model(
    tmp_path: Path, status: int, a_minute: int, first_round: int
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    throttling = Throttling(ledger, f"{status} 1.5", first_round)
    with chaos_server(throttling, SECRET) as server:
        ended = build(server, ledger, 6, timeout=30, requests_per_minute=a_minute)
    assert ended.outcomes == {"ok": 6}
    later = [arrival.at for arrival in server.arrivals[first_round:]]
    assert len(later) == 7 - first_round
    assert min(later) >= throttling.at + 1.5


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("count", [FIRST_ROUND, 300])
def test_a_retry_after_that_is_too_long_ends_the_stage_at_once(
    tmp_path: Path, status: int, count: int
) -> None:
    seconds = f"{LONGEST_STATED_WAIT_S + 1:.0f}"
    throttling = Throttling(tmp_path / "ledger.sqlite", f"{status} {seconds}")
    with chaos_server(throttling, SECRET) as server:
        ended = build(server, tmp_path / "ledger.sqlite", count, timeout=30)
    said = (f"answered status {status}", f"asks to wait {seconds} s", "go on then")
    assert ended.stopped_with_one_line(*said)
    assert len(server.arrivals) == FIRST_ROUND
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.outcomes() == {"failed": 1, "ok": FIRST_ROUND - 1}  # on their way, and kept
        assert ledger.money().open_requests == 0


class Interrupting(Throttling):
    """Interrupts the builder when it waits; the answers that it is owed come `later` seconds later.

    Attributes:
        process: The builder.
        at: When it was first interrupted.
    """

    process: subprocess.Popen[str]

    def __init__(self, ledger: Path, times: int, later: float) -> None:
        super().__init__(ledger, f"429 {LONGEST_STATED_WAIT_S}")
        self._times, self._later = times, later

    async def go_on(self) -> None:
        if self._times:
            self.at, times, self._times = time.monotonic(), self._times, 0
            for _ in range(times):
                self.process.send_signal(signal.SIGINT)
                await asyncio.sleep(0.3)  # two signals at the same moment count as one
        await asyncio.sleep(self._later)


# All of them in the workers' hands; all handed in; more than can be handed in at once.
@pytest.mark.parametrize("count", [FIRST_ROUND, 3 * CONCURRENCY - 4, 300])
@pytest.mark.parametrize(("times", "later"), [(1, 0.3), (2, 20.0)])
def test_an_interrupted_build_ends_at_once_and_keeps_the_answers_on_their_way(
    tmp_path: Path, count: int, times: int, later: float
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    rule = Interrupting(ledger, times, later)
    with chaos_server(rule, SECRET) as server:
        with builder(server, ledger, count, timeout=30) as process:
            rule.process = process
            _, err = process.communicate(timeout=60)
        took = time.monotonic() - rule.at
        assert len(server.arrivals) == FIRST_ROUND
    assert process.returncode == 130
    assert err == "error: interrupted\n"
    assert took < 3
    kept = FIRST_ROUND - 1 if times == 1 else 0  # who interrupts twice does not wait for them
    with Ledger(ledger) as left:
        assert left.outcomes() == Counter(failed=1, ok=kept)
        assert left.money().open_requests == FIRST_ROUND - 1 - kept


@pytest.mark.parametrize("kind", sorted(LOST | {"429", "500"}))
@pytest.mark.parametrize("item", [0, 15])  # on a new connection, and on one that was used before
def test_whatever_goes_wrong_once_is_asked_again(tmp_path: Path, kind: str, item: int) -> None:
    async def rule(arrival: Arrival) -> str:
        return kind if arrival.item == item and not arrival.seen else "ok"

    with chaos_server(rule, SECRET) as server:
        ended = build(server, tmp_path / "ledger.sqlite", 20, concurrency=2)
    assert ended.outcomes == {"ok": 20}
    assert len(server.arrivals) == 21
    Account(tmp_path / "ledger.sqlite", server).check(20)


def test_being_throttled_does_not_use_up_the_tries_of_a_request(tmp_path: Path) -> None:
    async def rule(arrival: Arrival) -> str:
        if arrival.item == 3 and arrival.seen <= TRIES:
            return "500" if arrival.seen == TRIES else "429"
        return "ok"

    with chaos_server(rule, SECRET) as server:
        ended = build(server, tmp_path / "ledger.sqlite", 20)
    assert ended.outcomes == {"ok": 20}
    assert server.all_kinds == {"ok": 20, "429": TRIES, "500": 1}
