"""The command line on a machine without Ray: everything runs but what asks for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipeline.paths import ROOT
from tests.conftest import command
from tests.test_scale import write_dump

# Python reads it before anything else: from then on there is no Ray to be found.
NO_RAY = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec


def without(name, path=None, target=None):
    return None if name.partition(".")[0] == "ray" else find(name, path, target)


PathFinder.find_spec = without
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NO_RAY)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


def test_a_build_on_ray_ends_with_the_command_that_installs_it_and_others_run(
    environment: dict[str, str], tmp_path: Path
) -> None:
    dump = tmp_path / "posts.ndjson"
    write_dump(dump, 200)
    call = ["build", "--config", str(ROOT / "configs" / "demo.toml"), "--until", "screen"]
    call += ["--source", str(dump), "--workspace", str(tmp_path / "build")]
    call += ["--dist", str(tmp_path / "dist")]

    asked = command(*call, "--engine", "ray", env=environment)
    assert asked.returncode == 2
    assert asked.stderr.splitlines() == [
        "error: build.engine: Ray is not installed; install it by `make ray` (or pip install "
        "'valact-pipeline[ray]'), or leave out --engine ray"
    ]
    assert not list((tmp_path / "build").glob("[a-z]*"))

    done = command(*call, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "screen" / "posts.parquet").exists()
