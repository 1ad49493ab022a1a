"""What a trace is made of: plain values, from the question down to the line of the source.

Texts are as they are stored, control characters included; trace/view.py shows them safely.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
        scenario_id: Its id.
        domain: Its domain.
        rank: Its place in the domain's draw, from 0.
        slot: The slot it holds; None if it holds none.
        replaced: Scenarios that held the slot before and failed.
        form: "rewritten", "verbatim" or "ids": what was made of the post.
        retelling: Ledger key of the call that retold the post; None if it was not retold, or if
            no call in the ledger gives this text.
        text: Its text.
    """

    scenario_id: str
    domain: str
    rank: int
    slot: int | None
    replaced: tuple[str, ...]
    form: str
    retelling: str | None
    text: str


@dataclass(frozen=True)
class Vote:
    """What a model said of a post.

    Attributes:
        model: Its name in [models].
        vote: "yes" or "no".
        reason: Its reason code.
        breaks_tie: True if it was asked because the voters differed.
        ledger_key: Key of the call.
    """

    model: str
    vote: str
    reason: str
    breaks_tie: bool
    ledger_key: str


@dataclass(frozen=True)
class Removed:
    """A post that was removed as a duplicate.

    Attributes:
        post_id: Its id.
        method: How the pair was found.
        similarity: Of the pair, by that method.
        source_file: File that it was read from.
        source_line: Its line there, from 1.
    """

    post_id: str
    method: str
    similarity: float
    source_file: str
    source_line: int


@dataclass(frozen=True)
class Cluster:
    """Posts that tell one story.

    Attributes:
        keeper_id: The post that stays, or a scenario of an earlier release.
        keeper_became: What became of the keeper, in words.
        removed: All that were removed in its favour.
    """

    keeper_id: str
    keeper_became: str
    removed: tuple[Removed, ...]


@dataclass(frozen=True)
class Dropped:
    """Where an item ended.

    Attributes:
        stage: The stage that dropped it.
        item: Id of what it dropped: a line ("FILE:LINE"), a post or a scenario.
        outcome: "rejected" or "failed".
        reason: Reason code.
        detail: What more the stage noted.
    """

    stage: str
    item: str
    outcome: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Post:
    """A post and the line it was read from.

    Attributes:
        post_id: Its id.
        domain: The domain of its subreddit.
        subreddit: Where it was posted.
        created: When, in UTC, ISO 8601.
        title: Its title.
        source_file: File that it was read from.
        source_line: Its line there, from 1.
        snapshots: Other lines ("FILE:LINE") that hold the same post; they were not used.
        tombstone: Why and since when it must not be used any more; None if it may.
        text: Title and body, cleaned and masked; None if stage tag has not run, as what follows.
        words: Words of the body.
        language: ISO 639-1 code; None if unclear.
        tags: What the rules of stage tag say of it.
        masked: Kinds of personal data that were masked in `text`.
    """

    post_id: str
    domain: str | None
    subreddit: str
    created: str
    title: str
    source_file: str
    source_line: int
    snapshots: tuple[str, ...]
    tombstone: str | None
    text: str | None = None
    words: int | None = None
    language: str | None = None
    tags: tuple[str, ...] | None = None
    masked: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Trace:
    """Everything on the way from an id to the source; what there is not is empty or None.

    Attributes:
        asked: The id, as given.
        kind: "question", "option", "scenario", "post" or "line".
        workspace: Folder of the build.
        unbuilt: Stages that have not finished.
        stale: Stages that finished before their input was made anew.
        questions: The question, the one that holds the option, or all of the scenario.
        spare: Actions on the way that stand in no question.
        calls: Every model call on the way, each once.
        scenario: The scenario.
        votes: What models said of the post.
        cluster: Its duplicates; None if there are none.
        violations: If the scenario was dropped for its actions, what was wrong with them.
        dropped: Where the post or the scenario ended; None if it is in the dataset.
        post: The post; None if only the line is known.
    """

    asked: str
    kind: str
    workspace: str
    unbuilt: tuple[str, ...]
    stale: tuple[str, ...]
    questions: tuple[Question, ...] = ()
    spare: tuple[Option, ...] = ()
    calls: tuple[Call, ...] = ()
    scenario: Scenario | None = None
    votes: tuple[Vote, ...] = ()
    cluster: Cluster | None = None
    violations: tuple[Violation, ...] = ()
    dropped: Dropped | None = None
    post: Post | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data: nested dictionaries and lists, under the names above."""
        return dataclasses.asdict(self)
