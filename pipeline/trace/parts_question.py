"""Parts of a trace: a question, its options, what was wrong with them, and the calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PromptFile:
    """A prompt as it was when a stage ran.

    Attributes:
        file: Its path in the checkout.
        version: Its version; None if no file of that content is at hand.
        sha256: Hash of its content; None if the manifest does not tell.
    """

    file: str
    version: int | None
    sha256: str | None


@dataclass(frozen=True)
class Call:
    """A model call and the reply that the ledger serves for it.

    Attributes:
        key: Its ledger key.
        stage: The stage that asked.
        model: The model's name in [models].
        prompts: The prompt, and the one appended if the question was asked again.
        problem: Why there is no reply, in one line; "" if there is one.
        asking: From 1: which of the askings about this. None without a record, as what follows.
        endpoint: Where the request was sent.
        model_asked: Model name as the endpoint knows it.
        model_returned: Model name that came back; None without a reply, as all that follows.
        outcome: "ok", or how the reply failed; see pipeline.llm.reply.
        prompt_tokens: Tokens of the prompt, by the endpoint's count.
        completion_tokens: Tokens of the reply, likewise.
        reply: The raw reply.
    """

    key: str
    stage: str
    model: str
    prompts: tuple[PromptFile, ...]
    problem: str
    asking: int | None = None
    endpoint: str | None = None
    model_asked: str | None = None
    model_returned: str | None = None
    outcome: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reply: str | None = None


@dataclass(frozen=True)
class Violation:
    """What a validator found wrong with an action as one asking gave it.

    Attributes:
        generator: The model that wrote it, by its name in [models].
        value: The value it was written for.
        asking: From 1: which of the askings for this generator and value.
        code: Reason code; see docs/actions.md.
        rejects: True if the action was asked for anew because of it.
        detail: What it is.
        action: The action's text.
        ledger_key: Key of the call that wrote it.
    """

    generator: str
    value: str
    asking: int
    code: str
    rejects: bool
    detail: str
    action: str
    ledger_key: str


@dataclass(frozen=True)
class Option:
    """An action, and where it stands.

    Attributes:
        letter: "A" to "D"; None in no question.
        target: True if a selection or adoption item asks for it.
        action_id: Its id.
        action: Its text.
        value: The value it was written for.
        generator: The model that wrote it, by its name in [models].
        ledger_key: Key of the call that wrote it.
        flags: Codes of what validators found and let pass; None if the build keeps no such notes.
        askings: Times an action was asked for here; None likewise.
        violations: What was wrong with it, and with those that were written before it.
        recognised: The value that the blind recogniser reads in it; "" if it gave no usable
            answer, None if there was none.
        recognised_key: Key of the call in which it did.
    """

    letter: str | None
    target: bool
    action_id: str
    action: str
    value: str
    generator: str
    ledger_key: str
    flags: tuple[str, ...] | None
    askings: int | None
    violations: tuple[Violation, ...]
    recognised: str | None
    recognised_key: str | None


@dataclass(frozen=True)
class Question:
    """A question: of four options those that were asked for, in letter order.

    Attributes:
        question_id: Its id.
        index: Its place in the scenario, from 0.
        slot: The scenario's slot.
        domain: Its domain.
        target_value: The value that a selection or adoption item asks for.
        target_letter: The letter of that option.
        options: The options.
    """

    question_id: str
    index: int
    slot: int
    domain: str
    target_value: str
    target_letter: str
    options: tuple[Option, ...]
