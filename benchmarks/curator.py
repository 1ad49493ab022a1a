"""The peer: bespokelabs-curator, installed into a virtual environment of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks import workload
from benchmarks.client import Run, run_command
from benchmarks.peers import CURATOR
from pipeline.values import value_ids

REQUESTS_PER_MINUTE = 600_000
TOKENS_PER_MINUTE = 1_000_000_000


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
    command = [CURATOR.python(), str(script), base_url, str(calls), json.dumps(settings)]
    return run_command(command, count, env=_environment(folder))


def _environment(folder: Path) -> dict[str, str]:
    """Keep it from the network: no telemetry, no hub, no download of tokenizers or prices."""
    bundled = "lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"
    return os.environ | {
        "TELEMETRY_ENABLED": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "TIKTOKEN_CACHE_DIR": str(next(CURATOR.home.glob(bundled))),
    }
