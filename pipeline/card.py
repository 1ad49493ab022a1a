"""The dataset card: every number comes from the tables and manifests that it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.balance import COUNTED, Balance, balance
from pipeline.config import Config
from pipeline.funnel import Funnel
from pipeline.paths import HUB_RELEASE
from pipeline.values import load_values, value_ids


def render_card(
    config: Config,
    tables: Mapping[str, pl.DataFrame],
    head: str,
    funnels: Mapping[str, Funnel],
    notes: Mapping[str, Any],
    dealing: Mapping[str, Any],
    recognised: Mapping[str, Any],
    experts: Mapping[str, Any],
    holes: Sequence[int] = (),
) -> str:
    """Return the text of README.md.

    Args:
        config: The build.
        tables: The release's tables by name.
        head: Configs, types and sizes for the card's head, as YAML; see dist.head.
        funnels: Funnel of each stage before the release, in order.
        notes: What the manifest of `generate` notes; see Caller.notes and quality.notes.
        dealing: What the manifest of `compose` notes of its design.
        recognised: What the manifest of `recognise` notes; empty if there was no recogniser.
        experts: What experts' reviews say; see Findings.as_json; empty if nobody reviewed.
        holes: Slots whose scenario was taken back.
    """
    questions = tables["questions"]
    example = questions.row(0, named=True)
    environment = Environment(
        loader=FileSystemLoader(HUB_RELEASE),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown; untrusted text goes through `fenced`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = code_span
    environment.filters["flat"] = plain
    return environment.get_template("card.md.j2").render(
        config=config,
        local_only=is_local_only(config),
        head=head,
        rows={name: table.height for name, table in tables.items()},
        balance=balance(questions, value_ids()),
        counted=COUNTED,
        dealing=dealing,
        domains=_per_domain(questions, list(config.domains)),
        funnels=[(name, funnel, funnel.reasons()) for name, funnel in funnels.items()],
        generators=[
            (name, config.models[name], notes["models_returned"].get(name, {}))
            for name in config.generate.generators
        ],
        notes=notes,
        warnings=[*notes["warnings"], *recognised.get("warnings", [])],
        recognised=recognised,
        experts=experts,
        holes=holes,
        values=load_values(),
        example=fenced(example),
        letters=letter_rows(example),
    )


def is_local_only(config: Config) -> bool:
    """Return True if the release holds posts that may not be published as they are."""
    return config.source.path != "sample" and config.release.text == "verbatim"


def plain(text: str) -> str:
    """Return text that came from outside without the characters that Markdown reads."""
    return re.sub(r"[^\w .,:;()/+-]", "?", text, flags=re.ASCII)


def code_span(text: str) -> str:
    """Return the same as `plain`, as code."""
    return f"`{plain(text)}`"


def fenced(question: Mapping[str, Any]) -> str:
    """Return a question as a respondent reads it, as indented text that no Markdown can leave."""
    lines = [*question["scenario"].split("\n"), ""]
    lines += [f"{letter}. {text}" for letter, text, _, _ in letter_rows(question)]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def letter_rows(question: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (letter, text, value, generator) of a question's four options."""
    columns = (question["options"], question["option_values"], question["option_generators"])
    return [(letter, *row) for letter, row in zip("ABCD", zip(*columns, strict=True), strict=True)]


def _per_domain(questions: pl.DataFrame, domains: list[str]) -> list[tuple[str, int, Balance]]:
    parts = {domain: questions.filter(domain=domain) for domain in domains}
    return [
        (domain, part["scenario_id"].n_unique(), balance(part, value_ids()))
        for domain, part in parts.items()
    ]
