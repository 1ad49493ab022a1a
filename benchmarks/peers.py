"""The peers: packages that ours is measured beside, each set in a virtual environment of its own.

They lie in build/bench-NAME and are installed when they are first asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from pipeline.paths import ROOT

PACKAGE = ROOT / "hub_release" / "valact_eval"


@dataclass(frozen=True)
class Peer:
    """Packages of one virtual environment.

    Attributes:
        name: Of its folder, after "bench-".
        versions: What is compared, pinned.
        extras: Extras of these packages, by package.
        others: What else they need, as given to pip.
        variable: Environment variable that may name a Python that has them.
        over_ours: The packages of this environment are there too.
    """

    name: str
    versions: dict[str, str]
    extras: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    variable: str = ""
    over_ours: bool = False

    @property
    def home(self) -> Path:
        """Folder of the environment."""
        return ROOT / "build" / f"bench-{self.name}"

    @property
    def wanted(self) -> list[str]:
        """Return what pip is asked for."""
        extras = dict(self.extras)
        pinned = [
            f"{name}[{extras[name]}]=={number}" if name in extras else f"{name}=={number}"
            for name, number in self.versions.items()
        ]
        return [*pinned, *self.others]

    def python(self) -> str:
        """Return its Python; make the environment unless it is there.

        Raises:
            subprocess.CalledProcessError: It cannot be made.
        """
        if given := self.variable and os.environ.get(self.variable):
            return given
        python = self.home / "bin" / "python"
        done = self.home / f"installed-{'-'.join(self.versions.values())}"
        if done.exists():
            return str(python)
        said = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        print(f"installing {said} into {self.home.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.home], check=True)
        if self.over_ours:
            (place,) = self.home.glob("lib/python*/site-packages")
            (place / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        options = ["--quiet", "--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *options, *self.wanted], check=True)
        done.touch()
        return str(python)


BACKENDS = Peer(
    "backends",
    {"openvino": "2026.4.1", "nncf": "3.4.0", "onnxruntime": "1.31.1"},
    others=("onnx==1.23.2", "onnxscript==0.7.2"),
    over_ours=True,
)
CURATOR = Peer("curator", {"bespokelabs-curator": "0.1.31"})
# What its MinHash needs and does not declare; xxhash 4 hashes bytes alone, and it gives text.
DATATROVE = Peer(
    "datatrove",
    {"datatrove": "0.10.1"},
    (("datatrove", "io"),),
    ("orjson", "zstandard", "regex", "spacy", "tokenizers", "xxhash<4"),
)
DEDUP = Peer("dedup", {"semhash": "0.5.0", "datasketch": "2.0.0"})
DUCKDB = Peer("duckdb", {"duckdb": "2.0.0"})
LM_EVAL = Peer(
    "lm-eval",
    {"lm-eval": "0.4.13"},
    (("lm-eval", "api"),),
    ("-e", str(PACKAGE)),
    "LM_EVAL_PYTHON",
)
