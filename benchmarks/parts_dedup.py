"""Parts of `make bench` about near-duplicates: a dump end to end, beside others, and many posts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import dedup, dedup_peers, dedup_posts, dedup_run, dedup_whole, peers, results
from benchmarks.parts import OURS, Found, Settings, posts_of, say, tool_of
from benchmarks.results import Job, Table

FIRST = "deduplicate a dump"
AGAIN = "deduplicate a dump, vectors known"
OTHERWISE = "deduplicate its texts, other threshold"


def dump_part(settings: Settings) -> Found:
    """Clean, embed and compare all posts, end to end; again, and with other thresholds."""
    posts, kind = posts_of(settings)
    posts = posts.head(1_000) if settings.quick else posts
    cache = _cache(settings)
    jobs = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "posts.parquet")
        posts.write_parquet(place)
        if settings.cache is None:
            say("all posts; their vectors take an hour or two for a real dump")
            first = dedup_whole.first_time(place, cache)
            say(f"all posts, the first time: {first.seconds:.0f} s, {first.peak_mb:,.0f} MB")
            jobs.append(Job(FIRST, posts.height, "posts", results.tool(OURS, [first])))
        again, others = dedup_whole.known(place, cache, settings.runs)
    for name, runs in ((AGAIN, again), (OTHERWISE, others)):
        jobs.append(Job(name, posts.height, "posts", results.tool(OURS, runs)))
        say(f"{name}: {jobs[-1].ours.seconds:.1f} s")
    return Found(tuple(jobs), posts=kind)


def dedup_part(settings: Settings) -> Found:
    """Remove near-duplicates, beside MinHash by datasketch and datatrove, and semhash.

    Vectors that part `dump` has left are known; others are made, in nobody's seconds.
    """
    limits = (500, 1_000) if settings.quick else (10_000, 30_000, 0)
    posts, kind = posts_of(settings)
    jobs, tables, last = [], [], 0
    for limit in limits:
        some = dedup_peers.compared_posts(posts, limit)
        if some.height == last:
            continue
        last = some.height
        with tempfile.TemporaryDirectory() as folder:
            comparison = dedup_peers.Comparison(some, Path(folder), _cache(settings))
            figures = comparison.run(settings.runs)
        tools = {name: tool_of(name, each["runs"]) for name, each in figures["tools"].items()}
        ours, all_of_ours, *others = tools.values()
        words = tuple(tool for tool in others if "semhash" not in tool.name)
        meanings = tuple(tool for tool in others if "semhash" in tool.name)
        size = some.height
        jobs += [
            Job("near-duplicates by words", size, "posts", ours, words),
            Job("near-duplicates by words and meanings", size, "posts", all_of_ours, meanings),
        ]
        tables = [_quality(figures), _verdicts(figures)]
    tables.append(_missed(settings))
    return Found(tuple(jobs), tuple(tables), (peers.DEDUP, peers.DATATROVE), kind)


def _quality(figures: dict[str, Any]) -> Table:
    truth = figures["truth"]
    title = (
        f"What is found among {figures['posts']:,} posts with {truth['pairs']:,} true pairs (words "
        f"alike by exact comparison of all), {truth['equal']:,} of them with one body. Reversed: "
        "removals that change if the rows come in the other order. Same and different: of labelled "
        "pairs that are one story or are not, how many are brought together. Vectors are known"
    )
    columns = ("tool", "removed", "one body found", "true pairs found", "reversed")
    rows = []
    for name, each in figures["tools"].items():
        same, different = each["labelled_same"], each["labelled_different"]
        shares = [_percent(each[key]) for key in ("recall_equal", "recall")]
        labels = [f"{hit} of {of}" for hit, of in (same, different)]
        rows.append((name, each["removed"], *shares, each["other_if_reversed"], *labels))
    return Table(title, (*columns, "same", "different"), tuple(rows))


def _verdicts(figures: dict[str, Any]) -> Table:
    """Return how many removals of each tool, and of each of our ways, are right."""
    least, inside = dedup_peers.RIGHT
    title = (
        f"Removals among {figures['posts']:,} posts. Right: the two posts share words (Jaccard "
        f"over {least} or containment over {inside} of word triples), or a reader found them to be "
        "one story; wrong: a reader found that they are not"
    )
    rows: list[tuple[results.Cell, ...]] = []
    for name, each in figures["tools"].items():
        rows.append(_verdict_row(name, each["verdicts"]))
        methods = each["methods"] if name == dedup_peers.ALL else {}
        rows += [_verdict_row(f"{name}: `{way}`", some) for way, some in methods.items()]
    return Table(title, ("tool", "removed", *dedup_peers.VERDICTS, "right of judged"), tuple(rows))


def _verdict_row(name: str, counts: dedup_peers.Verdicts) -> tuple[results.Cell, ...]:
    judged = counts["right"] + counts["wrong"]
    share = counts["right"] / judged if judged else None
    return (name, sum(counts.values()), *counts.values(), _percent(share))


def growth_part(settings: Settings) -> Found:
    """Near-duplicates among up to a million posts, by words."""
    sizes = (1_000, 3_000) if settings.quick else dedup.SIZES
    seed = dedup_posts.number_of("dedup")
    jobs = []
    with tempfile.TemporaryDirectory() as name:
        raw, done, out = (Path(name) / f"{each}.parquet" for each in ("raw", "text", "out"))
        say(f"writing {sizes[-1]:,} posts")
        dedup_posts.write(raw, sizes[-1], dedup_posts.Source.of(settings.posts, seed), seed)
        text = dedup_run.run("text", str(raw), str(done))
        say(f"their text: {text.seconds:.0f} s")
        for size in sizes:
            runs = []
            for turn in range(settings.runs):
                runs.append(dedup_run.run("find", str(done), str(out), f"--first={size}"))
                say(f"{size:,} posts, run {turn + 1}: {runs[-1].seconds:.1f} s")
            tool = results.tool(OURS, runs)
            jobs.append(Job("near-duplicates of many posts", size, "posts", tool))
    first, last = jobs[0], jobs[-1]
    rows = []
    for what, pick in (("time", "seconds"), ("CPU time", "cpu_s")):
        each = [1e6 * getattr(job.ours, pick) / job.size for job in (first, last)]
        rows.append((what, round(each[0], 1), round(each[1], 1), round(each[1] / each[0], 3)))
    cleaning = 1e6 * text.seconds / sizes[-1]
    title = (
        f"Microseconds a post among {first.size:,} and among {last.size:,} posts, and how they "
        f"grow; cleaning their text, once, is {cleaning:.0f} more"
    )
    table = Table(title, ("what", "of the fewest", "of the most", "times"), tuple(rows))
    kind = "variations of real ones" if settings.posts else "variations of invented ones"
    return Found(tuple(jobs), (table,), posts=kind)


def _missed(settings: Settings) -> Table:
    """Return what the ways for many texts find of what exact comparison finds."""
    rows = 500 if settings.quick else dedup.Chosen.rows
    chosen = dedup.Chosen(posts=settings.posts, rows=rows, vectors=True, cache=_cache(settings))
    with tempfile.TemporaryDirectory() as folder:
        bench = dedup.Bench(Path(folder), chosen)
        words, meanings = bench.beyond(), bench.index()
    title = (
        "Ways for more than 200,000 texts, on fewer: pairs over the threshold that comparing all "
        "texts finds, how many of these are found, and how many others"
    )
    found = (
        ("by words", words["texts"], words["exact"], words["same"], words["beyond"]),
        ("by an index of vectors", *(meanings[key] for key in ("rows", "pairs", "found", "all"))),
    )
    rest = tuple((*row[:4], row[4] - row[3]) for row in found)
    return Table(title, ("way", "texts", "pairs", "found", "others"), rest)


def _cache(settings: Settings) -> Path:
    """Return the folder of vectors; a quick try does not empty that of hours."""
    return settings.cache or dedup.CACHE.with_name(f"{dedup.CACHE.name}{'-quick' * settings.quick}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
