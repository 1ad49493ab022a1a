"""Batches against a real server over real sockets: nothing orphaned, nothing paid twice."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import build as runner
from pipeline.artifacts import folder_digest
from pipeline.config import BudgetConfig, Config
from pipeline.config_model import BatchConfig, ModelConfig
from pipeline.errors import BadInputError, BudgetError, PipelineError, StageError, WaitingError
from pipeline.llm.audit import verify_ledger
from pipeline.llm.batch_book import BatchBook
from pipeline.llm.call import Caller
from pipeline.llm.ledger import Ledger, Money
from pipeline.llm.reply import Reply
from pipeline.paths import ROOT
from tests.conftest import PRICES, SECRET, command
from tests.loopback import ChatServer
from tests.loopback_batch import EXPIRED, JUNK, MISSING, PAGE

SCHEMA = (
    '{"additionalProperties":false,"properties":{"a":{"type":"str'
    'ing"}},"required":["a"],"type":"object"}'
)
World = Callable[..., Config]


@pytest.fixture
def model(model: ModelConfig, server: ChatServer) -> ModelConfig:
    server.names = ["a"]
    url = server.base_url if model.provider == "dashscope" else ""
    return dataclasses.replace(model, batch=BatchConfig(url=url, requests=4))


def limits(model: ModelConfig, **changes: Any) -> ModelConfig:
    assert model.batch is not None
    return dataclasses.replace(model, batch=dataclasses.replace(model.batch, **changes))


def ask(ledger: Path, model: ModelConfig, count: int = 10, cap_usd: float = 10.0) -> list[Reply]:
    with Caller(ledger, {"m": model}, BudgetConfig(cap_usd, str(PRICES))) as caller:
        requests = (
            caller.request("m", (("user", f"question {i}"),), item=f"item {i}", schema=SCHEMA)
            for i in range(count)
        )
        return list(caller.ask(requests))


def money(path: Path) -> Money:
    with Ledger(path) as ledger:
        return ledger.money()


def begin(path: Path, model: ModelConfig, count: int = 10) -> None:
    with pytest.raises(WaitingError):
        ask(path, model, count)


def test_batches_are_split_waited_for_and_settled_at_half_the_price(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    with pytest.raises(WaitingError, match=r"waiting: 0 of 3 batches are done \(10 answers"):
        ask(path, model)
    assert [b["request_counts"]["total"] for b in server.batch.batches.values()] == [4, 4, 2]
    held = money(path)
    assert held.measured == 0
    assert held.open_requests == 10
    server.batch.end("batch_1")
    with pytest.raises(WaitingError, match=r"waiting: 1 of 3 batches are done \(6 answers"):
        ask(path, model)
    server.batch.end_all()
    replies = ask(path, model)
    assert [reply.outcome for reply in replies] == ["ok"] * 10
    assert len({reply.text for reply in replies}) == 10
    assert len(server.batch.batches) == 3
    assert server.bodies == []  # nothing went online
    assert money(path) == Money(measured=10 * 15, unknown=0, open=0, open_requests=0)
    assert verify_ledger(path) == (10, 10, [])


def test_an_answer_by_batch_is_the_answer_online(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    begin(tmp_path / "batch", model)
    server.batch.end_all()
    by_batch = ask(tmp_path / "batch", model)
    online = ask(tmp_path / "online", limits(model, enabled=False))
    assert [r.key for r in by_batch] == [r.key for r in online]
    again = ask(tmp_path / "batch", limits(model, enabled=False))
    assert again == by_batch  # whichever way it came, it is served both ways
    assert len(server.bodies) == 10


def test_a_file_is_split_by_its_size_too(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    long = "x" * 300_000
    with (
        Caller(tmp_path / "l", {"m": limits(model, megabytes=1)}, BudgetConfig(99.0, str(PRICES)))
        as caller,
        pytest.raises(WaitingError, match="0 of 3 batches"),
    ):  # fmt: skip
        texts = (f"{i} {long}" for i in range(8))
        list(caller.ask(caller.request("m", (("user", t),), item="i") for t in texts))
    sizes = [len(content) for content in server.batch.files.values()]
    assert max(sizes) <= 1_000_000
    assert len(sizes) == 3


@pytest.mark.parametrize("status", ["completed", "expired", "cancelled"])
def test_a_partial_batch_is_settled_item_by_item_and_the_rest_asked_online(
    tmp_path: Path, server: ChatServer, model: ModelConfig, status: str
) -> None:
    path = tmp_path / "l"
    model = limits(model, requests=20)
    begin(path, model)
    faults = {0: EXPIRED, 1: 500, 2: 400, 3: "truncated", 4: "invalid", 5: MISSING}
    server.batch.end("batch_0", status, faults)
    replies = ask(path, model)
    assert sorted(r.outcome for r in replies) == ["invalid", *["ok"] * 8, "truncated"]
    assert len(server.bodies) == 4  # expired, 500, 400 and missing: online, at the full price
    # The provider says that it answered as many as the file holds: the missing one never ran.
    assert money(path) == Money(measured=6 * 15 + 4 * 30, unknown=0, open=0, open_requests=0)
    assert ask(path, model) == replies
    assert len(server.bodies) == 4


def test_what_may_have_been_charged_counts_in_full(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    model = limits(model, requests=20)
    begin(path, model, 3)
    reserved = money(path).open // 3
    server.batch.end("batch_0", faults={0: JUNK, 1: PAGE})
    assert [r.outcome for r in ask(path, model, 3)] == ["ok"] * 3
    settled = money(path)
    assert settled.unknown == 2 * reserved  # a broken line, and an answer that is none
    assert settled.measured == 15 + 2 * 30
    assert settled.measured + settled.unknown >= server.batch.bill_micro + 2 * 30


def test_leftovers_go_by_batch_again_and_then_online(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path, model = tmp_path / "l", limits(model, requests=20, leftovers="batch")
    begin(path, model, 5)
    for handle, left in (("batch_0", 2), ("batch_1", 1)):
        server.batch.end(handle, "expired", dict.fromkeys(range(left), EXPIRED))
        begin(path, model, 5)
    assert [b["request_counts"]["total"] for b in server.batch.batches.values()] == [5, 2, 1]
    assert not server.bodies
    server.batch.end("batch_2", "expired", {0: EXPIRED})
    assert [r.outcome for r in ask(path, model, 5)] == ["ok"] * 5
    assert len(server.bodies) == 1


def test_a_request_that_is_refused_as_it_stands_does_not_come_back_for_ever(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 3)
    server.batch.end("batch_0", faults={1: 422})
    server.faults.append(422)
    assert sorted(r.outcome for r in ask(path, model, 3)) == ["error", "ok", "ok"]
    assert money(path).open == 0


@pytest.mark.parametrize("endpoint", ["upload", "create", "list", "retrieve", "content"])
@pytest.mark.parametrize("fault", [500, 429, "lost"])
def test_passing_faults_are_retried_and_nothing_is_begun_twice(
    tmp_path: Path, server: ChatServer, model: ModelConfig, endpoint: str, fault: int | str
) -> None:
    server.batch.faults[endpoint] = deque([fault, fault])
    begin(tmp_path / "l", model)
    server.batch.end_all()
    assert [r.outcome for r in ask(tmp_path / "l", model)] == ["ok"] * 10
    assert len(server.batch.batches) == 3
    assert server.batch.bill_micro == money(tmp_path / "l").measured == 150


def test_an_endpoint_that_is_down_is_gone_on_with_later(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.batch.faults["create"] = deque(["lost", *[500] * 50])
    with pytest.raises(StageError, match="nothing is lost, run the same command again"):
        ask(tmp_path / "l", model)
    server.batch.faults.clear()
    begin(tmp_path / "l", model)
    assert len(server.batch.batches) == 3  # the lost one was found again by its file
    server.batch.end_all()
    assert [r.outcome for r in ask(tmp_path / "l", model)] == ["ok"] * 10


def test_a_batch_that_is_refused_with_a_status_holds_no_money(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    server.batch.faults["create"] = deque([403])
    with pytest.raises(BadInputError, match="403 made_up"):
        ask(tmp_path / "l", model)
    assert money(tmp_path / "l") == Money(0, 0, 0, 0)
    begin(tmp_path / "l", model)  # and the next build sends it again
    assert len(server.batch.batches) == 3


def test_a_batch_that_fails_as_a_whole_says_why_and_costs_nothing(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 4)
    server.batch.fail("batch_0", "model_not_found", "The model does not exist in batch mode")
    with pytest.raises(
        BadInputError, match=r"model_not_found: The model does not.*batch\.enabled="
    ):
        ask(path, model, 4)
    assert money(path) == Money(0, 0, 0, 0)
    begin(path, model, 4)  # a batch that never began does not count as an asking
    assert len(server.batch.batches) == 2


def test_the_provider_s_queue_is_not_overfilled(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path, model = tmp_path / "l", limits(model, tokens=200, requests=50)
    sizes = []
    for _ in range(20):
        try:
            replies = ask(path, model, 20)
        except WaitingError as waiting:
            assert "more requests wait until those are done" in str(waiting) or len(sizes) > 1
            open_now = [b for b in server.batch.batches.values() if b["status"] == "in_progress"]
            assert len(open_now) == 1
            sizes.append(open_now[0]["request_counts"]["total"])
            server.batch.end_all()
        else:
            break
    assert sum(sizes) == 20
    assert len(sizes) > 2
    assert [r.outcome for r in replies] == ["ok"] * 20


def test_a_full_queue_at_the_provider_is_waited_out(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 4)
    server.batch.most_tokens = len(server.batch.files["file-in-0"]) + 10
    begin(path, model, 8)  # the second batch meets the account's limit
    with pytest.raises(WaitingError, match="4 more requests wait"):
        ask(path, model, 8)
    server.batch.end("batch_0")
    begin(path, model, 8)
    server.batch.end_all()
    assert [r.outcome for r in ask(path, model, 8)] == ["ok"] * 8
    server.batch.most_tokens = 10
    begin(path, model, 9)
    with pytest.raises(BadInputError, match=r"set models\.m\.batch\.tokens to your account's"):
        ask(path, model, 9)


def test_the_cap_holds_over_open_batches(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 4)
    cap = (money(path).open + 10) / 1e6
    for _ in range(2):
        with pytest.raises(BudgetError, match="raise the cap"):
            ask(path, model, 10, cap_usd=cap)
        assert len(server.batch.batches) == 1
        assert money(path).open <= cap * 1e6
    server.batch.end_all()
    begin(path, model, 10)


def test_a_batch_of_another_account_is_named_and_can_be_given_up(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 4)
    reserved = money(path).open
    server.batch.batches.clear()
    with pytest.raises(BadInputError, match=r"does not know batch batch_0.*batches --abandon 1"):
        ask(path, model, 4)
    assert money(path).open == reserved
    sections = {"models.m." + k: v for k, v in dataclasses.asdict(model).items() if k != "batch"}
    sets = [f"--set={name}={json.dumps(value)}" for name, value in sections.items()]
    sets += [
        f"--set=models.m.batch.url={server.base_url!r}",
        f"--set=budget.prices={str(PRICES)!r}",
    ]
    listed = command("batches", f"--ledger={path}", *sets)
    assert listed.returncode == 0, listed.stderr
    assert "batch_0" in listed.stdout
    done = command("batches", f"--ledger={path}", "--abandon=1", *sets)
    assert done.returncode == 0, done.stderr
    assert money(path) == Money(0, reserved, 0, 0)
    again = command("batches", f"--ledger={path}", "--abandon=1", *sets)
    assert again.returncode == 2
    assert again.stderr == "error: batch 1 is closed already (abandoned)\n"


def test_an_output_file_that_is_gone_costs_its_reservations_and_is_asked_again(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 4)
    reserved = money(path).open
    server.batch.end("batch_0")
    del server.batch.files["file-output_file_id-batch_0"]
    assert [r.outcome for r in ask(path, model, 4)] == ["ok"] * 4
    assert money(path) == Money(measured=4 * 30, unknown=reserved, open=0, open_requests=0)


def test_neither_secret_nor_strange_items_get_into_the_ledger(
    tmp_path: Path, server: ChatServer, model: ModelConfig
) -> None:
    path = tmp_path / "l"
    begin(path, model, 3)
    server.batch.end("batch_0")
    name = "file-output_file_id-batch_0"
    lines = server.batch.files[name].splitlines()
    strange = lines[0].replace(b'"custom_id": "r1:', b'"custom_id": "r1:0')
    server.batch.files[name] = b"\n".join(
        [strange, b'{"custom_id": 3}', b"[]", b"\xff\xfe", *lines, *lines]
    )
    assert [r.outcome for r in ask(path, model, 3)] == ["ok"] * 3
    assert verify_ledger(path) == (3, 3, [])
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_a_missing_key_is_said_before_anything_is_written_down(
    tmp_path: Path, server: ChatServer, model: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VALACT_TEST_KEY")
    with pytest.raises(BadInputError, match="VALACT_TEST_KEY is not set"):
        ask(tmp_path / "l", model)
    with Ledger(tmp_path / "l") as ledger:
        assert BatchBook(ledger).all() == []


@pytest.fixture
def batch_world(world: World) -> Config:
    batch = {f"models.{name}.batch": {"requests": 6} for name in ("g-one", "g-two")}
    return world(**batch)


def test_a_build_waits_with_status_3_and_goes_on_to_the_same_bytes(
    batch_world: Config, world: World, server: ChatServer, tmp_path: Path
) -> None:
    with pytest.raises(WaitingError, match="waiting: 0 of 4 batches") as caught:
        runner.build(batch_world)
    assert caught.value.exit_code == 3
    server.batch.end("batch_0", faults={0: "truncated"})  # is asked again, by batch
    with pytest.raises(WaitingError, match="waiting: 1 of 4 batches"):
        runner.build(batch_world)
    server.batch.end_all()
    with pytest.raises(WaitingError, match="waiting: 0 of 1 batches"):
        runner.build(batch_world)
    server.batch.end_all()
    runner.build(batch_world)
    assert not server.bodies
    again = world(build__workspace=str(tmp_path / "two"), build__dist=str(tmp_path / "dist2"))
    runner.build(again, replay_only=True)
    assert folder_digest(Path(again.build.dist)) == folder_digest(Path(batch_world.build.dist))


BUILD = """
import sys
from pathlib import Path
from pipeline.config import BudgetConfig
from pipeline.config_model import BatchConfig, ModelConfig
from pipeline.errors import PipelineError
from pipeline.llm import retry
from pipeline.llm.call import Caller
retry.FIRST_WAIT_S = 0.001
url, ledger, prices = sys.argv[1:]
model = ModelConfig("openai", "fake", 50, url, "VALACT_TEST_KEY", batch=BatchConfig(requests=4))
with Caller(Path(ledger), {"m": model}, BudgetConfig(10.0, prices)) as caller:
    requests = [caller.request("m", (("user", f"{i}"),), item=f"{i}") for i in range(10)]
    try:
        replies = list(caller.ask(requests))
    except PipelineError as error:
        sys.exit(error.exit_code)
assert [reply.outcome for reply in replies] == ["ok"] * 10
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    ["upload", "upload-done", "create", "create-done", "retrieve", "content", "content-done"],
)
def test_a_build_that_is_killed_at_any_moment_finds_its_batches_again(
    tmp_path: Path, server: ChatServer, moment: str
) -> None:
    """Killed at the first and, in the next life, at the second time the moment comes."""
    path = tmp_path / "l"
    seen: list[str] = []
    children: list[subprocess.Popen[bytes]] = []

    def on_request(name: str) -> None:
        if name == moment:
            seen.append(name)
            if len(seen) in {1, 3}:
                os.kill(children[-1].pid, signal.SIGKILL)

    server.batch.on_request = on_request
    statuses = []
    for _ in range(12):
        arguments = [sys.executable, "-c", BUILD, server.base_url, str(path), str(PRICES)]
        environment = os.environ | {"VALACT_TEST_KEY": SECRET}
        children.append(subprocess.Popen(arguments, cwd=ROOT, env=environment))
        statuses.append(children[-1].wait(timeout=60))
        if statuses[-1] == 0:
            break
        if statuses[-1] == 3:
            server.batch.end_all()
    assert statuses[-1] == 0, statuses
    assert -signal.SIGKILL in statuses
    assert len(server.batch.batches) == 3
    assert server.batch.bill_micro == 150
    assert money(path) == Money(150, 0, 0, 0)


def test_the_command_line_ends_with_status_3(
    batch_world: Config, server: ChatServer, tmp_path: Path
) -> None:
    models = {}
    for name in ("one", "two"):
        model = batch_world.models[f"g-{name}"]
        fields = ("provider", "model", "base_url", "api_key_env", "max_tokens", "temperature")
        models |= {f"models.{name}.{field}": getattr(model, field) for field in fields}
        models[f"models.{name}.batch.requests"] = 7
    sets = models | {"generate.generators": ["one", "two"], "budget.prices": str(PRICES)}
    sets["generate.plain_repairs"] = []
    sets |= {"vote.voters": [], "vote.tie_breaker": "", "recognise.model": ""}  # no local model
    done = command(
        "build",
        f"--workspace={batch_world.build.workspace}",
        f"--ledger={tmp_path / 'l'}",
        f"--dist={tmp_path / 'dist'}",
        "--set=budget.cap_usd=1.0",
        *[f"--set={key}={json.dumps(value)}" for key, value in sets.items()],
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr == (
        "waiting: 0 of 4 batches are done (20 answers to come); run the same command again to go "
        "on\n"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models.g-one.provider": "dashscope"}, r"g-one.batch.url: missing; DashScope's batches"),
        ({"models.g-one.provider": "llama_cpp"}, "g-one.batch: the bundled model is asked online"),
        ({"models.g-one.batch.request": 3}, "batch.request: unknown key; did you mean 'requests'"),
        ({"models.g-one.batch.leftovers": "x"}, "leftovers"),
    ],
)
def test_a_wrong_batch_section_is_said_in_one_line(
    world: World, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(PipelineError, match=said):
        world(**{"models.g-one.batch.requests": 3, **changes})
