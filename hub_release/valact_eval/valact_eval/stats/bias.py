"""What a choice owes to the letter, to who wrote the option and to its length."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from valact_eval.stats.enacted import by_scenario
from valact_eval.stats.estimate import Estimate, Floats, mean_over, number, ratio
from valact_eval.stats.resample import Bootstrap, rate, rate_each
from valact_eval.stats.table import Choices

LETTERS: Final = ("A", "B", "C", "D")
FAMILIES: Final = (
    ("gpt", "chatgpt", "davinci"),
    ("gemini", "gemma"),
    ("claude",),
    ("grok",),
    ("llama",),
    ("qwen", "qwq"),
    ("deepseek",),
    ("kimi", "moonshot"),
    ("seed", "doubao"),
    ("glm", "chatglm"),
    ("yi",),
    ("internlm",),
    ("smollm",),
)
"""Words in model names that mean one family."""


@dataclass(frozen=True)
class LetterShare:
    """How often a letter was picked among valid choices; chance is 25 % of balanced letters."""

    letter: str
    share: Estimate
    by_prompt: tuple[float | None, ...]


@dataclass(frozen=True)
class GeneratorShare:
    """How often options of one generator were chosen among valid choices.

    ``offered`` is what blind choice gives (50 % where each question has two options of each of
    two generators). ``own`` says whether the respondent is of the generator's family.
    """

    generator: str
    own: bool
    share: Estimate
    offered: float | None


@dataclass(frozen=True)
class Length:
    """Length of the chosen options.

    ``longest`` is how often the longest of the four was chosen (chance 25 %; ties count in
    part), ``more_words`` how many words the chosen has more than the mean of the four.
    """

    longest: Estimate
    more_words: Estimate


@dataclass(frozen=True)
class Bias:
    """Letters, generators and length in the task ``default``.

    Each is marginal: the choice model tells them apart from each other and from values.
    """

    letters: tuple[LetterShare, ...]
    generators: tuple[GeneratorShare, ...]
    length: Length


def bias(table: Choices, boot: Bootstrap, family: str | None = None, level: float = 0.95) -> Bias:
    """Shares with intervals over scenarios; ``family`` overrides the respondent's name."""
    ok = table.ok
    letter = by_scenario(table, np.where(ok, table.chosen(table.places), -1), 4)
    writer = by_scenario(
        table, np.where(ok, table.chosen(table.generators), -1), len(table.generator_names)
    )
    rows = np.repeat(np.flatnonzero(ok), 4)
    offers = by_scenario(table, table.generators[ok].ravel(), len(table.generator_names), rows)
    valid = letter.sum(axis=2)
    by_prompt = ratio(letter.sum(axis=0), valid.sum(axis=0)[:, None])
    offered = mean_over(ratio(offers.sum(axis=0), 4 * valid.sum(axis=0)[:, None]), 0)
    letters, writers = (
        rate_each(part, valid[:, :, None], boot, level=level) for part in (letter, writer)
    )
    words = table.words.astype(float)
    longest = table.words == table.words.max(axis=1, keepdims=True)
    part = table.chosen(longest.astype(np.int64)) / longest.sum(axis=1)
    more = table.chosen(table.words) - words.mean(axis=1)
    name = family or table.respondent
    return Bias(
        letters=tuple(
            LetterShare(
                letter=mark,
                share=letters[k],
                by_prompt=tuple(number(float(share)) for share in by_prompt[:, k]),
            )
            for k, mark in enumerate(LETTERS)
        ),
        generators=tuple(
            GeneratorShare(
                generator=generator,
                own=same_family(name, generator),
                share=writers[g],
                offered=number(float(offered[g])),
            )
            for g, generator in enumerate(table.generator_names)
        ),
        length=Length(
            longest=rate(_summed(table, part), valid, boot, level=level),
            more_words=rate(_summed(table, more), valid, boot, scale="linear", level=level),
        ),
    )


def same_family(one: str, two: str) -> bool:
    """Whether two model names hold words of one family (``qwen-max`` and ``Qwen2.5-72B``)."""
    return _family(one) is not None and _family(one) == _family(two)


def _family(name: str) -> int | None:
    # the model's own name is the last part of openrouter/org/name
    words = "".join(c if c.isalpha() else " " for c in name.lower().split("/")[-1]).split()
    for place, family in enumerate(FAMILIES):
        if any(word in family for word in words):
            return place
    return None


def _summed(table: Choices, figure: Floats) -> Floats:
    """Sums a figure of the valid answers: scenarios x prompts."""
    ok = table.ok
    size = len(table.variants)
    flat = table.scenario[ok] * size + table.variant[ok]
    found = np.bincount(flat, figure[ok], minlength=len(table.scenarios) * size)
    return np.asarray(found.reshape(-1, size))
