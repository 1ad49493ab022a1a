"""Stage route: draws the first round of actions for experts, and gives it to them.

What is drawn stays as it was drawn, whatever becomes of the actions later.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import funnel, schema
from pipeline.annotation import store
from pipeline.annotation.draw import open_drawn
from pipeline.annotation.gold import load_gold
from pipeline.annotation.plan import load_plan
from pipeline.annotation.sample import population
from pipeline.confusion import missed
from pipeline.labelstudio.work import Office, give
from pipeline.stage import Context, Result


def run(context: Context) -> Result:
    """Draw round 1 if it is not drawn; make what is missing of its tasks.

    Raises:
        PipelineError: The plan is wrong, or Label Studio does not start or answer.
    """
    chosen, tables = context.config.annotation, context.tables
    plan = load_plan(Path(chosen.plan))
    place = store.place_of(context.config)
    drawn = open_drawn(
        place,
        plan,
        1,
        load_gold(Path(plan.checks.gold)),
        lambda: population(
            tables["generate.slots"], tables["generate.actions"], tables["rewrite.scenarios"]
        ),
        lambda: missed(tables["recognise.actions"]),
    )
    if chosen.by == "label_studio":
        office = Office(place, Path(chosen.server), port=chosen.port)
        with office.connect([drawn]) as connection:
            give(connection, office, [drawn])
    slots, nothing = tables["generate.slots"], schema.frame([], schema.DROPPED)
    how = {"label_studio": "`make annotate` serves it", "csv": "`reviews-form` writes the forms"}
    return Result(
        tables={"items": drawn.items},
        dropped=nothing,
        funnel=funnel.count("route", "scenario", slots.height, slots, nothing),
        notes={
            "lines": [f"round 1: {drawn.items.height:,} items for experts; {how[chosen.by]}"],
            "warnings": list(drawn.notes),
        },
    )
