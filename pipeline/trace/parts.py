"""What a trace is made of: plain values, from the question down to the line of the source.

Texts are as they are stored, control characters included; trace/view.py shows them safely.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from pipeline.trace.parts_question import Call, Option, Question, Violation


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
