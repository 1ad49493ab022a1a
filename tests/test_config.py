"""A configuration is right, or one line says which file, which key and what would be right."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config_file import load, parse_override
from pipeline.errors import BadInputError
from pipeline.paths import ROOT

DEMO, PAPER = ROOT / "configs" / "demo.toml", ROOT / "configs" / "paper.toml"
MODEL = "smollm2-135m-low-temperature"


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def refused(overrides: dict[str, Any], *words: str, path: Path = DEMO) -> None:
    """Assert that loading fails with one line that names the file and holds these words."""
    with pytest.raises(BadInputError) as caught:
        load(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert [w for w in (str(path), *words) if w not in message] == []


@pytest.mark.parametrize("path", [DEMO, PAPER])
def test_a_shipped_configuration_loads_as_it_is_written(path: Path) -> None:
    data, config = toml(path), load(path)
    assert config.file == str(path)
    loaded = json.loads(json.dumps(dataclasses.asdict(config)))
    for section, table in data.items():
        for key, value in table.items():
            assert within(value, loaded[section][key]), (section, key)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.build.name = "other"  # type: ignore[misc]


def within(part: Any, whole: Any) -> bool:
    """Return True if every key of `part` stands in `whole` with its value."""
    if not isinstance(part, dict):
        return bool(part == whole)
    return all(key in whole and within(value, whole[key]) for key, value in part.items())


@pytest.mark.parametrize("path", [DEMO, PAPER])
def test_the_domains_keep_the_order_of_the_file(path: Path) -> None:
    """The files say that the order of the domains is the order of the slots."""
    assert list(load(path).domains) == list(toml(path)["domains"])


def test_the_paper_differs_from_the_demonstration_in_data_only() -> None:
    demo, paper = toml(DEMO), toml(PAPER)
    assert list(demo) == list(paper)
    for section in demo.keys() - {"models"}:
        assert list(demo[section]) == list(paper[section]), section
    for domain, subreddits in paper["domains"].items():
        assert set(subreddits) <= set(demo["domains"][domain])


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("sorce.path", "'source'"),
        ("source.pth", "'path'"),
        ("screen.min_word", "'min_words'"),
        (f"models.{MODEL}.temprature", "'temperature'"),
        ("generate.atempts", "'attempts'"),
        ("release.zzzzzz", "canary"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(key: str, nearest: str) -> None:
    named = key.partition(".")[0] if key.startswith("sorce") else key
    refused({key: 1}, f"{named}: unknown key", nearest)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("screen.min_words", "40", ("integer", "'40'")),
        ("screen.min_words", 40.5, ("integer", "40.5")),
        ("screen.min_words", True, ("integer", "True")),
        ("screen.min_words", 0, ("greater than or equal to 1", "0")),
        ("dedup.jaccard", 1.5, ("less than or equal to 1", "1.5")),
        ("screen.languages", "en", ("array", "'en'")),
        ("build.demonstration", "yes", ("boolean", "'yes'")),
        ("build.seed", 1, ("string", "1")),
        ("release.text", "summary", ("verbatim", "'summary'")),
        (f"models.{MODEL}.provider", "anthropic", ("openai", "'anthropic'")),
        ("source", "sample", ("source",)),
    ],
)
def test_a_wrong_type_or_value_is_named_and_shown(
    key: str, value: Any, words: tuple[str, ...]
) -> None:
    refused({key: value}, key, *words)


@pytest.mark.parametrize(
    ("line", "key"),
    [('seed = "valact-demo-1"', "build.seed"), ("scenarios = 10", "select.scenarios")],
)
def test_a_missing_key_is_named(tmp_path: Path, line: str, key: str) -> None:
    path, text = tmp_path / "c.toml", DEMO.read_text(encoding="utf-8")
    assert text.count(line) == 1
    path.write_text(text.replace(line, ""), encoding="utf-8")
    refused({}, f"{key}: missing", path=path)


@pytest.mark.parametrize("content", [b"[build\n", b"\xff\xfe", b"a = 1\na = 2\n", b"a = nope\n"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    refused({}, "not valid TOML", path=path)


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_path_without_a_file_is_refused(tmp_path: Path, name: str) -> None:
    refused({}, path=tmp_path / name)


def test_generators_must_be_two_different_models() -> None:
    refused({"generate.generators": [MODEL, "smollm2-135m-hi-temperature"]}, "smollm2-135m-high-")
    refused({"generate.generators": [MODEL, MODEL]}, "generate.generators", "differ")
    refused({"generate.generators": [MODEL]}, "generate.generators")


def test_a_subreddit_belongs_to_one_domain_whatever_its_case() -> None:
    words = ("domains.relationships", "r/FRUGAL", "finance")
    refused({"domains.relationships": ["family", "FRUGAL"]}, *words)


@pytest.mark.parametrize("scenarios", [1, 11, 3001])
def test_scenarios_must_divide_over_the_domains(scenarios: int) -> None:
    refused({"select.scenarios": scenarios}, "select.scenarios", str(scenarios), "5 domains")


def test_no_domains_is_refused() -> None:
    refused({"domains": {}}, "domains")


@pytest.mark.parametrize("value", ["nan", "inf", "2020-01-01", "[2020-01-01T00:00:00Z]"])
@pytest.mark.parametrize("key", ["dedup.cosine", "build.seed"])
def test_toml_values_that_json_has_no_word_for_are_refused(key: str, value: str) -> None:
    refused(dict([parse_override(f"{key}={value}")]))


@given(
    st.from_regex(r"[a-z_]{1,8}\.[a-z_-]{1,8}(\.[a-z]{1,4})?", fullmatch=True),
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: "e" not in repr(x))
    | st.lists(st.integers(0, 9)),
)
def test_an_override_reads_a_toml_value(key: str, value: Any) -> None:
    name, parsed = parse_override(f"{key} = {json.dumps(value)}")
    assert (name, parsed, type(parsed)) == (key, value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=posts/dump.zst", "posts/dump.zst"),
        ("a.b=", ""),
        ("a.b=x=y", "x=y"),
        ('a.b="12"', "12"),
        ("a.b=two words", "two words"),
        ('a.b=["en", "de"]', ["en", "de"]),
    ],
)
def test_an_override_that_is_no_toml_value_is_a_string(text: str, value: Any) -> None:
    assert parse_override(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["a.b", "seed=1", "", "=", "=a.b"])
def test_an_override_without_section_or_value_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(f"--set {text}: write it as")):
        parse_override(text)


def test_overrides_lie_over_the_file() -> None:
    pairs = [parse_override(t) for t in ("screen.min_words=50", f"models.{MODEL}.temperature=1")]
    config = load(DEMO, dict(pairs))
    assert config.screen.min_words == 50
    assert config.models[MODEL].temperature == 1.0
    assert config.dedup == load(DEMO).dedup
    refused({"build.name.short": 1}, "build.name.short", "'name' is not a section")
