"""Stage collect: reads what experts said, gives out the next round, and waits for the rest.

Reviews are kept beside the rounds, outside the workspace: they are work of people. This stage has
finished when all of them are there; until then the build ends, and the same command goes on.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pipeline import funnel, schema
from pipeline.annotation import answers, store
from pipeline.annotation.draw import open_drawn
from pipeline.annotation.gold import load_gold
from pipeline.annotation.plan import load_plan
from pipeline.annotation.rounds import all_items
from pipeline.annotation.sample import population
from pipeline.confusion import missed
from pipeline.errors import WaitingError
from pipeline.labelstudio.connect import Connection
from pipeline.labelstudio.work import Office, give, take
from pipeline.progress import say
from pipeline.stage import Context, Result


def run(context: Context) -> Result:
    """Collect round by round.

    Raises:
        WaitingError: Reviews are missing.
        PipelineError: The plan is wrong, or Label Studio does not start or answer.
    """
    chosen, tables = context.config.annotation, context.tables
    plan = load_plan(Path(chosen.plan))
    place = store.place_of(context.config)
    office = Office(place, Path(chosen.server), port=chosen.port)
    connection: Connection | None = None
    with ExitStack() as stack:
        for number in range(1, chosen.rounds + 1):
            open_drawn(
                place,
                plan,
                number,
                load_gold(Path(plan.checks.gold)),
                lambda: population(
                    tables["generate.slots"],
                    tables["generate.actions"],
                    tables["rewrite.scenarios"],
                ),
                lambda: missed(tables["recognise.actions"]),
            )
            rounds = store.load_rounds(place, plan)[:number]
            state = answers.progress(all_items(rounds), store.load_reviews(place), plan.excluded)
            if state.left and chosen.by == "label_studio":
                connection = connection or stack.enter_context(office.connect(rounds))
                if number > 1:  # `route` has given out the first
                    give(connection, office, rounds)
                taken = take(connection, office, plan, rounds)
                state = taken.state
                for problem in taken.problems:
                    say(f"    {problem}")
            if state.left:
                raise WaitingError(state.line)
    slots, nothing = tables["generate.slots"], schema.frame([], schema.DROPPED)
    return Result(
        tables={},
        dropped=nothing,
        funnel=funnel.count("collect", "scenario", slots.height, slots, nothing),
        notes={"lines": [state.line]},
    )
