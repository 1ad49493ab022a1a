"""The commands as a user meets them: exit status, one line of error, no traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.llm.ledger import Ledger
from pipeline.paths import ROOT
from pipeline.stages import stage_names
from tests.conftest import PRICES, command
from tests.loopback import ChatServer


def places(folder: Path) -> list[str]:
    return [
        f"--workspace={folder / 'work'}",
        f"--ledger={folder / 'ledger.sqlite'}",
        f"--dist={folder / 'dist'}",
    ]


def fake_models(server: ChatServer) -> list[str]:
    model = f'{{provider="openai", model="fake", base_url="{server.base_url}", max_tokens=500}}'
    return [
        "--set",
        f"models.g-one={model}",
        "--set",
        f"models.g-two={model[:-1]}, temperature=1.0}}",
        "--set",
        'generate.generators=["g-one", "g-two"]',
        "--set",
        "generate.plain_repairs=[]",
        "--set",
        f"budget.prices='{PRICES}'",
        "--set",
        "budget.cap_usd=10.0",
        "--set",
        "vote.voters=[]",
        "--set",
        'vote.tie_breaker=""',
        "--set",
        'recognise.model=""',
    ]


def fails(status: int, *arguments: str, **options: object) -> str:
    """Run a command that must end with `status` and one line; return the line."""
    done = command(*arguments, **options)
    assert done.returncode == status, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_help_lists_the_commands() -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in ("build", "plan", "explain", "trace", "preview", "verify", "funnel", "serve"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("buidl",), "Did you mean 'build'?"),
        (("build", "--bad"), "No such option"),
        (("build", "-c", "configs/dem.toml"), "configs/dem.toml: no such configuration file"),
        (("build", "--set", "dedup.cosin=0.9"), "dedup.cosin: unknown key; did you mean 'cosine'?"),
        (("build", "--set", 'dedup.cosine="x"'), "dedup.cosine"),
        (("build", "--until", "relaese"), "did you mean 'release'?"),
        (("build", "--scenarios", "11"), "cannot be split equally over 5 domains"),
        (("explain", "screne"), "did you mean 'screen'?"),
    ],
)
def test_a_wrong_command_line_or_setting_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    extra = places(tmp_path) if arguments[0] == "build" and "--bad" not in arguments else []
    assert said in fails(2, *arguments, *extra)


def test_sources_that_cannot_be_read_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    missing = tmp_path / "none.ndjson.zst"
    assert f"{missing}: No such file" in fails(2, "build", f"--source={missing}", *places(tmp_path))
    broken = tmp_path / "broken.ndjson.zst"
    broken.write_bytes(b"this is no archive at all" * 100)
    said = fails(2, "build", f"--source={broken}", *places(tmp_path))
    assert f"{broken}: not readable as zstd" in said
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    assert f"{empty}: holds no line" in fails(2, "build", f"--source={empty}", *places(tmp_path))
    assert "is not a file" in fails(2, "build", f"--source={tmp_path}", *places(tmp_path))


def test_commands_that_need_a_build_say_so(tmp_path: Path) -> None:
    assert "make build-dataset" in fails(1, "preview", f"--dist={tmp_path / 'no'}")
    assert "SHA256SUMS: missing" in fails(1, "verify", f"--dist={tmp_path / 'no'}")
    assert "no finished stage" in fails(2, "funnel", f"--workspace={tmp_path / 'no'}")
    assert "not there" in fails(1, "trace", "q_0", f"--workspace={tmp_path / 'no'}")


def test_a_folder_in_use_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with FileLock(tmp_path / "work" / ".lock"):
        assert "another build is at work here" in fails(1, "build", *places(tmp_path))


def test_build_look_verify_trace_and_funnel(
    tmp_path: Path, prepared: Path, server: ChatServer
) -> None:
    shutil.copytree(prepared, tmp_path / "work")
    done = command("build", *places(tmp_path), *fake_models(server))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "load it:" in done.stdout
    assert "look at it:" in done.stdout
    assert "evaluate:" in done.stdout
    again = command("build", *places(tmp_path), *fake_models(server))
    assert again.stdout.count("unchanged") == len(stage_names())
    dist = f"--dist={tmp_path / 'dist'}"
    assert "questions: 50 rows load as written" in command("verify", dist).stdout
    shown = command("preview", dist).stdout
    question = shown.split()[0]
    assert question.startswith("q_")
    assert "What do you do?" in shown
    way = command("trace", question, *places(tmp_path)[:2]).stdout
    assert f"question      {question}, index 0 in slot 0" in way
    assert "sample_posts.ndjson, line" in way
    told = command("funnel", f"--workspace={tmp_path / 'work'}").stdout
    assert "injection_like" in told


def test_budget_tells_what_is_open_and_what_the_cap_leaves(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        assert ledger.reserve("r1:a", 1_250_000, 10**9) is not None
    config = tmp_path / "capped.toml"
    demo = (ROOT / "configs" / "demo.toml").read_text()
    config.write_text(demo.replace("cap_usd = 0.0", "cap_usd = 3.0"))
    said = command("budget", f"--config={config}", f"--ledger={path}").stdout.splitlines()
    assert said[2].split(maxsplit=2)[2] == "$1.25 at most, 1 requests"
    assert said[3].split(maxsplit=4)[4] == "$1.75 of $3.00"


def test_explain_names_the_threshold(tmp_path: Path, prepared: Path) -> None:
    shutil.copytree(prepared, tmp_path / "work")
    done = command(
        "explain", "dedup", f"--workspace={tmp_path / 'work'}", "--set", "dedup.jaccard=0.7"
    )
    assert done.stdout.splitlines() == ["dedup: run", "    config.dedup.jaccard 0.6 -> 0.7"]


def test_plan_prices_the_scenarios_that_are_drawn_and_says_when_it_assumes(
    tmp_path: Path, prepared: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "work")
    place = f"--workspace={tmp_path / 'work'}"
    ledger = f"--set=build.ledger={tmp_path / 'ledger.sqlite'}"  # not that of a build made here
    drawn = command("plan", place, ledger)
    assert drawn.stdout.count(": 10 calls") == 3
    assert "an assumption" not in drawn.stdout
    more = command("plan", place, ledger, "--scenarios=20")
    assert more.stdout.count(": 20 calls") == 3
    assert "an assumption" in more.stdout


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(what: object, timeout: float = 120.0) -> None:
    """Wait until `what()` is true; the tests' only wait, bounded and on a condition."""
    end = time.monotonic() + timeout
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "never came"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_goes_on_and_asks_nothing_twice(
    tmp_path: Path, prepared: Path, server: ChatServer, sent: signal.Signals
) -> None:
    shutil.copytree(prepared, tmp_path / "work")
    arguments = ["build", *places(tmp_path), *fake_models(server)]
    with running(arguments) as process:
        wait_for(lambda: len(server.bodies) >= 5)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=60)
    if sent != signal.SIGKILL:
        assert process.returncode == 130
        assert stderr.startswith("error: interrupted")
        assert stderr.count("\n") == 1
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    questions = [str(sorted(body.items())) for body in server.bodies]
    # The one call that was on its way when the build died may come twice, no other.
    assert len(questions) - len(set(questions)) <= 2  # one of each model was on its way
    clean = tmp_path / "clean"
    shutil.copytree(prepared, clean / "work")
    assert command("build", *places(clean), *fake_models(server)).returncode == 0
    released = sorted((tmp_path / "dist").rglob("*.parquet"))
    assert [p.read_bytes() for p in released] == [
        p.read_bytes() for p in sorted((clean / "dist").rglob("*.parquet"))
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_build_goes_on_elsewhere(
    small_disk: Path, tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 480_000)
    said = fails(1, "build", *places(small_disk), "--until=select")
    assert "no space left on the device" in said
    filler.unlink()
    done = command("build", *places(small_disk), "--until=screen")
    assert done.returncode == 0, done.stderr


def test_a_background_job_ends_when_it_is_told_to() -> None:
    # As a shell without job control starts it: the interrupt is ignored, SIGTERM is not.
    code = (
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import time; from pipeline import __main__ as main, cli\n"
        "cli.app = lambda **_: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(30))\n"
        "raise SystemExit(main.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=25
    )
    assert done.returncode == 130
    assert done.stderr.startswith("error: interrupted; what is finished is kept")
