"""The evaluator as a wheel and a source archive, the same bytes wherever they are built."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from filelock import FileLock

from pipeline.artifacts import atomic_folder, canonical_json, sha256_file, sha256_text
from pipeline.errors import StageError
from pipeline.paths import EVALUATOR, ROOT

_EPOCH = 315_532_800  # 1980-01-01, the first day that a zip file knows
_BUILD = """
import sys
from setuptools import build_meta
(_, out) = sys.argv  # which setuptools overwrites
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""


def sources() -> dict[str, Path]:
    """Return the files that the evaluator's package is made of, by their place in it."""
    found = [*(EVALUATOR / "valact_eval").rglob("*")]
    found += [EVALUATOR / "pyproject.toml", EVALUATOR / "README.md"]
    kept = (path for path in found if path.is_file() and "__pycache__" not in path.parts)
    return {p.relative_to(EVALUATOR).as_posix(): p for p in sorted(kept)} | {
        "LICENSE": ROOT / "LICENSE"
    }


def digest() -> str:
    """Return a hash of the package's files and of what builds it."""
    import setuptools

    files = {name: sha256_file(path) for name, path in sources().items()}
    return sha256_text(canonical_json([files, setuptools.__version__, sys.version_info[:2]]))


def write_packages(out: Path, cache: Path) -> None:
    """Write the wheel and the source archive into a folder; what was built before is copied.

    Raises:
        StageError: It does not build.
    """
    built = cache / "evaluator" / digest()[:16]
    built.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(built.parent / ".lock"):
        if not built.is_dir():
            with atomic_folder(built) as fresh:
                _build(fresh)
    shutil.copytree(built, out)


def _build(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, path in sources().items():
            target = Path(folder) / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o644)
        made = Path(folder) / "made"
        made.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", _BUILD, str(made)],
            cwd=Path(folder) / "source",
            env=os.environ | {"SOURCE_DATE_EPOCH": str(_EPOCH), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise StageError(f"{EVALUATOR}: does not build as a package ({last[:200]})")
        for path in sorted(made.iterdir()):
            if path.suffix == ".whl":
                shutil.copyfile(path, out / path.name)
            else:
                (out / path.name).write_bytes(_same_bytes(path))


def _same_bytes(archive: Path) -> bytes:
    """Return a tar.gz without times, owners and the order in which it was made."""
    plain = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            fresh = tarfile.TarInfo(member.name)
            fresh.type, fresh.size, fresh.mtime = member.type, member.size, _EPOCH
            fresh.mode = 0o755 if member.isdir() else 0o644
            new.addfile(fresh, old.extractfile(member) if member.isfile() else None)
    return gzip.compress(plain.getvalue(), mtime=0)
