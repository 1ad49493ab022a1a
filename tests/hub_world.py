"""A built release and a loopback Hub, used as a user would: by commands and by scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.config_file import read_toml
from pipeline.dist import table_path
from pipeline.paths import ROOT
from tests.loopback_hub import MAINTAINER, Hub

REPO = "org/VALACT-test"
LOAD = """
import json, sys
from datasets import load_dataset
name, config, revision, streaming = sys.argv[1:]
found = load_dataset(name, config, split="test", revision=revision or None,
                     streaming=streaming == "yes")
print(json.dumps([dict(row) for row in found], default=str))
"""
CONSENT = {
    "publish.rights": "Invented posts, ours to give.",
    "publish.demonstration": True,
    "publish.verbatim": True,
}


def write_config(base: Path, path: Path, overrides: Mapping[str, Any]) -> Path:
    """Write a configuration with keys changed, as TOML with dotted keys."""
    data = read_toml(base, "", "")
    for dotted, value in overrides.items():
        table, parts = data, dotted.split(".")
        for part in parts[:-1]:
            table = table.setdefault(part, {})
        table[parts[-1]] = value
    path.write_text("".join(f"{line}\n" for line in _lines(data, [])))
    return path


def _lines(value: Any, place: list[str]) -> list[str]:
    if isinstance(value, dict):
        return [line for key in value for line in _lines(value[key], [*place, json.dumps(key)])]
    return [f"{'.'.join(place)} = {json.dumps(value)}"]


@dataclass
class HubWorld:
    """A configuration file, its folders, and a running Hub."""

    hub: Hub
    config: Path
    tmp: Path
    key: str

    def rows(self, config: str) -> list[dict[str, Any]]:
        """Return what the release folder here holds, as JSON would tell it."""
        table = pl.read_parquet(table_path(self.tmp / "dist", config))
        return list(json.loads(json.dumps(table.to_dicts(), default=str)))

    def environment(self, token: str = MAINTAINER) -> dict[str, str]:
        named = {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.tmp / "hf_home"),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_ETAG_TIMEOUT": "120",  # a busy machine is no failure
            "HF_HUB_DOWNLOAD_TIMEOUT": "120",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "VALACT_TEST_KEY": self.key,
            "PYTHONPATH": str(ROOT),
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "COVERAGE_FILE"))}
        return kept | named

    def start(self, *arguments: str, token: str = MAINTAINER) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments, f"--config={self.config}"],
            cwd=ROOT,
            env=self.environment(token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, token: str = MAINTAINER) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, token=token)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def script(self, code: str, *arguments: str, token: str = MAINTAINER) -> Any:
        """Run a script in a fresh process, with caches of its own; return the JSON it prints."""
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=self.tmp,
            env=self.environment(token),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, (
            f"{done.returncode}: {done.stdout[-200:]} {done.stderr[-3000:]}"
        )
        return json.loads(done.stdout.splitlines()[-1])
