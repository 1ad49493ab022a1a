"""Writes docs/scale-figures.md: what a build of paper size and one of 10^8 posts cost and take.

python -m benchmarks.scale [--results FOLDER] [--out FILE]

Calls, tokens and money are those of `make plan CONFIG=configs/paper.toml` without a dump; rates are
those of benchmarks/results/*.json. Where a part was not run, the text says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from benchmarks import results
from benchmarks.parts import BYTES_A_LINE
from benchmarks.parts_models import NO_LIMIT, PER_SECOND
from benchmarks.report import cell, number
from benchmarks.results import Job, Part
from pipeline.config_file import load
from pipeline.estimate import Estimate, Whole, estimate, whole
from pipeline.llm.prices import dollars
from pipeline.paths import ROOT

OUT = ROOT / "docs" / "scale-figures.md"
PAPER = ROOT / "configs" / "paper.toml"
POSTS = 100_000_000
MACHINES, CORES = 16, 16

_HEAD = """# Figures of scale

Written by `python -m benchmarks.scale` (and by `make bench`); no figure here is typed.
[scale.md](scale.md) tells how the work is shared out.

## A build of paper size

`make plan CONFIG=configs/paper.toml` before any post is read: every bound is for posts of
`screen.max_words` words, and a token of a prompt is taken to be one byte, so real sums are well
below. With your posts and some replies in the ledger, the same command says what to expect.
"""
_WORK = {
    "lines become posts": ("read", "read a dump into Parquet", "the cluster"),
    "tags": ("read", "read and tag", "the cluster"),
    "near-duplicates by words": ("growth", "near-duplicates of many posts", "the cluster"),
    "vectors, if no pool is set": ("embed", "vectors of texts", "the cluster"),
    "unpacking the dump": ("read", "unpack a dump into lines", "the driver alone"),
}
_LESS = {"tags": "lines become posts"}  # a job that holds another one


def text(rows: list[Estimate], parts: Mapping[str, Part]) -> str:
    """Return the document."""
    return "\n".join([_HEAD, _paper(rows), _totals(whole(rows)), _rate(parts), _cluster(parts)])


def _paper(rows: list[Estimate]) -> str:
    head = ("stage", "model", "calls", "prompt tokens", "completion tokens", "online", "by batch")
    lines = [_row(head), _row(["---", "---", *["---:"] * 5])]
    for row in rows:
        counts = (row.calls, row.prompt_tokens, row.completion_tokens)
        money = [dollars(row.online_micro), dollars(row.batch_micro)]
        configured = 1 if row.by_batch else 0
        money[configured] = f"**{money[configured]}**"
        lines.append(_row([row.stage, row.model, *(f"{n:,}" for n in counts), *money]))
    return "\n".join(lines) + "\n"


def _totals(every: Whole) -> str:
    prompt, completion = every.prompt_tokens, every.completion_tokens
    configured, online, batch = map(
        dollars, (every.configured_micro, every.online_micro, every.batch_micro)
    )
    return f"""**Bold** is as configured. Together, at most:

- {every.calls:,} calls, {prompt:,} prompt and {completion:,} completion tokens;
- {configured} as configured, {online} if all were online, {batch} if all were by batch
  (`configs/prices.toml` dates each price);
- {every.minutes / 60:,.1f} hours of calls at the configured limits, and {every.batch_rounds}
  rounds of batches of up to a day each;
- {every.ledger_bytes / 1e6:,.0f} MB of disk for the ledger; what posts take stands below.
"""


def _rate(parts: Mapping[str, Part]) -> str:
    for table in parts["calls"].tables if "calls" in parts else ():
        for row in table.rows:
            if row[0] == NO_LIMIT:
                rate = cell(row[table.columns.index(PER_SECOND)])
                where = parts["calls"].machine
                return f"The call layer makes {rate} requests a second without a limit ({where}).\n"
    return "Calls without a limit: not measured: `make bench ONLY=calls`.\n"


def _cluster(parts: Mapping[str, Part]) -> str:
    cores = MACHINES * CORES
    lines = [
        f"## {POSTS:,} posts on a Ray cluster\n",
        "CPU time a post as measured ([RESULTS.md](../benchmarks/RESULTS.md) says where and\n"
        f"when), times {POSTS:,}; and hours on {MACHINES} machines of {CORES} such cores with\n"
        "nothing lost. Moving rows between machines, and waiting, come on top.\n",
        _row(["work", "by whom", "CPU a post", "core-hours", f"hours on {cores} cores"]),
        _row(["---", "---", "---:", "---:", "---:"]),
    ]
    for work, (part, job, who) in _WORK.items():
        found = _largest(parts, part, job)
        if found is None:
            lines.append(_row([work, who, f"not measured: `make bench ONLY={part}`", "", ""]))
            continue
        each = found.ours.cpu_s / found.size
        if work in _LESS:
            inner = _largest(parts, *_WORK[_LESS[work]][:2])
            each -= inner.ours.cpu_s / inner.size if inner else 0.0
        hours = each * POSTS / 3600
        share = hours if who.startswith("the driver") else hours / cores
        cells = [f"{1e6 * each:,.0f} µs", number(hours), number(share)]
        lines.append(_row([work, who, *cells]))
    return "\n".join([*lines, "", _memory(parts), _disk(parts)])


def _memory(parts: Mapping[str, Part]) -> str:
    sizes = sorted(
        (job for job in parts["growth"].jobs) if "growth" in parts else (), key=lambda job: job.size
    )
    if len(sizes) < 2:
        return "Memory of stage dedup by words: not measured: `make bench ONLY=growth`.\n"
    few, many = sizes[0], sizes[-1]
    slope = (many.ours.peak_mb - few.ours.peak_mb) / (many.size - few.size)  # MB a post
    most = few.ours.peak_mb + slope * (POSTS - few.size)
    return (
        f"Memory of stage dedup by words in one process: {many.ours.peak_mb / 1000:,.1f} GB for "
        f"{many.size:,} posts, {1e6 * slope / 1000:,.1f} GB for each further million; on that line "
        f"{POSTS:,} would be {most / 1000:,.0f} GB.\n"
    )


def _disk(parts: Mapping[str, Part]) -> str:
    tables = parts["read"].tables if "read" in parts else ()
    for table in tables:
        if BYTES_A_LINE in table.columns:
            place = table.columns.index(BYTES_A_LINE)
            held = [float(row[place] or 0) for row in table.rows]
            names = " and ".join(f"{cell(row[place])} after `{row[0]}`" for row in table.rows)
            return (
                f"Disk, in bytes a post: {names}. Stages scrape, tag, screen and dedup each keep "
                f"their posts: at most {(held[0] + 3 * held[-1]) * POSTS / 1e12:,.2f} TB for "
                f"{POSTS:,}, if none is dropped.\n"
            )
    return "Disk: not measured: `make bench ONLY=read`.\n"


def _largest(parts: Mapping[str, Part], part: str, job: str) -> Job | None:
    jobs = [each for each in parts[part].jobs if each.name == job] if part in parts else []
    return max(jobs, key=lambda each: each.size, default=None)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def planned() -> list[Estimate]:
    """Return what a build of paper size asks, without a dump and with an empty ledger."""
    return estimate(load(PAPER, {"build.ledger": "build/bench-no-ledger.sqlite"}), set())


def write(folder: Path = results.FOLDER, out: Path = OUT) -> None:
    """Write the document anew."""
    out.write_text(text(planned(), results.load(folder)), encoding="utf-8")


def main() -> None:
    """Write the document anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    write(arguments.results, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
