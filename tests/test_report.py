"""The page on a build: every count is in it, and nothing that came from outside runs in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import polars as pl

from pipeline import build as runner
from pipeline import schema
from pipeline.config import Config
from pipeline.funnel import Funnel
from pipeline.paths import SAMPLE_POSTS
from pipeline.report import PAGE, write_report
from tests.conftest import command
from tests.loopback import ChatServer

World = Callable[..., Config]


class Tables(HTMLParser):
    """The rows of a page's tables, as texts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        self._in_cell = tag in {"td", "th"}

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data.strip()


def test_every_count_of_the_funnel_stands_in_the_page(world: World, server: ChatServer) -> None:
    config = world()
    funnels = runner.build(config)
    text = (Path(config.build.workspace) / PAGE).read_text()
    page = Tables()
    page.feed(text)
    counts = [[int(n.replace(",", "")) for n in row[1:]] for row in page.rows if row[0]]
    assert sum(row[-1] for row in counts) == sum(
        n for funnel in funnels.values() for n in funnel.cells.values()
    )
    assert all(sum(row[:-1]) == row[-1] for row in counts)
    assert text.count("<h2>") == 1 + len(funnels)
    runner.build(config, force_from="release")
    assert (Path(config.build.workspace) / PAGE).read_text() == text  # the same bytes again


def test_names_and_reasons_are_text_not_markup(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    funnel = Funnel("post", 3, {(bad, "kept", ""): 1, (bad, "rejected", bad): 2})
    page = write_report(tmp_path, bad, {bad: funnel}, {bad: [bad]}, [bad], {}).read_text()
    outside = re.sub(r"<svg.*</svg>", "", page, flags=re.DOTALL)
    assert "<script" not in outside
    assert outside.count("&lt;script&gt;") >= 6
    assert "<script" not in page


def test_rules_run_alone_over_ingested_posts(tmp_path: Path, world: World) -> None:
    posts, out = tmp_path / "posts.parquet", tmp_path / "screened.parquet"
    done = command("ingest", str(SAMPLE_POSTS), f"--out={posts}")
    assert done.returncode == 0, done.stderr
    done = command("screen", str(posts), f"--out={out}", "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    table = pl.read_parquet(out)
    assert dict(table.schema) == schema.SCREENED
    assert counts["kept"] == table.height
    assert counts["read"] == counts["kept"] + sum(counts["dropped"].values())
    assert counts["dropped"]["too_short"] == 3
    told = command("screen", str(posts), f"--out={out}")
    assert "too_short                  3" in told.stdout
    wrong = command("screen", str(SAMPLE_POSTS), f"--out={out}")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "`python -m pipeline ingest` writes one" in wrong.stderr
    nowhere = command("screen", str(posts), f"--out={tmp_path / 'no' / 'x'}")
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (2, 1)
