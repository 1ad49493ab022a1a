"""HTML pages: one Jinja environment, in which every value is escaped."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.paths import TEMPLATES


def environment() -> Environment:
    """Return the environment of pipeline/templates: what is substituted is text, never markup."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
