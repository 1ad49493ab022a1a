"""Asks a model for the canary of a release: who continues it has read it."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from valact_eval.errors import ValactError

_GUID: Final = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-)([0-9a-f]{4}-[0-9a-f]{12})", re.I)
_RUN: Final = re.compile(r"(?<![0-9a-z])[0-9a-f]{4}[0-9a-f-]*", re.I)
LONGEST: Final = 256
PARTLY: Final = 4
"""So many leading digits nobody guesses: one in 4 * 16**3 replies would (one digit is a GUID's
variant, of which there are four)."""

MATCH, PART, NONE = "match", "partly", "no match"
MEANING: Final = {
    MATCH: (
        "it has read this canary: this release, or a text that quotes it (the card, a listing). It "
        "does not prove that it was trained on the questions, nor that a score is inflated by it"
    ),
    PART: (
        "more of it is right than anybody guesses, so it has most likely read the canary; ask "
        "again, with other settings, before you say so"
    ),
    NONE: (
        "that proves nothing: a model seldom recalls one line word for word, and canaries are "
        "filtered out of training data while copies of the texts are not"
    ),
}
"""What each verdict proves, and what not."""


@dataclass(frozen=True)
class Halves:
    """A canary: what a model is shown, and the 16 hexadecimal digits that it is not."""

    first: str
    second: str


@dataclass(frozen=True)
class Probed:
    """What a model wrote.

    ``digits`` holds for each prompt how many leading digits of the second half were right (0..16),
    or None where no reply came; ``error`` says why, for the last of those.
    """

    model: str
    replies: tuple[str | None, ...]
    digits: tuple[int | None, ...]
    error: str

    @property
    def best(self) -> int:
        """Most digits that were right."""
        return max((n for n in self.digits if n is not None), default=0)

    @property
    def verdict(self) -> str:
        """MATCH, PART or NONE."""
        return MATCH if self.best == 16 else PART if self.best >= PARTLY else NONE


def halves(canary: str, source: str) -> Halves:
    """Splits a canary in the middle of its GUID.

    Raises:
        ValactError: it holds no GUID.
    """
    found = _GUID.search(canary)
    if found is None:
        raise ValactError(f"{source}: the canary {canary!r} holds no GUID; nothing to ask for")
    return Halves(canary[: found.end(1)], found[2].replace("-", "").lower())


def right_digits(reply: str, canary: Halves) -> int:
    """How many leading digits of the second half a reply gives.

    It may repeat the first half, or go on from it.
    """
    guid = re.sub("[^0-9a-f]", "", canary.first.lower().split()[-1])
    best = 0
    for run in _RUN.findall(reply):
        said = run.replace("-", "").lower()
        said = said.removeprefix(guid)
        same = [a == b for a, b in zip(said, canary.second, strict=False)]
        best = max(best, same.index(False) if False in same else len(same))
    return best


def prompts(canary: Halves) -> list[str]:
    """The questions; none holds the second half."""
    text = files("valact_eval").joinpath("prompts/canary.toml").read_text("utf-8")
    return [
        prompt["text"].strip().replace("{{ first }}", canary.first)
        for prompt in tomllib.loads(text)["prompt"]
    ]


def probe(
    models: Sequence[str],
    canary: Halves,
    *,
    base_url: str | None = None,
    args: Mapping[str, Any] | None = None,
    max_tokens: int = LONGEST,
) -> list[Probed]:
    """Asks each model each prompt once, at temperature 0.

    Raises:
        ValactError: a model cannot be opened, or gives no reply at all.
    """
    import asyncio

    return [
        asyncio.run(_probe(model, canary, base_url, args or {}, max_tokens)) for model in models
    ]


async def _probe(
    name: str, canary: Halves, base_url: str | None, args: Mapping[str, Any], max_tokens: int
) -> Probed:
    from valact_eval.models import generate_config, open_model, plain_error

    config = generate_config(
        max_retries=3, max_connections=None, reasoning_effort=None, extra_body=None, cache=False
    )
    model = open_model(name, base_url=base_url, args=args, config=config)
    limits = config.merge({"max_tokens": max_tokens, "temperature": 0.0})
    replies: list[str | None] = []
    error = ""
    async with model:  # closes its connections
        for prompt in prompts(canary):
            try:
                output = await model.generate(prompt, config=limits)
                cut = output.stop_reason == "max_tokens" and not output.completion.strip()
                replies.append(None if cut else output.completion)
                error = f"nothing was said in {max_tokens} tokens (--max-tokens)" if cut else error
            # what a provider raises is its own affair; it is told, and the next prompt is asked
            except Exception as fault:
                replies.append(None)
                error = plain_error(fault)
    if all(reply is None for reply in replies):
        raise ValactError(f"{name}: no reply: {error}; check --model and its server")
    digits = tuple(None if reply is None else right_digits(reply, canary) for reply in replies)
    return Probed(name, tuple(replies), digits, error)


def lines(found: Probed) -> list[str]:
    """What a person reads: the verdict, what it rests on, and what it proves and what not."""
    answered = sum(n is not None for n in found.digits)
    there = sum(n == found.best for n in found.digits)
    where = f", in {there} of {answered} replies" if found.best else f" in {answered} replies"
    return [
        f"{found.model}: {found.verdict}: {found.best} of 16 leading digits of the canary's second "
        f"half are right{where}",
        f"  {MEANING[found.verdict]}",
    ]
