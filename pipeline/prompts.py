"""Prompt files: a header, one section a message, variables substituted once as data."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, meta

from pipeline.artifacts import sha256_text
from pipeline.errors import BadInputError, nearest
from pipeline.paths import PROMPTS

_HEADER = re.compile(r"\A\+\+\+\n(.*?)\n\+\+\+\n", re.DOTALL)
_MARKER = re.compile(r"</([a-z]+)>")
_ROLE = re.compile(r"^## (system|user|assistant)\n", re.MULTILINE)
# Text for models, not for browsers: HTML escaping would change what the model reads.
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701


@dataclass(frozen=True)
class Prompt:
    """A prompt file.

    Attributes:
        name: File name without `.md`.
        version: Version from the header.
        variables: Names that `render` must be given.
        output: The header's description of the reply.
        sections: (role, Jinja2 source) of each message.
        digest: SHA-256 of the whole file.
    """

    name: str
    version: int
    variables: tuple[str, ...]
    output: Mapping[str, Any]
    sections: tuple[tuple[str, str], ...]
    digest: str

    def render(self, **variables: Any) -> tuple[tuple[str, str], ...]:
        """Return (role, text) of each message.

        Text inside the variables is data: it is not rendered, cannot open a section, and cannot
        close the <markers> that the prompt puts around it.

        Raises:
            TypeError: If the variables given are not exactly those declared.
        """
        if set(variables) != set(self.variables):
            raise TypeError(f"prompt {self.name} takes {self.variables}, got {sorted(variables)}")
        markers = {name for _, source in self.sections for name in _MARKER.findall(source)}
        safe = {name: _without(markers, value) for name, value in variables.items()}
        return tuple(
            (role, _ENVIRONMENT.from_string(source).render(safe).strip())
            for role, source in self.sections
        )


def _without(markers: set[str], value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without(markers, part) for part in value]
    if not isinstance(value, str) or not markers:
        return value
    pattern = rf"<(?=\s*/?\s*(?:{'|'.join(sorted(markers))})\b)"
    return re.sub(pattern, "\u2039", value, flags=re.IGNORECASE)


@cache
def load_prompt(name: str, folder: Path = PROMPTS) -> Prompt:
    """Read prompts/<name>.md.

    Raises:
        BadInputError: The file is missing, its header broken, or it uses undeclared variables.
    """
    path = folder / f"{name}.md"
    if not path.is_file():
        known = nearest(name, [p.stem for p in folder.glob("*.md") if p.stem != "README"])
        raise BadInputError(f"{path}: no such prompt file; {known}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not readable as UTF-8 text: {error}") from None
    match = _HEADER.match(text)
    if not match:
        raise BadInputError(f"{path}: line 1: a prompt starts with a header between '+++' lines")
    try:
        header = tomllib.loads(match[1])
        version, variables = int(header["version"]), tuple(header["variables"])
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{path}: header: {error}; it needs version and variables") from None
    parts = _ROLE.split(text[match.end() :])
    sections = tuple(zip(parts[1::2], parts[2::2], strict=True))
    if not sections or parts[0].strip():
        raise BadInputError(f"{path}: the text must stand in '## system' and '## user' sections")
    used: set[str] = set()
    for role, source in sections:
        try:
            used |= meta.find_undeclared_variables(_ENVIRONMENT.parse(source))
        except TemplateError as error:
            raise BadInputError(f"{path}: section '{role}': {error}") from None
    if used != set(variables):
        raise BadInputError(
            f"{path}: declares variables {sorted(variables)} but uses {sorted(used)}"
        )
    return Prompt(name, version, variables, header.get("output", {}), sections, sha256_text(text))
