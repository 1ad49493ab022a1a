import re
from pathlib import Path

import pytest

from valact_eval.models import open_model
from valact_eval.stats.reference import published

TEXT = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
CELL = re.compile(r"`([^`]*)`")
# these clients do not come with the package
APART = {"anthropic": "anthropic", "google": "google.genai", "grok": "xai_sdk"}


def rows():
    part = TEXT.split("## The published models")[1].split("\n| service")[0]
    for line in re.findall(r"^\| (.*) \|$", part, re.MULTILINE)[2:]:
        name, hosted, variables, _ = (cell.strip() for cell in line.split("|"))
        yield name, CELL.findall(hosted)[0], CELL.findall(variables)


ROWS = list(rows())


def test_every_published_model_is_in_the_table():
    names = [name.lower() for name, _, _ in ROWS]
    for model in published()["model"].unique():
        assert any(name.startswith(model) for name in names), model
    assert len(ROWS) == 14


@pytest.mark.parametrize(("name", "model", "variables"), ROWS, ids=[name for name, _, _ in ROWS])
def test_a_name_opens_with_just_its_variables(monkeypatch, name, model, variables):
    if model.split("/")[0] in APART:
        pytest.importorskip(
            {"google": "google.genai", "grok": "xai_sdk"}.get(model.split("/")[0], "anthropic")
        )
    for variable in variables:
        monkeypatch.setenv(variable, "http://127.0.0.1:9/v1" if "URL" in variable else "none")
    opened = open_model(model)
    assert str(opened) == model
    for variable in variables:
        if variable.endswith("_API_KEY"):
            monkeypatch.delenv(variable)
    with pytest.raises(Exception, match="API_KEY"):
        open_model(model)


@pytest.mark.parametrize("model", ["together/a/b", "fireworks/a/b", "sambanova/a", "ollama/a"])
def test_a_provider_that_takes_no_transport_opens(monkeypatch, model):
    for name in ("TOGETHER", "FIREWORKS", "SAMBANOVA"):
        monkeypatch.setenv(f"{name}_API_KEY", "none")
    assert str(open_model(model)) == model


def test_the_services_of_the_table_have_an_address():
    before, after = TEXT.split("\n| service")
    services = set(re.findall(r"`([A-Z]+)_BASE_URL`", before)) - {"SERVICE"}
    listed = re.findall(r"^\| .*`https://", after.split("\n\n")[0], re.MULTILINE)
    assert len(services) == len(listed) == 5
