"""The build, in order: every stage with what it reads, what it writes and what decides it."""

from __future__ import annotations

from pipeline import compose, dedup, generate, release, schema, scrape, screen, select
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
        name="screen",
        run=screen.run,
        inputs=("scrape.posts",),
        outputs={"posts": schema.SCREENED},
        sections=("screen",),
    ),
    Stage(
        name="dedup",
        run=dedup.run,
        inputs=("screen.posts",),
        outputs={"posts": schema.SCREENED, "pairs": schema.DUPLICATES},
        sections=("build.seed", "dedup"),
    ),
    Stage(
        name="select",
        run=select.run,
        inputs=("dedup.posts",),
        outputs={"candidates": schema.CANDIDATES},
        sections=("build.seed", "domains", "select"),
    ),
    Stage(
        name="generate",
        run=generate.run,
        inputs=("select.candidates",),
        outputs={"slots": schema.SLOTS, "actions": schema.ACTIONS},
        sections=("build.seed", "domains", "generate", "select.scenarios"),
        prompts=lambda config: (config.generate.prompt, "ask_again"),
        models=lambda config: config.generate.generators,
    ),
    Stage(
        name="compose",
        run=compose.run,
        inputs=("select.candidates", "generate.slots", "generate.actions"),
        outputs={"questions": schema.QUESTIONS},
        sections=("compose", "generate.generators", "release.canary"),
    ),
    Stage(
        name="release",
        run=release.run,
        inputs=(
            "select.candidates",
            "generate.slots",
            "generate.actions",
            "compose.questions",
        ),
        outputs={},
        sections=("build", "domains", "generate.generators", "release", "source"),
        models=lambda config: config.generate.generators,
        reads_funnels=True,
    ),
)


def stage_names() -> tuple[str, ...]:
    """Return the stages' names in order."""
    return tuple(stage.name for stage in STAGES)
