"""What a build can be told of its actions: the sections [generate] and [validate]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.config_model import STRICT, Count, Positive

Code = Literal[
    "empty",
    "placeholder",
    "language",
    "first_person",
    "sentences",
    "length",
    "benefit_clause",
    "repeated",
    "distinct",
    "value_word",
    "refusal",
    "personal_data",
    "harmful",
    "on_scenario",
    "ten_values",
]
"""What can be wrong with an action; docs/actions.md tells each."""

EVERY_CODE: tuple[Code, ...] = Code.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, config=STRICT)
class GenerateConfig:
    """Who writes the actions.

    Attributes:
        generators: Exactly two names from [models].
        prompt: Prompt file in prompts/, without `.md`, that asks for all ten actions.
        single_prompt: The one that asks for one action.
        one_by_one: Generators that are too weak for ten at once: a call a value.
        plain_repairs: Generators that copy what they are shown: what is asked of them anew says
            nothing of the action that was rejected, nor of the others.
        attempts: Times a generator is asked for a reply that can be read.
        repairs: Times an action that is rejected is asked for anew, alone, before its scenario is
            replaced.
    """

    generators: tuple[str, str]
    prompt: str = "generate_actions"
    single_prompt: str = "generate_action"
    one_by_one: tuple[str, ...] = ()
    plain_repairs: tuple[str, ...] = ()
    attempts: Positive = 3
    repairs: Count = 3


@dataclass(frozen=True, config=STRICT)
class ValidateConfig:
    """What an action must be; docs/actions.md tells what the cosines were measured on.

    Attributes:
        reject: What is asked for anew. The other things that can be wrong are flagged only.
        max_sentences: Most sentences of an action.
        min_words: Fewest words of an action.
        max_words: Most words of an action.
        distinct: Actions of a scenario with this cosine or more say the same.
        on_scenario: Actions with a lower cosine to their scenario are looked at.
        embedding_model: As `dedup.embedding_model`; the two cosines are made for the bundled one.
    """

    reject: tuple[Code, ...] = EVERY_CODE
    max_sentences: Positive = 2
    min_words: Positive = 3
    max_words: Positive = 60
    distinct: Annotated[float, Field(ge=0.3, le=1)] = 0.90
    on_scenario: Annotated[float, Field(ge=-1, le=1)] = 0.10
    embedding_model: str = "minilm-package"
