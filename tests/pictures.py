"""Draws the pictures of the README: the funnel of a build, and a part of an evaluator's report.

    python -m tests.pictures funnel --workspace build/demo
    python -m tests.pictures report

The report is of simulated respondents: each chooses by the enacted shares and answers by the
declared means that are published for one of the ten models. No model is asked. It needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from valact_eval.page import write_report
from valact_eval.predictions import write_predictions
from valact_eval.results import Wanted, analysed
from valact_eval.schema import CHOICES
from valact_eval.stats.reference import profile
from valact_eval.stats.simulate import Respondent, answer, choose, deal, utilities_of

from pipeline import figures, workspace
from pipeline.artifacts import read_json
from pipeline.paths import ROOT

FOLDER = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1100, 1000


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", choices=("funnel", "report"))
    parser.add_argument("--workspace", type=Path, default=ROOT / "build" / "demo")
    parser.add_argument("--scenarios", type=int, default=300)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.picture == "funnel":
        print(draw_funnel(given.workspace, given.out / "funnel.svg"))
    else:
        print(photograph(given.out / "report.png", given.scenarios, given.models))


def draw_funnel(built: Path, path: Path) -> Path:
    """Draw the funnel of a finished build."""
    config = read_json(built / "release" / "dist" / "provenance" / "config.json")
    kept = {name: workspace.load_funnel(built, name) for name in config["stages"]}
    path.write_text(figures.funnel(kept, config["domains"]), encoding="utf-8")
    return path


def simulated(folder: Path, scenarios: int, models: int) -> Path:
    """Write predictions of respondents who are as the first of the published models are said to be.

    Args:
        folder: Where to.
        scenarios: How many, of five questions each.
        models: How many respondents.
    """
    measures = ("enacted_share", "declared_mean", "selection_accuracy", "adoption_accuracy")
    enacted, declared, recognised, adopted = (profile(name) for name in measures)
    rng = np.random.default_rng(0)
    questions, choices, answers = deal(scenarios, rng), [], []
    for model in list(enacted)[:models]:
        who = Respondent(
            f"as {model}",
            utilities=utilities_of(enacted[model]),
            declared=tuple(declared[model].tolist()),
        )
        tasks = ["default"]
        if model in recognised:  # role-play was published for some of them
            tasks += ["selection", "adoption"]
            who = replace(who, recognition=_logits(recognised[model]), role=_logits(adopted[model]))
        choices += [choose(who, questions, task, 5, rng) for task in tasks]
        answers.append(answer(who, 10, 5, rng))
    extra = {"seconds": pl.lit(None, pl.Float64()), "raw": pl.lit("simulated")}
    write_predictions(
        folder / "predictions.parquet", pl.concat(choices).with_columns(**extra).select(*CHOICES)
    )
    told = pl.concat(answers).with_columns(instrument=pl.lit("simulated from published means"))
    write_predictions(folder / "answers.jsonl", told)
    return folder


def _logits(shares: np.ndarray) -> tuple[float, ...]:
    inside = np.clip(shares, 0.01, 0.99)
    return tuple(np.log(inside / (1 - inside)).tolist())


def photograph(path: Path, scenarios: int, models: int) -> Path:
    """Write the report of simulated respondents and take a picture of its summary and of r."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        runs = simulated(Path(name), scenarios, models)
        page_file = write_report(Path(name) / "report", analysed(Wanted([runs], draws=200)))
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_file.as_uri())
        top = page.locator("table").first.bounding_box()
        assert top is not None
        shots = [
            page.screenshot(
                clip={"x": 0, "y": 0, "width": WIDTH, "height": top["y"] + top["height"]}
            ),
            page.locator("section#r img").screenshot(),
        ]
        _below_each_other(shots, path)
        browser.close()
    return path


def _below_each_other(shots: list[bytes], path: Path) -> None:
    images = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    sheet = Image.new("RGB", (WIDTH, sum(image.height + 20 for image in images)), "white")
    place = 0
    for image in images:
        sheet.paste(image, ((WIDTH - image.width) // 2, place))
        place += image.height + 20
    sheet.quantize(64).save(path, optimize=True)  # a third of the size, and looks the same


if __name__ == "__main__":
    main()
