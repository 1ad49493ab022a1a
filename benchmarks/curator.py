"""The peer: bespokelabs-curator, installed into a virtual environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import workload
from benchmarks.client import Run, run_command
from pipeline.paths import ROOT
from pipeline.values import value_ids

VERSION = "0.1.31"
REQUESTS_PER_MINUTE = 600_000
TOKENS_PER_MINUTE = 1_000_000_000
_HOME = ROOT / "build" / "bench-curator"
_PYTHON = _HOME / "bin" / "python"


def install() -> None:
    """Make its virtual environment, unless it is there."""
    done = _HOME / f"installed-{VERSION}"
    if done.exists():
        return
    print(f"installing bespokelabs-curator {VERSION} into {_HOME}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", _HOME], check=True)
    pip = [
        str(_PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, f"bespokelabs-curator=={VERSION}"], check=True)
    done.touch()


def run(base_url: str, count: int, folder: Path) -> Run:
    """Ask the calls of the workload through curator, which may use `folder`."""
    calls = folder / "calls.ndjson"
    system = workload.system_text()
    with calls.open("w", encoding="utf-8") as file:
        for number in range(count):
            row = {"item": f"s_{number}", "system": system, "user": workload.user_text(number)}
            file.write(json.dumps(row) + "\n")
    settings = {
        "model": workload.NAME,
        "fields": list(value_ids()),
        "concurrency": workload.CONCURRENCY,
        "requests_per_minute": REQUESTS_PER_MINUTE,
        "tokens_per_minute": TOKENS_PER_MINUTE,
        "sampling": workload.SAMPLING,
    }
    script = Path(__file__).with_name("curator_client.py")
    command = [str(_PYTHON), str(script), base_url, str(calls), json.dumps(settings)]
    return run_command(command, count, env=_environment(folder))


def _environment(folder: Path) -> dict[str, str]:
    """Keep it from the network: no telemetry, no hub, no download of tokenizers or prices."""
    bundled = "lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"
    return os.environ | {
        "TELEMETRY_ENABLED": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "TIKTOKEN_CACHE_DIR": str(next(_HOME.glob(bundled))),
    }
