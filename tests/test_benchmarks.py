"""`make bench`: the report says what the JSON files say, and a failing part stops no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks import (
    bench,
    calls,
    dedup_run,
    dedup_whole,
    engine_tables,
    engines,
    parts_models,
    peers,
    plots,
    read,
    report,
    results,
    scale,
)
from benchmarks.parts_dedup import FIRST
from benchmarks.results import Job, Part, Table, Taken, Tool
from pipeline.config_file import load
from pipeline.estimate import whole
from pipeline.paths import ROOT


def tool(name: str, *seconds: float) -> Tool:
    return Tool(name, tuple(Taken(each, 2 * each, 100.0 + each) for each in seconds))


def part(name: str = "calls", **changes: object) -> Part:
    jobs = (
        Job("calls to a model", 500, "calls", tool("ours", 1.0), (tool("sdk", 1.0),)),
        Job(
            "calls to a model",
            2_000,
            "calls",
            tool("ours", 1.9, 2.0, 2.1),
            (tool("sdk", 3.0, 4.0, 5.5),),
            tool("wire", 0.5, 0.5, 0.5),
        ),
    )
    facts = {
        "name": name,
        "date": "2026-01-02",
        "machine": "2 cores",
        "versions": {"Python": "3.11"},
        "load": (0.1, 2.0),
        "posts": "",
        "jobs": jobs,
        "tables": (Table("Words", ("what", "n"), (("a", 1_234), ("b", 0.5))),),
    }
    return Part(**(facts | changes))  # type: ignore[arg-type]


def test_the_committed_report_is_what_the_committed_figures_give() -> None:
    assert report.text(results.load()) == report.RESULTS.read_text(encoding="utf-8")


def test_the_committed_figures_of_scale_are_what_plan_and_figures_give() -> None:
    wanted = scale.text(scale.planned(), results.load())
    assert scale.OUT.read_text(encoding="utf-8") == wanted, "run `python -m benchmarks.scale`"


def test_the_cap_of_paper_size_is_above_what_plan_says_it_may_cost_at_most() -> None:
    most = whole(scale.planned()).configured_micro / 1e6
    assert 0.8 * load(scale.PAPER).budget.cap_usd < most < load(scale.PAPER).budget.cap_usd


def test_rates_are_multiplied_and_what_was_not_run_is_said() -> None:
    jobs = (
        Job("near-duplicates of many posts", 1_000, "posts", tool("ours", 1.0)),
        Job("near-duplicates of many posts", 2_000_000, "posts", tool("ours", 180.0)),
    )
    said = scale.text([], {"growth": part("growth", jobs=jobs)})
    # 360 s of CPU for 2,000,000 posts: 180 microseconds each, 5 core-hours for 10^8
    assert "| near-duplicates by words | the cluster | 180 µs | 5.00 | 0.020 |" in said
    assert "| tags | the cluster | not measured: `make bench ONLY=read` |" in said
    assert "0.3 GB for 2,000,000 posts" in said


def test_the_rate_of_calls_is_taken_from_the_layers_row() -> None:
    spread = calls.Spread((90.0, 100.0, 110.0)).figures()
    each = {"steady_per_s": spread, "client_cpu_ms_a_call": spread}
    figures = dict.fromkeys(parts_models.RATES, each)
    figures |= {"layer at 250/s": {**each, "share_of_ceiling": 0.4}}
    table = parts_models.rates(figures)
    assert table.rows[0] == ("ours, limit of 250 a second", 100, 90, 110, "40.0 %", 100)
    assert len(table.rows) == len(parts_models.RATES)
    said = scale.text([], {"calls": part(tables=(table,))})
    assert "The call layer makes 100 requests a second without a limit" in said
    assert "not measured: `make bench ONLY=calls`" in scale.text([], {})


def test_the_committed_figures_of_growth_are_there() -> None:
    for name, found in results.load().items():
        if plots.curves(found):
            assert (ROOT / "benchmarks" / "figures" / f"{name}.svg").is_file()


def test_the_documents_tables_of_engines_are_what_the_committed_runs_give() -> None:
    _, runs = engines.load(results.FOLDER / "ray" / "engines.json")
    said = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in ("decisions/0004-ray.md", "scale.md")
    )
    lines = engine_tables.tables(runs, check=1)
    assert len(lines) > 20
    assert [line for line in lines if line not in said] == []
    assert (ROOT / "benchmarks" / "figures" / "engines.svg").is_file()


def test_files_hold_figures_and_no_place_of_this_machine() -> None:
    for place in results.FOLDER.glob("*.json"):
        text = place.read_text(encoding="utf-8")
        assert "/" not in text.replace(" / ", ""), place
        found = json.loads(text)
        for job in found["jobs"]:
            for runs in (job["ours"], *job["peers"]):
                few = job["name"] == FIRST  # takes an hour or two
                assert len(runs["runs"]) >= (1 if few else 3), (place, job["name"])


def test_a_part_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    results.save(part(), tmp_path)
    assert results.load(tmp_path) == {"calls": part()}
    assert [place.name for place in tmp_path.iterdir()] == ["calls.json"]


def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "calls.json").write_text('{"name": 3}')
    with pytest.raises(SystemExit, match=r"calls\.json.*make bench ONLY=calls"):
        results.load(tmp_path)


def test_the_report_shows_ratio_spread_limit_and_what_was_not_run() -> None:
    text = report.text({"calls": part()})
    lines = text.splitlines()
    row = next(line for line in lines if "| sdk |" in line)
    # 4 s over 2 s; 3.0 to 5.5 is wider than a fifth of 4
    assert "2,000 calls | 2.00 s (1.90 to 2.10) | sdk | 4.00 s (3.00 to 5.50, wide) | 2.00," in row
    assert "102 MB; 106 MB" in row
    assert "| limit: wire | 0.500 s (0.500 to 0.500) | 0.25, CPU 0.25 |" in text
    assert "500 calls" not in text  # the largest size alone
    assert sum("not run" in line for line in lines) == len(report.PARTS) - 1
    assert "| a | 1,234 |" in text
    assert "0.1 to 2.0" in text


def test_one_run_and_two_runs_are_said() -> None:
    assert report.seconds(tool("a", 1.0)) == "1.00 s (one run)"
    assert report.seconds(tool("a", 1.0, 1.1)) == "1.05 s (1.00 to 1.10, 2 runs)"


def test_figures_are_drawn_from_two_sizes_and_the_same_again(tmp_path: Path) -> None:
    plots.draw({"calls": part()}, tmp_path / "a")
    plots.draw({"calls": part()}, tmp_path / "b")
    first, second = ((tmp_path / name / "calls.svg").read_bytes() for name in "ab")
    assert first == second
    assert b"<svg" in first
    assert plots.curves(part(jobs=part().jobs[:1])) == {}


def test_every_part_and_job_is_in_the_report() -> None:
    assert list(bench.PARTS) == list(report.PARTS)
    sources = "".join(
        (ROOT / "benchmarks" / name).read_text()
        for name in ("parts.py", "parts_dedup.py", "parts_models.py")
    )
    for name in report.BOUNDS:
        assert f'"{name}"' in sources, name


def test_peers_that_are_installed_are_not_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    home = tmp_path / "build" / "bench-duckdb"
    home.mkdir(parents=True)
    (home / f"installed-{peers.DUCKDB.versions['duckdb']}").touch()
    assert peers.DUCKDB.python() == str(home / "bin" / "python")
    monkeypatch.setenv("LM_EVAL_PYTHON", "elsewhere")
    assert peers.LM_EVAL.python() == "elsewhere"
    assert "datatrove[io]==" in peers.DATATROVE.wanted[0]


def test_the_copy_for_datatrove_has_no_media_of_null(tmp_path: Path) -> None:
    import zstandard

    lines = [
        {"id": "a", "media": None, "title": 'says "media": null'},
        {"id": "b", "media": {"type": "x"}},
        {"id": "c", "selftext": '"media": null'},
    ]
    dump, out = tmp_path / "d.zst", tmp_path / "d.jsonl"
    dump.write_bytes(zstandard.compress("".join(json.dumps(x) + "\n" for x in lines).encode()))
    read.prepare(dump, out)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert found == [{k: v for k, v in x.items() if v is not None} for x in lines]


def test_a_part_that_fails_or_is_skipped_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "QUICK", tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--only", "read", "embed", "calls"])
    ways = {
        "embed": "import sys; print('a line'); sys.exit('semhash is gone')",
        "calls": "print('fine')",
    }
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> object:
        name = command[command.index("--part") + 1]
        return real([sys.executable, "-c", ways[name]] if name in ways else command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(bench.subprocess, "Popen", start)
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    assert "read       skipped: needs a real dump: POSTS=submissions.ndjson.zst" in shown
    assert "embed      failed: semhash is gone" in shown
    assert "calls      done" in shown
    assert "not run" in (tmp_path / "RESULTS.md").read_text()


def test_took_tells_time_memory_and_the_status(tmp_path: Path) -> None:
    script = "x = bytearray(60_000_000); x[::4096] = b'1' * len(x[::4096]); raise SystemExit(3)"
    place = tmp_path / "took.json"
    command = [sys.executable, "-m", "benchmarks.took", str(place), sys.executable, "-c", script]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 3
    taken = Taken(**json.loads(place.read_text()))
    assert 60 < taken.peak_mb < 120
    assert 0 < taken.seconds < 60


def test_embedding_a_dump_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts, cache = tmp_path / "posts.parquet", tmp_path / "cache"
    pl.DataFrame({"post_id": ["a", "b", "c", "d", "e"]}).write_parquet(posts)
    asked: list[str] = []
    taken = [dedup_run.Run(10.0 + k, 1.0, 100.0 * k) for k in range(6)]

    def run(kind: str, *given: str) -> dedup_run.Run:
        asked.append(f"{kind} {' '.join(given[4:])}".strip())
        if not taken:
            raise SystemExit("killed")
        return taken.pop(0)

    monkeypatch.setattr(dedup_run, "run", run)
    monkeypatch.setattr(dedup_whole, "POSTS_A_PIECE", 2)
    taken, rest = taken[:3], taken[3:]  # cleaning, two pieces
    with pytest.raises(SystemExit):
        dedup_whole.first_time(posts, cache)
    taken = [dedup_run.Run(1.0, 1.0, 1.0), *rest[:2]]
    asked.clear()
    first = dedup_whole.first_time(posts, cache)
    assert asked == ["text", "embed --after=4 --first=2", "find"]
    assert (first.seconds, first.peak_mb) == (1 + 11 + 12 + 13 + 14, 400)
    (cache / "embeddings.sqlite").touch()
    taken = [dedup_run.Run(1.0, 1.0, 1.0)] * 5
    dedup_whole.first_time(posts, cache)  # it was ended: all anew
    assert list(cache.iterdir()) == []
