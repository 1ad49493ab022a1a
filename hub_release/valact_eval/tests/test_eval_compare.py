import json

import polars as pl
import pytest
from eval_stats import write_runs as write

from valact_eval.compare import compare
from valact_eval.predictions import write_predictions


def settings(folder, **change):
    found = {"data": "d1", "prompts": "p1", "order": "shifted"} | change
    record = {"valact_eval": "0.2.0", "respondents": {"m": {"default": found}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_a_run_does_not_differ_from_itself(tmp_path):
    runs = settings(write(tmp_path / "a", ["m"]))
    found = compare(runs, runs, {}, draws=100)
    assert found.warnings == ()
    (pair,) = found.pairs
    assert pair.same_option.estimate == 1
    assert len(pair.changes) == 23
    for row in pair.changes:
        assert row.before == row.after
        assert (row.change.low, row.change.high) == (0, 0)
        assert row.p == row.p_holm == 1


def test_a_change_is_found_and_its_sign_is_after_less_before(tmp_path):
    before = write(tmp_path / "a", ["m"], 60)
    table = pl.read_parquet(before / "predictions.parquet").filter(task="default")
    at = [list(row).index("power") if "power" in row else None for row in table["option_values"]]
    moved = table.with_columns(at=pl.Series(at, dtype=pl.Int64()))
    hit = pl.col("at").is_not_null() & (pl.col("outcome") == "ok")
    letter = [
        None if k is None else order.index(k)
        for k, order in zip(at, table["order"].to_list(), strict=True)
    ]
    moved = moved.with_columns(to=pl.Series(letter, dtype=pl.Int64())).with_columns(
        choice=pl.when(hit).then("at").otherwise("choice"),
        letter=pl.when(hit).then("to").otherwise("letter"),
    )
    write_predictions(tmp_path / "b" / "predictions.parquet", moved.drop("at", "to"))
    (pair,) = compare(before, tmp_path / "b", {}, draws=200).pairs
    rows = {row.figure: row for row in pair.changes}
    power = rows["enacted share, power"]
    assert power.change.low > 0.1
    assert power.p_holm < 0.001
    assert power.change.estimate == pytest.approx(power.after - power.before)
    assert set(rows) == {row.figure for row in pair.changes if row.figure.startswith("enacted")}
    assert pair.same_option.estimate < 1


def test_what_makes_runs_incomparable_is_said(cli, tmp_path):
    before = settings(write(tmp_path / "a", ["m"], tasks=("default",)))
    after = settings(
        write(tmp_path / "b", ["m"], 20, ("default",), "PVQ-40 (own)", seed=1),
        data="d2",
        order="published",
    )
    code, out, err = cli("compare", before, after, "--draws", 100)
    assert (code, err) == (0, "")
    for said in (
        "default: not the same release (d1 and d2)",
        "default: another order (shifted and published)",
        "m, default: 75 and 100 questions, 75 in common",
        "m: other questionnaires (valact-portraits-40 (not validated) and PVQ-40 (own))",
    ):
        assert f"warning: {said}" in out
    assert "questions have other options or another dealt order" in out
    code, out, err = cli("compare", before / "predictions.parquet", tmp_path / "no", "--draws", 100)
    assert (code, out) == (2, "")
    assert str(tmp_path / "no") in err


def test_respondents_are_paired_by_name(cli, tmp_path):
    one = write(tmp_path / "a", ["m"], tasks=("default",))
    other = write(tmp_path / "b", ["n"], tasks=("default",))
    two = write(tmp_path / "c", ["n", "o"], tasks=("default",))
    (pair,) = compare(one, other, {}, draws=100).pairs
    assert (pair.before, pair.after) == ("m", "n")
    code, out, err = cli("compare", one, two, "--draws", 100)
    assert (code, out) == (2, "")
    assert "no respondent is in both (m; n, o); pair them by --pair" in err
    code, out, _ = cli("compare", one, two, "--pair", "m=o", "--draws", 100, "--json")
    assert code == 0
    assert json.loads(out)["pairs"][0]["after"] == "o"
    code, _, err = cli("compare", one, two, "--pair", "m=x")
    assert code == 2
    assert "no respondent 'x'; there are n, o" in err
