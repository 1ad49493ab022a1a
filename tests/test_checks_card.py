"""The card says what the folder says, byte for byte; and every file carries the canary."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
import pytest

from pipeline import canary, figures
from pipeline.artifacts import write_parquet, write_text
from pipeline.card import CARD, render, size_category, sourced, word
from pipeline.checks import card as checks
from pipeline.config import DedupConfig
from pipeline.dist import SLOTS, configs_of, table_path
from pipeline.errors import StageError
from pipeline.facts import CONFIG, FIGURE
from pipeline.funnel import Funnel
from pipeline.paths import HUB_RELEASE
from pipeline.verify import verify
from tests.tampered import change, change_parquet, edit_json, edit_table, reseal, with_cell

MARK = "VALACT CANARY 6f1d3b52-9c0e-4a57-8b1d-2e7a40c9d853"


@pytest.fixture
def dist(released: Path, tmp_path: Path) -> Path:
    shutil.copytree(released / "dist", tmp_path / "dist")
    return tmp_path / "dist"


def render_card(dist: Path) -> str:
    return render(dist, sourced(dist))


def manifest(dist: Path, stage: str) -> Path:
    return dist / "provenance" / "manifests" / f"{stage}.json"


def altered(digits: str) -> str:
    """Return another number with as many digits."""
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


def test_a_good_release_verifies_and_renders_again_to_the_same_bytes(dist: Path) -> None:
    told: list[str] = []
    assert verify(dist, DedupConfig(), tell=told.append)["questions"] == 50
    assert any("could not be looked for without a workspace" in line for line in told)
    assert (dist / CARD).read_bytes() == render_card(dist).encode()


def test_any_number_altered_in_the_card_is_named_with_its_line(dist: Path) -> None:
    path = dist / CARD
    good = path.read_text(encoding="utf-8")
    numbers = list(re.finditer(r"(?<![\w.-])\d+(?![\w-])", good))
    assert len(numbers) > 100
    for found in numbers[:: len(numbers) // 12]:
        wrong = good[: found.start()] + altered(found[0]) + good[found.end() :]
        write_text(wrong, path)
        line = good[: found.start()].count("\n") + 1
        with pytest.raises(StageError) as caught:
            checks.check_card(dist)
        said = str(caught.value)
        assert f"README.md: line {line} says " in said
        assert "the folder gives" in said
        assert "\n" not in said
        assert altered(found[0]) in said
    write_text(good, path)
    checks.check_card(dist)


def test_a_tampered_card_fails_the_whole_verification(dist: Path) -> None:
    card = dist / CARD
    text = card.read_text(encoding="utf-8")
    write_text(text.replace("| scrape | line | 86 | 84 |", "| scrape | line | 86 | 85 |"), card)
    reseal(dist)
    with pytest.raises(StageError, match=r"line \d+ says '\| scrape \| line \| 86 \| 85 \|.*gives"):
        verify(dist, DedupConfig())


def test_a_number_changed_at_its_source_changes_the_card(dist: Path) -> None:
    def cheaper(data: Any) -> None:
        data["notes"]["calls"]["g-one"]["micro_usd"] = 1

    edit_json(manifest(dist, "generate"), cheaper)
    with pytest.raises(StageError, match=r"says '\| generate \| g-one \|.*\$0.000001"):
        checks.check_card(dist)


def test_a_lost_row_changes_the_card(dist: Path) -> None:
    edit_table(dist, "actions", lambda table: table.head(199))
    with pytest.raises(StageError, match=r"README\.md: line \d+ says .* the folder gives"):
        checks.check_card(dist)


@pytest.mark.parametrize(
    ("stage", "edit", "what"),
    [
        ("generate", lambda d: d["notes"].pop("calls"), "calls"),
        ("generate", lambda d: d["notes"]["calls"]["g-one"].pop("last_day"), "last_day"),
        ("generate", lambda d: d["notes"].pop("written"), "written"),
        ("generate", lambda d: d["components"].pop("config.generate.repairs"), "generate.repairs"),
        ("compose", lambda d: d["notes"].pop("even_after_slots"), "even_after_slots"),
        ("screen", lambda d: d["components"].pop("config.screen.min_words"), "screen.min_words"),
    ],
)
def test_a_number_without_a_source_fails_the_build(
    dist: Path, stage: str, edit: Any, what: str
) -> None:
    edit_json(manifest(dist, stage), lambda data: (edit(data), data)[1])
    with pytest.raises(StageError, match=f"a number has no source .*{what}"):
        render_card(dist)


def test_a_missing_part_of_the_folder_is_named(dist: Path) -> None:
    for path in (manifest(dist, "dedup"), dist / SLOTS, dist / "values.json"):
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(StageError, match=re.escape(path.name)):
            render_card(dist)
        path.write_bytes(kept)
    (dist / CONFIG).write_text("{")
    with pytest.raises(StageError, match=r"config\.json"):
        checks.check_card(dist)


def test_a_prompt_that_is_not_the_one_that_was_rendered_is_named(dist: Path) -> None:
    path = dist / "provenance" / "prompts" / "generate_actions.md"
    path.write_text(path.read_text().replace("ten", "eleven"))
    with pytest.raises(StageError, match=r"generate_actions\.md: is not the prompt that generate"):
        checks.check_card(dist)


_NAMES = r"arXiv \d{4}\.\d{5}|cc-by-4\.0|SHA-256|gpt-4o"
_COUNTED = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty"
    r"|fifty|hundred|thousand|million|dozen|half|third|quarter|percent)\b",
    re.IGNORECASE,
)


def test_the_template_holds_no_figure_of_its_own() -> None:
    text = (HUB_RELEASE / "card.md.j2").read_text(encoding="utf-8")
    assert "{#" not in text
    said = re.sub(_NAMES, "", text)
    logic = "\n".join(re.findall(r"\{[{%].*?[%}]\}", said))
    # In an expression a number may only ask "is it one?", or be the one of "one in ten values".
    assert re.findall(r"\b\d+", re.sub(r"[=>]=? 1\b|\{\{ 1 \| share", "", logic)) == []
    words = re.sub(r"\{[{%].*?[%}]\}", "", said)
    assert re.findall(r"\d+", words) == []
    assert _COUNTED.findall(words) == []


def test_the_figure_is_drawn_again(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dist / FIGURE
    good = path.read_text()
    assert good.startswith("<svg ")
    path.write_text(good.replace(">84<", ">85<") if ">84<" in good else good.replace("84", "85"))
    assert path.read_text() != good
    with pytest.raises(StageError, match=r"funnel\.svg: is not what the folder's funnels give"):
        checks.check_card(dist)
    edit_json(dist / CONFIG, lambda d: d["card"].update(matplotlib="0.1") or None)
    told: list[str] = []
    checks.check_card(dist, told.append)
    assert told == [
        f"{path}: not compared; it was drawn with Matplotlib 0.1, this is "
        + checks.made_by()["matplotlib"]
    ]
    path.unlink()
    edit_json(dist / CONFIG, lambda d: d.update(card=checks.made_by()) or None)
    with pytest.raises(StageError, match=r"funnel\.svg: missing"):
        checks.check_card(dist)


def test_the_figure_shows_plain_numbers_and_every_stage() -> None:
    stages = {
        name: Funnel("post", n, {("career", "kept", ""): n, ("finance", "kept", ""): n // 2})
        for name, n in (("scrape", 120_000), ("tag", 120_000), ("release", 600))
    }
    drawn = figures.funnel(stages, ["career", "finance"])
    assert "mathdefault" not in drawn
    for text in ("180,000", "900", "10,000", "scrape", "release", "career"):
        assert text in drawn
    assert drawn == figures.funnel(stages, ["career", "finance"])
    with mpl.rc_context({"font.size": 20, "axes.spines.left": False}):  # a reader's own settings
        assert drawn == figures.funnel(stages, ["career", "finance"])


def test_a_card_of_another_template_says_so(dist: Path) -> None:
    edit_json(dist / CONFIG, lambda d: d["card"].update(template_sha256="0" * 64) or None)
    with pytest.raises(StageError, match="another version of the card's template"):
        checks.check_card(dist)


def test_the_card_says_plainly_what_a_build_is_not(dist: Path) -> None:
    card = (dist / CARD).read_text()
    assert (
        "**Demonstration.** This build shows that the machine works, with invented posts." in card
    )
    assert "**Not checked by experts.**" in card
    assert "**this build names no contact**" in card
    assert "Local only" not in card

    def real(data: Any) -> None:
        data["build"]["demonstration"] = False
        data["source"] = {"sample": False, "local_only": True}
        data["release"]["contact"] = "removal@example.org"

    edit_json(dist / CONFIG, real)
    card = render_card(dist)
    assert "**Demonstration.**" not in card
    assert "**Not checked by experts.**" in card
    assert "**Local only.**" in card
    assert "license: other" in card
    assert "write to <removal@example.org> with an id" in card
    assert "Do not try to find an author" in card


def test_experts_figures_stand_on_the_card_with_their_intervals(dist: Path) -> None:
    row = {"kind": "sample", "round": 1, "reviews": 400, "correct": 360, "low": 0.87, "high": 0.93}
    findings = {
        "expert_checked": True,
        "figure": "In 90.0% of 400 blind reviews.",
        "against": [],
        "accuracy": [
            row | {"group": "all", "level": ""},
            row | {"group": "value", "level": "power", "low": None, "high": None},
            row | {"group": "annotator", "level": "expert-1"},
            row | {"group": "all", "level": "", "kind": "active"},
        ],
        "alpha": [
            {"kind": "sample", "round": 1, "units": 80, "alpha": 0.71, "low": 0.6, "high": 0.8}
        ],
        "effort": {"hours": 12.5, "measured_items": 10},
    }
    made = json.loads(manifest(dist, "compose").read_text()) | {"notes": {"findings": findings}}
    write_text(json.dumps(made), manifest(dist, "adjudicate"))
    edit_json(dist / CONFIG, lambda d: d["stages"].append("adjudicate") or None)
    card = render_card(dist)
    assert "**Expert-checked.** In 90.0%" in card
    assert "| 1 | all | 400 | 90.0 % | 87.0 to 93.0 % |" in card
    assert "| 1 | power | 400 | 90.0 % | — |" in card
    assert "expert-1" not in card
    assert "Krippendorff's alpha 0.71 (interval 0.60 to 0.80), over 80 actions." in card
    assert "Experts worked 12.50 hours." in card
    assert "Not checked by experts" not in card


def test_a_hole_stands_on_the_card_and_the_folder_still_verifies(dist: Path) -> None:
    slots = pl.read_parquet(dist / SLOTS)
    gone = slots["scenario_id"][3]
    left = pl.col("scenario_id") != gone
    for name in configs_of(dist):
        change(dist, name, lambda table: table.filter(left))
    change_parquet(dist, "provenance/calls.parquet", lambda table: table.filter(left))
    empty = pl.when(pl.col("slot") == 3).then(pl.lit(""))
    blank = [empty.otherwise(pl.col(c)).alias(c) for c in ("scenario_id", "post_id")]
    change_parquet(dist, SLOTS.as_posix(), lambda table: table.with_columns(blank))
    reseal(dist, card=True)
    assert "not replaced: 1 scenario, in slot 3." in (dist / CARD).read_text()
    assert verify(dist, DedupConfig())["questions"] == 45
    write_parquet(slots, dist / SLOTS)
    reseal(dist)
    with pytest.raises(StageError, match=r"README|not declared"):
        verify(dist, DedupConfig())


def test_every_file_carries_the_canary(dist: Path) -> None:
    checks.check_canary(dist)
    carrying = {path.relative_to(dist).as_posix() for path in canary.files(dist)}
    every = {p.relative_to(dist).as_posix() for p in dist.rglob("*") if p.is_file()}
    code = {name for name in every if name.startswith("evaluator/")}
    assert every - carrying == {"SHA256SUMS", "LICENSE"} | code
    for path in canary.files(dist):
        if path.suffix != ".parquet":
            assert MARK in path.read_text(encoding="utf-8")
    for name in ("questions", "scenarios", "actions"):
        assert set(pl.read_parquet(table_path(dist, name))["canary"]) == {MARK}


@pytest.mark.parametrize(
    "name",
    [
        "values.json",
        "provenance/manifests/vote.json",
        "provenance/prompts/values.toml",
        "provenance/prompts/vote.md",
        "provenance/slots.parquet",
        "figures/funnel.svg",
        "CITATION.cff",
        "DATA_LICENSE",
    ],
)
def test_a_file_without_the_canary_is_named(dist: Path, name: str) -> None:
    path = dist / name
    if path.suffix == ".parquet":
        write_parquet(pl.read_parquet(path).drop("canary"), path)
    else:
        other = MARK.replace("6f1d", "6f1e")
        path.write_text(path.read_text(encoding="utf-8").replace(MARK, other), encoding="utf-8")
    expected = path.name if name != "provenance/config.json" else "does not carry the canary"
    with pytest.raises(
        StageError, match=f"{expected}.*canary" if name != CONFIG.as_posix() else expected
    ):
        checks.check_canary(dist)


def test_one_row_without_the_canary_is_enough(dist: Path) -> None:
    edit_table(dist, "actions", with_cell("canary", 77, ""))
    with pytest.raises(StageError, match=r"actions/test-\w+\.parquet: does not carry the canary"):
        checks.check_canary(dist)


def test_the_stamp_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Text.\n")
    (tmp_path / "b.yaml").write_text("x: 1\n")
    (tmp_path / "c.json").write_text('{"x": 1}')
    write_parquet(pl.DataFrame({"x": [1]}), tmp_path / "d.parquet")
    (tmp_path / "evaluator").mkdir()
    (tmp_path / "evaluator" / "code.py").write_text("x = 1\n")
    canary.stamp(tmp_path, MARK)
    before = {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert all(canary.carries(path, MARK) for path in canary.files(tmp_path))
    assert before["code.py"] == b"x = 1\n"
    assert canary.without_stamp(before["a.md"].decode(), ".md", MARK) == "Text.\n"
    assert canary.without_stamp(before["b.yaml"].decode(), ".yaml", MARK) == "x: 1\n"
    assert json.loads(before["c.json"]) == {"x": 1, "canary": MARK}
    assert pl.read_parquet(tmp_path / "d.parquet").equals(pl.DataFrame({"x": [1]}))
    canary.stamp(tmp_path, MARK)  # a second time changes nothing
    assert before == {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    (tmp_path / "e.bin").write_bytes(b"\x00")
    with pytest.raises(TypeError, match="no place for the canary"):
        canary.stamp(tmp_path, MARK)


def test_small_helpers_of_the_card() -> None:
    assert [word(n) for n in (0, 5, 20, 21, 15_000)] == ["no", "five", "twenty", "21", "15,000"]
    sizes = [size_category(n) for n in (50, 1000, 15_000, 99_999, 100_000, 1_234_567)]
    assert sizes == [
        *("n<1K", "1K<n<10K", "10K<n<100K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
    ]  # fmt: skip
