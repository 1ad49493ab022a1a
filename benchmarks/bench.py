"""Runs every benchmark beside its peers and writes RESULTS.md and its figures: `make bench`.

python -m benchmarks.bench [--only PART ...] [--posts DUMP.ndjson.zst] [--runs 3] [--quick]

Each part is a process of its own. A part that fails is named with its reason, the others go on,
and the status at the end is 1. RESULTS.md is written anew after each part from the files that are
there; a part without one is "not run".
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import report, results, scale
from benchmarks.parts import Found, Settings, SkippedError, embed_part, read_part
from benchmarks.parts_dedup import dedup_part, dump_part, growth_part
from benchmarks.parts_models import build_part, calls_part, evaluator_part
from pipeline.paths import ROOT

PARTS: dict[str, Callable[[Settings], Found]] = {
    "read": read_part,
    "dump": dump_part,
    "dedup": dedup_part,
    "growth": growth_part,
    "embed": embed_part,
    "calls": calls_part,
    "evaluator": evaluator_part,
    "build": build_part,
}
_PACKAGES = {
    "read": ("polars", "msgspec", "zstandard"),
    "dump": ("polars", "numpy", "scipy", "faiss-cpu", "torch"),
    "dedup": ("polars", "numpy", "scipy", "faiss-cpu"),
    "growth": ("polars", "numpy", "scipy"),
    "embed": ("torch", "sentence-transformers"),
    "calls": ("openai", "aiohttp"),
    "evaluator": ("inspect-ai", "openai"),
    "build": ("xllamacpp", "torch", "polars"),
}
QUICK = ROOT / "build" / "bench-quick"
_POSTS = ROOT / "build" / "bench-posts"
_MOST_MINUTES = 180
_OF_POSTS = ("dump", "dedup", "growth", "embed")
_SKIPPED = 4  # status of a part that needs what was not given


def main() -> None:
    """Run the chosen parts, and write the report."""
    arguments = _arguments()
    folder = QUICK / "results" if arguments.quick else results.FOLDER
    if arguments.part:
        _one(arguments, folder)
        return
    out = QUICK / "RESULTS.md" if arguments.quick else report.RESULTS
    begun = time.monotonic()
    ended: dict[str, str] = {}
    for name in arguments.only or PARTS:
        print(f"{name}: {report.PARTS[name]}", flush=True)
        clock = time.monotonic()
        ended[name] = _child(name, arguments)
        print(f"{name}: {ended[name]}, {time.monotonic() - clock:.0f} s", flush=True)
        report.write(folder, out)
    if not arguments.quick:
        scale.write(folder)
    failed = [name for name, how in ended.items() if how.startswith("failed")]
    print(f"{out}: {len(ended)} parts in {(time.monotonic() - begun) / 60:.0f} min", flush=True)
    for name, how in ended.items():
        print(f"  {name:10} {how}")
    raise SystemExit(1 if failed else 0)


def _child(name: str, arguments: argparse.Namespace) -> str:
    """Run one part in a process of its own, its lines indented; return how it ended."""
    command = [sys.executable, "-m", "benchmarks.bench", "--part", name]
    command += ["--runs", str(arguments.runs)]
    command += ["--cache", str(arguments.cache)] if arguments.cache else []
    command += ["--posts", str(arguments.posts)] if arguments.posts else []
    command += ["--quick"] if arguments.quick else []
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=ROOT,
        start_new_session=True,
    )
    late = threading.Timer(60 * arguments.most_minutes, _stop, [child])
    late.start()
    last = ""
    try:
        assert child.stdout is not None
        for line in child.stdout:
            last = line.strip() or last
            print(f"    {line.rstrip()}", flush=True)
        status = child.wait()
    except BaseException:
        _stop(child)
        raise
    finally:
        late.cancel()
    if status == 0:
        return "done"
    if status == _SKIPPED:
        return last
    if status < 0:
        return (
            f"failed: ended by signal {-status}, after {arguments.most_minutes} min or from outside"
        )
    return f"failed: {last}"


def _stop(child: subprocess.Popen[str]) -> None:
    """End a part and all that it started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def _run(name: str, settings: Settings, folder: Path) -> None:
    """Run one part and write its file.

    Raises:
        SkippedError: It needs what was not given.
        SystemExit: A tool in it failed.
    """
    before = os.getloadavg()[0]
    found = PARTS[name](settings)
    others = {key: number for peer in found.others for key, number in peer.versions.items()}
    part = results.Part(
        name=name,
        date=results.today(),
        machine=results.machine(),
        versions=results.versions(_PACKAGES[name], others),
        load=(round(before, 1), round(os.getloadavg()[0], 1)),
        posts=found.posts,
        jobs=found.jobs,
        tables=found.tables,
    )
    results.save(part, folder)


def _one(arguments: argparse.Namespace, folder: Path) -> None:
    dump = posts = None
    if arguments.posts:
        dump = arguments.posts.resolve()
        posts = _ingested(dump) if arguments.part in _OF_POSTS else None
    settings = Settings(dump, posts, arguments.runs, arguments.quick, arguments.cache)
    try:
        _run(arguments.part, settings, folder)
    except SkippedError as error:
        print(f"skipped: {error}", flush=True)
        raise SystemExit(_SKIPPED) from None
    except Exception as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None


def _ingested(dump: Path) -> Path:
    """Return the posts of a dump as Parquet; read it if it has changed since."""
    from pipeline.artifacts import write_parquet
    from pipeline.config_file import load
    from pipeline.sources.read import read_posts

    state = dump.stat()
    out = _POSTS / f"{state.st_size}-{state.st_mtime_ns}.parquet"
    if not out.exists():
        print("reading the posts", flush=True)
        settings = {"source.path": str(dump), "source.max_bad_lines": 10**9}
        config = load(ROOT / "configs" / "demo.toml", settings)
        out.parent.mkdir(parents=True, exist_ok=True)
        waiting = out.with_suffix(".new")
        write_parquet(read_posts([dump], config, all_subreddits=True).posts, waiting)
        waiting.replace(out)
    return out


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=tuple(PARTS), help="run these parts alone")
    parser.add_argument("--posts", type=Path, help="a real dump; without it posts are invented")
    parser.add_argument("--runs", type=int, default=0, help="of each tool (3; 1 if quick)")
    parser.add_argument("--quick", action="store_true", help="small, into build/bench-quick")
    parser.add_argument("--cache", type=Path, help="known vectors, such as build/bench-dedup-cache")
    parser.add_argument("--most-minutes", type=float, default=_MOST_MINUTES, help="of a part")
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.posts and not arguments.posts.is_file():
        parser.error(f"--posts {arguments.posts}: no such file; give a dump, or leave it out")
    arguments.cache = arguments.cache.resolve() if arguments.cache else None
    arguments.runs = arguments.runs or (1 if arguments.quick else 3)
    return arguments


if __name__ == "__main__":
    main()
