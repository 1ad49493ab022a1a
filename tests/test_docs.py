"""The documents: every command can be given and is run by a test, every link leads somewhere."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline import workspace
from pipeline.funnel import Funnel
from pipeline.paths import ROOT
from tests.commands import BY_HAND, MAKE_BY_HAND, RUN_BY

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "annotations").glob("*.md"),
        *(ROOT / "prompts").glob("README.md"),
        *(ROOT / "hub_release").rglob("*.md"),
    ]
)
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_BEGINS = re.compile(r"(?:\.venv/bin/)?(?:python -m [\w.]+|valact-eval|make)\b")
_COMMENT = re.compile(r"\s{2,}#.*")
_PROGRAMS = {"pipeline": "pipeline.cli", "valact-eval": "valact_eval.cli"}


def commands(document: Path) -> Iterator[str]:
    """Return the commands of console blocks, and of spans in running text."""
    text = document.read_text(encoding="utf-8")
    for block in _BLOCK.findall(text):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.startswith("$ "):
                yield _COMMENT.sub("", line.removeprefix("$ "))
    for span in _SPAN.findall(_BLOCK.sub("", text)):
        if _BEGINS.match(span.replace("\n", " ")):
            yield " ".join(span.split())


def shown() -> list[tuple[str, str]]:
    """Return (document, command), each once."""
    found = [
        (document.relative_to(ROOT).as_posix(), command)
        for document in DOCUMENTS
        for command in commands(document)
        if _BEGINS.match(command)
    ]
    return list(dict.fromkeys(found))


def words_of(line: str) -> list[str]:
    """Return a command's words, without the path of its program."""
    words = shlex.split(re.sub(r"\.\.\.|[\[\]]|\|.*", "", line))
    words[0] = words[0].removeprefix(".venv/bin/")
    return words


@pytest.mark.parametrize(("document", "line"), shown())
def test_a_command_of_the_documents_can_be_given(document: str, line: str) -> None:
    words = words_of(line)
    if words[0] == "make":
        _check_make(words[1:])
        return
    if words[0] == "python":
        words = words[2:]
        if words[0] not in _PROGRAMS:
            _check_module(*words)
            return
    _check_click(words)


def test_the_documents_show_commands() -> None:
    assert len(shown()) > 100


def name_of(words: list[str]) -> str:
    """Return the name under which tests/commands.py holds a command; "" for a bare program."""
    if words[0] == "python":
        words = words[2:]
    if words[0] not in _PROGRAMS:
        return words[0]
    rest = [word for word in words[1:3] if not word.startswith("-")]
    if not rest:
        return ""
    return " ".join([words[0], *(rest if rest[0] == "ledger" else rest[:1])])


def test_every_command_of_the_documents_is_run_by_a_test() -> None:
    commands = [words for _, line in shown() if (words := words_of(line))[0] != "make"]
    names = {name_of(words) for words in commands} - {""}
    lacking = {name for name in names - RUN_BY.keys() if name.partition(".")[0] not in BY_HAND}
    assert not lacking, "name the test of these in tests/commands.py"
    for name, test in RUN_BY.items():
        file, _, function = test.partition("::")
        sources = [p.read_text(encoding="utf-8") for p in ROOT.rglob(f"tests/{file}")]
        assert sources, test
        assert f"def {function}(" in sources[0], test
        word = name.split()[-1].rpartition(".")[2]
        assert re.search(rf"\b{re.escape(word)}\b", sources[0]), f"{file} does not run {name}"


def test_every_target_is_a_command_that_can_be_given() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE)
    for target in targets:
        given = ["IDS=abc", "REPO=org/name", "SOURCE=posts.ndjson", "SCENARIOS=5", "YES=1"]
        told = subprocess.run(
            ["make", "--dry-run", target, *given], capture_output=True, text=True, cwd=ROOT
        )
        assert told.returncode == 0, told.stderr
        lines = [line.lstrip("@") for line in told.stdout.splitlines() if "-m pipeline " in line]
        assert bool(lines) != (target in MAKE_BY_HAND), target
        for line in lines:
            words = words_of(line)[2:]
            if "--" in words:  # a server around an evaluation
                words = words[words.index("--") + 1 :]
                words[0] = words[0].removeprefix(".venv/bin/")
            assert name_of(words) in RUN_BY, line
            _check_click(words)


def _anchors(document: Path) -> set[str]:
    """Return the names by which a page's headings are linked to."""
    heads = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    bare = [re.sub(r"[^\w\- ]", "", head.lower()) for head in heads]
    return {head.replace(" ", "-") for head in bare}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    wrong, links = [], 0
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            links += 1
            place, _, heading = target.partition("#")
            page = (document.parent / place).resolve() if place else document
            if not page.exists() or (heading and heading not in _anchors(page)):
                wrong.append((document.name, target))
        # annotations/private and annotations/rounds come with a round.
        places = r"`((?:docs|prompts|annotations(?!/private|/rounds)|configs)/[\w./-]+\.\w+)`"
        for page in re.findall(places, text):
            links += 1
            near = [folder / page for folder in (ROOT, document.parent, document.parent.parent)]
            if not any(path.exists() for path in near):
                wrong.append((document.name, page))
    assert not wrong
    assert links > 150


def test_the_index_names_every_page_and_the_readme_every_folder() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")]
    assert not [page for page in pages if f"]({page})" not in index and page != "README.md"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.splitlines()
    tops = {name.partition("/")[0] for name in tracked if "/" in name and name[0] != "."}
    packages = {"/".join(name.split("/")[:2]) for name in tracked if name.count("/") > 1}
    folders = tops | {each for each in packages if each.startswith("pipeline/")}
    assert not [folder for folder in sorted(folders) if f"| `{folder}/` |" not in readme]


def test_the_pictures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import pictures

    runs = pictures.simulated(tmp_path / "runs", scenarios=4, models=2)
    assert sorted(path.name for path in runs.iterdir()) == ["answers.jsonl", "predictions.parquet"]
    config = tmp_path / "build" / "release" / "dist" / "provenance" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"stages": ["scrape"], "domains": ["career"]}')
    kept = Funnel("line", 5, {("career", "kept", ""): 5})
    monkeypatch.setattr(workspace, "load_funnel", lambda *_: kept)
    drawn = pictures.draw_funnel(tmp_path / "build", tmp_path / "funnel.svg").read_text()
    assert drawn.startswith("<svg") or "<svg" in drawn
    assert "scrape" in drawn


def _check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_setting, _ = word.partition("=")
        if is_setting:
            assert f"$({name})" in makefile or f"$(if $({name})" in makefile, name
        elif not name.startswith("-"):
            assert re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE), name


def _check_module(name: str, *words: str) -> None:
    if name == "pytest":
        return
    module = importlib.import_module(name)
    if name.startswith("pipeline."):
        single = typer.Typer()
        single.command()(module.main)
        command = typer.main.get_command(single)
        command.make_parser(typer.Context(command)).parse_args(list(words))
        return
    source = Path(module.__file__ or "").read_text(encoding="utf-8")  # argparse
    for word in words:
        if word.startswith("--"):
            assert f'"{word.partition("=")[0]}"' in source, word


@cache
def _program(name: str) -> Any:
    return typer.main.get_command(importlib.import_module(_PROGRAMS[name]).app)


def _check_click(words: list[str]) -> None:
    command, words = _program(words[0]), words[1:]
    context = typer.Context(command)
    while hasattr(command, "get_command") and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        context, command, words = typer.Context(found, parent=context), found, words[1:]
    # Only what stands there: types, files and what is required are the tests' of each command.
    command.make_parser(context).parse_args(list(words))


def test_troubleshooting_quotes_what_the_programs_say() -> None:
    folders = (ROOT / "pipeline", ROOT / "hub_release" / "valact_eval" / "valact_eval")
    source = "".join(
        path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")
    )
    # Strings that go on in the next line, and places that are filled in.
    said = re.sub(r'"\s*\n\s*f?"', "", source) + (ROOT / "Makefile").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    quotes = [quote for row in rows for quote in _SPAN.findall(row)]
    quotes = [quote for quote in quotes if " " in quote]
    assert len(quotes) > 10
    wrong = [quote for quote in quotes if quote.replace("SHA256SUMS", "{SUMS}") not in said]
    assert not wrong


def test_tests_that_the_documents_name_exist() -> None:
    named = 0
    for document in (ROOT / "docs").rglob("*.md"):
        text = document.read_text(encoding="utf-8")
        for file, name in re.findall(r"`(?:tests/)?(test_\w+\.py)::(\w+)`", text):
            places = [ROOT / "tests" / file, ROOT / "hub_release/valact_eval/tests" / file]
            sources = [place.read_text(encoding="utf-8") for place in places if place.is_file()]
            assert any(f"def {name}(" in source for source in sources), (document.name, name)
            named += 1
    assert named > 10
