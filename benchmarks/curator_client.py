"""One run of bespokelabs-curator, in its own virtual environment: nothing of ours is imported.

Making its client sends two calls of its own and is not timed. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bespokelabs import curator
from pydantic import ConfigDict, create_model


class _Asker(curator.LLM):
    def prompt(self, input: dict[str, Any]) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": input["system"]},
            {"role": "user", "content": input["user"]},
        ]

    def parse(self, input: dict[str, Any], response: Any) -> dict[str, Any]:
        return {"item": input["item"], **response.model_dump()}


def main() -> None:
    """Ask every call of a JSON-lines file, read the answers back, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base_url")
    parser.add_argument("calls", type=Path, help="one object a line: item, system, user")
    parser.add_argument("settings", help="JSON: model, fields, concurrency, limits, sampling")
    arguments = parser.parse_args()
    settings = json.loads(arguments.settings)
    calls = [json.loads(line) for line in arguments.calls.read_text().splitlines()]
    fields: dict[str, Any] = dict.fromkeys(settings["fields"], (str, ...))
    form = create_model("reply", __config__=ConfigDict(extra="forbid"), **fields)
    asker = _Asker(
        model_name=settings["model"],
        response_format=form,
        backend="openai",
        generation_params=settings["sampling"],
        backend_params={
            "base_url": arguments.base_url,
            "api_key": "none",
            "max_concurrent_requests": settings["concurrency"],
            "max_requests_per_minute": settings["requests_per_minute"],
            "max_tokens_per_minute": settings["tokens_per_minute"],
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        begun, cpu = time.monotonic(), _cpu_seconds()
        answers = asker(calls, working_dir=folder).dataset
        usable = sum(all(row[name] for name in settings["fields"]) for row in answers)
        seconds, cpu_s = time.monotonic() - begun, _cpu_seconds() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    taken = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb, "usable": usable}
    sys.stdout.write("\n" + json.dumps(taken) + "\n")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
