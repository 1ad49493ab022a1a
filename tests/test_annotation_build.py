"""A build that waits for experts: route, collect, adjudicate, and what its release says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import polars as pl
import pytest

from pipeline import build as runner
from pipeline import planning, schema
from pipeline.annotation import store
from pipeline.annotation.plan import load_plan
from pipeline.annotation.rounds import all_items
from pipeline.annotation.tables import DECISIONS
from pipeline.config import Config
from pipeline.dist import read_table
from pipeline.errors import StageError, WaitingError
from pipeline.stages import stage_names, stages_of
from pipeline.verify import verify
from pipeline.workspace import load_table
from tests import loopback_studio
from tests.loopback_studio import KEY, studio_server
from tests.simulated import simulate
from tests.studio_office import TestOffice, answer_of, plan_text
from tests.tampered import change

World = Callable[..., Config]


@pytest.fixture
def waiting(world: World, tmp_path: Path) -> Callable[..., Config]:
    """Return a function that gives the tiny world's configuration with an annotation."""
    text = plan_text(10).replace("least_accuracy = 0.85", "least_accuracy = 0.5")
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")

    def make(by: str, **changes: object) -> Config:
        return world(
            annotation__by=by,
            annotation__plan=str(tmp_path / "plan.toml"),
            annotation__folder=str(tmp_path / "rounds"),
            annotation__server=str(tmp_path / "private"),
            **changes,
        )

    return make


def place_of(config: Config) -> Path:
    return Path(config.annotation.folder) / Path(config.build.workspace).name


def card(config: Config) -> str:
    return (Path(config.build.dist) / "README.md").read_text(encoding="utf-8")


def check_released_reviews(config: Config, said: pl.DataFrame) -> None:
    """Reviews are released as pseudonyms gave them: of released actions, and no free text."""
    dist = Path(config.build.dist)
    rows = read_table(dist, "reviews")
    assert rows.columns == [*schema.RELEASED_REVIEWS, "canary"]
    actions = set(read_table(dist, "actions")["action_id"])
    mine = said.filter(pl.col("action_id").is_in(list(actions)))
    assert 0 < rows.height == mine.height < said.height  # gold items stay secret
    assert set(rows["kind"]) <= {"sample", "active", "adjudication"}
    assert set(rows["annotator"]) == {"expert-1", "expert-2", "expert-3"}
    told = dict(rows.select("review_id", "first_value").iter_rows())
    assert told == dict(mine.select("review_id", "first_value").iter_rows())
    loaded = datasets.load_dataset(str(dist), "reviews", split="test")
    assert loaded.num_rows == rows.height
    assert verify(dist, config.dedup)["reviews"] == rows.height
    change(dist, "reviews", lambda table: table.with_columns(action_id=pl.lit("a_x")))
    with pytest.raises(StageError, match=r"reviews\.action_id: 1 ids without a partner"):
        verify(dist, config.dedup)


def actions_of(plan: list[runner.Plan]) -> dict[str, str]:
    return {each.stage.name: each.action for each in plan}


def test_without_an_annotation_nothing_is_different(world: World) -> None:
    assert tuple(stage.name for stage in stages_of(world())) == stage_names()
    runner.build(world())
    assert "## Experts" not in card(world())


@pytest.mark.slow
def test_a_build_waits_for_reviews_by_csv(
    waiting: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    config = waiting("csv")
    names = stage_names(config)
    assert names[names.index("recognise") + 1 :][:3] == ("route", "collect", "adjudicate")
    with pytest.raises(WaitingError, match=r"^waiting: 0 of \d+ reviews \(expert 1: \d+ left, "):
        runner.build(config)
    assert "`reviews-form` writes the forms" in capsys.readouterr().out
    assert not Path(config.build.dist).exists()
    plans = actions_of(planning.plan(config))
    assert (plans["route"], plans["collect"]) == ("skip", "run")

    plan, place = load_plan(Path(config.annotation.plan)), place_of(config)
    rounds = store.load_rounds(place, plan)
    said = simulate(rounds, {1: 1.0, 2: 1.0, 3: 1.0})
    store.save_reviews(place, said.head(said.height - 8))
    done, total = said.height - 8, said.height
    with pytest.raises(WaitingError, match=f"^waiting: {done:,} of {total:,} reviews"):
        runner.build(config)
    store.save_reviews(place, said)
    runner.build(config)
    shown = card(config)
    assert "**Expert-checked.** In 100.0%" in shown
    sample = said.filter(kind="sample").height
    assert f"of {sample:,} blind reviews of" in shown
    assert actions_of(planning.plan(config)) == dict.fromkeys(names, "skip")
    check_released_reviews(config, said)
    decided = load_table(Path(config.build.workspace), "adjudicate.decisions")
    assert dict(decided.schema) == DECISIONS
    assert (Path(config.build.workspace) / "adjudicate" / "report.html").is_file()

    # Other answers: what was said is judged again, and the card follows.
    poor = simulate(rounds, {1: 0.3, 2: 0.3, 3: 0.3}, seed="two")
    store.save_reviews(place, poor)
    plans = actions_of(planning.plan(config))
    assert (plans["collect"], plans["adjudicate"]) == ("skip", "run")
    runner.build(config)
    shown = card(config)
    assert "Expert-checked." not in shown
    assert "does not let it be\ncalled checked by experts" in shown
    assert "below least_accuracy = 50.0%" in shown


def answer_everything(fake: loopback_studio.Studio, office: TestOffice, number: int) -> None:
    """Let every expert answer each task of a round that has no answer yet."""
    there = set(all_items([office.rounds()[number - 1]])["item_id"])
    for task in fake.tasks.values():
        if task["data"]["item"] in there and not task["annotations"]:
            title = fake.projects[task["project"]]["title"]
            expert = int(title.rpartition(" ")[2])
            result = answer_of(office, task["data"], expert)
            fake.annotate(task["id"], result, user=expert + 1)


@pytest.mark.slow
def test_a_build_routes_and_collects_two_rounds(
    waiting: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with studio_server() as fake:
        monkeypatch.setenv("LABEL_STUDIO_URL", fake.url)
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)
        config = waiting("label_studio", annotation__rounds=2)
        with pytest.raises(WaitingError, match="waiting: 0 of "):
            runner.build(config)
        first = len(fake.tasks)
        assert len(fake.projects) == 3
        place = place_of(config)
        (tmp_path / "office").mkdir()
        office = TestOffice(tmp_path / "office", {1: 0.7, 2: 0.7, 3: 0.7})
        (office.place / "rounds").symlink_to(place)
        (office.place / "plan.toml").symlink_to(config.annotation.plan)
        answer_everything(fake, office, 1)
        # The second round settles what was seen differently; the first one stays as it is.
        with pytest.raises(WaitingError, match=r"waiting: \d+ of \d+ reviews"):
            runner.build(config)
        assert len(fake.projects) > 3
        assert len(fake.tasks) > first
        later = [task for task in fake.tasks.values() if task["project"] > 3]
        assert any("opinions_1" in task["data"] for task in later)
        office._meant.clear()
        answer_everything(fake, office, 2)
        runner.build(config)
        assert "## Experts" in card(config)
        before = len(fake.calls)
        runner.build(config)
        assert len(fake.calls) == before, "a finished annotation asks the server nothing"
