"""The commands of expert annotation, run as their users run them, from the form to the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from pipeline import schema
from pipeline.annotation.plan import load_plan
from pipeline.annotation.store import load_reviews, load_rounds
from pipeline.artifacts import write_parquet
from tests.conftest import command
from tests.simulated import simulate, tables

SKILL = {1: 0.97, 2: 0.95, 3: 0.96}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a small workspace and a plan of its own."""
    slots, actions, scenarios = tables(6)
    for name, table in (
        ("generate/slots", slots),
        ("generate/actions", actions),
        ("rewrite/scenarios", scenarios),
    ):
        path = tmp_path / "work" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(table, path)
    text = Path(load_plan().file).read_text(encoding="utf-8")
    text = text.replace("reviews_per_value = 200", "reviews_per_value = 40")
    text = text.replace("resamples = 4000", "resamples = 300")
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    return tmp_path


def run(place: Path, name: str, *arguments: str) -> CompletedProcess[str]:
    places = ("--workspace", "work", "--rounds", "rounds", "--plan", "plan.toml")
    given = [str(place / a) if a in {"work", "rounds", "plan.toml"} else a for a in places]
    return command(name, *given, *arguments)


def fill(place: Path, number: int, experts: tuple[int, ...]) -> list[str]:
    """Fill the forms of some experts in; return their paths."""
    rounds = load_rounds(place / "rounds", load_plan(place / "plan.toml"))
    places = {
        (item["item_id"], action): str(n)
        for each in rounds
        for item in each.items.iter_rows(named=True)
        for n, action in enumerate(item["action_ids"], start=1)
    }
    meant = {
        (r["item_id"], places[(r["item_id"], r["action_id"])], r["annotator"]): r
        for r in simulate(rounds, SKILL, faulty=0.05).to_dicts()
    }
    paths = []
    for expert in experts:
        path = place / "forms" / f"round-{number}-expert-{expert}.csv"
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
        for row in rows:
            told = meant[(row["item_id"], row["action_number"], row["annotator"])]
            row |= {c: str(told[c]) for c in ("first_value", "second_value", "naturalness")}
            row["lead_seconds"] = str(told["lead_seconds"])
        with path.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        paths.append(str(path))
    return paths


@pytest.mark.slow
def test_from_the_plan_to_the_report_by_csv_alone(place: Path) -> None:
    told = run(place, "annotation-plan")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].endswith("3 experts, 2 an item; 30 scenarios")
    assert lines[1].startswith("round 1 (to be drawn): items: sample 30, gold 2")
    assert lines[3].split("points: ")[1].startswith("24 reviews of 12 actions, 91.3% assumed")
    forecast = json.loads(run(place, "annotation-plan", "--json").stdout)

    forms = ("reviews-form", "--out", str(place / "forms"))
    drawn = run(place, *forms)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.splitlines()[0] == str(place / "forms" / "round-1-expert-1.csv")
    again = run(place, *forms)
    assert again.returncode == 2 and "is there already" in again.stderr
    after = json.loads(run(place, "annotation-plan", "--json").stdout)
    assert after["rounds"][0]["drawn"] is True
    for key in ("items", "sittings", "cost"):
        assert after["rounds"][0]["effort"][key] == forecast["rounds"][0]["effort"][key]

    early = run(place, "adjudicate")
    assert early.returncode == 3
    assert early.stderr.startswith("waiting: 0 of ")
    files = fill(place, 1, (1, 2))
    when = ("--updated", "2026-02-01T09:00Z")
    some = run(place, "reviews-import", *files, *when)
    assert some.returncode == 0, some.stderr
    assert some.stdout.splitlines()[-1].startswith("waiting: ")
    assert "(expert 3: " in some.stdout
    kept = load_reviews(place / "rounds")
    files += fill(place, 1, (3,))
    bad = Path(files[2]).read_text(encoding="utf-8")
    Path(files[2]).write_text(bad.replace("power", "powr"), encoding="utf-8")
    wrong = run(place, "reviews-import", *files, *when)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1 and "did you mean 'power'?" in wrong.stderr
    assert load_reviews(place / "rounds").equals(kept)  # nothing was read
    Path(files[2]).write_text(bad, encoding="utf-8")
    every = json.loads(run(place, "reviews-import", *files, *when, "--json").stdout)
    assert every["left"] == {} and every["done"] == every["expected"] and every["replaced"] == 0
    assert every["new"] == every["expected"] - kept.height

    found = run(place, "adjudicate")
    assert found.returncode == 0, found.stderr
    assert "Krippendorff's alpha 0." in found.stdout
    report = place / "rounds" / "report"
    figures = json.loads((report / "figures.json").read_text(encoding="utf-8"))
    assert json.loads(run(place, "adjudicate", "--json").stdout) == figures
    (whole,) = [row for row in figures["accuracy"] if row["group"] == "all"]
    sealed = load_rounds(place / "rounds", load_plan(place / "plan.toml"))[0].sealed
    joined = load_reviews(place / "rounds").join(
        sealed.filter(kind="sample"), on=["item_id", "action_id"]
    )
    right = joined.filter(pl.col("first_value") == pl.col("value")).height
    assert whole["accuracy"] == pytest.approx(right / joined.height)
    assert "<svg" in (report / "report.html").read_text(encoding="utf-8")
    decided = list(csv.DictReader((report / "decisions.csv").read_text("utf-8").splitlines()))
    assert len(decided) == whole["actions"]
    assert {row["decision"] for row in decided} == {"accept", "regenerate"}

    # Round 2: what was missed, and a third word on what two saw differently.
    fresh = sorted(set(tables(6)[1]["action_id"]) - set(sealed["action_id"]))[:6]
    (place / "missed.txt").write_text("\n".join(fresh[:5]), encoding="utf-8")
    said = tables(6)[1].select("action_id", "scenario_id", "value", "generator", "ledger_key")
    wrong = pl.col("action_id").is_in([fresh[5], *sealed["action_id"]])
    said = said.with_columns(recognised=pl.when(wrong).then(pl.lit("")).otherwise("value"))
    (place / "work" / "recognise").mkdir()
    write_parquet(said.select(*schema.RECOGNISED), place / "work" / "recognise" / "actions.parquet")
    two = run(place, *forms, "--round", "2", "--active", str(place / "missed.txt"), "--missed")
    assert two.returncode == 0, two.stderr
    assert "warning: active: 60 items planned" in two.stdout
    drawn_two = load_rounds(place / "rounds", load_plan(place / "plan.toml"))[1].sealed
    targeted = drawn_two.filter(pl.col("kind") == "active", pl.col("targeted"))
    assert sorted(targeted["action_id"]) == fresh
    text = "".join(path.read_text(encoding="utf-8-sig") for path in sorted(
        (place / "forms").glob("round-2-*.csv")))  # fmt: skip
    assert any("; " in row["opinions"] for row in csv.DictReader(text.splitlines()))
    assert run(place, "adjudicate").returncode == 3
    shown = run(place, "adjudicate", "--so-far", "--out", str(place / "second"))
    assert shown.returncode == 0 and (place / "second" / "report.html").exists()
    files = fill(place, 2, (1, 2, 3))
    assert run(place, "reviews-import", *files, *when).returncode == 0
    last = json.loads(run(place, "adjudicate", "--json").stdout)
    assert [row for row in last["accuracy"] if row["kind"] == "sample"] == figures["accuracy"]
    assert {row["kind"] for row in last["accuracy"]} == {"sample", "active"}


def test_errors_are_one_line(place: Path) -> None:
    for arguments, message in (
        (("reviews-import", "x.csv"), "no round is drawn; `annotate` or `reviews-form` draws one"),
        (("adjudicate",), "no round is drawn; `annotate` or `reviews-form` draws one"),
        (("reviews-form", "--out", "x", "--round", "2"), "round 2: draw round 1 first"),
    ):
        done = run(place, *arguments)
        assert done.returncode == 2
        assert message in done.stderr and done.stderr.count("\n") == 1
    assert run(place, "reviews-form", "--out", str(place / "forms")).returncode == 0
    time = run(place, "reviews-import", "x.csv", "--updated", "noon")
    assert "--updated noon: write 2026-01-31T12:00:00Z" in time.stderr
    (item, *_) = load_rounds(place / "rounds", load_plan(place / "plan.toml"))[0].items.rows(
        named=True
    )
    gone = run(place, "annotation-forget", item["scenario_id"])
    assert gone.returncode == 0 and gone.stdout.split()[1] == "items"
