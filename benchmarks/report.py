"""Writes benchmarks/RESULTS.md and its figures from benchmarks/results/*.json.

python -m benchmarks.report [--results FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import plots, results
from benchmarks.results import Cell, Job, Part, Table, Tool
from pipeline.paths import ROOT

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
PARTS = {
    "read": "a dump into posts",
    "dump": "near-duplicates of a dump, end to end",
    "dedup": "near-duplicates, beside other tools",
    "growth": "near-duplicates, many posts",
    "embed": "vectors of texts",
    "calls": "calls to a language model",
    "evaluator": "the evaluator",
    "build": "the whole demonstration",
}
"""Every part, in the order of the report, and what it measures."""

BOUNDS = {
    "read a dump into Parquet": "writing zstd Parquet, which the limit leaves out; and ours says "
    "of every bad line why, so each becomes a Python object",
    "unpack a dump into lines": "zstd, in one stream",
    "read and tag": "rules and language detection for every text",
    "deduplicate a dump": "the model's matrix products, for every post of enough words",
    "deduplicate a dump, vectors known": "cleaning the texts, joining their word triples, and "
    "products of all vectors",
    "deduplicate its texts, other threshold": "word triples, and products of all vectors",
    "near-duplicates by words": "making and joining the word triples of all texts",
    "near-duplicates by words and meanings": "the words as above, then products of vectors, which "
    "are known; semhash compares meanings alone",
    "near-duplicates of many posts": "making and joining the word triples of all texts",
    "vectors of texts": "the model's matrix products; plain encode that cuts off never reads the "
    "rest of a text",
    "calls to a model": "the HTTP client; ours also reserves money and stores every reply",
    "calls to a model, many": "the HTTP client and its JSON",
    "the same calls from the ledger": "reading SQLite and checking the replies",
    "evaluate a model": "Inspect's work for each call; for lm-eval the HTTP client",
    "build the demonstration": "the bundled model on the CPU, in `generate` and `recognise`",
    "build it again": "start of Python; every stage is skipped",
}
"""What bounds each job."""

_HEAD = """# Results

Written by `make bench` from `benchmarks/results/*.json`; no figure here is typed.
[README.md](README.md) says what each benchmark does and why.

Seconds are medians, with least and most in brackets; "wide" where these are further apart than
{wide:.0%} of the median, so that the row says little. Ratio: the peer's seconds over ours, and CPU
time likewise; above 1, ours needs less. A limit is a part of the job that no tool can leave out:
its ratio is below 1 by as much as ours takes longer. Memory: the most of all runs, ours and the
peer's. Of each job and peer the largest size stands here; the figures below show smaller ones.
"""
_COLUMNS = ("job", "size", "ours", "peer", "the peer's", "ratio", "memory", "what bounds it")


def text(parts: Mapping[str, Part]) -> str:
    """Return RESULTS.md."""
    blocks = [_HEAD.format(wide=results.WIDE), _jobs(parts), "## Where and when\n", _places(parts)]
    if drawn := [name for name in PARTS if name in parts and plots.curves(parts[name])]:
        blocks.append("## Cost against size\n")
        blocks += [f"![{PARTS[name]}](figures/{name}.svg)\n" for name in drawn]
    for name in PARTS:
        if name in parts and parts[name].tables:
            blocks.append(f"## More of `{name}`\n")
            blocks += [_table(table) for table in parts[name].tables]
    return "\n".join(blocks)


def _jobs(parts: Mapping[str, Part]) -> str:
    """Return the table: of each job and peer the largest size; the figures show the others."""
    lines = [_row(_COLUMNS), _row(["---", "---:", "---", "---", "---", "---:", "---:", "---"])]
    for name, about in PARTS.items():
        if name not in parts:
            lines.append(_row([f"`{name}`: {about}", "", "not run", *[""] * 5]))
            continue
        for job in dict.fromkeys(each.name for each in parts[name].jobs):
            lines += _rows([each for each in parts[name].jobs if each.name == job])
    return "\n".join(lines) + "\n"


def _rows(sizes: Sequence[Job]) -> list[str]:
    largest: dict[str, tuple[Job, Tool | None]] = {}
    for job in sorted(sizes, key=lambda each: -each.size):
        others: list[tuple[str, Tool | None]] = [(peer.name, peer) for peer in job.peers]
        if job.limit:
            others.append((f"limit: {job.limit.name}", job.limit))
        for name, other in others or [("none", None)]:
            largest.setdefault(name, (job, other))
    rows = []
    bound = BOUNDS.get(sizes[0].name, "")
    for name, (job, other) in largest.items():
        cells = [job.name, f"{job.size:,} {job.unit}", seconds(job.ours), name]
        cells += [seconds(other), _ratio(job.ours, other)] if other else ["", ""]
        memory = [f"{tool.peak_mb:,.0f} MB" for tool in (job.ours, other) if tool]
        rows.append(_row([*cells, "; ".join(memory), bound]))
        bound = ""
    return rows


def seconds(tool: Tool) -> str:
    """Return the median, and the least and most in brackets."""
    least, most = tool.spread
    count = len(tool.runs)
    if count == 1:
        return f"{number(tool.seconds)} s (one run)"
    few = f", {count} runs" if count < 3 else ""
    wide = ", wide" if tool.wide else ""
    return f"{number(tool.seconds)} s ({number(least)} to {number(most)}{wide}{few})"


def _ratio(ours: Tool, other: Tool) -> str:
    return f"{other.seconds / ours.seconds:.2f}, CPU {other.cpu_s / ours.cpu_s:.2f}"


def _places(parts: Mapping[str, Part]) -> str:
    lines = [_row(["part", "date", "machine", "load", "posts", "versions"]), _row(["---"] * 6)]
    for name, about in PARTS.items():
        if part := parts.get(name):
            load = f"{part.load[0]:.1f} to {part.load[1]:.1f}"
            packages = ", ".join(f"{k} {v}" for k, v in part.versions.items())
            cells = [f"`{name}`: {about}", part.date, part.machine, load, part.posts, packages]
            lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _table(table: Table) -> str:
    numeric = [
        all(not isinstance(row[k], str) for row in table.rows) for k in range(len(table.columns))
    ]
    lines = [f"{table.title}:\n", _row(table.columns)]
    lines.append(_row(["---:" if each else "---" for each in numeric]))
    lines += [_row([cell(each) for each in row]) for row in table.rows]
    return "\n".join(lines) + "\n"


def cell(value: Cell) -> str:
    """Return what stands in a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """Return a number with three digits that count, or whole."""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f}"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(folder: Path = results.FOLDER, out: Path = RESULTS) -> None:
    """Write the report and the figures beside it."""
    parts = results.load(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text(parts), encoding="utf-8")
    plots.draw({name: parts[name] for name in PARTS if name in parts}, out.parent / "figures")


def main() -> None:
    """Write the report anew from what is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    write(arguments.results, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
