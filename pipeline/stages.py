"""The build, in order: every stage with what it reads, what it writes and what decides it."""

from __future__ import annotations

from pipeline import (
    adjudicate,
    collect,
    compose,
    dedup,
    generate,
    recognise,
    release,
    rewrite,
    route,
    schema,
    scrape,
    screen,
    select,
    tag,
    vote,
)
from pipeline.annotation.store import files_of
from pipeline.annotation.tables import DECISIONS
from pipeline.config import Config
from pipeline.stage import Stage

STAGES: tuple[Stage, ...] = (
    Stage(
        name="scrape",
        run=scrape.run,
        inputs=(),
        outputs={"posts": schema.POSTS},
        sections=("domains", "source"),
        reads_source=True,
    ),
    Stage(
        name="tag",
        run=tag.run,
        inputs=("scrape.posts",),
        outputs={"posts": schema.TAGGED},
        sections=(),
    ),
    Stage(
        name="screen",
        run=screen.run,
        inputs=("tag.posts",),
        outputs={"posts": schema.SCREENED},
        sections=("screen",),
    ),
    Stage(
        name="dedup",
        run=dedup.run,
        inputs=("screen.posts",),
        outputs={
            "posts": schema.SCREENED,
            "pairs": schema.DUPLICATES,
            "near": schema.NEAR_PAIRS,
        },
        sections=("build.seed", "dedup"),
    ),
    Stage(
        name="select",
        run=select.run,
        inputs=("dedup.posts",),
        outputs={"pool": schema.POOL},
        sections=("build.seed", "domains", "select"),
    ),
    Stage(
        name="vote",
        run=vote.run,
        inputs=("select.pool",),
        outputs={"pool": schema.POOL, "votes": schema.VOTES},
        sections=("build.seed", "vote"),
        prompts=lambda config: (config.vote.prompt, "ask_again"),
        models=lambda config: tuple(filter(None, (*config.vote.voters, config.vote.tie_breaker))),
    ),
    Stage(
        name="rewrite",
        run=rewrite.run,
        inputs=("vote.pool",),
        outputs={
            "scenarios": schema.CANDIDATES,
            "pairs": schema.PAIRS,
            "retellings": schema.RETELLINGS,
        },
        sections=("build.seed", "dedup", "domains", "release.text", "rewrite", "select.scenarios"),
        prompts=lambda config: (config.rewrite.prompt, "ask_again"),
        models=lambda config: tuple(filter(None, (config.rewrite.model,))),
    ),
    Stage(
        name="generate",
        run=generate.run,
        inputs=("rewrite.scenarios",),
        outputs={
            "slots": schema.SLOTS,
            "actions": schema.ACTIONS,
            "violations": schema.VIOLATIONS,
        },
        sections=(
            "build.seed",
            "dedup.window_words",
            "domains",
            "generate",
            "select.scenarios",
            "select.slots",
            "validate",
        ),
        prompts=lambda config: (
            config.generate.prompt,
            config.generate.single_prompt,
            "ask_again",
        ),
        models=lambda config: config.generate.generators,
    ),
    Stage(
        name="recognise",
        run=recognise.run,
        inputs=("rewrite.scenarios", "generate.slots", "generate.actions"),
        outputs={"actions": schema.RECOGNISED},
        sections=("build.seed", "generate.generators", "recognise"),
        prompts=lambda config: (config.recognise.prompt, "ask_again"),
        models=lambda config: tuple(filter(None, (config.recognise.model,))),
    ),
    Stage(
        name="compose",
        run=compose.run,
        inputs=("rewrite.scenarios", "generate.slots", "generate.actions"),
        outputs={"questions": schema.QUESTIONS},
        sections=("compose", "generate.generators", "release.canary"),
    ),
    Stage(
        name="release",
        run=release.run,
        inputs=(
            "vote.votes",
            "rewrite.scenarios",
            "rewrite.retellings",
            "generate.slots",
            "generate.actions",
            "generate.violations",
            "recognise.actions",
            "compose.questions",
        ),
        outputs={},
        sections=("build", "dedup", "domains", "generate.generators", "release", "source"),
        models=lambda config: config.generate.generators,
        files=lambda config: files_of(config) if config.annotation.by else (),
        reads_funnels=True,
    ),
)


_DRAWN_FROM = ("generate.slots", "generate.actions", "rewrite.scenarios", "recognise.actions")

ANNOTATION: tuple[Stage, ...] = (
    Stage(
        name="route",
        run=route.run,
        inputs=_DRAWN_FROM,
        outputs={"items": schema.ITEMS},
        sections=("annotation.by",),
        files=lambda config: files_of(config)[:1],
    ),
    Stage(
        name="collect",
        run=collect.run,
        inputs=_DRAWN_FROM,
        outputs={},
        sections=("annotation.by", "annotation.rounds"),
        files=lambda config: files_of(config)[:1],
    ),
    Stage(
        name="adjudicate",
        run=adjudicate.run,
        inputs=("generate.slots", "generate.actions"),
        outputs={"decisions": DECISIONS},
        sections=("annotation.rounds",),
        files=files_of,
    ),
)
"""Experts' work, between `recognise` and `compose` where annotation.by names it."""


def stages_of(config: Config) -> tuple[Stage, ...]:
    """Return the stages of a build, in order."""
    if not config.annotation.by:
        return STAGES
    place = stage_names().index("recognise") + 1
    return STAGES[:place] + ANNOTATION + STAGES[place:]


def stage_names(config: Config | None = None) -> tuple[str, ...]:
    """Return the names of a build's stages in order; without one, of those that all builds have."""
    return tuple(stage.name for stage in (STAGES if config is None else stages_of(config)))
