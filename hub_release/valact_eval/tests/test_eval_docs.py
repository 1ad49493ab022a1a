import re
import shlex
from pathlib import Path

import pytest

METHOD = Path(__file__).parents[1] / "docs" / "method.md"
BLOCKS = re.findall(r"```console\n\$ valact-eval (.*)\n([\s\S]*?)```", METHOD.read_text("utf-8"))


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_the_docs_show_what_the_command_prints(cli, command, shown):
    assert cli(*shlex.split(command)) == (0, shown, "")


def test_the_docs_have_such_blocks():
    assert len(BLOCKS) == 5


def test_named_tests_exist():
    text = METHOD.read_text("utf-8")
    for file, name in re.findall(r"(test_eval_\w+\.py)::(\w+)", text):
        assert f"def {name}(" in (Path(__file__).parent / file).read_text("utf-8")
