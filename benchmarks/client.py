"""One client, one run, in a process of its own, so that its CPU time and memory are its alone.

`layer` is pipeline.llm as a stage uses it. The others are the openai SDK alone under a semaphore,
without limits, money, schema check or ledger: `sdk` as its documents show it, `sdk-aiohttp` on its
other backend, `sdk-post` by the very call that pipeline.llm makes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from benchmarks import workload
from benchmarks.dedup_run import cpu_seconds, peak_mb
from pipeline.llm.openai_chat import body_of

KINDS = ("layer", "sdk", "sdk-aiohttp", "sdk-post")


@dataclass(frozen=True)
class Run:
    """What one run took, told by the client itself; starting Python is not in it.

    Attributes:
        seconds: From the first request made to the last reply read.
        cpu_s: CPU time of the process meanwhile, user and system.
        peak_mb: Most resident memory of the process ever, imports and all.
        usable: Replies that met the schema.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    usable: int


def run(kind: str, base_url: str, count: int, *options: str) -> Run:
    """Run one client in a process of its own; see `main` for its options."""
    module = [sys.executable, "-m", "benchmarks.client"]
    return run_command([*module, kind, base_url, str(count), *options], count)


def run_command(command: Sequence[str], count: int, **options: Any) -> Run:
    """Run a command that prints a Run in its last line; every reply must be usable."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}\n{done.stderr[-2_000:]}")
    taken = Run(**json.loads(done.stdout.splitlines()[-1]))
    if taken.usable != count:
        raise SystemExit(f"{' '.join(command)[:200]}: {taken.usable} of {count} replies usable")
    return taken


def _layer(arguments: argparse.Namespace) -> int:
    """Ask through the call layer and read the replies one by one; return how many are usable."""
    config = workload.model(
        arguments.base_url,
        arguments.concurrency,
        arguments.requests_per_minute,
        arguments.tokens_per_minute,
    )
    with workload.caller(Path(arguments.ledger), config) as caller:
        requests = workload.requests(caller, arguments.count)
        replies = caller.ask(requests, total=arguments.count)
        return sum(reply.outcome == "ok" for reply in replies)


async def _sdk(arguments: argparse.Namespace) -> int:
    """Ask through the SDK alone; return how many answers hold a JSON object."""
    config = workload.model(arguments.base_url, arguments.concurrency)
    requests = workload.requests(workload.caller(Path("unused"), config), arguments.count)
    free = asyncio.Semaphore(arguments.concurrency)
    http = None if arguments.kind == "sdk" else openai.DefaultAioHttpClient()
    client = openai.AsyncOpenAI(
        base_url=arguments.base_url, api_key="none", max_retries=0, http_client=http
    )
    usable = 0

    async def ask(body: dict[str, Any]) -> None:
        nonlocal usable
        try:
            if arguments.kind == "sdk-post":
                answer = await client.post("/chat/completions", body=body, cast_to=ChatCompletion)
            else:
                answer = await client.chat.completions.create(**body)
        finally:
            free.release()
        usable += isinstance(json.loads(answer.choices[0].message.content or ""), dict)

    async with client, asyncio.TaskGroup() as tasks:
        for request in requests:
            await free.acquire()
            tasks.create_task(ask(body_of(request)))
    return usable


def main() -> None:
    """Run one client once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("base_url")
    parser.add_argument("count", type=int)
    parser.add_argument("--ledger", default="")
    parser.add_argument("--requests-per-minute", type=int, default=0)
    parser.add_argument("--tokens-per-minute", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=workload.CONCURRENCY)
    arguments = parser.parse_args()
    begun, cpu = time.monotonic(), cpu_seconds()
    usable = _layer(arguments) if arguments.kind == "layer" else asyncio.run(_sdk(arguments))
    seconds, cpu_s = time.monotonic() - begun, cpu_seconds() - cpu
    taken = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb(), "usable": usable}
    print("\n" + json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
