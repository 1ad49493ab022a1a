"""Every command that the documents show: it exists, and takes what it is given there."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.paths import ROOT

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "annotations").glob("*.md"),
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


@pytest.mark.parametrize(("document", "line"), shown())
def test_a_command_of_the_documents_can_be_given(document: str, line: str) -> None:
    words = shlex.split(re.sub(r"\.\.\.|[\[\]]|\|.*", "", line))
    words[0] = words[0].removeprefix(".venv/bin/")
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
