"""Stage adjudicate: what experts' reviews say, and whether the release may name the figure."""

from __future__ import annotations

from pathlib import Path

from pipeline import funnel, schema
from pipeline.annotation import answers, store
from pipeline.annotation.findings import judge
from pipeline.annotation.page import write_page
from pipeline.annotation.plan import load_plan
from pipeline.annotation.rounds import all_items
from pipeline.errors import WaitingError
from pipeline.stage import Context, Result


def run(context: Context) -> Result:
    """Judge all reviews of the rounds that this build waits for.

    Raises:
        WaitingError: Reviews are missing (an answer was deleted since they were collected).
        PipelineError: The plan or the rounds are not as they were.
    """
    config = context.config
    plan = load_plan(Path(config.annotation.plan))
    place = store.place_of(config)
    rounds = store.load_rounds(place, plan)[: config.annotation.rounds]
    reviews = store.load_reviews(place)
    items = all_items(rounds)
    state = answers.progress(items, reviews, plan.excluded)
    if state.left:
        raise WaitingError(f"{state.line}; `make collect` reads what came since")
    found = judge(
        plan,
        rounds,
        reviews.filter(reviews["item_id"].is_in(items["item_id"].implode())),
        context.tables["generate.actions"],
        rule_changes=store.rule_changes(place, plan, plan.expert_checked.round),
    )
    write_page(found, context.out / "report.html", config.build.name)
    slots, nothing = context.tables["generate.slots"], schema.frame([], schema.DROPPED)
    lines = [found.verdict.figure, "expert-checked: " + ("yes" if found.verdict.allowed else "no")]
    return Result(
        tables={"decisions": found.decisions},
        dropped=nothing,
        funnel=funnel.count("adjudicate", "scenario", slots.height, slots, nothing),
        # The whole of it is published with the release: pseudonyms, no text, no note of anyone.
        notes={
            "lines": [line for line in lines if line] + list(found.verdict.reasons),
            "findings": found.as_json(),
        },
    )
