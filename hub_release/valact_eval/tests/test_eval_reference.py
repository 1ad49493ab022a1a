import json

import numpy as np
import pytest

from valact_eval.key import KEY, VALUES
from valact_eval.stats import reference

FOUND = reference.reference()


def test_the_tables_are_whole():
    table = reference.published()
    assert table.height == 1600
    assert set(table["measure"]) == set(reference.MEASURES)
    for measure in reference.MEASURES:
        figures = np.stack(list(reference.by_prompt(measure).values()))
        assert figures.shape == ((10, 5, 10) if len(figures) == 10 else (4, 5, 10))
        assert np.isfinite(figures).all()
    shares = np.stack(list(reference.profile("enacted_share").values()))
    assert shares.sum(axis=1) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize(
    ("field", "printed", "digits"),
    [
        ("mean_pearson", 0.303, 3),
        ("mean_spearman", 0.14, 2),
        ("mean_pearson_without_self_direction", -0.03, 2),
        ("mean_intermodel_enacted", 0.993, 3),
        ("min_intermodel_enacted", 0.976, 3),
        ("mean_intermodel_declared", 0.90, 2),
        ("min_intermodel_declared", 0.61, 2),
        ("largest_drop_points", 6.64, 2),
        ("largest_drop_model", "gemini-2.5-pro", None),
        ("largest_drop_value", "achievement", None),
        ("welch_tests", 40, None),
        ("welch_p05", 16, None),
        ("welch_holm", 4, None),
    ],
)
def test_published_figures(field, printed, digits):
    found = getattr(FOUND, field)
    assert (found if digits is None else round(found, digits)) == printed


def test_published_r_of_each_model():
    printed = {
        "gpt-4o": 0.299,
        "gemini-2.5-pro": 0.319,
        "claude-sonnet-4": 0.172,
        "grok-4": 0.328,
        "llama": 0.348,
        "qwen2.5-72b": 0.247,
        "deepseek-v3": 0.382,
        "kimi-k2": 0.357,
        "seed-1.6": 0.263,
        "glm-4.5": 0.320,
    }
    assert {model: round(r, 3) for model, r in FOUND.pearson.items()} == printed
    low, high = (np.mean([edge[k] for edge in FOUND.fisher.values()]) for k in (0, 1))
    assert (round(low, 1), round(high, 1)) == (-0.4, 0.8)


def test_published_accuracies():
    printed = {
        "gpt-4o": (0.903, 0.889),
        "gemini-2.5-pro": (0.892, 0.854),
        "qwen2.5-72b": (0.860, 0.852),
        "deepseek-v3": (0.892, 0.891),
    }
    assert {
        model: (round(FOUND.selection_accuracy[model], 3), round(accuracy, 3))
        for model, accuracy in FOUND.adoption_accuracy.items()
    } == printed


def test_reference_command(cli):
    code, out, err = cli("reference", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert round(found["mean_pearson"], 3) == 0.303
    assert found["welch_holm"] == 4
    assert len(found["drops"]) == 40
    code, out, err = cli("reference")
    assert (code, err) == (0, "")
    assert "mean 0.303, Spearman 0.14, without self-direction -0.03" in out
    assert "Welch over five prompts: 16 of 40 with p < .05, 4 after Holm" in out


def test_the_key_gives_each_item_to_one_value():
    assert tuple(KEY) == VALUES
    assert sorted(item for items in KEY.values() for item in items) == list(range(1, 41))
