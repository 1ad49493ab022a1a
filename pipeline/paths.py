"""Places in the checkout that the code reads."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = ROOT / "prompts"
HUB_RELEASE = ROOT / "hub_release"
DESIGNS = ROOT / "pipeline" / "designs"
SAMPLE_POSTS = ROOT / "pipeline" / "sources" / "sample_posts.ndjson"
