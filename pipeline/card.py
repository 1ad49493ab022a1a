"""The dataset card, written from what lies in the release folder and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from polars.exceptions import PolarsError

from pipeline import figures
from pipeline.artifacts import sha256_file, write_json, write_text
from pipeline.config import Config
from pipeline.errors import StageError
from pipeline.facts import CONFIG, FIGURE, facts
from pipeline.llm.prices import dollars
from pipeline.paths import HUB_RELEASE

CARD = "README.md"
TEMPLATE = "card.md.j2"
_WORDS = """no one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen twenty""".split()  # noqa: SIM905


def write_config(config: Config, stages: list[str], dist: Path) -> None:
    """Write what the card says and no table or manifest holds: titles, promises, the order.

    Args:
        config: The build.
        stages: Those before the release, in order.
        dist: The release folder.
    """
    build, release = config.build, config.release
    write_json(
        {
            "build": {
                "name": build.name,
                "demonstration": build.demonstration,
                "seed": build.seed,
            },
            "release": {
                "title": release.title,
                "text": release.text,
                "canary": release.canary,
                "contact": release.contact,
            },
            "source": {
                "sample": config.source.path == "sample",
                "local_only": is_local_only(config),
            },
            "domains": list(config.domains),
            "stages": stages,
            "card": made_by(),
        },
        dist / CONFIG,
    )


def made_by() -> dict[str, str]:
    """Return what decides the card's bytes beside the folder."""
    return {
        "template_sha256": sha256_file(HUB_RELEASE / TEMPLATE),
        "matplotlib": version("matplotlib"),
    }


def write_card(dist: Path) -> None:
    """Write the card and its figure from what else is in the folder.

    Raises:
        StageError: A number has no source in the folder.
    """
    found = sourced(dist)
    write_text(draw(found), dist / FIGURE)
    write_text(render(dist, found), dist / CARD)


def sourced(dist: Path) -> dict[str, Any]:
    """Return what `facts` gives.

    Raises:
        StageError: A number has no source in the folder.
    """
    with _no_source(dist):
        return facts(dist)


@contextmanager
def _no_source(dist: Path) -> Iterator[None]:
    """Turn what a number without a source raises into one line."""
    try:
        yield
    except (UndefinedError, LookupError, TypeError, ValueError, PolarsError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StageError(
            f"{dist / CARD}: a number has no source in the folder's provenance ({what}); build the "
            "release again"
        ) from None


def draw(found: Mapping[str, Any]) -> str:
    """Return the funnel figure as SVG, with the canary, from what `facts` gave."""
    kept = {name: funnel for name, funnel, _ in found["funnels"]}
    domains = [domain for domain, *_ in found["domains"]]
    picture = figures.funnel(kept, domains)
    return f"{picture.rstrip()}\n<!-- {found['release']['canary']} -->\n"


def render(dist: Path, found: Mapping[str, Any]) -> str:
    """Return the text of README.md.

    Args:
        dist: The folder, for messages.
        found: What `facts` gave.

    Raises:
        StageError: A number has no source in the folder.
    """
    environment = Environment(
        loader=FileSystemLoader(HUB_RELEASE),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown; untrusted text goes through `fenced`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": code_span,
        "flat": plain,
        "word": word,
        "share": share,
        "between": between,
        "usd": dollars,
        "number": lambda n: f"{n:,}",
        "even": lambda n: f"{n:.2f}",
        "size": size,
        "sums": lambda counts: sum(counts.values()),
        "size_category": size_category,
        "contact": contact,
    }
    with _no_source(dist):
        return environment.get_template(TEMPLATE).render(
            **found,
            example_text=fenced(found["example"]),
            options=letter_rows(found["example"]),
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


def word(number: int) -> str:
    """Return a small number as a word, a larger one with its digits."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else f"{number:,}"


def share(part: float, whole: float) -> str:
    """Return a share in percent, with one decimal."""
    return f"{100 * part / whole:.1f} %" if whole else "none"


def between(ends: Sequence[float | None]) -> str:
    """Return an interval of shares in percent; a dash if there is none."""
    known = [100 * end for end in ends if end is not None]
    return f"{known[0]:.1f} to {known[1]:.1f} %" if len(known) == 2 else "—"


def size(count: int) -> str:
    """Return bytes for people."""
    for unit, factor in (("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count:,} B"


def size_category(rows: int) -> str:
    """Return the Hub's name for a number of rows: "10K<n<100K"."""
    names = ("1K", "10K", "100K", "1M", "10M", "100M")
    if rows < 1000:
        return "n<1K"
    place = min(len(str(rows)) - 4, len(names) - 2)
    return f"{names[place]}<n<{names[place + 1]}"


def contact(text: str) -> str:
    """Return an address or a page as Markdown shows it, without what would end it."""
    return f"<{re.sub(r'[^!-;=?-~]', '', text)}>"


def fenced(question: Mapping[str, Any]) -> str:
    """Return a question as a respondent reads it, as indented text that no Markdown can leave."""
    lines = [*question["scenario"].split("\n"), ""]
    lines += [f"{letter}. {text}" for letter, text, _, _ in letter_rows(question)]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def letter_rows(question: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (letter, text, value, generator) of a question's four options."""
    columns = (question["options"], question["option_values"], question["option_generators"])
    return [(letter, *row) for letter, row in zip("ABCD", zip(*columns, strict=True), strict=True)]
