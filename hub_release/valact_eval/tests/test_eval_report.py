import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import polars as pl
import pytest
from eval_stats import write_runs as write

from valact_eval.page import warnings
from valact_eval.plot_style import short
from valact_eval.predictions import write_predictions
from valact_eval.results import Wanted, analysed

HOSTILE = '<script>alert("1")</script> $\\frac{1}{2}$ \x1b[31m --> & \u4e2d'
DRAWN = ["circle", "gap", "r", "heat", "agreement", "role_play", "letters", "domains"]


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(cli, tmp_path):
    def make(*args):
        code, out, err = cli("report", *args, "--html", tmp_path / "out", "--draws", 100)
        assert (code, err) == (0, "")
        assert out.strip() == str(tmp_path / "out" / "index.html")
        return tmp_path / "out"

    return make


def test_one_page_holds_everything_and_names_are_text(page, tmp_path):
    out = page(write(tmp_path / "runs", [HOSTILE, "plain"]))
    source = (out / "index.html").read_text("utf-8")
    found = Page(source)
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert all(
        address.startswith(("#", "data:image/svg+xml;base64,")) for address in found.addresses
    )
    assert found.tags.count("img") == len(DRAWN)
    assert "default-src 'none'" in source
    assert "".join(found.text).count(HOSTILE) > 3
    assert not re.search(r"https?://", source)
    assert sorted(p.stem for p in (out / "figures").iterdir()) == sorted(DRAWN)
    for path in (out / "figures").iterdir():
        drawn = ElementTree.fromstring(path.read_text("utf-8"))
        assert not list(drawn.iter("{http://www.w3.org/2000/svg}script"))


def test_the_same_predictions_make_the_same_bytes(page, tmp_path):
    runs = write(tmp_path / "runs", ["a", "b"])
    first = {p: p.read_bytes() for p in page(runs).rglob("*") if p.is_file()}
    assert {p: p.read_bytes() for p in page(runs).rglob("*") if p.is_file()} == first


def test_every_page_says_that_the_stand_in_is_not_validated(page, tmp_path):
    text = (page(write(tmp_path / "a", ["m"])) / "index.html").read_text()
    assert text.count("(not validated), which is not the PVQ-40") == 2
    text = (
        page(write(tmp_path / "b", ["m"], instrument="PVQ-40 (own)")) / "index.html"
    ).read_text()
    assert "not validated" not in text


def test_the_published_figures_stand_on_the_page(page, tmp_path):
    source = (page(write(tmp_path / "runs", ["m"])) / "index.html").read_text("utf-8")
    cells = " ".join(Page(source).text)
    assert re.search(r"mean\s+0\.303\s+0\.14", cells)
    for name, figure in (
        ("mean r without self-direction", "-0.03"),
        ("enacted profiles, mean", "0.993"),
        ("enacted profiles, least", "0.976"),
        (r"gemini-2.5-pro, Achievement\)", "6.64"),
        ("p < .05, of 40", "16"),
        ("of these after Holm", "4"),
    ):
        assert re.search(rf"{name}\s+{re.escape(figure)}\s", cells), name


def test_people_stand_beside_models_only_at_one_length(cli, page, tmp_path):
    runs = write(tmp_path / "runs", ["m"])
    people = write(tmp_path / "people", ["p1", "p2", "p3"], 4, ("default",), mark="h")
    args = [runs, "--people", people]
    code, out, err = cli("report", *args, "--html", tmp_path / "no", "--draws", 100)
    assert (code, out) == (2, "")
    assert "profiles of unequal length differ by noise alone; give --match-length 40" in err
    assert not (tmp_path / "no").exists()
    made = page(*args, "--match-length", 40)
    assert (made / "figures" / "people.svg").exists()
    assert "3 people, 40 questions" in (made / "index.html").read_text()
    # persons are not drawn or listed one by one
    assert "p1" not in "".join(Page((made / "index.html").read_text()).text)


def test_the_csv_files_hold_the_results(page, tmp_path):
    runs = write(tmp_path / "runs", ["m"])
    results = analysed(Wanted([runs], draws=100)).results
    found = pl.read_csv(page(runs) / "csv" / "values.csv")
    one = results.respondents[0].enacted.values[3]
    (row,) = found.filter(
        value=one.value, measure="enacted_share", domain="all", respondent="m"
    ).to_dicts()
    assert row["estimate"] == pytest.approx(one.enacted_share.estimate)
    assert (row["low"], row["high"]) == pytest.approx(
        (one.enacted_share.low, one.enacted_share.high)
    )
    assert row["over"] == one.enacted_share.over
    r = pl.read_csv(tmp_path / "out" / "csv" / "gaps.csv").filter(domain="all")
    assert set(r["measure"]) == {"enacted_share", "preference", "utility", "share_without_letters"}
    published = pl.read_csv(tmp_path / "out" / "csv" / "published.csv")
    assert published["model"].n_unique() == 10


@pytest.mark.parametrize(
    ("tasks", "drawn"),
    [
        (("default",), "circle gap r heat letters domains"),
        (("selection", "adoption"), "circle role_play"),
        (("selection",), "circle"),
    ],
)
def test_a_page_of_what_there_is(page, tmp_path, tasks, drawn):
    out = page(write(tmp_path / "runs", ["m"], tasks=tasks))
    assert sorted(p.stem for p in (out / "figures").iterdir()) == sorted(drawn.split())


def test_a_questionnaire_alone(page, tmp_path):
    runs = write(tmp_path / "runs", ["m"])
    out = page(runs / "answers.jsonl")
    assert [p.stem for p in (out / "figures").iterdir()] == ["circle"]


def test_a_model_that_takes_one_letter_is_told(page, tmp_path):
    runs = write(tmp_path / "runs", ["m"], tasks=("default",))
    path, said = runs / "predictions.parquet", "100% of the choices are letter A, whatever"
    assert said not in (page(runs) / "index.html").read_text()
    first = pl.col("order").list.first()
    write_predictions(
        path,
        pl.read_parquet(path).with_columns(
            outcome=pl.lit("ok"), letter=pl.lit(0, pl.Int64()), choice=first
        ),
    )
    assert said in (page(runs) / "index.html").read_text()


def test_a_questionnaire_without_a_score_is_not_drawn(page, tmp_path):
    runs = write(tmp_path / "runs", ["m"], tasks=("default",))
    told = pl.read_ndjson(runs / "answers.jsonl").with_columns(
        outcome=pl.lit("truncated"), score=pl.lit(None, pl.Int64())
    )
    write_predictions(runs / "answers.jsonl", told)
    out = page(runs)
    drawn = sorted(path.stem for path in (out / "figures").iterdir())
    assert drawn == sorted(["circle", "heat", "letters", "domains"])
    assert "questionnaire: only 0% of the items have a score" in (out / "index.html").read_text()


def test_poor_answers_are_said(tmp_path):
    runs = write(tmp_path / "runs", ["m"], tasks=("default",))
    table = pl.read_parquet(runs / "predictions.parquet")
    lost = pl.col("variant") == 0
    none = {
        name: pl.when(lost).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("choice", "letter")
    }
    table = table.with_columns(
        *none.values(), outcome=pl.when(lost).then(pl.lit("invalid")).otherwise(pl.col("outcome"))
    )
    write_predictions(runs / "predictions.parquet", table)
    said = warnings(analysed(Wanted([runs], draws=100)))
    assert any(line.startswith("m, default: only 50% of the replies hold") for line in said)


def test_a_name_on_an_axis_is_one_short_line():
    assert short("a\nb\x1b c") == "a b c"
    assert len(short("x" * 99)) == 28


def test_score_gives_json_and_csv(cli, tmp_path):
    runs = write(tmp_path / "runs", ["m"])
    code, out, err = cli("score", runs, "--json", "--csv", tmp_path / "csv", "--draws", 100)
    assert (code, err) == (0, "")
    assert json.loads(out)["respondents"][0]["respondent"] == "m"
    assert (tmp_path / "csv" / "role_play.csv").exists()
    code, out, err = cli("score", runs, "--group", "m", "--draws", 100)
    assert (code, out) == (2, "")
    assert "--group m: give RESPONDENT=NAME" in err
    code, out, _ = cli("by-domain", runs, "--draws", 100)
    assert code == 0
    assert "declared-enacted r" in out
    assert "relationships" in out
