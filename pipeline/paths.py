"""Places in the checkout that the code reads."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = ROOT / "prompts"
HUB_RELEASE = ROOT / "hub_release"
EVALUATOR = HUB_RELEASE / "valact_eval"
MAPPINGS = ROOT / "configs" / "mappings.toml"
TEMPLATES = ROOT / "pipeline" / "templates"
DESIGNS = ROOT / "pipeline" / "designs"
SAMPLE_POSTS = ROOT / "pipeline" / "sources" / "sample_posts.ndjson"


def source_path(path: str) -> Path:
    """Return the file behind `source.path`; "sample" is the bundled one."""
    return SAMPLE_POSTS if path == "sample" else Path(path)
